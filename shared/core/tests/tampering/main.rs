//! Whoever can write to the bucket can choose no table, no condition and no secret: every text of a plan and of a
//! record is replaced by hostile ones, and the ports are still asked only for the table, the condition and the sink of
//! the event.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod complete;
mod plans;
mod records;
mod scene;
mod scenes;
mod tamper;
mod watched;

//! Whoever can write to the bucket chooses no table, no condition and no secret: every text of a plan and of a record is
//! replaced by hostile ones, and what the ports are asked for names the table, the condition and the sink of the event.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod plans;
mod records;
mod scene;
mod watched;

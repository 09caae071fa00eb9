//! Whoever can write to the bucket runs nothing: every text of a plan and of a record is replaced by hostile ones, and
//! what the server is asked for has the form that it has without that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod form;
mod plans;
mod world;

//! Whoever can write to the bucket runs nothing: every text of a plan and of a record is replaced by hostile ones, and what
//! the server is asked for has the form it has without that.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod form;
mod plans;
mod world;

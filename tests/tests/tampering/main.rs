//! Whoever can write to the bucket runs nothing: every text of a plan and of a record is replaced by hostile ones, and
//! what the server is asked for has the form that it has without that.
//!
//! The name of a column in a plan may name another column of the same table, which is then copied (decision 0003), so
//! the form does not have the names of columns. The tests in `shared/core/tests/tampering` show that no text of a
//! document is left out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod form;
mod plans;
mod world;

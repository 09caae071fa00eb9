//! Large windows in slices: every row is in exactly one of them, whatever the values and the indexes are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cuts;
mod splits;
mod statistics;
mod world;

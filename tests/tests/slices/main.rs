//! Large windows in slices: every row in one of them, none in two, whatever the values and the indexes are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cuts;
mod splits;
mod statistics;
mod world;

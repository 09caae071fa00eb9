//! Large windows in slices: every row in one of them, none in two, whatever the values and the indexes are.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cuts;
mod splits;
mod statistics;
mod world;

//! Change tracking over real TDS and real S3 calls: the third tutorial, and what it leaves open.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod concurrent;
mod expired;
mod tutorial;
mod world;

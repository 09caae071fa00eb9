//! What a warm process keeps between invocations, over real TDS: one connection for each role, replaced when it is of no use
//! any more, and nothing of one invocation seen by the next.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod cuts;
mod merges;
mod passwords;
mod process;
mod sessions;

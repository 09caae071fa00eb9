//! What a warm process keeps between invocations, over real TDS: one connection for each role, replaced when it is of no use
//! any more, and nothing of one invocation seen by the next.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod cuts;
mod merges;
mod passwords;
mod process;
mod sessions;

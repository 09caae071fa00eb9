//! What a warm process keeps between invocations, over real TDS: one connection for each role, which is replaced when
//! it is of no use any more, and nothing of one invocation that the next one sees.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod cuts;
mod given_up;
mod merges;
mod passwords;
mod process;
mod sessions;

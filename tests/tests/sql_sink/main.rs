//! Tables merged into another database: two stand-ins, every adapter as deployed, the ledger on a real S3 server.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arrivals;
mod races;
mod texts;
mod tracked;
mod tutorial;
mod world;

//! Tables merged into another database: two stand-ins, every adapter as deployed, and the ledger on a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arrivals;
mod masked;
mod races;
mod texts;
mod tracked;
mod tutorial;
mod world;

//! Change tracking over real TDS and real S3 calls: Microsoft's third tutorial, and what it leaves open.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod concurrent;
mod expired;
mod tutorial;
mod world;

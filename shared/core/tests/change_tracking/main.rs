//! Tracked tables through the four steps: what a reader puts together from the windows is what is in the table,
//! whatever expires, stops or overtakes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod columns;
mod disturbed;
mod expiry;
mod windows;
mod world;

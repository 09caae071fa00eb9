//! What holds for any text, any JSON and any name: decoders never panic, canonical forms are stable, documents read
//! back. `PROPTEST_CASES` sets how many are tried of each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod documents;
mod events;
mod json;
mod names;
mod windows;

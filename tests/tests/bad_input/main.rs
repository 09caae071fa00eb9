//! What users and strangers may write into an event: odd names work or are refused, nothing of it is ever run as SQL,
//! and a mistake is named by its field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod events;
mod names;

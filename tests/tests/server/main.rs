//! What a server makes of a table beside its rows: hidden columns, rights, masks, its clock, and the size of its packets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clock;
mod columns;
mod objects;
mod packets;
mod rights;

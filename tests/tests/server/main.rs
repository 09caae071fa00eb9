//! Properties of tables on a server beside their rows: hidden columns, rights, masks, the clock, and the size of
//! packets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clock;
mod columns;
mod elsewhere;
mod objects;
mod packets;
mod rights;

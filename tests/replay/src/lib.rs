//! A server that answers every statement with the same prepared tokens (MS-TDS 2.2), with or without TLS.
//!
//! Tests use it to put on the wire what no well-behaved server would: malformed text, broken streams, errors between
//! rows. Measurements use it to send [rows of realistic tables](tables) faster than a client reads them, or at the pace
//! of a real server, and the [bare client](drain) that does nothing but receive them.

#![allow(
    clippy::unwrap_used,
    reason = "only tests and measurements use it, and they fail by panicking"
)]

pub mod certificate;
pub mod drain;
pub mod large_table;
mod outgoing;
mod packets;
pub mod rows;
pub mod server;
pub mod tables;
pub mod tokens;
mod words;

//! Packets: eight bytes of header, then payload; a message is packets until the end-of-message bit.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// This is the length of a packet's header.
pub const HEADER: usize = 8;
/// SQL batch.
pub const BATCH: u8 = 1;
/// Remote procedure call.
pub const RPC: u8 = 3;
/// This is a response of the server.
pub const RESPONSE: u8 = 4;
/// Attention.
pub const ATTENTION: u8 = 6;
/// These are rows of a bulk load.
pub const BULK: u8 = 7;
/// Transaction manager request.
pub const TRANSACTION: u8 = 14;
/// LOGIN7.
pub const LOGIN: u8 = 16;
/// PRELOGIN, and TLS before the login.
pub const PRELOGIN: u8 = 18;
/// End of message.
pub const END: u8 = 1;
/// Ignore the message.
pub const IGNORE: u8 = 2;
/// Reset the connection before the request; with or without its transaction.
pub const RESET: u8 = 8;
/// Reset but keep the transaction.
pub const RESET_KEEP: u8 = 16;

/// This is the longest packet of an encrypted connection
/// (<https://learn.microsoft.com/en-us/sql/database-engine/configure-windows/configure-the-network-packet-size-server-configuration-option>).
/// A client is given the size it asks for, and loses the connection with the first packet that is longer, as KB 2008195
/// tells.
pub const ENCRYPTED: usize = 16_383;

/// This is the longest message that is taken: a bulk load is held in memory until it is whole.
const MESSAGE_LIMIT: usize = 1 << 30;

/// This is a whole message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// This is its type.
    pub kind: u8,
    /// This is the status bits of its first packet, and the ignore bit of its last.
    pub status: u8,
    /// This is its payload.
    pub payload: Vec<u8>,
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a message; an error is the end of the connection.
///
/// # Errors
/// When the connection ends or what comes is no packet.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Message> {
    let mut message = Message::default();
    let mut first = true;
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await?;
        let [kind, status, high, low, ..] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = length.checked_sub(HEADER) else {
            return Err(malformed("packet shorter than its header"));
        };
        if length > ENCRYPTED {
            return Err(malformed("packet too long to be encrypted"));
        }
        if first {
            (message.kind, message.status, first) = (kind, status, false);
        } else if kind != message.kind {
            return Err(malformed("packet of another type within a message"));
        }
        let start = message.payload.len();
        if start + body > MESSAGE_LIMIT {
            return Err(malformed("message too long"));
        }
        message.payload.resize(start + body, 0);
        stream.read_exact(&mut message.payload[start..]).await?;
        if status & END != 0 {
            message.status |= status & IGNORE;
            return Ok(message);
        }
    }
}

/// Says whether a payload in packets of a size has one that is too long to be encrypted.
pub fn is_too_long(payload: usize, size: usize) -> bool {
    size.min(payload + HEADER) > ENCRYPTED
}

/// Cuts a payload into packets of a size; the last one ends the message if told.
pub fn frame(kind: u8, payload: &[u8], size: usize, end: bool, next_id: &mut u8) -> Vec<u8> {
    let body = size.saturating_sub(HEADER).max(1);
    let mut out = Vec::with_capacity(payload.len() + (payload.len() / body + 1) * HEADER);
    let mut chunks = payload.chunks(body).peekable();
    while let Some(chunk) = chunks.next() {
        let status = if end && chunks.peek().is_none() { END } else { 0 };
        let length = u16::try_from(chunk.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
        out.extend_from_slice(&[kind, status, length[0], length[1], 0, 0, *next_id, 0]);
        *next_id = next_id.wrapping_add(1);
        out.extend_from_slice(chunk);
    }
    out
}

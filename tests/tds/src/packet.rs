//! Packets: eight bytes of header, then payload. A message is all packets up to one with the end-of-message bit.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The length of a packet's header.
pub const HEADER: usize = 8;
/// The type of an SQL batch.
pub const BATCH: u8 = 1;
/// The type of a remote procedure call.
pub const RPC: u8 = 3;
/// The type of a response of the server.
pub const RESPONSE: u8 = 4;
/// The type of an attention, which cancels a request.
pub const ATTENTION: u8 = 6;
/// The type of the rows of a bulk load.
pub const BULK: u8 = 7;
/// The type of a transaction manager request.
pub const TRANSACTION: u8 = 14;
/// The type of LOGIN7.
pub const LOGIN: u8 = 16;
/// The type of PRELOGIN, and of TLS before the login.
pub const PRELOGIN: u8 = 18;
/// The status bit of a message's last packet.
pub const END: u8 = 1;
/// The status bit of a message to ignore.
pub const IGNORE: u8 = 2;
/// The status bit that resets the connection before the request, and rolls its transaction back.
pub const RESET: u8 = 8;
/// The status bit that resets the connection and keeps its transaction.
pub const RESET_KEEP: u8 = 16;

/// The longest packet of an encrypted connection
/// (<https://learn.microsoft.com/en-us/sql/database-engine/configure-windows/configure-the-network-packet-size-server-configuration-option>).
/// A client is given the size it asks for, and loses the connection with the first packet that is longer, as KB 2008195
/// tells.
pub const ENCRYPTED: usize = 16_383;

/// The longest message that is taken, because a bulk load is held in memory until it is whole.
const MESSAGE_LIMIT: usize = 1 << 30;

/// A whole message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its type.
    pub kind: u8,
    /// The status bits of its first packet, and the ignore bit of its last.
    pub status: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a message.
///
/// Fails when the connection ends or what comes is no packet. The connection cannot be used after that.
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

/// Returns whether one of the packets of this size for a payload is too long to be encrypted.
pub fn is_too_long(payload: usize, size: usize) -> bool {
    size.min(payload + HEADER) > ENCRYPTED
}

/// Cuts a payload into packets of a size. With `end`, the last one ends the message.
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

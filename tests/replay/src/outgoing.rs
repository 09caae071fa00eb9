//! The packets of answers, of the size that the client has asked for.

use tidemark_tds::connection::Stream;
use tidemark_tds::packet;
use tokio::io::AsyncWriteExt;

/// Cuts answers into packets.
#[derive(Debug)]
pub(crate) struct Outgoing {
    size: usize,
    next_id: u8,
}

impl Outgoing {
    /// Makes packets of at most so many bytes.
    pub(crate) const fn new(size: usize) -> Self {
        Self { size, next_id: 1 }
    }

    /// Returns the bytes of payload in a full packet.
    pub(crate) const fn body(&self) -> usize {
        self.size - packet::HEADER
    }

    /// Sends `payload`, which ends the message if `is_last`. Fails with `InvalidData` for a packet that is too long to
    /// be encrypted.
    pub(crate) async fn send(&mut self, stream: &mut Stream, payload: &[u8], is_last: bool) -> std::io::Result<()> {
        if packet::is_too_long(payload.len(), self.size) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let frames = packet::frame(packet::RESPONSE, payload, self.size, is_last, &mut self.next_id);
        stream.write_all(&frames).await?;
        stream.flush().await
    }
}

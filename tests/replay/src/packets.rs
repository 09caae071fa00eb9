//! Packets (MS-TDS 2.2.3.1), and TLS inside of them during the login.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest packet of the protocol.
pub const PACKET_BYTES: usize = 32_767;
/// The header of a packet.
pub const HEADER_BYTES: usize = 8;
/// The status of the last packet of a message.
pub const LAST: u8 = 1;
/// The type of a server's packets.
pub const ANSWER: u8 = 4;
/// The type of a packet of the handshakes.
pub const PRELOGIN: u8 = 0x12;
/// The type of a login's packets.
pub const LOGIN: u8 = 0x10;
/// The type of a batch's packets.
pub const BATCH: u8 = 1;

/// The type and the payload of the next message.
pub fn read_message(stream: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut payload = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER_BYTES;
        let start = payload.len();
        payload.resize(start + length, 0);
        stream.read_exact(&mut payload[start..])?;
        if header[1] & LAST != 0 {
            return Ok((header[0], payload));
        }
    }
}

/// Appends `payload` to `out` in packets of the largest size.
pub fn wrap(out: &mut Vec<u8>, kind: u8, payload: &[u8], is_last: bool) {
    let packets = payload.chunks(PACKET_BYTES - HEADER_BYTES);
    let count = packets.len();
    out.reserve(payload.len() + count * HEADER_BYTES);
    for (index, packet) in packets.enumerate() {
        let status = if is_last && index + 1 == count { LAST } else { 0 };
        out.extend_from_slice(&header(kind, status, packet.len()));
        out.extend_from_slice(packet);
    }
}

fn header(kind: u8, status: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let length = u16::try_from(payload + HEADER_BYTES).unwrap().to_be_bytes();
    [kind, status, length[0], length[1], 0, 0, 1, 0]
}

/// Sends `payload` in packets of the largest size.
pub fn send(stream: &mut impl Write, kind: u8, payload: &[u8], is_last: bool) -> std::io::Result<()> {
    let mut out = Vec::new();
    wrap(&mut out, kind, payload, is_last);
    stream.write_all(&out)
}

/// TDS 7 puts the TLS handshake into PRELOGIN packets, and what follows does without.
#[derive(Debug)]
pub struct HandshakeInPackets {
    stream: TcpStream,
    rest: Vec<u8>,
    is_bare: Arc<AtomicBool>,
}

impl HandshakeInPackets {
    /// The stream, and what to set once the handshake is over.
    pub fn new(stream: TcpStream) -> (Self, Arc<AtomicBool>) {
        let is_bare = Arc::new(AtomicBool::new(false));
        let wrapped = Self {
            stream,
            rest: Vec::new(),
            is_bare: is_bare.clone(),
        };
        (wrapped, is_bare)
    }
}

impl Read for HandshakeInPackets {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.is_bare.load(Ordering::Relaxed) {
            return self.stream.read(out);
        }
        if self.rest.is_empty() {
            self.rest = read_message(&mut self.stream)?.1;
        }
        let length = out.len().min(self.rest.len());
        out[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

impl Write for HandshakeInPackets {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> std::io::Result<usize> {
        if self.is_bare.load(Ordering::Relaxed) {
            return self.stream.write_vectored(slices);
        }
        let length = slices.iter().map(|slice| slice.len()).sum();
        let mut packet = header(PRELOGIN, LAST, length).to_vec();
        for slice in slices {
            packet.extend_from_slice(slice);
        }
        self.stream.write_all(&packet)?;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

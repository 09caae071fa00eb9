//! The packets of the bare client (MS-TDS 2.2.3.1), and TLS inside of them during its login, for a thread that blocks.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidemark_tds::packet::{ENCRYPTED, END as LAST, HEADER as HEADER_BYTES, PRELOGIN, frame};

/// Reads the next message, and returns its type and its payload.
pub fn read_message(stream: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut payload = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if !(HEADER_BYTES..=ENCRYPTED).contains(&length) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let length = length - HEADER_BYTES;
        let start = payload.len();
        payload.resize(start + length, 0);
        stream.read_exact(&mut payload[start..])?;
        if header[1] & LAST != 0 {
            return Ok((header[0], payload));
        }
    }
}

fn header(kind: u8, status: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let length = u16::try_from(payload + HEADER_BYTES).unwrap().to_be_bytes();
    [kind, status, length[0], length[1], 0, 0, 1, 0]
}

/// Sends `payload` in packets of the largest size.
pub fn send(stream: &mut impl Write, kind: u8, payload: &[u8], is_last: bool) -> std::io::Result<()> {
    stream.write_all(&frame(kind, payload, ENCRYPTED, is_last, &mut 0))
}

/// A stream that puts the TLS handshake into PRELOGIN packets, as TDS 7 does, and passes on unchanged what follows.
#[derive(Debug)]
pub struct HandshakeInPackets {
    stream: TcpStream,
    rest: Vec<u8>,
    is_bare: Arc<AtomicBool>,
}

impl HandshakeInPackets {
    /// Wraps a stream. Returns it, and the flag to set once the handshake is over.
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

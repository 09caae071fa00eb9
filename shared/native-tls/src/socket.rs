//! The underlying stream, with the bytes that came from it and those that go to it.

use std::io::{ErrorKind, Read, Result, Write};

/// The bytes that came from a stream and are not decrypted yet. A record takes 18 KiB at most, a message of the handshake
/// 64 KiB, and what was read of the record after it is moved to the front.
const INCOMING_BYTES: usize = 128 * 1024;

/// What came from the stream, in one buffer that is decrypted in place.
#[derive(Debug)]
pub struct Incoming {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Incoming {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; INCOMING_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Returns the bytes that are not processed yet.
    pub fn unprocessed(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Takes note that so many of the first bytes are processed.
    pub fn discard(&mut self, processed: usize) {
        self.start += processed;
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once from the stream, as much as there is room for. Returns the number of bytes, which is 0 at the end of
    /// the stream.
    pub fn read_from(&mut self, stream: &mut impl Read) -> Result<usize> {
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        let read = stream.read(&mut self.bytes[self.end..])?;
        self.end += read;
        Ok(read)
    }
}

/// What came of encoding into a buffer.
#[derive(Debug)]
pub enum Encoded {
    /// So many bytes were written.
    Bytes(usize),
    /// Nothing was written, because so many bytes are needed.
    Needs(usize),
}

/// A stream that keeps written bytes until it is flushed. So a flight of handshake messages leaves in one write, which
/// TDS puts into one packet.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    outgoing: Vec<u8>,
    sent: usize,
    is_flushed: bool,
}

impl<S> Socket<S> {
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            outgoing: Vec::new(),
            sent: 0,
            is_flushed: true,
        }
    }

    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Appends what `encode` writes to the bytes to send. It is given room for `expected` bytes, and is called once more
    /// if it needs more.
    pub fn append(&mut self, expected: usize, mut encode: impl FnMut(&mut [u8]) -> Result<Encoded>) -> Result<()> {
        let start = self.outgoing.len();
        let mut room = expected;
        let written = loop {
            self.outgoing.resize(start + room, 0);
            match encode(&mut self.outgoing[start..]) {
                Ok(Encoded::Bytes(written)) => break Ok(written),
                Ok(Encoded::Needs(needed)) if needed > room => room = needed,
                Ok(Encoded::Needs(_)) => break Err(ErrorKind::InvalidData.into()),
                Err(error) => break Err(error),
            }
        };
        self.outgoing.truncate(start + written.as_ref().copied().unwrap_or(0));
        self.is_flushed = false;
        written.map(drop)
    }
}

impl<S: Write> Socket<S> {
    /// Sends the bytes. It can be called again after the stream would have blocked.
    pub fn flush(&mut self) -> Result<()> {
        if self.is_flushed {
            return Ok(());
        }
        while self.sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        self.stream.flush()?;
        self.is_flushed = true;
        Ok(())
    }
}

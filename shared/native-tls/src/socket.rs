//! The underlying stream, with buffers.

use std::io::{BufReader, ErrorKind, IoSlice, Read, Result, Write};

/// The number of bytes that are requested from the stream at once. rustls requests 4 KiB at a time.
const READ_BYTES: usize = 64 * 1024;

/// A stream that reads ahead, and that keeps written bytes until it is flushed. So a flight of handshake messages
/// leaves in one write, which TDS puts into one packet.
#[derive(Debug)]
pub struct Socket<S> {
    stream: BufReader<S>,
    outgoing: Vec<u8>,
    sent: usize,
    is_flushed: bool,
}

impl<S> Socket<S> {
    pub fn get_ref(&self) -> &S {
        self.stream.get_ref()
    }

    pub fn get_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }
}

impl<S: Read> Socket<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::with_capacity(READ_BYTES, stream),
            outgoing: Vec::new(),
            sent: 0,
            is_flushed: true,
        }
    }
}

impl<S: Read> Read for Socket<S> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.stream.read(bytes)
    }
}

impl<S: Write> Write for Socket<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> Result<usize> {
        let before = self.outgoing.len();
        self.is_flushed = false;
        for slice in slices {
            self.outgoing.extend_from_slice(slice);
        }
        Ok(self.outgoing.len() - before)
    }

    /// Sends the bytes. It can be called again after the stream would have blocked.
    fn flush(&mut self) -> Result<()> {
        if self.is_flushed {
            return Ok(());
        }
        let stream = self.stream.get_mut();
        while self.sent < self.outgoing.len() {
            match stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        stream.flush()?;
        self.is_flushed = true;
        Ok(())
    }
}

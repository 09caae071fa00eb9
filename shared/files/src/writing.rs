//! Writes the bytes of a file to where they stay.

use std::io;

use tidemark::error::Error;
use tidemark::ports::files::TakeBytes;

/// The most bytes that are written before they may be passed on, so that a buffer does not grow with a large value.
const WRITE_BYTES: usize = 64 * 1024;

/// A writer to an `S`. The writer's errors have a type of their own, so the error of an `S` is kept beside them.
pub struct Writing<S> {
    bytes: S,
    failure: Option<Error>,
}

impl<S> Writing<S> {
    pub const fn new(bytes: S) -> Self {
        Self { bytes, failure: None }
    }

    /// Returns the error by which bytes were not taken, once.
    pub const fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    pub fn into_inner(self) -> S {
        self.bytes
    }
}

impl<S: TakeBytes> io::Write for Writing<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let now = &bytes[..bytes.len().min(WRITE_BYTES)];
        self.bytes.buffer().extend_from_slice(now);
        match self.bytes.pass_on() {
            Ok(()) => Ok(now.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(io::Error::other("the bytes were not taken"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

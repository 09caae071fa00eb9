//! Writes the bytes of a file to where they stay.

use std::io;

use tidemark::error::{Error, ErrorCode};
use tidemark::ports::files::TakeBytes;

/// The most bytes that are written before they may be passed on, so that a buffer does not grow with a large value.
const WRITE_BYTES: usize = 64 * 1024;

/// A writer to an `S`. The writer's errors have a type of their own, so the error of an `S` is kept beside them.
pub struct Writing<S> {
    /// The `S`, until it is taken at the end.
    bytes: Option<S>,
    failure: Option<Error>,
}

impl<S> Writing<S> {
    pub const fn new(bytes: S) -> Self {
        Self {
            bytes: Some(bytes),
            failure: None,
        }
    }

    /// Returns the error by which bytes were not taken, once.
    pub const fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Ends the writing and returns the `S`, once.
    pub const fn take(&mut self) -> Option<S> {
        self.bytes.take()
    }
}

impl<S: TakeBytes> io::Write for Writing<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(taker) = &mut self.bytes else {
            return Err(io::Error::other("the writing has ended"));
        };
        let now = &bytes[..bytes.len().min(WRITE_BYTES)];
        taker.buffer().extend_from_slice(now);
        match taker.pass_on() {
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

/// Makes the error that a file has no place any more, which cannot be.
pub fn unfinished() -> Error {
    Error::new(ErrorCode::Internal, "the writing of the part has ended before")
}

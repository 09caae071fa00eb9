//! The handshake, which can be interrupted by a stream that would block.

use std::io::{ErrorKind, Read, Write};

use crate::{Error, TlsStream};

/// A handshake that is not completed.
#[derive(Debug)]
pub enum HandshakeError<S> {
    /// The handshake failed.
    Failure(Error),
    /// The stream would block, and the handshake can be continued.
    WouldBlock(MidHandshakeTlsStream<S>),
}

/// A handshake that waits for its stream.
#[derive(Debug)]
pub struct MidHandshakeTlsStream<S>(TlsStream<S>);

impl<S> MidHandshakeTlsStream<S> {
    /// Returns the underlying stream.
    pub fn get_mut(&mut self) -> &mut S {
        self.0.get_mut()
    }
}

impl<S: Read + Write> MidHandshakeTlsStream<S> {
    /// Continues the handshake.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](crate::TlsConnector::connect).
    pub fn handshake(self) -> Result<TlsStream<S>, HandshakeError<S>> {
        go_on(self.0)
    }
}

/// Performs the handshake to its end, or until the stream would block.
pub fn go_on<S: Read + Write>(mut stream: TlsStream<S>) -> Result<TlsStream<S>, HandshakeError<S>> {
    match stream.shake_hands() {
        Ok(()) => Ok(stream),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(HandshakeError::WouldBlock(MidHandshakeTlsStream(stream)))
        }
        Err(error) => Err(HandshakeError::Failure(Error::from_io(error))),
    }
}

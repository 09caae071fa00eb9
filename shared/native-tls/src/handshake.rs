//! From a connection to a secured one.

use std::io::{ErrorKind, Read, Write};

use crate::{Error, TlsStream};

/// A handshake that is not done.
#[derive(Debug)]
pub enum HandshakeError<S> {
    /// It never will be.
    Failure(Error),
    /// The socket would block; to be gone on with.
    WouldBlock(MidHandshakeTlsStream<S>),
}

/// A handshake that waits for its socket.
#[derive(Debug)]
pub struct MidHandshakeTlsStream<S>(TlsStream<S>);

impl<S> MidHandshakeTlsStream<S> {
    /// The stream below.
    pub fn get_mut(&mut self) -> &mut S {
        self.0.get_mut()
    }
}

impl<S: Read + Write> MidHandshakeTlsStream<S> {
    /// Goes on.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::TlsConnector::connect).
    pub fn handshake(self) -> Result<TlsStream<S>, HandshakeError<S>> {
        go_on(self.0)
    }
}

/// To the end, or until the socket would block.
pub fn go_on<S: Read + Write>(mut stream: TlsStream<S>) -> Result<TlsStream<S>, HandshakeError<S>> {
    match stream.shake_hands() {
        Ok(()) => Ok(stream),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(HandshakeError::WouldBlock(MidHandshakeTlsStream(stream)))
        }
        Err(error) => Err(HandshakeError::Failure(Error::from_io(error))),
    }
}

//! A connection after its handshake, which is read and written as plain text.

use std::io::{self, ErrorKind, Read, Write};

use rustls::ClientConnection;

use crate::socket::Socket;
use crate::{Certificate, Result};

/// An encrypted stream.
///
/// It can be used with an underlying stream that would block: [`write`](Write::write) takes bytes once all earlier
/// bytes are sent, and [`flush`](Write::flush) sends them.
#[derive(Debug)]
pub struct TlsStream<S> {
    tls: Box<ClientConnection>,
    socket: Socket<S>,
}

impl<S> TlsStream<S> {
    /// Returns the underlying stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.socket.get_ref()
    }

    /// Returns the underlying stream. Reading from it or writing to it breaks the connection.
    pub fn get_mut(&mut self) -> &mut S {
        self.socket.get_mut()
    }

    /// Returns the server's certificate.
    ///
    /// # Errors
    ///
    /// None. The interface of `native-tls` has a result.
    pub fn peer_certificate(&self) -> Result<Option<Certificate>> {
        let certificates = self.tls.peer_certificates().unwrap_or_default();
        Ok(certificates
            .first()
            .map(|certificate| Certificate::new(certificate.clone())))
    }

    /// Returns the protocol that the server chose among the offered ones (ALPN).
    ///
    /// # Errors
    ///
    /// None. The interface of `native-tls` has a result.
    pub fn negotiated_alpn(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.tls.alpn_protocol().map(<[u8]>::to_vec))
    }

    #[cfg(test)]
    pub(crate) fn tls(&self) -> &ClientConnection {
        &self.tls
    }
}

impl<S: Read + Write> TlsStream<S> {
    pub(crate) fn new(tls: ClientConnection, stream: S) -> Self {
        Self {
            tls: Box::new(tls),
            socket: Socket::new(stream),
        }
    }

    /// Performs the handshake until it is done and its last message is sent. It can be called again after the stream
    /// would have blocked.
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.send()?;
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            self.receive()?;
        }
    }

    /// Tells the server that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// Those of the underlying stream.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        self.socket.flush()
    }

    /// Reads and decrypts the next bytes of the underlying stream.
    fn receive(&mut self) -> io::Result<()> {
        let received = self.tls.read_tls(&mut self.socket)?;
        if let Err(error) = self.tls.process_new_packets() {
            // The server is told the reason if it still listens. The error to report is that of the decryption.
            drop(self.send());
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        if received == 0 && self.tls.is_handshaking() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    /// Reads plain text. A connection that ends without the closing message of TLS is [`ErrorKind::UnexpectedEof`].
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.receive()?,
                answer => return answer,
            }
            // TLS itself may have to answer, for example with new keys. If that would block, the answer is sent with
            // what is written next.
            if self.tls.wants_write() {
                match self.send() {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        let taken = self.tls.writer().write(bytes)?;
        match self.send() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

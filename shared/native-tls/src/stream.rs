//! A connection after its handshake, which is read and written as plain text.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};

use crate::socket::{Encoded, Incoming, Socket};
use crate::{Certificate, Result};

/// The most bytes that are encrypted at once.
const WRITE_BYTES: usize = 64 * 1024;
/// The most bytes of plain text in a record.
const RECORD_BYTES: usize = 16 * 1024;
/// The bytes for which a buffer has room beyond those of a record's text. Encryption adds fewer.
const RECORD_OVERHEAD: usize = 128;

/// An encrypted stream.
///
/// It can be used with an underlying stream that would block: [`write`](Write::write) takes bytes once all earlier
/// bytes are sent, and [`flush`](Write::flush) sends them.
///
/// It uses the interface of rustls without buffers. The other one reads 4 KiB at a time, and moves a record of 16 KiB
/// through five buffers that grow.
pub struct TlsStream<S> {
    tls: Box<UnbufferedClientConnection>,
    socket: Socket<S>,
    incoming: Incoming,
    /// Plain text that is not read yet, after the bytes that are.
    plain: Vec<u8>,
    plain_read: usize,
    /// Whether the server said that it sends nothing more.
    is_ended: bool,
    /// Whether that was said to the server.
    said_goodbye: bool,
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

/// What there is to send.
#[derive(Clone, Copy)]
enum Message<'a> {
    Nothing,
    Text(&'a [u8]),
    /// That nothing more will be sent.
    Goodbye,
}

/// What became of the bytes that came from the stream, or of the message.
enum Progress {
    /// So many bytes of plain text were read.
    Read(usize),
    /// So many bytes of the message's text were encrypted.
    Written(usize),
    /// Everything is processed, and more bytes are needed.
    Blocked,
}

impl<S> TlsStream<S> {
    pub(crate) fn new(tls: UnbufferedClientConnection, stream: S) -> Self {
        Self {
            tls: Box::new(tls),
            socket: Socket::new(stream),
            incoming: Incoming::new(),
            plain: Vec::new(),
            plain_read: 0,
            is_ended: false,
            said_goodbye: false,
        }
    }

    /// Returns the underlying stream.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        self.socket.get_ref()
    }

    /// Returns the underlying stream. Reading from it or writing to it breaks the connection.
    pub const fn get_mut(&mut self) -> &mut S {
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
    pub(crate) fn tls(&self) -> &UnbufferedClientConnection {
        &self.tls
    }

    /// Processes the bytes that came, until there is plain text for `read`, the message is encrypted, or more bytes are
    /// needed. Plain text for which `read` has no room is kept.
    fn process(&mut self, read: &mut [u8], message: Message<'_>) -> io::Result<Progress> {
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(self.incoming.unprocessed());
            let progress = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut taken = 0;
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        let (now, later) = record.payload.split_at(record.payload.len().min(read.len() - taken));
                        read[taken..taken + now.len()].copy_from_slice(now);
                        taken += now.len();
                        self.plain.extend_from_slice(later);
                    }
                    Some(Progress::Read(taken))
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.socket)?;
                    None
                }
                // What is encoded leaves with the next flush, together with what is encoded until then.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::WriteTraffic(traffic)) => Some(encrypt(traffic, message, &mut self.socket)?),
                Ok(ConnectionState::PeerClosed) => {
                    self.is_ended = true;
                    None
                }
                // More bytes are needed, or both sides have closed the connection.
                Ok(_) => Some(Progress::Blocked),
                Err(error) => {
                    self.incoming.discard(discard);
                    return Err(invalid(error));
                }
            };
            self.incoming.discard(discard);
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
    }

    /// Encodes what tells the server why the connection fails, if there is something to tell.
    fn encode_alert(&mut self) {
        let status = self.tls.process_tls_records(self.incoming.unprocessed());
        if let Ok(ConnectionState::EncodeTlsData(alert)) = status.state {
            // The error to report is that of the connection.
            drop(encode(alert, &mut self.socket));
        }
    }

    /// Reads plain text that was kept.
    fn read_plain(&mut self, bytes: &mut [u8]) -> usize {
        let kept = &self.plain[self.plain_read..];
        let read = kept.len().min(bytes.len());
        bytes[..read].copy_from_slice(&kept[..read]);
        self.plain_read += read;
        if self.plain_read == self.plain.len() {
            self.plain.clear();
            self.plain_read = 0;
        }
        read
    }
}

impl<S: Read + Write> TlsStream<S> {
    /// Performs the handshake until it is done and its last message is sent. It can be called again after the stream
    /// would have blocked.
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.process_or_explain(&mut [], Message::Nothing)?;
            self.socket.flush()?;
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            self.receive()?;
        }
    }

    /// Tells the server that nothing more will be sent. It can be called again after the stream would have blocked.
    ///
    /// # Errors
    ///
    /// Those of the underlying stream.
    pub fn shutdown(&mut self) -> io::Result<()> {
        if !self.said_goodbye {
            self.send(Message::Goodbye)?;
            self.said_goodbye = true;
        }
        self.socket.flush()
    }

    /// Encrypts a message. Returns the number of bytes of its text that were taken. Plain text that comes meanwhile is
    /// kept for the next read.
    fn send(&mut self, message: Message<'_>) -> io::Result<usize> {
        loop {
            match self.process_or_explain(&mut [], message)? {
                Progress::Written(taken) => return Ok(taken),
                Progress::Read(_) => {}
                Progress::Blocked => return Err(ErrorKind::NotConnected.into()),
            }
        }
    }

    /// Processes what came. If the connection fails, the server is told the reason if it still listens.
    fn process_or_explain(&mut self, read: &mut [u8], message: Message<'_>) -> io::Result<Progress> {
        let progress = self.process(read, message);
        if progress.is_err() {
            self.encode_alert();
            // The error to report is that of the connection.
            drop(self.socket.flush());
        }
        progress
    }

    /// Reads once from the underlying stream.
    fn receive(&mut self) -> io::Result<()> {
        match self.incoming.read_from(self.socket.get_mut())? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    /// Reads plain text. A connection that ends without the closing message of TLS is [`ErrorKind::UnexpectedEof`].
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.plain.is_empty() || bytes.is_empty() {
                return Ok(self.read_plain(bytes));
            }
            if let Progress::Read(read) = self.process_or_explain(bytes, Message::Nothing)? {
                return Ok(read);
            }
            if self.is_ended {
                return Ok(0);
            }
            // TLS itself may have to answer, for example with new keys. If that would block, the answer is sent with
            // what is written next.
            match self.socket.flush() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => self.receive()?,
            }
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.flush()?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let taken = self.send(Message::Text(bytes))?;
        match self.socket.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Appends a message of TLS to what is sent.
fn encode<S>(mut message: EncodeTlsData<'_, ClientConnectionData>, socket: &mut Socket<S>) -> io::Result<()> {
    socket.append(0, |room| match message.encode(room) {
        Ok(written) => Ok(Encoded::Bytes(written)),
        Err(EncodeError::InsufficientSize(size)) => Ok(Encoded::Needs(size.required_size)),
        Err(error) => Err(invalid(error)),
    })
}

/// Appends the message, encrypted, to what is sent.
fn encrypt<S>(
    mut traffic: WriteTraffic<'_, ClientConnectionData>,
    message: Message<'_>,
    socket: &mut Socket<S>,
) -> io::Result<Progress> {
    let text = match message {
        Message::Nothing => return Ok(Progress::Blocked),
        Message::Text(text) => &text[..text.len().min(WRITE_BYTES)],
        Message::Goodbye => &[],
    };
    let expected = text.len() + RECORD_OVERHEAD * (1 + text.len() / RECORD_BYTES);
    socket.append(expected, |room| {
        let written = match message {
            Message::Goodbye => traffic.queue_close_notify(room),
            Message::Nothing | Message::Text(_) => traffic.encrypt(text, room),
        };
        match written {
            Ok(written) => Ok(Encoded::Bytes(written)),
            Err(EncryptError::InsufficientSize(size)) => Ok(Encoded::Needs(size.required_size)),
            Err(error) => Err(invalid(error)),
        }
    })?;
    Ok(Progress::Written(text.len()))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

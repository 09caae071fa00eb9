//! A bare client, which logs in, sends a statement and counts the bytes of the answer. The difference to a client that
//! decodes the rows is the cost of decoding.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use native_tls::{HandshakeError, TlsConnector};

use tidemark_tds::packet::{BATCH, ENCRYPTED, END as LAST, HEADER as HEADER_BYTES, LOGIN, PRELOGIN};

use crate::packets::{HandshakeInPackets, read_message, send};
use crate::tokens::utf16;

/// The most that is read at once.
const READ_BYTES: usize = 256 * 1024;
/// The token of an error.
const ERROR: u8 = 0xAA;
/// The bytes of LOGIN7 before its texts.
const LOGIN_BYTES: usize = 94;
/// ENCRYPTION in PRELOGIN: all of the connection is encrypted, or nothing.
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;

/// A server, and the login there.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    /// The host.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The login's name.
    pub username: &'a str,
    /// The login's password.
    pub password: &'a str,
    /// The database.
    pub database: &'a str,
}

impl std::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A connection that is logged in.
pub struct Drain {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

impl Drain {
    /// Logs in, with TLS if the server can. Its certificate is not verified.
    ///
    /// # Errors
    ///
    /// Fails with the error of the network, or with `InvalidData` when the login is refused.
    pub fn connect(address: Address<'_>) -> Result<Self> {
        let mut stream = TcpStream::connect((address.host, address.port))?;
        stream.set_nodelay(true)?;
        let mut options = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF];
        options.extend([0, 0, 0, 0, 0, 0, ENCRYPT_ON]);
        send(&mut stream, PRELOGIN, &options, true)?;
        let (_, answer) = read_message(&mut stream)?;
        let mut stream: Box<dyn Stream> = if encryption(&answer) == Some(ENCRYPT_NOT_SUPPORTED) {
            Box::new(stream)
        } else {
            let connector = TlsConnector::builder()
                .danger_accept_invalid_certs(true)
                .danger_accept_invalid_hostnames(true)
                .build()
                .map_err(Error::other)?;
            let (wrapped, is_bare) = HandshakeInPackets::new(stream);
            let encrypted = connector.connect(address.host, wrapped).map_err(|error| match error {
                HandshakeError::Failure(error) => Error::other(error),
                HandshakeError::WouldBlock(_) => ErrorKind::WouldBlock.into(),
            })?;
            is_bare.store(true, Ordering::Relaxed);
            Box::new(encrypted)
        };
        send(&mut stream, LOGIN, &login(address), true)?;
        let (_, answer) = read_message(&mut stream)?;
        if answer.first() == Some(&ERROR) {
            return Err(Error::new(ErrorKind::InvalidData, "the login is refused"));
        }
        Ok(Self {
            stream,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Runs a statement to the end of its answer, and returns the bytes of the answer.
    ///
    /// # Errors
    ///
    /// Fails with the error of the network, or with `InvalidData` when the answer begins with an error.
    pub fn run(&mut self, sql: &str) -> Result<u64> {
        // ALL_HEADERS: a transaction descriptor of 0, and one outstanding request.
        let mut batch = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        batch.extend(utf16(sql));
        send(&mut self.stream, BATCH, &batch, true)?;
        let mut bytes = 0;
        let mut packet = Packet::default();
        loop {
            let read = self.stream.read(&mut self.buffer)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if bytes < HEADER_BYTES as u64 + 1 && self.buffer.get(HEADER_BYTES) == Some(&ERROR) {
                return Err(Error::new(ErrorKind::InvalidData, "the statement is refused"));
            }
            bytes += read as u64;
            if packet.pass(&self.buffer[..read]) {
                return Ok(bytes);
            }
        }
    }
}

/// The place in a message where the bytes read so far end.
#[derive(Default)]
struct Packet {
    header: [u8; HEADER_BYTES],
    header_read: usize,
    left: usize,
}

impl Packet {
    /// Goes on by these bytes. Returns whether the message ends with them.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped = self.left.min(bytes.len());
            bytes = &bytes[skipped..];
            self.left -= skipped;
            if self.left == 0 && self.header_read == HEADER_BYTES {
                if self.header[1] & LAST != 0 {
                    return true;
                }
                self.header_read = 0;
            }
            if bytes.is_empty() {
                return false;
            }
            let taken = (HEADER_BYTES - self.header_read).min(bytes.len());
            self.header[self.header_read..self.header_read + taken].copy_from_slice(&bytes[..taken]);
            self.header_read += taken;
            bytes = &bytes[taken..];
            if self.header_read == HEADER_BYTES {
                self.left = usize::from(u16::from_be_bytes([self.header[2], self.header[3]])) - HEADER_BYTES;
            }
        }
    }
}

/// Returns the ENCRYPTION that a server's PRELOGIN answers.
fn encryption(options: &[u8]) -> Option<u8> {
    let option = options.chunks(5).take_while(|option| option[0] != 0xFF);
    let mut encryption = option.filter(|option| option[0] == 1);
    let at = encryption.next()?.get(1..3)?;
    options.get(usize::from(u16::from_be_bytes([at[0], at[1]]))).copied()
}

/// Makes LOGIN7 (MS-TDS 2.2.6.4).
fn login(address: Address<'_>) -> Vec<u8> {
    let hidden = utf16(address.password)
        .into_iter()
        .map(|byte| byte.rotate_left(4) ^ 0xA5);
    // Host name, user, password, application, server, extension, library, language, database.
    let texts = [
        utf16("bench"),
        utf16(address.username),
        hidden.collect(),
        utf16("tidemark-replay"),
        utf16(address.host),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        utf16(address.database),
    ];
    let length = LOGIN_BYTES + texts.iter().map(Vec::len).sum::<usize>();
    let mut out = u32::try_from(length).unwrap().to_le_bytes().to_vec();
    out.extend(0x7400_0004_u32.to_le_bytes());
    out.extend(u32::try_from(ENCRYPTED).unwrap().to_le_bytes());
    // Version, process, connection; flags; time zone; language.
    out.extend([0; 12]);
    out.extend([0xE0, 3, 0, 0]);
    out.extend([0; 4]);
    out.extend([9, 4, 0, 0]);
    let mut at = LOGIN_BYTES;
    for text in &texts {
        out.extend(u16::try_from(at).unwrap().to_le_bytes());
        out.extend(u16::try_from(text.len() / 2).unwrap().to_le_bytes());
        at += text.len();
    }
    // The client's address; no SSPI, no file, no new password.
    out.extend([0; 6]);
    for _ in 0..3 {
        out.extend(u16::try_from(at).unwrap().to_le_bytes());
        out.extend([0, 0]);
    }
    out.extend([0; 4]);
    out.extend(texts.concat());
    out
}

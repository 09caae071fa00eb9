//! A server for tests that answers every query with the same prepared tokens (MS-TDS 2.2), with or without TLS.
//!
//! It puts on the wire what no well-behaved server would: malformed text, broken streams, errors between rows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use native_tls::{Identity, Protocol, TlsAcceptor};

/// Sort id 52 with LCID 0x409: `SQL_Latin1_General_CP1_CI_AS`.
pub const LATIN1: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];
/// `Latin1_General_100_CI_AS_SC_UTF8`
pub const UTF8: [u8; 5] = [0x09, 0x04, 0xD0, 0x04, 0x00];

/// What the server does after a login.
pub enum Answer {
    /// Refuses the login with this error number.
    Refuse(u32),
    /// Sends these tokens, and says nothing more.
    Silence(Vec<u8>),
    /// Sends the tokens `times` over between `head` and `tail`.
    Tokens {
        head: Vec<u8>,
        block: Vec<u8>,
        times: usize,
        tail: Vec<u8>,
        /// Closes the connection then, in the middle of the message.
        hangs_up: bool,
    },
}

/// A running server; it ends with the process.
pub struct Replay {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Vec<u8>>,
    cpu_ticks: u64,
}

impl Replay {
    /// A server that does not encrypt.
    pub fn start(answer: Answer) -> Self {
        Self::listen(answer, None)
    }

    /// A server that insists on TLS 1.2, with this certificate and key in PEM.
    pub fn start_with_tls(answer: Answer, certificate: &str, key: &str) -> Self {
        let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::builder(identity)
            .max_protocol_version(Some(Protocol::Tlsv12))
            .build()
            .unwrap();
        Self::listen(answer, Some(acceptor))
    }

    fn listen(answer: Answer, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, acceptor, shared) = (answer.clone(), acceptor.clone(), shared.clone());
                shared.lock().unwrap().connections += 1;
                // A client that goes away ends its connection, nothing else.
                thread::spawn(move || drop(greet(stream.unwrap(), acceptor.as_ref(), &answer, &shared)));
            }
        });
        Self { port, seen }
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The payloads of the requests so far.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// CPU time the server used for answers, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        self.seen.lock().unwrap().cpu_ticks
    }
}

fn greet(
    mut stream: TcpStream,
    acceptor: Option<&TlsAcceptor>,
    answer: &Answer,
    seen: &Mutex<Seen>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    read_message(&mut stream)?;
    // VERSION at 11, ENCRYPTION at 17: on, or not supported.
    let mut options = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF];
    options.extend([16, 0, 0x10, 0, 0, 0, if acceptor.is_some() { 1 } else { 2 }]);
    send(&mut stream, &options, true)?;
    let Some(acceptor) = acceptor else {
        return serve(&mut stream, answer, seen);
    };
    let is_bare = Arc::new(AtomicBool::new(false));
    let wrapped = HandshakeInPackets {
        stream,
        rest: Vec::new(),
        is_bare: is_bare.clone(),
    };
    let mut encrypted = acceptor.accept(wrapped).map_err(std::io::Error::other)?;
    is_bare.store(true, Ordering::Relaxed);
    serve(&mut encrypted, answer, seen)
}

/// TDS 7 puts the TLS handshake into PRELOGIN packets, and what follows does without.
#[derive(Debug)]
struct HandshakeInPackets {
    stream: TcpStream,
    rest: Vec<u8>,
    is_bare: Arc<AtomicBool>,
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
        if self.is_bare.load(Ordering::Relaxed) {
            return self.stream.write(bytes);
        }
        let length = u16::try_from(bytes.len() + 8).unwrap().to_be_bytes();
        let mut packet = vec![0x12, 1, length[0], length[1], 0, 0, 0, 0];
        packet.extend_from_slice(bytes);
        self.stream.write_all(&packet)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn serve(stream: &mut (impl Read + Write), answer: &Answer, seen: &Mutex<Seen>) -> std::io::Result<()> {
    loop {
        let (kind, payload) = read_message(stream)?;
        match (kind, answer) {
            (0x10, Answer::Refuse(number)) => {
                let mut tokens = error(*number, "refused");
                tokens.extend(done(0xFD, 2, 0));
                send(stream, &tokens, true)?;
            }
            (0x10, Answer::Tokens { .. } | Answer::Silence(_)) => send(stream, &login_tokens(), true)?,
            (_, Answer::Silence(tokens)) => send(stream, tokens, false)?,
            (
                _,
                Answer::Tokens {
                    head,
                    block,
                    times,
                    tail,
                    hangs_up,
                },
            ) => {
                seen.lock().unwrap().requests.push(payload);
                send(stream, head, false)?;
                for _ in 0..*times {
                    send(stream, block, false)?;
                }
                send(stream, tail, !hangs_up)?;
                seen.lock().unwrap().cpu_ticks = cpu_ticks("/proc/thread-self/stat");
                if *hangs_up {
                    return Ok(());
                }
            }
            (_, Answer::Refuse(_)) => return Ok(()),
        }
    }
}

fn read_message(stream: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut payload = Vec::new();
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - 8;
        let start = payload.len();
        payload.resize(start + length, 0);
        stream.read_exact(&mut payload[start..])?;
        if header[1] & 1 == 1 {
            return Ok((header[0], payload));
        }
    }
}

/// Sends tokens in packets of the negotiated size.
fn send(stream: &mut impl Write, tokens: &[u8], is_last: bool) -> std::io::Result<()> {
    let packets = tokens.chunks(32_767 - 8);
    let count = packets.len();
    let mut out = Vec::with_capacity(tokens.len() + count * 8);
    for (index, packet) in packets.enumerate() {
        let length = u16::try_from(packet.len() + 8).unwrap().to_be_bytes();
        let status = u8::from(is_last && index + 1 == count);
        out.extend([4, status, length[0], length[1], 0, 0, 0, 0]);
        out.extend_from_slice(packet);
    }
    stream.write_all(&out)
}

fn login_tokens() -> Vec<u8> {
    let mut ack = vec![1, 0x74, 0, 0, 4];
    ack.extend(name("Replay"));
    ack.extend([16, 0, 0x10, 0]);
    let changed = |kind: u8, new: &str, old: &str| [vec![kind], name(new), name(old)].concat();
    let mut collation = vec![7, 5];
    collation.extend(LATIN1);
    collation.push(0);
    let mut tokens = Vec::new();
    // The driver insists on being told the database and the language.
    let bodies = [
        (0xE3, changed(1, "db", "")),
        (0xE3, changed(2, "us_english", "")),
        (0xE3, changed(4, "32767", "4096")),
        (0xE3, collation),
        (0xAD, ack),
    ];
    for (token, body) in bodies {
        tokens.push(token);
        tokens.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        tokens.extend(body);
    }
    tokens.extend(done(0xFD, 0, 0));
    tokens
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn name(text: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(text.encode_utf16().count()).unwrap()];
    out.extend(utf16(text));
    out
}

/// COLMETADATA of nullable columns, each a name and its TYPE_INFO.
pub fn columns(columns: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0x81];
    out.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (column, type_info) in columns {
        out.extend([0, 0, 0, 0, 9, 0]);
        out.extend(type_info);
        out.extend(name(column));
    }
    out
}

/// ROW with these encoded values.
pub fn row(values: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xD1];
    values.iter().for_each(|value| out.extend(value));
    out
}

/// DONEINPROC with the count of a SELECT, RETURNSTATUS and DONEPROC.
pub fn end(rows: u64) -> Vec<u8> {
    let mut out = done(0xFF, 0x11, rows);
    out.extend([0x79, 0, 0, 0, 0]);
    out.extend(done(0xFE, 0, 0));
    out
}

pub fn done(token: u8, status: u16, rows: u64) -> Vec<u8> {
    let mut out = vec![token];
    out.extend(status.to_le_bytes());
    out.extend([0xC1, 0]);
    out.extend(rows.to_le_bytes());
    out
}

/// ERROR, severity 16.
pub fn error(number: u32, message: &str) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, 16]);
    body.extend(u16::try_from(message.encode_utf16().count()).unwrap().to_le_bytes());
    body.extend(utf16(message));
    body.extend(name("replay"));
    body.extend(name(""));
    body.extend(1_i32.to_le_bytes());
    let mut out = vec![0xAA];
    out.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    out.extend(body);
    out
}

/// A value with one length byte; empty is NULL for most types.
pub fn short(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

/// A value with two length bytes, `None` is NULL.
pub fn long(bytes: Option<&[u8]>) -> Vec<u8> {
    let Some(bytes) = bytes else {
        return vec![0xFF, 0xFF];
    };
    let mut out = u16::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// A `(max)` value in chunks, of known or unknown length.
pub fn chunked(bytes: &[u8], is_known: bool) -> Vec<u8> {
    let length = if is_known { bytes.len() as u64 } else { u64::MAX - 1 };
    let mut out = length.to_le_bytes().to_vec();
    for chunk in bytes.chunks(8_000) {
        out.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend([0; 4]);
    out
}

/// TYPE_INFO of a character type up to 8000 bytes.
pub fn characters(token: u8, bytes: u16, collation: [u8; 5]) -> Vec<u8> {
    let mut out = vec![token];
    out.extend(bytes.to_le_bytes());
    out.extend(collation);
    out
}

/// User and system time of a `stat` file of `/proc`, in clock ticks.
pub fn cpu_ticks(path: &str) -> u64 {
    let stat = std::fs::read_to_string(path).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

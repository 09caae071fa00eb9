//! The server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use native_tls::{Identity, Protocol, TlsAcceptor};

use crate::packets::{ANSWER, HandshakeInPackets, LOGIN, read_message, send};
use crate::rows::Rows;
use crate::tokens::{done, error, login_tokens};

/// What the server does after a login.
#[derive(Debug)]
pub enum Answer {
    /// Refuses the login with this error number.
    Refuse(u32),
    /// Sends these tokens, and says nothing more.
    Silence(Vec<u8>),
    /// Sends these tokens.
    Tokens {
        /// The tokens.
        tokens: Vec<u8>,
        /// Closes the connection then, in the middle of the message.
        hangs_up: bool,
    },
    /// Sends these rows.
    Rows(Rows),
}

/// A running server; it ends with the process.
#[derive(Debug)]
pub struct Replay {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Vec<u8>>,
}

impl Replay {
    /// A server that does not encrypt.
    #[must_use]
    pub fn start(answer: Answer) -> Self {
        Self::listen(answer, None)
    }

    /// A server that insists on TLS 1.2, with this certificate and key in PEM.
    #[must_use]
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

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The payloads of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().requests.clone()
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
    send(&mut stream, ANSWER, &options, true)?;
    let Some(acceptor) = acceptor else {
        return serve(&mut stream, answer, seen);
    };
    let (wrapped, is_bare) = HandshakeInPackets::new(stream);
    let mut encrypted = acceptor.accept(wrapped).map_err(std::io::Error::other)?;
    is_bare.store(true, Ordering::Relaxed);
    serve(&mut encrypted, answer, seen)
}

fn serve(stream: &mut (impl Read + Write), answer: &Answer, seen: &Mutex<Seen>) -> std::io::Result<()> {
    loop {
        let (kind, payload) = read_message(stream)?;
        if kind == LOGIN {
            match answer {
                Answer::Refuse(number) => {
                    let mut tokens = error(*number, "refused");
                    tokens.extend(done(0xFD, 2, 0));
                    send(stream, ANSWER, &tokens, true)?;
                }
                _ => send(stream, ANSWER, &login_tokens(), true)?,
            }
            continue;
        }
        seen.lock().unwrap().requests.push(payload);
        match answer {
            Answer::Refuse(_) => return Ok(()),
            Answer::Silence(tokens) => send(stream, ANSWER, tokens, false)?,
            Answer::Tokens { tokens, hangs_up } => {
                send(stream, ANSWER, tokens, !hangs_up)?;
                if *hangs_up {
                    return Ok(());
                }
            }
            Answer::Rows(rows) => rows.send(stream)?,
        }
    }
}

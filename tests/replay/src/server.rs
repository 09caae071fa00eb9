//! The server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::listen(answer, Some(Arc::new(config)))
    }

    fn listen(answer: Answer, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, tls, shared) = (answer.clone(), tls.clone(), shared.clone());
                shared.lock().unwrap().connections += 1;
                // A client that goes away ends its connection, nothing else.
                thread::spawn(move || drop(greet(stream.unwrap(), tls, &answer, &shared)));
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
    tls: Option<Arc<ServerConfig>>,
    answer: &Answer,
    seen: &Mutex<Seen>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    read_message(&mut stream)?;
    // VERSION at 11, ENCRYPTION at 17: on, or not supported.
    let mut options = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF];
    options.extend([16, 0, 0x10, 0, 0, 0, if tls.is_some() { 1 } else { 2 }]);
    send(&mut stream, ANSWER, &options, true)?;
    let Some(tls) = tls else {
        return serve(&mut stream, answer, seen);
    };
    let (mut wrapped, is_bare) = HandshakeInPackets::new(stream);
    let mut tls = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut wrapped)?;
    }
    is_bare.store(true, Ordering::Relaxed);
    serve(&mut StreamOwned::new(tls, wrapped), answer, seen)
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

//! The server that gives the same answer to whoever logs in.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tidemark_tds::connection::{Stream, greet};
use tidemark_tds::login::{self, Login};
use tidemark_tds::packet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS12;

use crate::large_table::LargeTable;
use crate::outgoing::Outgoing;
use crate::rows::Rows;
use crate::tokens::{done, error, login_tokens, redirect_tokens};

/// What the server does after a login.
#[derive(Debug)]
pub enum Answer {
    /// Refuses the login with this error number.
    Refuse(u32),
    /// Sends whoever logs in on to this host and port.
    Redirect(String, u16),
    /// Sends these tokens, and nothing after them.
    Silence(Vec<u8>),
    /// Sends these tokens.
    Tokens {
        /// The tokens.
        tokens: Vec<u8>,
        /// Whether the server closes the connection then, in the middle of the message.
        hangs_up: bool,
    },
    /// Sends these rows.
    Rows(Rows),
    /// Answers the statements about a table.
    Table(LargeTable),
}

/// A running server. It ends with the process.
#[derive(Debug)]
pub struct Replay {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    statements: usize,
    requests: Vec<Vec<u8>>,
}

impl Replay {
    /// Starts a server that does not encrypt.
    #[must_use]
    pub fn start(answer: Answer) -> Self {
        Self::listen(answer, None)
    }

    /// Starts a server that insists on TLS 1.2, with this certificate and key in PEM.
    #[must_use]
    pub fn start_with_tls(answer: Answer, certificate: &str, key: &str) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::listen(answer, Some(Arc::new(config).into()))
    }

    fn listen(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, tls, shared) = (answer.clone(), tls.clone(), shared.clone());
                shared.lock().unwrap().connections += 1;
                // A client that goes away ends its connection and nothing else.
                thread::spawn(move || drop(serve(stream.unwrap(), tls.as_ref(), &answer, &shared)));
            }
        });
        Self { port, seen }
    }

    /// Returns its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns how many connections there were so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Returns how many statements there were so far.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.seen.lock().unwrap().statements
    }

    /// Returns the payloads of the requests so far. Those about a table are not kept.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().requests.clone()
    }
}

/// Serves a connection, on a thread of its own.
fn serve(stream: TcpStream, tls: Option<&TlsAcceptor>, answer: &Answer, seen: &Mutex<Seen>) -> std::io::Result<()> {
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        match greet(stream, tls).await? {
            Some((stream, first)) => {
                let login = login::parse(&first.payload).map_err(std::io::Error::other)?;
                converse(stream, &login, answer, seen).await
            }
            None => Ok(()),
        }
    })
}

async fn converse(mut stream: Stream, login: &Login, answer: &Answer, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut out = Outgoing::new(login.packet_bytes);
    if let Answer::Refuse(number) = answer {
        let tokens = [error(*number, "refused"), done(0xFD, 2, 0)].concat();
        return out.send(&mut stream, &tokens, true).await;
    }
    if let Answer::Redirect(host, port) = answer {
        return out.send(&mut stream, &redirect_tokens(login, host, *port), true).await;
    }
    out.send(&mut stream, &login_tokens(login), true).await?;
    loop {
        let request = packet::read(&mut stream).await?;
        seen.lock().unwrap().statements += 1;
        if let Answer::Table(table) = answer {
            table.answer(&request.payload, &mut stream, &mut out).await?;
            continue;
        }
        seen.lock().unwrap().requests.push(request.payload);
        match answer {
            Answer::Refuse(_) | Answer::Redirect(..) | Answer::Table(_) => return Ok(()),
            Answer::Silence(tokens) => out.send(&mut stream, tokens, false).await?,
            Answer::Tokens { tokens, hangs_up } => {
                out.send(&mut stream, tokens, !hangs_up).await?;
                if *hangs_up {
                    return Ok(());
                }
            }
            Answer::Rows(rows) => rows.send(&mut stream, &mut out).await?,
        }
    }
}

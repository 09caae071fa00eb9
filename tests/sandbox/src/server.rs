//! Accepts connections and moves their packets; what they mean is decided elsewhere.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::engine::Engine;
use crate::tds::dispatch;
use crate::tds::packet::{self, Message};
use crate::tds::prelogin;
use crate::tds::wire::{Attention, Wire};
use crate::tls::{Identity, Wrapped};

/// How long a client has to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// What every connection needs.
pub struct Service {
    /// The shared state.
    pub engine: Arc<Engine>,
    /// The server's side of TLS.
    pub identity: Identity,
    /// Counts up to cut all connections.
    pub cut: watch::Receiver<u64>,
}

/// Accepts connections until the runtime ends.
pub async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    let mut cut = service.cut.clone();
                    cut.mark_unchanged();
                    tokio::select! {
                        // The end of a connection, in whatever way, is no concern of the others.
                        _ = connection(stream, &service) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
            // Out of descriptors, perhaps: others may free some.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The first byte of a connection that begins with TLS.
const TLS_HANDSHAKE: u8 = 0x16;

async fn connection(mut stream: TcpStream, service: &Service) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    tokio::time::timeout(LOGIN_TIMEOUT, stream.peek(&mut first)).await??;
    if first == [TLS_HANDSHAKE] {
        return strict(stream, service).await;
    }
    if !tokio::time::timeout(LOGIN_TIMEOUT, greet(&mut stream)).await?? {
        return stream.shutdown().await;
    }
    let mut stream = handshake(stream, service).await?;
    let first = login(&mut stream).await?;
    converse(stream, service, first).await
}

/// TDS 8.0: TLS comes before everything.
async fn strict(stream: TcpStream, service: &Service) -> io::Result<()> {
    let mut stream = Wrapped::new(stream);
    stream.pass_through();
    let accepted = service.identity.acceptor.accept(stream);
    let mut stream = tokio::time::timeout(LOGIN_TIMEOUT, accepted).await??;
    tokio::time::timeout(LOGIN_TIMEOUT, greet(&mut stream)).await??;
    let first = login(&mut stream).await?;
    converse(stream, service, first).await
}

/// Answers PRELOGIN; whether the connection goes on.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    let message = packet::read(stream).await?;
    if message.kind != packet::PRELOGIN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no PRELOGIN"));
    }
    let (encryption, goes_on) = prelogin::agree(prelogin::wish(&message.payload));
    let takes_tokens = prelogin::asks_for_tokens(&message.payload);
    stream.write_all(&prelogin::answer(encryption, takes_tokens)).await?;
    stream.flush().await?;
    Ok(goes_on)
}

async fn handshake(
    stream: TcpStream,
    service: &Service,
) -> io::Result<tokio_rustls::server::TlsStream<Wrapped<TcpStream>>> {
    let accepted = service.identity.acceptor.accept(Wrapped::new(stream));
    let mut stream = tokio::time::timeout(LOGIN_TIMEOUT, accepted).await??;
    stream.flush().await?;
    stream.get_mut().0.pass_through();
    Ok(stream)
}

async fn login<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Message> {
    let message = tokio::time::timeout(LOGIN_TIMEOUT, packet::read(stream)).await??;
    if message.kind == packet::LOGIN {
        Ok(message)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "no LOGIN7"))
    }
}

async fn converse<S>(stream: S, service: &Service, first: Message) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (requests, inbox) = std::sync::mpsc::channel::<Message>();
    let (out, mut outbox) = mpsc::channel::<Vec<u8>>(4);
    let attention = Arc::new(Attention::default());
    let (engine, noted) = (Arc::clone(&service.engine), Arc::clone(&attention));
    std::thread::Builder::new()
        .name("session".to_owned())
        .stack_size(16 << 20)
        .spawn(move || {
            let mut wire = Wire::new(out, attention);
            dispatch::serve(&engine, &first, &inbox, &mut wire);
        })?;
    let write = async {
        while let Some(frames) = outbox.recv().await {
            writer.write_all(&frames).await?;
            if outbox.is_empty() {
                writer.flush().await?;
            }
        }
        writer.shutdown().await
    };
    let read = async {
        loop {
            let message = packet::read(&mut reader).await?;
            if message.kind == packet::ATTENTION {
                noted.note();
            }
            if requests.send(message).is_err() {
                // The session has ended; what the client still sends is of no use.
                tokio::io::copy(&mut (&mut reader).take(1 << 20), &mut tokio::io::sink()).await?;
                return Ok::<(), io::Error>(());
            }
        }
    };
    tokio::select! {
        result = write => result,
        result = read => result,
    }
}

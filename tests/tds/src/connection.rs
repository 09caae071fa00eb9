//! A connection from its first byte to its login.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::packet::{self, Message};
use crate::prelogin;
use crate::wrapped::Wrapped;

/// The time that a client has for each step of its login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The first byte of a connection that begins with TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// A stream of bytes in both directions, encrypted or not.
pub trait Channel: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Channel for S {}

/// A connection after its handshake.
pub type Stream = Box<dyn Channel>;

/// Takes a connection up to its LOGIN7, which it returns. With an acceptor, every connection is encrypted, inside
/// PRELOGIN packets or from the first byte on (TDS 8.0). Without one, none is. Returns `None` for a client that refuses
/// that.
///
/// Fails when the connection ends, when what comes is not the protocol, and when the client takes too long.
pub async fn greet(mut stream: TcpStream, tls: Option<&TlsAcceptor>) -> io::Result<Option<(Stream, Message)>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    tokio::time::timeout(LOGIN_TIMEOUT, stream.peek(&mut first)).await??;
    let mut stream: Stream = match tls {
        Some(acceptor) if first == [TLS_HANDSHAKE] => {
            let mut stream = Wrapped::new(stream);
            stream.pass_through();
            let accepted = acceptor.accept(stream);
            let mut stream = tokio::time::timeout(LOGIN_TIMEOUT, accepted).await??;
            agree(&mut stream, true).await?;
            Box::new(stream)
        }
        _ => {
            if !agree(&mut stream, tls.is_some()).await? {
                stream.shutdown().await?;
                return Ok(None);
            }
            match tls {
                Some(acceptor) => {
                    let accepted = acceptor.accept(Wrapped::new(stream));
                    let mut stream = tokio::time::timeout(LOGIN_TIMEOUT, accepted).await??;
                    stream.flush().await?;
                    stream.get_mut().0.pass_through();
                    Box::new(stream)
                }
                None => Box::new(stream),
            }
        }
    };
    let login = tokio::time::timeout(LOGIN_TIMEOUT, packet::read(&mut stream)).await??;
    if login.kind != packet::LOGIN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no LOGIN7"));
    }
    Ok(Some((stream, login)))
}

/// Answers PRELOGIN, and returns whether the connection goes on.
async fn agree<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, encrypts: bool) -> io::Result<bool> {
    let message = tokio::time::timeout(LOGIN_TIMEOUT, packet::read(stream)).await??;
    if message.kind != packet::PRELOGIN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no PRELOGIN"));
    }
    let (encryption, goes_on) = if encrypts {
        prelogin::agree(prelogin::wish(&message.payload))
    } else {
        (prelogin::NOT_SUPPORTED, true)
    };
    let takes_tokens = prelogin::asks_for_tokens(&message.payload);
    stream.write_all(&prelogin::answer(encryption, takes_tokens)).await?;
    stream.flush().await?;
    Ok(goes_on)
}

//! Certificates, and TLS inside PRELOGIN packets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::tds::packet::{END, HEADER, PRELOGIN};

/// The server's side of TLS.
pub struct Identity {
    /// The certificate of the authority that a client has to trust.
    pub ca_pem: String,
    /// Accepts handshakes.
    pub acceptor: TlsAcceptor,
}

fn other(e: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(e)
}

/// Makes an authority and a certificate for `localhost` and 127.0.0.1, both new.
///
/// # Errors
/// When the cryptography fails, which it does not.
pub fn identity() -> io::Result<Identity> {
    let mut params = CertificateParams::new(Vec::new()).map_err(other)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Tidemark sandbox CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let ca_key = KeyPair::generate().map_err(other)?;
    let ca = params.self_signed(&ca_key).map_err(other)?;
    let issuer = Issuer::new(params, ca_key);
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut params = CertificateParams::new(names).map_err(other)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(other)?;
    let certificate = params.signed_by(&key, &issuer).map_err(other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // Several clients cannot do TLS 1.3 inside PRELOGIN packets, as SQL Server before 2022 could not.
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .map_err(other)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone(), ca.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .map_err(other)?;
    // Asked for by who begins with TLS (TDS 8.0).
    config.alpn_protocols = vec![b"tds/8.0".to_vec()];
    Ok(Identity {
        ca_pem: ca.pem(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    })
}

/// A stream whose bytes travel in PRELOGIN packets until the handshake is over.
pub struct Wrapped<S> {
    inner: S,
    wrapping: bool,
    header: [u8; HEADER],
    header_read: usize,
    body_left: usize,
    outgoing: Vec<u8>,
    written: usize,
}

impl<S> Wrapped<S> {
    /// Wraps a stream; packets until [`Wrapped::pass_through`].
    pub fn new(inner: S) -> Self {
        Wrapped {
            inner,
            wrapping: true,
            header: [0; HEADER],
            header_read: 0,
            body_left: 0,
            outgoing: Vec::new(),
            written: 0,
        }
    }

    /// The handshake is over: bytes travel as they are.
    pub fn pass_through(&mut self) {
        self.wrapping = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.wrapping {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        while this.body_left == 0 {
            let mut header = ReadBuf::new(&mut this.header[this.header_read..]);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut header))?;
            let count = header.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            this.header_read += count;
            if this.header_read == HEADER {
                let length = usize::from(u16::from_be_bytes([this.header[2], this.header[3]]));
                if this.header[0] != PRELOGIN || length < HEADER {
                    let e = io::Error::new(io::ErrorKind::InvalidData, "not a TLS handshake in PRELOGIN packets");
                    return Poll::Ready(Err(e));
                }
                this.body_left = length - HEADER;
                this.header_read = 0;
            }
        }
        let limit = this.body_left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buf.advance(count);
        this.body_left -= count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wrapped<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.outgoing[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.outgoing.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Puts what has been collected into packets.
    fn close_packet(&mut self) {
        if self.written == 0 && !self.outgoing.is_empty() && self.outgoing[0] == 0 {
            let payload = self.outgoing.split_off(HEADER);
            self.outgoing = crate::tds::packet::frame(PRELOGIN, &payload, 4096, true, &mut 0);
            debug_assert_eq!(self.outgoing[1] & !END, 0);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.wrapping {
            ready!(this.poll_drain(cx))?;
            return Pin::new(&mut this.inner).poll_write(cx, buf);
        }
        // A header of zeros marks a packet that is still open; the whole flight becomes one message at the flush.
        if this.outgoing.first().is_some_and(|kind| *kind != 0) {
            ready!(this.poll_drain(cx))?;
        }
        if this.outgoing.is_empty() {
            this.outgoing.extend([0; HEADER]);
        }
        this.outgoing.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close_packet();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

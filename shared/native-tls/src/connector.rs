//! The connector, which makes TLS connections, and its builder.

use std::convert::Infallible;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::handshake::go_on;
use crate::verifier::{AnyCertificate, authorities};
use crate::{Error, HandshakeError, Result, TlsStream};

/// The settings of a connector.
#[derive(Debug, Clone, Default)]
pub struct TlsConnectorBuilder {
    accepts_any_certificate: bool,
    accepts_any_host: bool,
    protocols: Vec<Vec<u8>>,
}

impl TlsConnectorBuilder {
    /// Sets whether every certificate is accepted, for any host. The server must still have the certificate's key.
    pub const fn danger_accept_invalid_certs(&mut self, accepts: bool) -> &mut Self {
        self.accepts_any_certificate = accepts;
        self
    }

    /// Sets whether a certificate may be for another host. This is possible only if every certificate is accepted.
    pub const fn danger_accept_invalid_hostnames(&mut self, accepts: bool) -> &mut Self {
        self.accepts_any_host = accepts;
        self
    }

    /// Sets the protocols that are offered (ALPN), the preferred one first.
    pub fn request_alpns(&mut self, protocols: &[&str]) -> &mut Self {
        self.protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Makes the connector. It reads the certificates of the authorities, unless every certificate is accepted.
    ///
    /// # Errors
    ///
    /// An error when no authority is found, or when only certificates of known authorities are to be accepted, but for
    /// any host. `mssql-tds` never asks for the latter.
    pub fn build(&self) -> Result<TlsConnector> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        if self.accepts_any_certificate {
            let verifier = AnyCertificate(provider.signature_verification_algorithms);
            return TlsConnector::new(provider, Arc::new(verifier), &self.protocols);
        }
        if self.accepts_any_host {
            return Err(Error::input("a certificate has to be for the host that presents it"));
        }
        TlsConnector::with_authorities(provider, authorities()?, &self.protocols)
    }
}

/// The maker of connections.
#[derive(Clone)]
pub struct TlsConnector(Arc<ClientConfig>);

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl TlsConnector {
    /// Returns the default settings of a connector.
    #[must_use]
    pub fn builder() -> TlsConnectorBuilder {
        TlsConnectorBuilder::default()
    }

    pub(crate) fn with_authorities(
        provider: Arc<CryptoProvider>,
        authorities: Arc<RootCertStore>,
        protocols: &[Vec<u8>],
    ) -> Result<Self> {
        let verifier = WebPkiServerVerifier::builder_with_provider(authorities, provider.clone());
        let verifier = verifier.build().map_err(|error| Error::input(error.to_string()))?;
        Self::new(provider, verifier, protocols)
    }

    fn new(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        protocols: &[Vec<u8>],
    ) -> Result<Self> {
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = protocols.to_vec();
        // When a session is resumed, the client speaks last, and its login follows at once. A server that reads ahead
        // takes the login for another packet of the handshake. No driver on Linux resumes sessions, so such servers
        // have remained unnoticed.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Performs the handshake with the server of this DNS name or IP address, over a stream to it.
    ///
    /// # Errors
    ///
    /// Errors of the network and of TLS, an error for a host that is neither a name nor an address, and
    /// [`HandshakeError::WouldBlock`] when the stream would block.
    pub fn connect<S: Read + Write>(
        &self,
        host: &str,
        stream: S,
    ) -> std::result::Result<TlsStream<S>, HandshakeError<S>> {
        let name = match ServerName::try_from(host) {
            Ok(name) => name.to_owned(),
            Err(_) => {
                let error = Error::input(format!("'{host}' is neither a DNS name nor an IP address"));
                return Err(HandshakeError::Failure(error));
            }
        };
        let connection = UnbufferedClientConnection::new(self.0.clone(), name)
            .map_err(|error| HandshakeError::Failure(error.into()))?;
        go_on(TlsStream::new(connection, stream))
    }
}

/// The server's side, which is not supported: no value of this type can be made.
#[derive(Debug, Clone)]
pub struct TlsAcceptor(Infallible);

impl TlsAcceptor {
    /// Is never called, because there is no acceptor.
    ///
    /// # Errors
    ///
    /// None.
    pub fn accept<S: Read + Write>(&self, _: S) -> std::result::Result<TlsStream<S>, HandshakeError<S>> {
        match self.0 {}
    }
}

//! TLS by rustls under the interface of `native-tls`.
//!
//! `[patch.crates-io]` puts this crate in the place of `native-tls`, with which `mssql-tds` encrypts its connections. That
//! one is OpenSSL on Linux: 1.7 MB of `copy-delta`'s package and five minutes of building, for a second TLS library beside
//! the one that everything else uses. With this one a source is accepted or refused by the same rules in all four
//! functions.
//!
//! What differs from `native-tls`: TLS 1.2 is the oldest version, only clients exist, and the authorities are those that
//! `rustls-native-certs` finds (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else the system's). What `mssql-tds` might need
//! beyond this interface does not compile.

mod certificate;
mod connector;
mod error;
mod handshake;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod verifier;

pub use self::certificate::Certificate;
pub use self::connector::{TlsAcceptor, TlsConnector, TlsConnectorBuilder};
pub use self::error::{Error, Result};
pub use self::handshake::{HandshakeError, MidHandshakeTlsStream};
pub use self::stream::TlsStream;

//! TLS by rustls, with the interface of `native-tls`.
//!
//! `[patch.crates-io]` puts this crate in the place of `native-tls`, with which `mssql-tds` encrypts its connections.
//! On Linux the original uses OpenSSL, which would add 1.7 MB to the package of `copy-delta` and five minutes to its
//! build, as a second TLS library beside that of everything else. With this crate, all four functions accept or refuse
//! a source by the same rules.
//!
//! It differs from `native-tls`: TLS 1.2 is the oldest version, there are only clients, and the authorities are those
//! that `rustls-native-certs` finds (`SSL_CERT_FILE` and `SSL_CERT_DIR`, or else the system's). If `mssql-tds` needs
//! more of the interface, it does not compile.

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

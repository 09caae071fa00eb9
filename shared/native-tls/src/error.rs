//! The error of handshakes and connections.

use std::error::Error as StdError;
use std::{fmt, io};

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why there is no TLS connection. Its [source](StdError::source) is an [`io::Error`] if the network failed,
/// and otherwise there is none.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
enum Cause {
    Network(io::Error),
    Tls(rustls::Error),
    Input(String),
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self(Cause::Input(message.into()))
    }

    /// Converts an error of the stream. rustls passes its own errors on inside an [`io::Error`].
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self(Cause::Tls(error)),
            Err(error) => Self(Cause::Network(error)),
        }
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        Self(Cause::Tls(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Network(error) => error.fmt(f),
            Cause::Tls(error) => error.fmt(f),
            Cause::Input(message) => f.write_str(message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Cause::Network(error) => Some(error),
            Cause::Tls(_) | Cause::Input(_) => None,
        }
    }
}

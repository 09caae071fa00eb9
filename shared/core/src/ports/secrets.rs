//! Reading secrets.

use std::fmt;

use futures::future::BoxFuture;

use crate::error::Result;

/// The content of a secret. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the content of a secret.
    #[must_use]
    pub const fn new(content: String) -> Self {
        Self(content)
    }

    /// The content, for whoever logs in with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A store of secrets. Its users keep it for as long as a process lives, behind a pointer.
pub trait ReadSecrets: fmt::Debug + Send + Sync {
    /// The secret of this name as it is now.
    ///
    /// Errors: `InvalidConfig` when it cannot be read for good; `SourceUnavailable` when the store throttles or fails, because
    /// a database cannot be reached without it.
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Secret>>;
}

//! Access tokens for a database that knows no password.

use std::time::Duration;

use futures::future::BoxFuture;

use super::secrets::Secret;
use crate::error::Result;

/// Who asks for a token, of which authority, and for what. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The address of the authority that issues tokens, without a slash at its end (`https://login.microsoftonline.com`).
    pub authority: String,
    /// The tenant of the application.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// What the token is good for (`https://database.windows.net`).
    pub resource: String,
    /// How the application proves who it is.
    pub proof: ClientProof,
}

/// How an application proves to the authority who it is. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ClientProof {
    /// It knows a secret.
    Secret(Secret),
    /// It has the key of a certificate: both as PEM in one text.
    Certificate(Secret),
    /// Its cloud says so: the role of the process gets a token of AWS that the authority exchanges. Nothing is stored.
    WebIdentity {
        /// For whom the token of AWS is meant.
        audience: String,
    },
}

/// A token. It has no `Debug`, because it is a secret.
#[derive(Clone)]
pub struct Token {
    /// What the database is shown.
    pub value: Secret,
    /// For how long it is good from now on.
    pub lifetime: Duration,
}

/// An issuer of tokens. Its users keep it for as long as a process lives, behind a pointer.
pub trait IssueTokens: Send + Sync {
    /// A new token for `identity`. Whoever asks keeps it until it ends.
    ///
    /// Errors: `InvalidConfig` when the authority does not accept the identity; `SourceUnavailable` when it cannot be reached,
    /// throttles or fails, because a database cannot be reached without it.
    fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<Token>>;
}

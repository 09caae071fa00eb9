//! Access tokens for a database that knows no password.

use std::time::Duration;

use futures::future::BoxFuture;

use super::secrets::Secret;
use crate::error::Result;

/// This says who asks for a token, of which authority, and for what. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// This is the address of the authority that issues tokens, without a slash at its end
    /// (`https://login.microsoftonline.com`).
    pub authority: String,
    /// This is the tenant of the application.
    pub tenant: String,
    /// This is the application (client) id.
    pub client: String,
    /// This says what the token is good for (`https://database.windows.net`).
    pub resource: String,
    /// This says how the application proves who it is.
    pub proof: ClientProof,
}

/// This says how an application proves to the authority who it is. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ClientProof {
    /// It knows a secret.
    Secret(Secret),
    /// It has the key of a certificate: both as PEM in one text.
    Certificate(Secret),
    /// Its cloud says so: the role of the process gets a token of AWS that the authority exchanges. Nothing is stored.
    WebIdentity {
        /// This says for whom the token of AWS is meant.
        audience: String,
    },
}

/// This is a token. It has no `Debug`, because it is a secret.
#[derive(Clone)]
pub struct Token {
    /// This says what the database is shown.
    pub value: Secret,
    /// This says for how long it is good from now on.
    pub lifetime: Duration,
}

/// This is an issuer of tokens. Its users keep it for as long as a process lives, behind a pointer.
pub trait IssueTokens: Send + Sync {
    /// Returns a new token for `identity`. Whoever asks keeps it until it ends.
    ///
    /// Errors: `InvalidConfig` when the authority does not accept the identity; `SourceUnavailable` when it cannot be reached,
    /// throttles or fails, because a database cannot be reached without it.
    fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<Token>>;
}

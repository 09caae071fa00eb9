//! Access tokens for a database to which one logs in without a password.

use std::time::Duration;

use futures::future::BoxFuture;

use super::secrets::Secret;
use crate::error::Answer;

/// Who asks for a token, of which authority, and for what. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The address of the authority that issues tokens, without a slash at its end
    /// (`https://login.microsoftonline.com`).
    pub authority: String,
    /// The tenant of the application.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// What the token is for (`https://database.windows.net`).
    pub resource: String,
    /// How the application proves who it is.
    pub proof: ClientProof,
}

/// How an application proves to the authority who it is. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ClientProof {
    /// The application knows a secret.
    Secret(Secret),
    /// The application has the key of a certificate. Both are PEM in one text.
    Certificate(Secret),
    /// The application's cloud vouches for it: the role of the process gets a token of AWS, which the authority
    /// exchanges. Nothing is stored.
    WebIdentity {
        /// The audience of the token of AWS.
        audience: String,
    },
}

/// A token. It has no `Debug`, because it is a secret.
#[derive(Clone)]
pub struct Token {
    /// The text that is sent to the database.
    pub value: Secret,
    /// How long it is valid, from now on.
    pub lifetime: Duration,
}

/// An issuer of tokens. Its users keep it for as long as the process lives, behind a pointer.
pub trait IssueTokens: Send + Sync {
    /// Returns a new token for `identity`. The caller keeps it until its lifetime ends.
    ///
    /// Fails as `InvalidConfig` when the authority does not accept the identity, and as `Unreachable` when the authority
    /// cannot be reached, throttles or fails, because a database cannot be reached without a token. Who asks knows what
    /// the database is used for.
    fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Answer<Token>>;
}

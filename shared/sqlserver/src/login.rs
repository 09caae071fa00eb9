//! Logins: what a connection to a SQL Server needs.
//!
//! `secret` reads one from a secret, and `address` the address in it; `known` remembers what was read, and reads it again when
//! a server does not let it in any more.

mod address;
mod known;
mod secret;

use std::fmt;

use tidemark::ports::secrets::Secret;
use tidemark::ports::tokens::Identity;

pub use self::known::{Credential, Logins};
pub use tidemark::model::server::{ServerSettings, Tls};

/// SQL Server's own port.
const DEFAULT_PORT: u16 = 1433;

/// This is the address and credentials of a database. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// This is host name or address.
    pub host: String,
    /// This is the TCP port.
    pub port: u16,
    /// This is the database of the tables.
    pub database: String,
    /// This says who logs in.
    pub sign_in: SignIn,
    /// This says how the connection is encrypted, and whose certificate is accepted.
    pub tls: Tls,
    /// This is the name that the server's certificate has to have, where it is another one than the host's.
    pub host_name_in_certificate: Option<String>,
    /// This says whether a replica that is only read from may answer (`ApplicationIntent=ReadOnly`).
    pub read_intent: bool,
}

/// This says who logs in. It has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum SignIn {
    /// This is a SQL login.
    Password {
        /// This is its name.
        username: String,
        /// This is its password.
        password: Secret,
    },
    /// This is an application of Microsoft Entra, by a token.
    Entra(Identity),
}

/// This says what the server is shown for one login.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// This is the name of a SQL login, and its password.
    Password(&'a str, &'a Secret),
    /// This is an access token.
    Token(&'a Secret),
}

impl Login {
    /// Makes a SQL login at a server whose certificate is verified.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        username: impl Into<String>,
        password: impl Into<String>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            database: database.into(),
            sign_in: SignIn::Password {
                username: username.into(),
                password: Secret::new(password.into()),
            },
            tls: Tls::Verify,
            host_name_in_certificate: None,
            read_intent: false,
        }
    }

    /// Returns the name of a SQL login; empty for who signs in by a token.
    #[must_use]
    pub fn username(&self) -> &str {
        match &self.sign_in {
            SignIn::Password { username, .. } => username,
            SignIn::Entra(_) => "",
        }
    }

    /// Returns the password of a SQL login; empty for who signs in by a token.
    #[must_use]
    pub fn password(&self) -> &str {
        match &self.sign_in {
            SignIn::Password { password, .. } => password.reveal(),
            SignIn::Entra(_) => "",
        }
    }

    /// The login of a stand-in, whose authority is unknown to this process.
    #[cfg(test)]
    pub(crate) fn of_stand_in(sandbox: &tidemark_sandbox::Sandbox) -> Self {
        let (username, password, database) = (sandbox.username(), sandbox.password(), sandbox.database());
        Self::new("127.0.0.1", sandbox.port(), username, password, database).with_tls(Tls::Trust)
    }

    /// Returns the same with another way to encrypt.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls, ..self }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

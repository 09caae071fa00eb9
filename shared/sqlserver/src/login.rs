//! Logins: the address and the credentials that a connection to a SQL Server needs.
//!
//! `secret` reads a login from a secret, and `address` the address in it. `known` keeps logins, and reads one again
//! when a server no longer accepts it.

mod address;
mod known;
mod secret;

use std::fmt;

use tidemark::ports::secrets::Secret;
use tidemark::ports::tokens::Identity;

pub use self::known::{Credential, Logins};
pub use tidemark::model::server::{ServerSettings, Tls};

/// The default TCP port of SQL Server.
const DEFAULT_PORT: u16 = 1433;

/// The address and the credentials of a database. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The host name or IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The database of the tables.
    pub database: String,
    /// The credentials.
    pub sign_in: SignIn,
    /// The encryption of the connection, and the certificates that are accepted.
    pub tls: Tls,
    /// The name that the server's certificate must have, if it is not the host name.
    pub host_name_in_certificate: Option<String>,
    /// Whether a read-only replica may answer (`ApplicationIntent=ReadOnly`).
    pub read_intent: bool,
}

/// The credentials of a login. There is no `Debug`, because they hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum SignIn {
    /// A SQL login.
    Password {
        /// The name of the login.
        username: String,
        /// The password of the login.
        password: Secret,
    },
    /// An application of Microsoft Entra, which logs in with a token.
    Entra(Identity),
}

/// The proof that the server is given in one login.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// The name of a SQL login, and its password.
    Password(&'a str, &'a Secret),
    /// An access token.
    Token(&'a Secret),
}

impl Login {
    /// Makes a SQL login for a server whose certificate is verified.
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

    /// Returns the name of a SQL login, or an empty text for a login with a token.
    #[must_use]
    pub fn username(&self) -> &str {
        match &self.sign_in {
            SignIn::Password { username, .. } => username,
            SignIn::Entra(_) => "",
        }
    }

    /// Returns the password of a SQL login, or an empty text for a login with a token.
    #[must_use]
    pub fn password(&self) -> &str {
        match &self.sign_in {
            SignIn::Password { password, .. } => password.reveal(),
            SignIn::Entra(_) => "",
        }
    }

    /// Makes the login of a stand-in, whose certificate authority is unknown to this process.
    #[cfg(test)]
    pub(crate) fn of_stand_in(sandbox: &tidemark_sandbox::Sandbox) -> Self {
        let (username, password, database) = (sandbox.username(), sandbox.password(), sandbox.database());
        Self::new("127.0.0.1", sandbox.port(), username, password, database).with_tls(Tls::Trust)
    }

    /// Sets the encryption.
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
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}/{}", self.host, self.port, self.database)
    }
}

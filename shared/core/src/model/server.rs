//! How a database server is reached, as a deployment says it.

use serde::Deserialize;

/// This says how the connection to a server is encrypted, and whose certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// The certificate must chain to a known authority and name the host.
    Verify,
    /// The same, and TLS comes before anything else on the connection (TDS 8.0).
    Strict,
    /// The connection is encrypted, but to whoever answers.
    Trust,
}

impl Tls {
    /// This is every choice, by its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("verify", Self::Verify),
        ("strict", Self::Strict),
        ("trust", Self::Trust),
    ];
}

/// This is a server: the secret with its address and credentials, and what fills the gaps of that secret. What the
/// secret says goes before everything here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ServerSettings {
    /// This is the name (or ARN) of a secret of the form that RDS gives them.
    pub secret: String,
    /// This is the host, for a secret without one.
    pub host: Option<String>,
    /// This is the port, for a secret without one.
    pub port: Option<u16>,
    /// This is the database, for a secret without one.
    pub database: Option<String>,
    /// This says how the connection is encrypted, for a secret that does not say it.
    pub tls: Option<Tls>,
    /// This says whether the server is only read from, for a secret that does not say it: a replica may answer then.
    pub read_intent: bool,
    /// This says whether the server is written to. It is then never asked for a replica, whatever the secret says.
    pub is_written: bool,
    /// This says how the variables that fill the gaps begin (`SOURCE`), for messages about what is missing.
    pub variables: &'static str,
}

impl ServerSettings {
    /// Returns a server of which everything stands in the secret with this name.
    #[must_use]
    pub fn of_secret(name: impl Into<String>) -> Self {
        Self {
            secret: name.into(),
            ..Self::default()
        }
    }

    /// Returns the same server with another choice for secrets that do not say how the connection is encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

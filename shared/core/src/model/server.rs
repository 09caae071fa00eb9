//! How a database server is reached, as the deployment configures it.

use serde::Deserialize;

/// How the connection to a server is encrypted, and whose certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// The certificate must chain to a known authority and name the host.
    Verify,
    /// The certificate must chain to a known authority and name the host, and TLS comes before anything else on the
    /// connection (TDS 8.0).
    Strict,
    /// The connection is encrypted, and any certificate is accepted.
    Trust,
}

impl Tls {
    /// Every choice with its name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("verify", Self::Verify),
        ("strict", Self::Strict),
        ("trust", Self::Trust),
    ];

    /// Returns the choice with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(known, _)| *known == name).map(|(_, tls)| tls)
    }
}

/// A server: the secret with its address and credentials, and values for what the secret leaves out. What the secret
/// holds has precedence over everything here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ServerSettings {
    /// The name (or ARN) of a secret of the form that RDS gives its secrets.
    pub secret: String,
    /// The host, for a secret without one.
    pub host: Option<String>,
    /// The port, for a secret without one.
    pub port: Option<u16>,
    /// The database, for a secret without one.
    pub database: Option<String>,
    /// How the connection is encrypted, for a secret that does not say.
    pub tls: Option<Tls>,
    /// Whether the server is only read from, for a secret that does not say. A replica may answer then.
    pub read_intent: bool,
    /// Whether the server is written to. A replica is then never asked for, whatever the secret says.
    pub is_written: bool,
    /// The prefix of the environment variables that fill the gaps (`SOURCE`), for messages about what is missing.
    pub variables: &'static str,
}

impl ServerSettings {
    /// Makes a server of which everything stands in the secret with this name.
    #[must_use]
    pub fn of_secret(name: impl Into<String>) -> Self {
        Self {
            secret: name.into(),
            ..Self::default()
        }
    }

    /// Returns the same server with `tls` for secrets that do not say how the connection is encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

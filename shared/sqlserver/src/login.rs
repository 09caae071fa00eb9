//! Logins: what a connection to a SQL Server needs, as the usual RDS secret spells it, and for how long it is known.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tidemark::error::{Answer, Error, ErrorCode, Result};
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tokio::sync::OnceCell;

use crate::moment::Moment;

/// SQL Server's own port.
const DEFAULT_PORT: u16 = 1433;

/// How long a login is good without asking: a changed secret, which may name another server, counts within five minutes.
const AGE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How the server's certificate is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// The certificate must chain to a known root and name the host.
    Verify,
    /// Encrypted, but to whoever answers.
    Trust,
}

/// Address and credentials of a database. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// SQL login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The database of the tables.
    pub database: String,
    /// How the server's certificate is treated.
    pub tls: Tls,
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

/// The RDS shape. Fields Tidemark does not use (`engine`, `dbInstanceIdentifier`, …) are allowed.
#[derive(Deserialize)]
struct RdsSecret {
    host: String,
    #[serde(default = "default_port", deserialize_with = "number_or_text")]
    port: u16,
    username: String,
    password: String,
    dbname: String,
}

const fn default_port() -> u16 {
    DEFAULT_PORT
}

/// RDS writes the port as a number, the console's form as text.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u16, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Port {
        Number(u16),
        Text(String),
    }
    match Port::deserialize(deserializer)? {
        Port::Number(port) => Ok(port),
        Port::Text(text) => text
            .parse()
            .map_err(|_| serde::de::Error::custom("port is not a number")),
    }
}

impl Login {
    /// Reads the content of the secret called `name`. The error never quotes the content.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when it is not of the form of RDS secrets.
    pub fn from_secret(name: &str, secret: &Secret, tls: Tls) -> Result<Self> {
        let secret: RdsSecret = serde_json::from_str(secret.reveal()).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => missing_field(&error),
                _ => "it is not JSON".to_owned(),
            };
            let message =
                format!("the secret {name} is not of the form {{host, port, username, password, dbname}}: {what}");
            Error::new(ErrorCode::InvalidConfig, message)
        })?;
        let RdsSecret {
            host,
            port,
            username,
            password,
            dbname: database,
        } = secret;
        Ok(Self {
            host,
            port,
            username,
            password,
            database,
            tls,
        })
    }
}

/// serde's message, if it is one of those that quote no value.
fn missing_field(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("missing field") {
        message
    } else {
        "a field has the wrong type".to_owned()
    }
}

/// How a SQL Server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerConfig {
    /// The name (or ARN) of a secret of the RDS shape.
    pub secret: String,
    /// How the server's certificate is treated.
    pub tls: Tls,
}

/// The logins a process has read, and those it will. Clones share what is known.
#[derive(Debug, Clone)]
pub struct Logins {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    secrets: Arc<dyn ReadSecrets>,
    known: Mutex<HashMap<ServerConfig, (Login, Moment)>>,
}

impl Logins {
    /// Takes a store of secrets; nothing is read yet.
    #[must_use]
    pub fn new(secrets: Arc<dyn ReadSecrets>) -> Self {
        let shared = Shared {
            secrets,
            known: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The login of `server`, of not more than five minutes ago.
    ///
    /// # Errors
    ///
    /// As [`ReadSecrets::secret`], and `InvalidConfig` when the secret is not of the RDS shape.
    pub async fn credential(&self, server: &ServerConfig) -> Result<Credential> {
        let known = self.known().get(server).cloned();
        match known.filter(|(_, at)| at.elapsed() < AGE_LIMIT) {
            Some((login, _)) => Ok(Credential {
                origin: Some((self.clone(), server.clone())),
                ..Credential::from(login)
            }),
            None => self.read(server).await.map(Credential::from),
        }
    }

    async fn read(&self, server: &ServerConfig) -> Result<Login> {
        let secret = self.shared.secrets.secret(&server.secret).await?;
        let login = Login::from_secret(&server.secret, &secret, server.tls)?;
        self.known().insert(server.clone(), (login.clone(), Moment::now()));
        Ok(login)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ServerConfig, (Login, Moment)>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A login for the connections of one invocation. Where it was read in an earlier one it is read again, once, when a
/// server does not let it in or is not where it says: passwords are rotated, and databases move.
#[derive(Debug, Clone)]
pub struct Credential {
    login: Login,
    origin: Option<(Logins, ServerConfig)>,
    changed: Arc<OnceCell<Option<Login>>>,
}

impl From<Login> for Credential {
    fn from(login: Login) -> Self {
        Self {
            login,
            origin: None,
            changed: Arc::default(),
        }
    }
}

impl Credential {
    /// The login as far as it is known.
    #[must_use]
    pub fn login(&self) -> &Login {
        let changed = self.changed.get().and_then(Option::as_ref);
        changed.unwrap_or(&self.login)
    }

    /// Logs in by `log_in` and, where that fails and the login has changed since it was read, once more.
    pub(crate) async fn log_in<C>(&self, log_in: impl AsyncFn(&Login) -> Answer<C>) -> Answer<C> {
        match log_in(self.login()).await {
            Ok(connection) => Ok(connection),
            Err(failure) => match self.changed().await {
                Some(login) => log_in(login).await,
                None => Err(failure),
            },
        }
    }

    /// Reads the login again, the first time only. `None` when there is no other than the one known before: what was
    /// refused is not tried again, which would only lock the login.
    async fn changed(&self) -> Option<&Login> {
        let (logins, server) = self.origin.as_ref()?;
        if self.changed.initialized() {
            return None;
        }
        let changed = self.changed.get_or_init(|| async {
            // What failed before this is what the caller has to hear of.
            let login = logins.read(server).await.ok();
            login.filter(|login| *login != self.login)
        });
        changed.await.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::future::BoxFuture;
    use tokio::time::advance;

    use super::*;

    /// A store that answers with these passwords in turn.
    #[derive(Debug)]
    struct Store(Mutex<VecDeque<Option<&'static str>>>);

    impl Store {
        fn left(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl ReadSecrets for Store {
        fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Secret>> {
            assert_eq!(name, "arn");
            let password = self.0.lock().unwrap().pop_front().flatten();
            let secret = password.map(|password| {
                Secret::new(format!(
                    r#"{{"host":"db","username":"u","password":"{password}","dbname":"d"}}"#
                ))
            });
            Box::pin(async { secret.ok_or_else(|| Error::new(ErrorCode::SourceUnavailable, "throttled")) })
        }
    }

    fn logins(passwords: &[Option<&'static str>]) -> (Arc<Store>, Logins, ServerConfig) {
        let store = Arc::new(Store(Mutex::new(passwords.iter().copied().collect())));
        let server = ServerConfig {
            secret: "arn".to_owned(),
            tls: Tls::Verify,
        };
        (store.clone(), Logins::new(store), server)
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_is_read_again_once_and_tried_again_only_if_it_changed() {
        for (now, expected) in [(Some("new"), Some("new")), (Some("old"), None), (None, None)] {
            let (store, logins, server) = logins(&[Some("old"), now, Some("newest")]);
            let fresh = logins.credential(&server).await.unwrap();
            assert!(fresh.changed().await.is_none(), "it was read just now");
            let credential = logins.credential(&server).await.unwrap();
            let changed = credential.changed().await.map(|login| login.password.as_str());
            assert_eq!(changed, expected);
            assert_eq!(credential.login().password, expected.unwrap_or("old"));
            assert!(credential.clone().changed().await.is_none(), "once for all its clones");
            assert_eq!(store.left(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_counts_for_five_minutes() {
        let (_, logins, server) = logins(&[Some("old"), Some("new")]);
        let password = async || logins.credential(&server).await.unwrap().login().password.clone();
        assert_eq!(password().await, "old");
        advance(AGE_LIMIT - Duration::from_secs(1)).await;
        assert_eq!(password().await, "old");
        advance(Duration::from_secs(1)).await;
        assert_eq!(password().await, "new");
    }

    #[tokio::test]
    async fn a_refused_login_is_tried_again_with_the_one_that_took_its_place() {
        let (_, logins, server) = logins(&[Some("old"), Some("new")]);
        logins.credential(&server).await.unwrap();
        let credential = logins.credential(&server).await.unwrap();
        let let_in = credential.log_in(async |login: &Login| match login.password.as_str() {
            "new" => Ok(()),
            _ => Err(Error::new(ErrorCode::SourceRejected, "refused").into()),
        });
        assert!(let_in.await.is_ok());
    }

    #[test]
    fn the_rds_shape_is_read_and_not_shown() {
        let content =
            r#"{"engine":"sqlserver","host":"db","port":"1444","username":"u","password":"s3cret","dbname":"d"}"#;
        let login = Login::from_secret("arn", &Secret::new(content.to_owned()), Tls::Verify).unwrap();
        assert_eq!((login.port, login.to_string()), (1444, "db:1444/d".into()));
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[test]
    fn a_wrong_secret_is_named_and_not_quoted() {
        for (content, named) in [
            (r#"{"host":"db","username":"u","password":"s3cret"}"#, "dbname"),
            (
                r#"{"host":"db","username":"u","password":["s3cret"],"dbname":"d"}"#,
                "wrong type",
            ),
            ("s3cret", "not JSON"),
        ] {
            let error = Login::from_secret("arn:x", &Secret::new(content.to_owned()), Tls::Verify).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfig);
            let text = error.report();
            assert!(
                text.contains(named) && text.contains("arn:x") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }
}

//! One connection to a SQL Server, opened when it is first needed.

use std::error::Error as StdError;
use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row, ToSql};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::config::{Timeouts, Tls};
use crate::error::{Error, ErrorCode, Result};
use crate::login::Login;
use crate::query::Query;
use crate::sqlserver_errors;

/// How long a server that could not be reached is left alone.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// What TDS negotiates at most.
const PACKET_SIZE: u32 = 32_767;

pub(super) type Connection = Client<Compat<TcpStream>>;

/// A SQL Server database. Statements run one after another on one connection, which is opened when first needed and
/// again after a failure.
#[derive(Debug)]
pub struct Server {
    login: Login,
    timeouts: Timeouts,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is open.
    #[default]
    Closed,
    Open(Box<Connection>),
    /// Connecting failed. A refused login or an untrusted certificate is not tried again for the next table, which
    /// would only lock the login; a server that is not there, only after [`RECONNECT_AFTER`].
    Failed {
        error: Error,
        at: Instant,
    },
}

impl Server {
    /// The database behind `login`; nothing is sent yet.
    #[must_use]
    pub fn new(login: Login) -> Self {
        Self {
            login,
            timeouts: Timeouts::LOOKUP,
            state: Mutex::default(),
        }
    }

    /// The same with other timeouts than [`Timeouts::LOOKUP`].
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The rows of the first result of `query`.
    pub(super) async fn rows(&self, query: &Query) -> Result<Vec<Row>> {
        self.with_connection(async |connection| {
            let parameters: Vec<&dyn ToSql> = query.parameters.iter().map(|value| value as &dyn ToSql).collect();
            connection
                .query(query.sql.as_str(), &parameters)
                .await?
                .into_first_result()
                .await
        })
        .await
    }

    /// Runs `work` on the connection. After a failure the connection is not used again.
    ///
    /// When the server is silent for too long, a new connection tells whether it is there: `DeadlineExceeded` when only
    /// the statement takes too long, which it would again, and `SourceUnavailable` when nobody answers.
    pub(super) async fn with_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> std::result::Result<T, TdsError>,
    ) -> Result<T> {
        let mut state = self.state.lock().await;
        // Taken out while in use, so that a failed, or dropped, use leaves none behind.
        let mut connection = match std::mem::take(&mut *state) {
            State::Open(connection) => connection,
            State::Failed { error, at } if !error.code().is_retryable() || at.elapsed() < RECONNECT_AFTER => {
                *state = State::Failed {
                    error: error.clone(),
                    at,
                };
                return Err(error);
            }
            State::Closed | State::Failed { .. } => Box::pin(self.open(&mut state)).await?,
        };
        // Boxed, here and below: the driver's futures are large, and so would be all that await them.
        match Box::pin(work(&mut connection)).await {
            Ok(answer) => {
                *state = State::Open(connection);
                Ok(answer)
            }
            Err(error) if is_silence(&error) => {
                drop(connection);
                *state = State::Open(Box::pin(self.open(&mut state)).await?);
                Err(self.too_slow())
            }
            Err(error) => Err(self.error(error)),
        }
    }

    /// A new connection. When there is none, `state` says why.
    async fn open(&self, state: &mut State) -> Result<Box<Connection>> {
        Box::pin(self.connect()).await.map(Box::new).inspect_err(|error| {
            *state = State::Failed {
                error: error.clone(),
                at: Instant::now(),
            };
        })
    }

    /// A server that answers a new connection is there: what it does not answer is the statement.
    fn too_slow(&self) -> Error {
        let (login, seconds) = (&self.login, self.timeouts.silence.as_secs());
        Error::new(
            ErrorCode::DeadlineExceeded,
            format!(
                "{login}: no answer to a statement within {seconds} s: index the watermark column, and look for locks"
            ),
        )
    }

    /// The connection, for someone who keeps it to themselves.
    pub(super) async fn detach(&self) -> Result<Connection> {
        match std::mem::take(&mut *self.state.lock().await) {
            State::Open(connection) => Ok(*connection),
            State::Closed | State::Failed { .. } => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let mut login = self.login.clone();
        // Azure SQL Database may answer a login with the address of the node to go to, once.
        match Box::pin(self.try_connect(&login)).await {
            Err(TdsError::Routing { host, port }) => {
                login.host = host;
                login.port = port;
                Box::pin(self.try_connect(&login)).await
            }
            answer => answer,
        }
        .map_err(|error| self.error(error))
    }

    async fn try_connect(&self, login: &Login) -> std::result::Result<Connection, TdsError> {
        let mut config = Config::new();
        config.host(&login.host);
        config.port(login.port);
        config.database(&login.database);
        config.authentication(AuthMethod::sql_server(&login.username, &login.password));
        config.application_name("tidemark");
        config.encryption(EncryptionLevel::Required);
        config.packet_size(PACKET_SIZE);
        config.handshake_timeout(Some(self.timeouts.connect));
        config.command_timeout(Some(self.timeouts.silence));
        match login.tls {
            Tls::Verify => {}
            Tls::Trust => config.trust_cert(),
        }
        let tcp = within(
            self.timeouts.connect,
            TcpStream::connect((login.host.as_str(), login.port)),
        )
        .await?;
        tcp.set_nodelay(true)?;
        Client::connect(config, tcp.compat_write()).await
    }

    /// The one place where an error of the driver becomes an error of ours, by kind and number.
    pub(super) fn error(&self, error: TdsError) -> Error {
        let login = &self.login;
        let (code, message) = match &error {
            TdsError::Server(token) => {
                let number = token.code();
                (
                    sqlserver_errors::code_of(number),
                    sqlserver_errors::describe(number, token.message()),
                )
            }
            TdsError::Io { .. } => (ErrorCode::SourceUnavailable, "the connection failed".to_owned()),
            TdsError::Tls(_) => (
                ErrorCode::SourceRejected,
                "no trusted TLS connection: give the server's certificate authority in SSL_CERT_FILE, or connect by \
                 the name in its certificate"
                    .to_owned(),
            ),
            TdsError::Routing { .. } => (ErrorCode::SourceUnavailable, "the server redirected twice".to_owned()),
            _ => (
                ErrorCode::SourceRejected,
                "the server's answer was not understood".to_owned(),
            ),
        };
        let cause: Option<Box<dyn StdError + Send + Sync>> = match error {
            // Its text may quote row values; `message` says what may be said.
            TdsError::Server(_) | TdsError::Conversion(_) => None,
            // After its first sentence the driver gives advice about its own interface.
            TdsError::Tls(text) => text.split(". ").next().map(Into::into),
            other => Some(other.into()),
        };
        let message = format!("{login}: {message}");
        match cause {
            Some(cause) => Error::with_source(code, message, cause),
            None => Error::new(code, message),
        }
    }
}

fn is_silence(error: &TdsError) -> bool {
    matches!(
        error,
        TdsError::Io {
            kind: ErrorKind::TimedOut,
            ..
        }
    )
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> std::result::Result<T, TdsError> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut).into()),
    }
}

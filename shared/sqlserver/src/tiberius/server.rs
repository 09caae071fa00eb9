//! One connection to a SQL Server, opened when it is first needed and kept for the next invocation.

use std::error::Error as StdError;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row, ToSql};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::adapters::credential::Credential;
use crate::adapters::kept::{Kept, Opened, PROBE_TIMEOUT};
use crate::config::{Timeouts, Tls};
use crate::error::{Error, ErrorCode, Result};
use crate::login::Login;
use crate::query::{self, Query};
use crate::sqlserver_errors;

/// How long a server that could not be reached is left alone.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// What TDS negotiates at most.
const PACKET_SIZE: u32 = 32_767;

/// A connection of tiberius over TCP.
pub type Connection = Client<Compat<TcpStream>>;
/// What a warm process keeps for a [`Server`] of one role.
pub type KeptConnection = Arc<Kept<Connection>>;

/// A SQL Server database. Statements run one after another on one connection, which is opened when first needed and
/// again after a failure. Dropping it leaves the connection to the next one that [keeps](Self::keeping) in the same place.
#[derive(Debug)]
pub struct Server {
    credential: Credential,
    timeouts: Timeouts,
    kept: KeptConnection,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is open.
    #[default]
    Closed,
    Open(Box<Opened<Connection>>),
    /// Connecting failed. A refused login or an untrusted certificate is not tried again for the next table, which
    /// would only lock the login; a server that is not there, only after [`RECONNECT_AFTER`].
    Failed {
        error: Error,
        at: Instant,
    },
}

impl Server {
    /// The database behind a login; nothing is sent yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self {
            credential: login.into(),
            timeouts: Timeouts::LOOKUP,
            kept: KeptConnection::default(),
            state: Mutex::default(),
        }
    }

    /// The same with other timeouts than [`Timeouts::LOOKUP`].
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with the connection that the last one left in `kept`, if it still answers. What shares a place has the same
    /// timeouts.
    #[must_use]
    pub fn keeping(mut self, kept: &KeptConnection) -> Self {
        self.kept = Arc::clone(kept);
        self
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

    /// A connection on which nothing has been done yet. When there is none, `state` says why.
    async fn open(&self, state: &mut State) -> Result<Box<Opened<Connection>>> {
        Box::pin(self.connect()).await.inspect_err(|error| {
            *state = State::Failed {
                error: error.clone(),
                at: Instant::now(),
            };
        })
    }

    /// A server that answers a new connection is there: what it does not answer is the statement.
    fn too_slow(&self) -> Error {
        let (login, seconds) = (self.credential.login(), self.timeouts.silence.as_secs());
        Error::new(
            ErrorCode::DeadlineExceeded,
            format!(
                "{login}: no answer to a statement within {seconds} s: index the watermark column, and look for locks"
            ),
        )
    }

    /// The connection, for someone who has it to themselves until they [attach](Self::attach) it.
    pub(super) async fn detach(&self) -> Result<Box<Opened<Connection>>> {
        match std::mem::take(&mut *self.state.lock().await) {
            State::Open(connection) => Ok(connection),
            State::Closed | State::Failed { .. } => Box::pin(self.connect()).await,
        }
    }

    /// Takes a connection back on which nothing is under way and nothing of its session is left behind.
    pub(super) async fn attach(&self, connection: Box<Opened<Connection>>) {
        *self.state.lock().await = State::Open(connection);
    }

    /// The kept connection if it answers, else a new one.
    async fn connect(&self) -> Result<Box<Opened<Connection>>> {
        if let Some(mut kept) = self.kept.take(self.credential.login()) {
            if is_clean(&mut kept).await {
                return Ok(Box::new(kept));
            }
            tracing::debug!("A kept connection is of no use any more.");
        }
        // Boxed, as the driver's futures are large.
        let log_in = async |login: &Login| Box::pin(self.log_in(login)).await;
        self.credential.log_in(log_in).await
    }

    async fn log_in(&self, login: &Login) -> Result<Box<Opened<Connection>>> {
        // Azure SQL Database may answer a login with the address of the node to go to, once.
        let connected = match Box::pin(self.try_connect(login)).await {
            Err(TdsError::Routing { host, port }) => {
                let node = Login {
                    host,
                    port,
                    ..login.clone()
                };
                Box::pin(self.try_connect(&node)).await
            }
            answer => answer,
        };
        let opened = connected.map(|connection| Box::new(Opened::now(connection, login)));
        opened.map_err(|error| self.error(error))
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
        let login = self.credential.login();
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

impl Drop for Server {
    /// What is open here has answered its last statement: one that failed, or was not waited for, is gone.
    fn drop(&mut self) {
        if let State::Open(connection) = std::mem::take(self.state.get_mut()) {
            self.kept.put(*connection);
        }
    }
}

/// Whether a kept connection is there and has no transaction open. tiberius does not offer the reset of a session that TDS
/// has (`RESETCONNECTION`), so what a session keeps beyond a statement is undone by whoever sets it.
async fn is_clean(connection: &mut Connection) -> bool {
    let answer = async {
        let answer = connection.simple_query(query::NO_TRANSACTION).await?;
        answer.into_row().await
    };
    let answer = tokio::time::timeout(PROBE_TIMEOUT, Box::pin(answer)).await;
    matches!(answer, Ok(Ok(Some(row))) if matches!(row.try_get::<i32, _>(0), Ok(Some(1))))
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

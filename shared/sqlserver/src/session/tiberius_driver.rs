//! Implements sessions over tiberius, for the statements of lookups, counts and the control table.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use futures::TryStreamExt;
use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem, Row, ToSql};
use tidemark::error::{Answer, Failure};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{CANCEL_TIMEOUT, Driver, PACKET_BYTES, Server, Timeouts, unlogged};
use crate::errors::of_tiberius;
use crate::login::{Login, Proof, Tls};
use crate::statements::{NO_TRANSACTION, Statement};

/// A connection of tiberius over TCP.
pub type TiberiusClient = Client<Compat<TcpStream>>;

/// The driver tiberius.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiberius;

impl Driver for Tiberius {
    type Connection = TiberiusClient;
    type Error = TdsError;

    async fn log_in(&self, login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Answer<TiberiusClient> {
        // Azure SQL Database may answer a login with the address of the node to connect to, once.
        let connected = match Box::pin(try_connect(login, proof, timeouts)).await {
            Err(TdsError::Routing { host, port }) => {
                let node = Login {
                    host,
                    port,
                    ..login.clone()
                };
                Box::pin(try_connect(&node, proof, timeouts)).await
            }
            answer => answer,
        };
        connected.map_err(of_tiberius)
    }

    /// Probes the connection. tiberius does not offer the reset of a session that TDS has (`RESETCONNECTION`), so
    /// whoever changes a setting of the session must restore it.
    async fn is_clean(connection: &mut TiberiusClient) -> bool {
        let answer = async {
            let answer = connection.simple_query(NO_TRANSACTION).await?;
            answer.into_row().await
        };
        matches!(answer.await, Ok(Some(row)) if matches!(row.try_get::<i32, _>(0), Ok(Some(1))))
    }

    fn is_broken(_: &TiberiusClient) -> bool {
        false
    }

    async fn cancel(connection: &mut TiberiusClient) {
        // Whether the attention worked makes no difference, because the connection is closed next.
        drop(connection.cancel_query().await);
    }

    fn abandon(mut connection: TiberiusClient, is_used: bool) {
        if let (true, Ok(runtime)) = (is_used, Handle::try_current()) {
            let cancel = async move { tokio::time::timeout(CANCEL_TIMEOUT, Self::cancel(&mut connection)).await };
            runtime.spawn(unlogged(cancel));
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

    fn failure(error: TdsError) -> Failure {
        of_tiberius(error)
    }
}

async fn try_connect(login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Result<TiberiusClient, TdsError> {
    let mut config = Config::new();
    config.host(&login.host);
    config.port(login.port);
    config.database(&login.database);
    config.authentication(match proof {
        Proof::Password(username, password) => AuthMethod::sql_server(username, password.reveal()),
        Proof::Token(token) => AuthMethod::aad_token(token.reveal()),
    });
    config.readonly(login.read_intent);
    config.application_name("tidemark");
    config.packet_size(PACKET_BYTES.into());
    config.handshake_timeout(Some(timeouts.connect));
    // Silence is measured here, because the driver does not even send an attention after its own timeout.
    config.command_timeout(None);
    config.encryption(match login.tls {
        Tls::Strict => EncryptionLevel::Strict,
        Tls::Verify | Tls::Trust => EncryptionLevel::Required,
    });
    if login.tls == Tls::Trust {
        config.trust_cert();
    }
    if let Some(name) = &login.host_name_in_certificate {
        config.hostname_in_certificate(name);
    }
    let tcp = within(timeouts.connect, TcpStream::connect((login.host.as_str(), login.port))).await?;
    tcp.set_nodelay(true)?;
    Client::connect(config, tcp.compat_write()).await
}

async fn within<T, E: Into<TdsError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, TdsError> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut).into()),
    }
}

/// Returns the rows of all results of a statement. `silence` limits the wait for each piece of the answer.
async fn results(
    connection: &mut TiberiusClient,
    statement: &Statement,
    silence: Duration,
) -> Result<Vec<Row>, TdsError> {
    let parameters: Vec<&dyn ToSql> = statement.parameters.iter().map(|value| value as &dyn ToSql).collect();
    let asked = connection.query(statement.sql.as_str(), &parameters);
    let mut answer = within(silence, asked).await?;
    let mut rows = Vec::new();
    while let Some(item) = within(silence, answer.try_next()).await? {
        if let QueryItem::Row(row) = item {
            rows.push(row);
        }
    }
    Ok(rows)
}

impl Server {
    /// Returns the rows of all results of a statement, one result after another.
    pub(crate) async fn all_rows(&self, statement: &Statement) -> Answer<Vec<Row>> {
        let silence = self.timeouts().silence;
        self.with_connection(async |connection| results(connection, statement, silence).await)
            .await
    }

    /// Returns the rows of the first result of a statement.
    pub(crate) async fn rows(&self, statement: &Statement) -> Answer<Vec<Row>> {
        let mut rows = self.all_rows(statement).await?;
        rows.retain(|row| row.result_index() == 0);
        Ok(rows)
    }
}

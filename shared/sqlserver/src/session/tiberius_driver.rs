//! Sessions over tiberius: the statements of lookups, counts and the control table.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row, ToSql};
use tidemark::error::{Answer, Failure};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{Driver, PACKET_BYTES, Server, Timeouts};
use crate::errors::of_tiberius;
use crate::login::{Login, Tls};
use crate::statements::{NO_TRANSACTION, Statement};

/// A connection of tiberius over TCP.
pub type TiberiusClient = Client<Compat<TcpStream>>;

/// The driver tiberius.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiberius;

impl Driver for Tiberius {
    type Connection = TiberiusClient;
    type Error = TdsError;

    async fn log_in(&self, login: &Login, timeouts: Timeouts) -> Answer<TiberiusClient> {
        // Azure SQL Database may answer a login with the address of the node to go to, once.
        let connected = match Box::pin(try_connect(login, timeouts)).await {
            Err(TdsError::Routing { host, port }) => {
                let node = Login {
                    host,
                    port,
                    ..login.clone()
                };
                Box::pin(try_connect(&node, timeouts)).await
            }
            answer => answer,
        };
        connected.map_err(of_tiberius)
    }

    /// tiberius does not offer the reset of a session that TDS has (`RESETCONNECTION`), so what a session keeps beyond a
    /// statement is undone by whoever sets it.
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
        // Whether it worked makes no difference: the connection is closed next.
        drop(connection.cancel_query().await);
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

async fn try_connect(login: &Login, timeouts: Timeouts) -> Result<TiberiusClient, TdsError> {
    let mut config = Config::new();
    config.host(&login.host);
    config.port(login.port);
    config.database(&login.database);
    config.authentication(AuthMethod::sql_server(&login.username, &login.password));
    config.application_name("tidemark");
    config.encryption(EncryptionLevel::Required);
    config.packet_size(PACKET_BYTES.into());
    config.handshake_timeout(Some(timeouts.connect));
    config.command_timeout(Some(timeouts.silence));
    match login.tls {
        Tls::Verify => {}
        Tls::Trust => config.trust_cert(),
    }
    let tcp = within(timeouts.connect, TcpStream::connect((login.host.as_str(), login.port))).await?;
    tcp.set_nodelay(true)?;
    Client::connect(config, tcp.compat_write()).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = std::io::Result<T>>) -> Result<T, TdsError> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut).into()),
    }
}

impl Server {
    /// The rows of the first result of a statement.
    pub(crate) async fn rows(&self, statement: &Statement) -> Answer<Vec<Row>> {
        self.with_connection(async |connection| {
            let parameters: Vec<&dyn ToSql> = statement.parameters.iter().map(|value| value as &dyn ToSql).collect();
            connection
                .query(statement.sql.as_str(), &parameters)
                .await?
                .into_first_result()
                .await
        })
        .await
    }
}

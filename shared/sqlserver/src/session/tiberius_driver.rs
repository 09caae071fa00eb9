//! Implements sessions over tiberius, for the statements of lookups, counts and the control table.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem, Row, ToSql};
use tidemark::error::{Answer, Failure};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::connected::Session;
use super::driver::{CANCEL_TIMEOUT, Driver, PACKET_BYTES, Silence, Timeouts, unlogged, within};
use super::stranger;
use crate::errors::{of_tiberius, of_tiberius_login};
use crate::login::{Login, Proof, Tls};
use crate::statements::{NO_TRANSACTION, Statement};

/// A connection of tiberius over TCP.
pub type TiberiusClient = Client<Compat<TcpStream>>;

/// The most redirections that one login follows, as in mssql-tds.
const MAX_REDIRECTS: usize = 10;

/// What stands in an error for a login that was not finished in time.
const UNFINISHED: &str = "the login was not finished in time";

/// The driver tiberius.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiberius;

impl Driver for Tiberius {
    type Connection = TiberiusClient;
    type Error = TdsError;

    async fn log_in(&self, login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Answer<TiberiusClient> {
        let mut connected = Box::pin(try_connect(login, proof, timeouts)).await;
        for _ in 0..MAX_REDIRECTS {
            // Azure SQL may answer a login with the address of the node to connect to.
            let Err(TdsError::Routing { host, port }) = connected else {
                break;
            };
            let node = Login {
                // The port is that of the instance, which may follow the host.
                host: host.split('\\').next().unwrap_or_default().to_owned(),
                port,
                ..login.clone()
            };
            connected = Box::pin(try_connect(&node, proof, timeouts)).await;
        }
        let error = match connected {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let is_unclear = is_not_understood(&error);
        let failure = of_tiberius_login(error);
        if is_unclear {
            return Err(Box::pin(stranger::explained(failure, login, timeouts.connect)).await);
        }
        Err(failure)
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
    // The driver's words about a timeout give advice about its own interface.
    config.handshake_timeout(None);
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
    let tcp = within(timeouts.connect, connect_to_any(&login.host, login.port)).await?;
    tcp.set_nodelay(true)?;
    let login = Client::connect(config, tcp.compat_write());
    let login = tokio::time::timeout(timeouts.connect, login).await;
    login.unwrap_or_else(|_| Err(std::io::Error::new(ErrorKind::TimedOut, UNFINISHED).into()))
}

/// Returns whether an error of a login does not tell if a SQL Server answers: it was not finished in time, or what came
/// was not understood, which is also so of an answer that broke off.
fn is_not_understood(error: &TdsError) -> bool {
    match error {
        TdsError::Protocol(_) => true,
        TdsError::Io { kind, message } => {
            matches!(kind, ErrorKind::Other) || *kind == ErrorKind::TimedOut && message == UNFINISHED
        }
        _ => false,
    }
}

/// Connects to all addresses of a host at once and returns the first connection, as mssql-tds does. The name of an
/// availability group's listener has an address in each subnet, and nothing answers at all but one of them.
async fn connect_to_any(host: &str, port: u16) -> Result<TcpStream, TdsError> {
    Ok(first_of(lookup_host((host, port)).await?).await?)
}

/// Returns the first connection to one of the addresses, or the last failure.
async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> std::io::Result<TcpStream> {
    let mut connecting: FuturesUnordered<_> = addresses.map(TcpStream::connect).collect();
    let mut failed = ErrorKind::NotFound.into();
    while let Some(connected) = connecting.next().await {
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Silence for TdsError {
    fn of(_: Duration) -> Self {
        std::io::Error::from(ErrorKind::TimedOut).into()
    }

    fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Io {
                kind: ErrorKind::TimedOut,
                ..
            }
        )
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

/// The session for statements with short answers.
pub type Server = Session<Tiberius>;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of TEST-NET-1 (RFC 5737), where nothing answers, or nothing can be reached at all.
    const SILENT: &str = "192.0.2.1:1433";

    #[tokio::test]
    async fn an_address_that_does_not_answer_holds_up_no_other() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let silent: SocketAddr = SILENT.parse().unwrap();
        let connected = tokio::time::timeout(Duration::from_secs(5), first_of([silent, here].into_iter())).await;
        assert_eq!(connected.unwrap().unwrap().peer_addr().unwrap(), here);
        drop(listener);
        let refused = first_of([here].into_iter()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

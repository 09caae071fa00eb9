//! Implements sessions over mssql-tds: for the rows of slices, and for the merge into sink tables.
//!
//! This module depends on these facts of the driver:
//!
//! - Certificates are checked by our `native-tls`, which loads the system's CA files, or those of `SSL_CERT_FILE` and
//!   `SSL_CERT_DIR` where these are set. The driver has them read once in a process.
//! - It logs every row at INFO when it has to wait for the network.
//! - Dropping one of its futures in the middle of a response leaves the connection unusable, so a connection is taken
//!   out of its session while it is used, and is dropped with the future.
//! - Its only limit is one for a whole request, whose duration depends on the number of rows, so silence is measured
//!   here.

use std::time::Duration;

use mssql_tds::connection::client_context::{ClientContext, TdsAuthenticationMethod};
use mssql_tds::connection::tds_client::{ResultSet, StatementResult, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionSetting, TdsResult};
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType as ParameterType;
use mssql_tds::error::{Error as DriverError, TimeoutErrorType};
use mssql_tds::message::login_options::ApplicationIntent;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use tidemark::error::{Answer, Failure};

use tokio::runtime::Handle;

use super::connected::Session;
use super::driver::{CANCEL_TIMEOUT, Driver, PACKET_BYTES, Silence, Timeouts, unlogged, within};
use super::kept_connection::Opened;
use super::stranger;
use crate::errors::of_mssql;
use crate::login::{Login, Proof, Tls};
use crate::statements::{NO_TRANSACTION, Statement};

/// The most characters of an `nvarchar(n)` parameter. A longer one is `nvarchar(max)`.
const NVARCHAR_CHARACTERS: u16 = 4_000;

/// A connection of mssql-tds.
pub type MssqlClient = TdsClient;

/// The driver mssql-tds.
#[derive(Debug, Clone, Copy)]
pub struct Mssql {
    encryption: EncryptionSetting,
}

impl Default for Mssql {
    fn default() -> Self {
        Self {
            encryption: EncryptionSetting::Required,
        }
    }
}

impl Mssql {
    /// Makes a driver without encryption, for the replaying server of tests and measurements.
    pub(crate) const fn unencrypted() -> Self {
        Self {
            encryption: EncryptionSetting::PreferOff,
        }
    }

    async fn try_connect(
        &self,
        address: &str,
        login: &Login,
        proof: Proof<'_>,
        timeouts: Timeouts,
    ) -> TdsResult<TdsClient> {
        let mut context = ClientContext::with_data_source(address);
        context.application_name = "tidemark".to_owned();
        // Without one, as with the other driver, the session has the login's own language, by which the server reads dates in
        // texts: a condition of the user must mean the same rows in lookups and in copies.
        context.language = String::new();
        context.database.clone_from(&login.database);
        match proof {
            Proof::Password(username, password) => {
                context.user_name = username.to_owned();
                context.password = password.reveal().to_owned();
            }
            Proof::Token(token) => {
                context.tds_authentication_method = TdsAuthenticationMethod::AccessToken;
                context.access_token = Some(token.reveal().to_owned());
            }
        }
        if login.read_intent {
            context.application_intent = ApplicationIntent::ReadOnly;
        }
        context.packet_size = PACKET_BYTES;
        // The driver takes whole seconds; `within` below limits all of it together.
        let seconds = u32::try_from(timeouts.connect.as_secs()).unwrap_or(u32::MAX).max(1);
        context.connect_timeout = seconds;
        context.login_timeout = Some(seconds);
        // The session replaces a broken connection, so the driver does not.
        context.connect_retry_count = 0;
        let options = &mut context.encryption_options;
        options.mode = match login.tls {
            Tls::Strict => EncryptionSetting::Strict,
            Tls::Verify | Tls::Trust => self.encryption,
        };
        options.trust_server_certificate = login.tls == Tls::Trust;
        options.host_name_in_cert.clone_from(&login.host_name_in_certificate);
        let provider = TdsConnectionProvider::new();
        within(timeouts.connect, provider.create_client(context, address, None)).await
    }
}

impl Driver for Mssql {
    type Connection = TdsClient;
    type Error = DriverError;

    async fn log_in(&self, login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Answer<TdsClient> {
        let Login { host, port, .. } = login;
        // An IPv6 address with a protocol before it would be misread.
        let address = if host.contains(':') {
            format!("{host},{port}")
        } else {
            format!("tcp:{host},{port}")
        };
        let client = match self.try_connect(&address, login, proof, timeouts).await {
            // The driver reports a connection that broke while it waited for the answer to a login as this error. A
            // server that really violates the protocol, or does not encrypt, fails again.
            Err(DriverError::ProtocolError(_)) => self.try_connect(&address, login, proof, timeouts).await,
            answer => answer,
        };
        let error = match client {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        // Neither tells whether a SQL Server answers at all.
        let is_unclear = matches!(error, DriverError::ProtocolError(_) | DriverError::TimeoutError(_));
        let failure = of_mssql(error);
        if is_unclear {
            return Err(Box::pin(stranger::explained(failure, login, timeouts.connect)).await);
        }
        Err(failure)
    }

    /// Probes the connection. The server resets the session to its state after a login before it answers
    /// (`RESETCONNECTION`, MS-TDS 2.2.3.1.2), and the driver insists on the confirmation. The database must then be
    /// that of the login; in another one, a table of the same name would be read unnoticed.
    async fn is_clean(client: &mut TdsClient) -> bool {
        let database = client.database().to_owned();
        client.prepare_reset_connection(false);
        let mut rows = Vec::new();
        let answer = run(client, NO_TRANSACTION, |row| rows.push(row)).await;
        answer.is_ok() && rows == [[ColumnValues::Int(1)]] && client.database() == database
    }

    fn is_broken(client: &TdsClient) -> bool {
        client.is_connection_dead()
    }

    async fn cancel(client: &mut TdsClient) {
        // The attention is sent whatever the driver knows. The driver notes an open answer only when the answer has
        // begun, which that of a long statement has not; and its test for a dead connection would consume a byte of the
        // answer. Whether the attention worked makes no difference, because the connection is closed next.
        drop(client.send_attention_with_timeout(CANCEL_TIMEOUT).await);
    }

    fn abandon(mut client: TdsClient, is_used: bool) {
        if let (true, Ok(runtime)) = (is_used, Handle::try_current()) {
            runtime.spawn(unlogged(async move { Self::cancel(&mut client).await }));
        }
    }

    fn failure(error: DriverError) -> Failure {
        of_mssql(error)
    }
}

impl Session<Mssql> {
    /// Runs statements as one request without parameters, so that what they create and set stays in the server's
    /// session. Their results are ignored.
    pub(crate) async fn request(&self, connection: &mut Opened<Mssql>, sql: &str) -> Answer<()> {
        self.ask_or_cancel(connection, async |client: &mut TdsClient| run(client, sql, drop).await)
            .await
    }

    /// Runs a statement. Returns the rows of all its results.
    pub(crate) async fn all_rows(
        &self,
        connection: &mut Opened<Mssql>,
        statement: &Statement,
    ) -> Answer<Vec<Vec<ColumnValues>>> {
        let mut rows = Vec::new();
        self.call(connection, statement, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// Runs a statement. Returns the first value of the last row of all its results. The counts that the server sends
    /// are of no use, because a trigger without `NOCOUNT` adds its own to them.
    pub(crate) async fn last_value(
        &self,
        connection: &mut Opened<Mssql>,
        statement: &Statement,
    ) -> Answer<Option<ColumnValues>> {
        let mut last = None;
        self.call(connection, statement, |row| last = row.into_iter().next())
            .await?;
        Ok(last)
    }

    /// Runs a statement up to its first row. Returns `false` when it has no columns.
    pub(crate) async fn begin_rows(&self, connection: &mut Opened<Mssql>, statement: &Statement) -> Answer<bool> {
        let begin = async |client: &mut TdsClient| match execute(client, statement).await? {
            StatementResult::Rows => Ok(true),
            StatementResult::End => Ok(false),
            // A DECLARE comes before the SELECT.
            StatementResult::NoRows { .. } => client.advance_to_rows().await,
        };
        self.ask_or_cancel(connection, begin).await
    }

    async fn call(
        &self,
        connection: &mut Opened<Mssql>,
        statement: &Statement,
        take: impl FnMut(Vec<ColumnValues>),
    ) -> Answer<()> {
        let call = async |client: &mut TdsClient| {
            let first = execute(client, statement).await?;
            read_all(client, first, take).await
        };
        self.ask_or_cancel(connection, call).await
    }
}

async fn execute(client: &mut TdsClient, statement: &Statement) -> TdsResult<StatementResult> {
    let executing = client.execute_sp_executesql(statement.sql.clone(), parameters(statement), ());
    executing.await
}

async fn run(client: &mut TdsClient, sql: &str, take: impl FnMut(Vec<ColumnValues>)) -> TdsResult<()> {
    let first = client.execute(sql.to_owned(), ()).await?;
    read_all(client, first, take).await
}

/// Reads all results from the first one on, and passes their rows on.
async fn read_all(
    client: &mut TdsClient,
    first: StatementResult,
    mut take: impl FnMut(Vec<ColumnValues>),
) -> TdsResult<()> {
    let mut result = first;
    while result != StatementResult::End {
        if result == StatementResult::Rows {
            while let Some(row) = client.next_row().await? {
                take(row);
            }
        }
        result = client.advance().await?;
    }
    client.close_query().await
}

impl Silence for DriverError {
    fn of(limit: Duration) -> Self {
        let message = format!("nothing came for {} s", limit.as_secs());
        Self::TimeoutError(TimeoutErrorType::String(message))
    }

    fn is_silence(&self) -> bool {
        matches!(self, Self::TimeoutError(_))
    }
}

/// Converts the parameters of a statement to those of the driver.
fn parameters(statement: &Statement) -> Vec<RpcParameter> {
    let values = statement.parameters.iter().enumerate();
    values
        .map(|(index, value)| {
            let name = format!("@P{}", index + 1);
            let fits = value.encode_utf16().count() <= usize::from(NVARCHAR_CHARACTERS);
            let text = Some(SqlString::from_utf8_string(value.clone()));
            let value = if fits {
                ParameterType::NVarchar(text, NVARCHAR_CHARACTERS)
            } else {
                ParameterType::NVarcharMax(text)
            };
            RpcParameter::new(Some(name), StatusFlags::NONE, value)
        })
        .collect()
}

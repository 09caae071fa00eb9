//! Sessions over mssql-tds: the rows of slices, and the merge into sink tables.
//!
//! Facts of the driver that these depend on:
//!
//! - Its certificate checks are those of our `native-tls`, which loads the system's CA files by itself, or those of
//!   `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set. The driver has it read them once in a process.
//! - It logs every row at INFO when it has to wait for the network.
//! - Dropping a future of it in the middle of a response leaves the connection unusable, so a connection is taken out of its
//!   session while it is used, and dropped with the future.
//! - It has a limit for a whole request only, and a request may take as long as it has rows: silence is measured here.

use std::future::Future;
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

use super::{CANCEL_TIMEOUT, Driver, PACKET_BYTES, Timeouts, unlogged};
use crate::errors::of_mssql;
use crate::login::{Login, Proof, Tls};
use crate::statements::{NO_TRANSACTION, Statement};

/// Characters of an `nvarchar(n)` parameter at most; a longer one is `nvarchar(max)`.
const NVARCHAR_CHARACTERS: u16 = 4_000;

/// This is a connection of mssql-tds.
pub type MssqlClient = TdsClient;

/// These are the driver mssql-tds.
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
    /// Makes one without encryption, for the replaying server of tests and measurements.
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
        // In whole seconds; the limit around all of it is ours.
        let seconds = u32::try_from(timeouts.connect.as_secs()).unwrap_or(u32::MAX).max(1);
        context.connect_timeout = seconds;
        context.login_timeout = Some(seconds);
        // A broken connection is replaced by the session, in one place.
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
        // With a protocol before it, an IPv6 address is misread.
        let address = if host.contains(':') {
            format!("{host},{port}")
        } else {
            format!("tcp:{host},{port}")
        };
        let client = match self.try_connect(&address, login, proof, timeouts).await {
            // So the driver reports a connection that broke while it waited for the answer to a login. A server that does
            // violate the protocol, or does not encrypt, does so again.
            Err(DriverError::ProtocolError(_)) => self.try_connect(&address, login, proof, timeouts).await,
            answer => answer,
        };
        client.map_err(of_mssql)
    }

    /// Returns the server resets the session to what it is after a login before it answers (`RESETCONNECTION`, MS-TDS
    /// 2.2.3.1.2), and the driver insists on hearing so. The database is that of the login then; in another one a table
    /// of the same name would be read in silence.
    async fn is_clean(client: &mut TdsClient) -> bool {
        let database = client.database().to_owned();
        client.prepare_reset_connection(false);
        let answer = first_value(client, NO_TRANSACTION).await;
        matches!(answer, Ok(Some(ColumnValues::Int(1)))) && client.database() == database
    }

    fn is_broken(client: &TdsClient) -> bool {
        client.is_connection_dead()
    }

    async fn cancel(client: &mut TdsClient) {
        // It is sent whatever the driver knows: that an answer is open it notes only when the answer has begun, which that of a
        // long statement has not; and to see whether a connection is dead it would take a byte of the answer away.
        // Whether it worked makes no difference: the connection is closed next.
        drop(client.send_attention_with_timeout(CANCEL_TIMEOUT).await);
    }

    fn abandon(mut client: TdsClient, is_used: bool) {
        if let (true, Ok(runtime)) = (is_used, Handle::try_current()) {
            runtime.spawn(unlogged(async move { Self::cancel(&mut client).await }));
        }
    }

    fn is_silence(error: &DriverError) -> bool {
        matches!(error, DriverError::TimeoutError(_))
    }

    fn failure(error: DriverError) -> Failure {
        of_mssql(error)
    }
}

/// Returns the first value that a batch answers with.
async fn first_value(client: &mut TdsClient, sql: &str) -> TdsResult<Option<ColumnValues>> {
    let mut value = None;
    if client.execute(sql.to_owned(), ()).await? == StatementResult::Rows {
        let row = client.next_row().await?;
        value = row.and_then(|row| row.into_iter().next());
    }
    client.close_query().await?;
    Ok(value)
}

/// Waits for something of the driver for so long.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = TdsResult<T>>) -> TdsResult<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let message = format!("nothing came for {} s", limit.as_secs());
        Err(DriverError::TimeoutError(TimeoutErrorType::String(message)))
    })
}

/// Returns the parameters of a statement as the driver takes them.
pub(crate) fn parameters(statement: &Statement) -> Vec<RpcParameter> {
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

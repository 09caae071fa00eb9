//! The rows of a slice, read with Microsoft's own driver (`mssql-tds`).
//!
//! The driver hands every value to a writer of ours as it is decoded, which appends it to Arrow buffers. One connection
//! is kept while it is usable, also for the next invocation. Facts of the driver that this adapter depends on:
//!
//! - Its certificate checks are those of our `native-tls`, which loads the system's CA files by itself, or those of
//!   `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set. The driver has it read them once in a process.
//! - It logs every row at INFO when it has to wait for the network. Its logs are switched off here.
//! - Dropping a future of it in the middle of a response leaves the connection unusable, so the connection is out of
//!   `self` while it is used, and dropped with the future.

mod batch;
mod column;
mod columns;
mod errors;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod type_tests;
mod wire_text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::{BufferedRowPoll, ResultSet, StatementResult, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionSetting, TdsResult};
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType as ParameterType;
use mssql_tds::error::{Error as DriverError, TimeoutErrorType};
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use tracing::warn;

#[cfg(feature = "testing")]
pub use self::batch::BatchBuilder;
#[cfg(not(feature = "testing"))]
use self::batch::BatchBuilder;
use self::errors::error_of;
use crate::adapters::credential::Credential;
use crate::adapters::kept::{Kept, Opened, PROBE_TIMEOUT};
use crate::config::{Timeouts, Tls};
use crate::error::{Error, ErrorCode, Result};
use crate::format::{Format, Timestamps};
use crate::login::Login;
use crate::ports::rows::{BatchSink, RowSource};
use crate::query::{self, Query, change_tracking};
use crate::shape::Shape;
use crate::types::{Column, SqlType};

/// The largest packet of the protocol; the server may grant less.
const PACKET_BYTES: u16 = 32_767;
/// Characters of an `nvarchar(n)` parameter at most; a longer one is `nvarchar(max)`.
const NVARCHAR_CHARACTERS: u16 = 4_000;

/// When a record batch is full, whichever comes first. A single row may exceed the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Rows in a batch at most.
    pub rows: usize,
    /// Bytes of values after which a batch is passed on.
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// Measured with ten mixed columns: 2 MiB cost no more time than 8 MiB and 20 MB less memory, because several
    /// batches are under way at once.
    fn default() -> Self {
        Self {
            rows: 65_536,
            bytes: 2 * 1024 * 1024,
        }
    }
}

/// What a warm process keeps for [`MssqlRows`].
pub type KeptClient = Arc<Kept<TdsClient>>;

/// Reads rows over one connection, opened when it is first needed and again when it broke. Dropping it leaves the
/// connection to the next one that [keeps](Self::keeping) in the same place.
pub struct MssqlRows {
    credential: Credential,
    encryption: EncryptionSetting,
    limits: BatchLimits,
    timeouts: Timeouts,
    kept: KeptClient,
    client: Option<Opened<TdsClient>>,
}

impl fmt::Debug for MssqlRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MssqlRows")
            .field("login", self.credential.login())
            .field("limits", &self.limits)
            .field("is_connected", &self.client.is_some())
            .finish()
    }
}

impl MssqlRows {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self::with_limits(login, BatchLimits::default())
    }

    /// As [`new`](Self::new), with other limits.
    #[must_use]
    pub fn with_limits(login: impl Into<Credential>, limits: BatchLimits) -> Self {
        Self {
            credential: login.into(),
            encryption: EncryptionSetting::Required,
            limits,
            timeouts: Timeouts::ROWS,
            kept: KeptClient::default(),
            client: None,
        }
    }

    /// The same with other timeouts than [`Timeouts::ROWS`]. Its silence is one before the first row, between two rows
    /// or within a row.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with the connection that the last one left in `kept`, if it still answers.
    #[must_use]
    pub fn keeping(mut self, kept: &KeptClient) -> Self {
        self.kept = Arc::clone(kept);
        self
    }

    /// Without encryption, for the replaying server of tests and measurements.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn unencrypted(login: Login, limits: BatchLimits) -> Self {
        let mut rows = Self::with_limits(login, limits);
        rows.encryption = EncryptionSetting::PreferOff;
        rows
    }

    /// Runs the query and stands before its first row. A connection of before that turns out broken is replaced once.
    async fn start(&mut self, query: &Query) -> Result<Opened<TdsClient>> {
        if let Some(mut client) = self.client.take().filter(|client| !client.is_connection_dead()) {
            match self.execute(&mut client, query).await {
                Ok(()) => return Ok(client),
                Err(error) if error.code() == ErrorCode::SourceUnavailable => {}
                Err(error) => return Err(error),
            }
        }
        let mut client = self.connect().await?;
        self.execute(&mut client, query).await?;
        Ok(client)
    }

    /// The kept connection if it answers, else a new one.
    async fn connect(&self) -> Result<Opened<TdsClient>> {
        if let Some(mut kept) = self.kept.take(self.credential.login()) {
            if self.is_reset(&mut kept).await {
                return Ok(kept);
            }
            tracing::debug!("A kept connection is of no use any more.");
        }
        // Boxed, as the driver's futures are large.
        let log_in = async |login: &Login| Box::pin(self.log_in(login)).await;
        self.credential.log_in(log_in).await
    }

    /// Whether a kept connection is there, with its session as after a login: the server resets it before it answers
    /// (`RESETCONNECTION`, MS-TDS 2.2.3.1.2), and the driver insists on hearing so. The database is that of the login then;
    /// in another one a table of the same name would be read in silence.
    async fn is_reset(&self, client: &mut TdsClient) -> bool {
        let database = client.database().to_owned();
        client.prepare_reset_connection(false);
        let answer = Box::pin(self.batch(client, query::NO_TRANSACTION));
        let answer = tokio::time::timeout(PROBE_TIMEOUT, answer).await;
        matches!(answer, Ok(Ok(()))) && client.database() == database
    }

    async fn log_in(&self, login: &Login) -> Result<Opened<TdsClient>> {
        let Login { host, port, .. } = login;
        if host.is_empty() || host.contains([',', '\\', ' ']) {
            return Err(Error::new(
                ErrorCode::InvalidConfig,
                format!("'{host}' is not a host: give a DNS name or an IP address, and the port by itself"),
            ));
        }
        // With a protocol before it, an IPv6 address is misread.
        let address = if host.contains(':') {
            format!("{host},{port}")
        } else {
            format!("tcp:{host},{port}")
        };
        let client = match self.try_connect(&address, login).await {
            // So the driver reports a connection that broke while it waited for the answer to a login. A server that does
            // violate the protocol, or does not encrypt, does so again.
            Err(DriverError::ProtocolError(_)) => self.try_connect(&address, login).await,
            answer => answer,
        };
        client
            .map(|client| Opened::now(client, login))
            .map_err(|error| self.failed("cannot connect to", error))
    }

    async fn try_connect(&self, address: &str, login: &Login) -> TdsResult<TdsClient> {
        let mut context = ClientContext::with_data_source(address);
        context.application_name = "tidemark".to_owned();
        context.database.clone_from(&login.database);
        context.user_name.clone_from(&login.username);
        context.password.clone_from(&login.password);
        context.packet_size = PACKET_BYTES;
        // In whole seconds; the limit around all of it is ours.
        let seconds = u32::try_from(self.timeouts.connect.as_secs())
            .unwrap_or(u32::MAX)
            .max(1);
        context.connect_timeout = seconds;
        context.login_timeout = Some(seconds);
        // A broken connection is replaced here, in one place.
        context.connect_retry_count = 0;
        context.encryption_options.mode = self.encryption;
        context.encryption_options.trust_server_certificate = login.tls == Tls::Trust;
        let provider = TdsConnectionProvider::new();
        within(self.timeouts.connect, provider.create_client(context, address, None))
            .with_subscriber(NoSubscriber::new())
            .await
    }

    async fn execute(&self, client: &mut TdsClient, query: &Query) -> Result<()> {
        let executing = client.execute_sp_executesql(query.sql.clone(), parameters(query), ());
        let result = within(self.timeouts.silence, executing)
            .with_subscriber(NoSubscriber::new())
            .await
            .map_err(|error| self.failed("cannot read from", error))?;
        let has_rows = match result {
            StatementResult::Rows => true,
            StatementResult::End => false,
            // A DECLARE before the SELECT.
            StatementResult::NoRows { .. } => client
                .advance_to_rows()
                .with_subscriber(NoSubscriber::new())
                .await
                .map_err(|error| self.failed("cannot read from", error))?,
        };
        if has_rows {
            Ok(())
        } else {
            Err(Error::new(ErrorCode::SchemaMismatch, "the query returned no columns"))
        }
    }

    /// Runs a batch whose result does not matter.
    async fn batch(&self, client: &mut TdsClient, sql: &str) -> Result<()> {
        let run = async {
            client.execute(sql.to_owned(), ()).await?;
            while client.advance().await? != StatementResult::End {}
            client.close_query().await
        };
        let run = within(self.timeouts.silence, run)
            .with_subscriber(NoSubscriber::new())
            .await;
        run.map_err(|error| self.failed("cannot read from", error))
    }

    /// Whether the one value a query answers is 1.
    async fn answers_yes(&self, client: &mut TdsClient, query: &Query) -> Result<bool> {
        let shape = Shape::new(&[answer_column()], &Format::default(), Timestamps::default())?;
        self.execute(client, query).await?;
        let mut batch = BatchBuilder::new(&shape, self.limits);
        let run = async {
            while fill(client, &mut batch, self.timeouts.silence).await? {}
            within(self.timeouts.silence, client.close_query()).await
        };
        let run = run.with_subscriber(NoSubscriber::new()).await;
        run.map_err(|error| self.failed("cannot read from", error))?;
        let answer = batch.finish()?;
        let answer = answer
            .as_ref()
            .and_then(|batch| batch.column(0).as_primitive_opt::<Int32Type>());
        Ok(answer.is_some_and(|answer| answer.len() == 1 && answer.is_valid(0) && answer.value(0) == 1))
    }

    async fn check(&self, client: &mut TdsClient, guard: &Query) -> Result<()> {
        if self.answers_yes(client, guard).await? {
            return Ok(());
        }
        let message = "the changes of this window are no longer complete: retention has passed, the table was truncated, or \
                       its tracking was switched off. The next run decides by on_expired";
        Err(Error::new(ErrorCode::ChangeTrackingInvalid, message))
    }

    /// Reads the rows of a query that has been executed.
    async fn rows<S: BatchSink>(&self, client: &mut TdsClient, shape: &Shape, sink: &mut S) -> Result<u64> {
        columns::check(shape, client.get_metadata())?;
        let mut batch = BatchBuilder::new(shape, self.limits);
        let mut rows = 0;
        loop {
            let has_more = fill(client, &mut batch, self.timeouts.silence)
                .with_subscriber(NoSubscriber::new())
                .await
                .map_err(|error| self.failed("cannot read from", error))?;
            if let Some(full) = batch.finish()? {
                rows += full.num_rows() as u64;
                sink.push(full).await?;
            }
            if !has_more {
                break;
            }
        }
        if batch.replaced_texts() > 0 {
            warn!(
                values = batch.replaced_texts(),
                "Malformed text was replaced by U+FFFD."
            );
        }
        // Absent when the server was told not to count.
        if let Some(sent) = client.last_result_row_count()
            && sent != rows
        {
            return Err(Error::new(
                ErrorCode::Internal,
                format!("the server sent {sent} rows but {rows} were read"),
            ));
        }
        within(self.timeouts.silence, client.close_query())
            .with_subscriber(NoSubscriber::new())
            .await
            .map_err(|error| self.failed("cannot read from", error))?;
        Ok(rows)
    }

    fn failed(&self, what: &str, error: DriverError) -> Error {
        let Login { host, port, .. } = self.credential.login();
        error_of(error).context(format_args!("{what} {host}:{port}"))
    }
}

impl RowSource for MssqlRows {
    async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64> {
        let mut client = self.start(query).await?;
        let rows = self.rows(&mut client, shape, sink).await?;
        self.client = Some(client);
        Ok(rows)
    }

    /// Whether the database allows `SNAPSHOT` is asked each time, because that can be changed at any time.
    async fn read_guarded<S: BatchSink>(
        &mut self,
        guard: &Query,
        query: &Query,
        shape: &Shape,
        sink: &mut S,
    ) -> Result<u64> {
        // Out of reach until the end: whatever goes wrong, the transaction ends with the connection.
        // Boxed, as the driver's futures are large.
        if let Some(client) = self.client.take() {
            self.kept.put(client);
        }
        let mut client = Box::pin(self.connect()).await?;
        let is_snapshot = self
            .answers_yes(&mut client, &change_tracking::snapshot_allowed())
            .await?;
        if is_snapshot {
            self.batch(&mut client, change_tracking::BEGIN_SNAPSHOT).await?;
        }
        self.check(&mut client, guard).await?;
        self.execute(&mut client, query).await?;
        let rows = self.rows(&mut client, shape, sink).await?;
        self.check(&mut client, guard).await?;
        if is_snapshot {
            self.batch(&mut client, change_tracking::COMMIT_SNAPSHOT).await?;
        }
        self.client = Some(client);
        Ok(rows)
    }
}

impl Drop for MssqlRows {
    /// What is here has answered everything: one that failed, or was not waited for, is gone.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.kept.put(client);
        }
    }
}

/// The column of a query that answers 1 or 0.
fn answer_column() -> Column {
    Column {
        name: "answer".to_owned(),
        sql_type: SqlType::Int,
        nullable: true,
    }
}

/// Decodes rows into the batch until it is full (`true`), has failed (`true`), or there are no more (`false`).
async fn fill(client: &mut TdsClient, batch: &mut BatchBuilder, silence: Duration) -> TdsResult<bool> {
    while !batch.is_full() {
        // Rows that are already here are decoded without a future for each.
        match client.try_next_buffered_row_into(batch)? {
            BufferedRowPoll::Complete => {}
            BufferedRowPoll::Partial => within(silence, client.finish_row_into(batch)).await?,
            BufferedRowPoll::Pending => {
                if !within(silence, client.next_row_into(batch)).await? {
                    return Ok(false);
                }
            }
            BufferedRowPoll::Exhausted => return Ok(false),
        }
    }
    Ok(true)
}

/// The driver has a limit for a whole request only, and a request may take as long as it has rows.
async fn within<T>(limit: Duration, work: impl Future<Output = TdsResult<T>>) -> TdsResult<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let message = format!("nothing came for {} s", limit.as_secs());
        Err(DriverError::TimeoutError(TimeoutErrorType::String(message)))
    })
}

fn parameters(query: &Query) -> Vec<RpcParameter> {
    let values = query.parameters.iter().enumerate();
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

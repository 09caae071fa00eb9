//! Merging the rows of a slice into a table: bulk loads into a temporary table, then one transaction.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use tiberius::error::Error as TdsError;
use tiberius::{SqlBulkCopyOption, ToSql, TokenRow};

use super::cells::Cells;
use super::{Connection, KeptConnection, Server, sink_table};
use crate::adapters::credential::Credential;
use crate::adapters::kept::Opened;
use crate::config::Timeouts;
use crate::error::{Error, ErrorCode, Result};
use crate::merging::Merge;
use crate::ports::merge::{MergeRows, Merged, SliceToMerge, StagedRows};
use crate::query::Query;
use crate::query::merge::{STAGING, drop_staging, lock, session, unlock};
use crate::shape::Shape;

/// How long the server may be silent: a merge, and the wait for another one, take their time. The invocation's deadline
/// comes first.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Timeouts::LOOKUP.connect,
    silence: Duration::from_secs(890),
};
/// Rows handed to a procedure at once.
const ROWS_PER_CALL: u64 = 10_000;

/// A database that slices are merged into.
#[derive(Debug)]
pub struct SinkServer {
    credential: Credential,
    kept: KeptConnection,
}

impl SinkServer {
    /// The database behind a login; nothing is sent yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self {
            credential: login.into(),
            kept: KeptConnection::default(),
        }
    }

    /// The same with the connection that the last slice left in `kept`.
    #[must_use]
    pub fn keeping(self, kept: &KeptConnection) -> Self {
        Self {
            kept: Arc::clone(kept),
            ..self
        }
    }
}

impl MergeRows for SinkServer {
    type Staged = StagedSlice;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<StagedSlice> {
        let server = Server::new(self.credential.clone())
            .with_timeouts(TIMEOUTS)
            .keeping(&self.kept);
        let tables = sink_table::describe(&server, slice.source, slice.sink)
            .await
            .map_err(of_sink)?;
        let columns = slice.shape.columns();
        let merge = Merge::new(slice.source, slice.sink, columns, slice.newest, &tables)?;
        // The temporary table is the session's, and so is the lock: one connection for one slice.
        let connection = server.detach().await.map_err(of_sink)?;
        let loaded = merge.loaded_columns();
        let mut staged = StagedSlice {
            server,
            connection,
            shape: slice.shape.clone(),
            merge,
            loaded,
            locked: false,
        };
        staged.batch(&session()).await?;
        staged.batch(&staged.merge.create_staging()).await?;
        Ok(staged)
    }
}

/// The rows of a slice in a temporary table of their session.
pub struct StagedSlice {
    /// Names the database in errors.
    server: Server,
    connection: Box<Opened<Connection>>,
    shape: Shape,
    merge: Merge,
    loaded: Vec<String>,
    locked: bool,
}

impl fmt::Debug for StagedSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedSlice")
            .field("merge", &self.merge)
            .finish_non_exhaustive()
    }
}

impl StagedSlice {
    /// Runs a statement as a batch, which what it creates and sets outlives.
    async fn batch(&mut self, query: &Query) -> Result<()> {
        let done = match self.connection.simple_query(query.sql.as_str()).await {
            Ok(answer) => answer.into_results().await.map(drop),
            Err(error) => Err(error),
        };
        done.map_err(|error| of_sink(self.server.error(error)))
    }

    /// Runs a statement and counts the rows it changed.
    async fn execute(&mut self, query: &Query) -> Result<u64> {
        let parameters: Vec<&dyn ToSql> = query.parameters.iter().map(|value| value as &dyn ToSql).collect();
        let done = self.connection.execute(query.sql.as_str(), &parameters).await;
        let done = done.map_err(|error| of_sink(self.server.error(error)))?;
        Ok(done.total())
    }

    /// The one number a statement answers.
    async fn number(&mut self, query: &Query) -> Result<i64> {
        let parameters: Vec<&dyn ToSql> = query.parameters.iter().map(|value| value as &dyn ToSql).collect();
        let row = match self.connection.query(query.sql.as_str(), &parameters).await {
            Ok(answer) => answer.into_row().await,
            Err(error) => Err(error),
        };
        let row = row.map_err(|error| of_sink(self.server.error(error)))?;
        let number = row.as_ref().and_then(|row| {
            let wide = row.try_get::<i64, _>(0).ok().flatten();
            wide.or_else(|| row.try_get::<i32, _>(0).ok().flatten().map(i64::from))
        });
        number.ok_or_else(no_number)
    }

    /// The statements of a merge, in a transaction that is begun.
    async fn change(&mut self) -> Result<Merged> {
        let mut merged = Merged::default();
        if self.merge.procedure.is_some() {
            if let Some(query) = self.merge.drop_older() {
                self.execute(&query).await?;
            }
            let last = self.number(&self.merge.last_row()).await?;
            let mut from = 0;
            while i64::try_from(from).is_ok_and(|from| from < last) {
                let to = from + ROWS_PER_CALL;
                if let Some(query) = self.merge.call(from, to) {
                    self.execute(&query).await?;
                }
                from = to;
            }
            return Ok(merged);
        }
        if let Some(query) = self.merge.delete() {
            merged.deleted = self.execute(&query).await?;
        }
        if let Some(query) = self.merge.update() {
            merged.updated = self.execute(&query).await?;
        }
        merged.inserted = self.execute(&self.merge.insert()).await?;
        Ok(merged)
    }

    async fn tidy_up(&mut self) -> Result<()> {
        // First of all, because others wait for it.
        if self.locked && self.number(&unlock(&self.merge.table)).await? != 0 {
            return Err(Error::new(ErrorCode::Internal, "the lock was not held"));
        }
        self.batch(&drop_staging()).await
    }

    async fn transaction(&mut self, request: Request) -> Result<()> {
        let done = match request {
            Request::Begin => self.connection.begin_transaction().await,
            Request::Commit => self.connection.commit_transaction().await,
        };
        done.map_err(|error| of_sink(self.server.error(error)))
    }

    /// An error of a bulk load: what the driver refuses to send is a value its column cannot hold.
    fn not_loaded(&self, error: TdsError) -> Error {
        match &error {
            TdsError::Encoding(_) | TdsError::BulkInput(_) | TdsError::Conversion(_) => {
                let message = format!("a value does not fit into the sink table {}", self.merge.table);
                Error::new(ErrorCode::SchemaMismatch, message)
            }
            _ => of_sink(self.server.error(error)),
        }
    }

    /// Refuses text that its column would change.
    async fn check_texts(&mut self) -> Result<()> {
        let Some(query) = self.merge.unheld_texts() else {
            return Ok(());
        };
        let row = match self.connection.simple_query(query.sql.as_str()).await {
            Ok(answer) => answer.into_row().await,
            Err(error) => Err(error),
        };
        let row = row.map_err(|error| of_sink(self.server.error(error)))?;
        for (at, column) in self.merge.in_code_pages().into_iter().enumerate() {
            let texts = row.as_ref().and_then(|row| row.try_get::<i64, _>(at).ok().flatten());
            let texts = texts.ok_or_else(no_number)?;
            if texts > 0 {
                let name = column.name.as_str();
                let sql_type = column.sql_type;
                let message = format!(
                    "{texts} texts have characters that column {name} of the sink table {}, a {sql_type}, does not hold in the \
                     code page of its collation: make it nvarchar",
                    self.merge.table
                );
                return Err(Error::new(ErrorCode::SchemaMismatch, message));
            }
        }
        Ok(())
    }

    /// Refuses rows with different keys that the table takes for one: all but one of them would be gone.
    async fn check_keys(&mut self) -> Result<()> {
        let Some(query) = self.merge.merged_keys() else {
            return Ok(());
        };
        let keys = self.number(&query).await?;
        if keys == 0 {
            return Ok(());
        }
        let columns: Vec<_> = self.merge.collated_keys().map(|key| key.name.as_str()).collect();
        let message = format!(
            "{keys} keys of the sink table {} stand for several rows each, whose keys differ in what the collation of {} does not \
             tell apart (case, blanks at the end, or more): give these columns the source's collation, or a binary one",
            self.merge.table,
            columns.join(", ")
        );
        Err(Error::new(ErrorCode::SchemaMismatch, message))
    }
}

fn no_number() -> Error {
    Error::new(ErrorCode::SinkRejected, "the sink did not answer with a number")
}

enum Request {
    Begin,
    Commit,
}

impl StagedRows for StagedSlice {
    async fn load(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = self.merge.staged.iter().zip(self.shape.held());
        let cells: Vec<_> = columns
            .zip(batch.columns())
            .map(|((staged, held), array)| Cells::new(array, staged.sql_type, *held, staged.hex))
            .collect();
        let loaded: Vec<&str> = self.loaded.iter().map(String::as_str).collect();
        let outcome = load(&mut self.connection, &loaded, &cells, batch.num_rows()).await;
        match outcome {
            Ok(rows) if rows == batch.num_rows() as u64 => Ok(()),
            Ok(rows) => {
                let message = format!("{} rows were sent to the sink but {rows} arrived", batch.num_rows());
                Err(Error::new(ErrorCode::Internal, message))
            }
            Err(error) => Err(self.not_loaded(error)),
        }
    }

    async fn lock(&mut self) -> Result<()> {
        let granted = self.number(&lock(&self.merge.table)).await?;
        if granted >= 0 {
            self.locked = true;
            return Ok(());
        }
        let message = format!(
            "other slices are merged into {} for too long (sp_getapplock answered {granted})",
            self.merge.table
        );
        Err(Error::new(ErrorCode::SinkUnavailable, message))
    }

    async fn merge(&mut self) -> Result<Merged> {
        self.check_texts().await?;
        self.check_keys().await?;
        if let Some(query) = self.merge.keep_newest() {
            self.execute(&query).await?;
        }
        self.transaction(Request::Begin).await?;
        // After an error the connection is dropped, and the transaction with it.
        let merged = self.change().await?;
        self.transaction(Request::Commit).await?;
        Ok(merged)
    }

    /// Takes back what the session was given, so that its connection can be kept. Where that does not work it ends.
    async fn release(mut self) {
        if let Err(error) = self.tidy_up().await {
            tracing::debug!("The connection to the sink is not kept: {}.", error.report());
            return;
        }
        self.server.attach(self.connection).await;
    }
}

async fn load(
    connection: &mut Connection,
    columns: &[&str],
    cells: &[Cells<'_>],
    rows: usize,
) -> std::result::Result<u64, TdsError> {
    let options = SqlBulkCopyOption::KeepNulls | SqlBulkCopyOption::TableLock;
    let mut request = connection
        .bulk_insert_with_options(STAGING, columns, options, &[])
        .await?;
    for row in 0..rows {
        let mut values = TokenRow::with_capacity(cells.len());
        for cell in cells {
            let value = cell.value(row);
            values.push(value.ok_or_else(|| TdsError::BulkInput("a value outside its type".into()))?);
        }
        request.send(values).await?;
    }
    Ok(request.finalize().await?.total())
}

/// The driver's errors with the codes of the sink.
fn of_sink(error: Error) -> Error {
    let code = match error.code() {
        ErrorCode::SourceUnavailable => ErrorCode::SinkUnavailable,
        ErrorCode::SourceRejected => ErrorCode::SinkRejected,
        other => other,
    };
    error.recoded(code).context("sink")
}

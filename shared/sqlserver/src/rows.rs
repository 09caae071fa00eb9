//! Reads the rows of a slice with Microsoft's own driver (`mssql-tds`) into record batches.
//!
//! The driver hands each value, as soon as it is decoded, to a [`BatchBuilder`], which appends it to Arrow buffers.

mod audit;
mod batch_builder;
mod code_page;
mod column_builder;
mod double_byte;
mod limits;
#[cfg(test)]
mod masking_tests;
mod result_columns;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod type_tests;
mod wire_text;

use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use mssql_tds::connection::tds_client::{BufferedRowPoll, ResultSet};
use mssql_tds::core::TdsResult;
use mssql_tds::datatypes::column_values::ColumnValues;
use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::rows::{Changes, Rows};
use tidemark::model::types::{Column, of_source};
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};
use tracing::warn;

pub use self::batch_builder::BatchBuilder;
pub use self::limits::BatchLimits;
use crate::login::{Credential, Login};
use crate::masks::{self, MaskKey};
use crate::session::{KeptConnection, Mssql, MssqlClient, Opened, Session, Timeouts, within};
use crate::source::changes::NOT_OF_REPLICAS;
use crate::statements::{self, Statement, change_tracking};

/// A reader of rows over one session. When it is dropped, its connection stays for the next reader that
/// [keeps](Self::keeping) connections in the same place.
pub struct RowReader {
    session: Session<Mssql>,
    limits: BatchLimits,
}

impl fmt::Debug for RowReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowReader")
            .field("session", &self.session)
            .field("limits", &self.limits)
            .finish()
    }
}

impl RowReader {
    /// Makes a reader for the database of a login. No connection is opened yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self::with_limits(login, BatchLimits::default())
    }

    /// Makes a reader like [`new`](Self::new), with other limits.
    #[must_use]
    pub fn with_limits(login: impl Into<Credential>, limits: BatchLimits) -> Self {
        Self {
            session: Session::new(login).with_timeouts(Timeouts::ROWS),
            limits,
        }
    }

    /// Sets other timeouts than [`Timeouts::ROWS`]. The silence is measured before the first row, between two rows and
    /// within a row.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self {
            session: self.session.with_timeouts(timeouts),
            ..self
        }
    }

    /// Uses the connection that an earlier session left in `kept`, if it still answers, and leaves its own there when
    /// dropped.
    #[must_use]
    pub fn keeping(self, kept: &KeptConnection<Mssql>) -> Self {
        Self {
            session: self.session.keeping(kept),
            ..self
        }
    }

    /// Makes a reader without encryption, for the replaying server of tests and measurements. No function uses it.
    #[must_use]
    pub fn unencrypted(login: Login, limits: BatchLimits) -> Self {
        let session = Session::with_driver(Mssql::unencrypted(), login).with_timeouts(Timeouts::ROWS);
        Self { session, limits }
    }

    /// Executes the statement up to its first row. If the open connection turns out to be broken, it is replaced once.
    async fn start(&self, statement: &Statement) -> Answer<Box<Opened<Mssql>>> {
        if let Some(mut client) = self.session.take_open().await {
            match self.execute(&mut client, statement).await {
                Ok(()) => return Ok(client),
                Err(failure) if failure.is_transient() => self.session.give_up(client).await,
                Err(failure) => return Err(failure),
            }
        }
        let mut client = Box::pin(self.session.connect()).await?;
        match self.execute(&mut client, statement).await {
            Ok(()) => Ok(client),
            Err(failure) => self.session.settle(client, Err(failure)).await,
        }
    }

    async fn execute(&self, client: &mut Opened<Mssql>, statement: &Statement) -> Answer<()> {
        if self.session.begin_rows(client, statement).await? {
            return Ok(());
        }
        Err(Error::new(ErrorCode::SchemaMismatch, "the statement returned no columns").into())
    }

    /// Returns whether the only value in the result of a statement is 1.
    async fn answers_yes(&self, client: &mut Opened<Mssql>, statement: &Statement) -> Answer<bool> {
        let rows = self.session.all_rows(client, statement).await?;
        Ok(rows == [[ColumnValues::Int(1)]])
    }

    async fn check(&self, client: &mut Opened<Mssql>, changes: &Changes<'_>) -> Answer<()> {
        if self
            .answers_yes(client, &change_tracking::are_complete(changes))
            .await?
        {
            return Ok(());
        }
        let message = "the changes of this window are no longer complete: retention has passed, the table was truncated, or \
                       its tracking was switched off. The next run decides by on_expired";
        Err(Error::new(ErrorCode::ChangeTrackingInvalid, message).into())
    }

    /// Makes a batch of these columns, with the key for hashes if any of the columns is hashed.
    async fn batch_of(&self, columns: &[Column]) -> Answer<BatchBuilder> {
        let batch = BatchBuilder::new(columns, self.limits);
        let Some(column) = masks::hashed(columns) else {
            return Ok(batch);
        };
        let secret = self
            .session
            .masks()
            .ok_or_else(|| masks::no_key().context(&column.name))?;
        Ok(batch.hashing_by(secret.key().await?))
    }

    /// Reads the rows of a statement that has been executed.
    async fn rows<T: TakeBatches<RecordBatch>>(
        &self,
        client: &mut MssqlClient,
        columns: &[Column],
        mut batch: BatchBuilder,
        batches: &mut T,
    ) -> Answer<RowsRead> {
        result_columns::check(of_source(columns), client.get_metadata())?;
        let silence = self.session.timeouts().silence;
        let mut rows = 0;
        loop {
            let has_more = self.session.watch(fill(client, &mut batch, silence)).await?;
            let is_large = batch.is_large();
            if let Some(full) = batch.finish()? {
                rows += full.num_rows() as u64;
                batches.take(full).await?;
                if is_large {
                    batches.catch_up().await?;
                }
            }
            if !has_more {
                break;
            }
        }
        let mut malformed_texts = MalformedTexts::default();
        for (column, values) in batch.replaced_texts() {
            malformed_texts.count(column, values);
            warn!(column, values, "Malformed text was replaced by U+FFFD.");
        }
        // The count is absent when the server was told not to count.
        if let Some(sent) = client.last_result_row_count()
            && sent != rows
        {
            let message = format!("the server sent {sent} rows but {rows} were read");
            return Err(Error::new(ErrorCode::Internal, message).into());
        }
        self.session.ask(client.close_query()).await?;
        Ok(RowsRead {
            rows,
            malformed_texts,
            mask_key: batch.mask_key().map(MaskKey::name),
        })
    }

    /// Reads changes, and checks before and after that the server still has all of them. Where the database allows it,
    /// this happens in one SNAPSHOT transaction.
    ///
    /// The database is asked each time, because the setting can be changed at any time.
    async fn changes<T: TakeBatches<RecordBatch>>(
        &self,
        client: &mut Opened<Mssql>,
        changes: &Changes<'_>,
        columns: &[Column],
        batch: BatchBuilder,
        batches: &mut T,
    ) -> Answer<RowsRead> {
        let statement = statements::rows(&Rows::Changes(*changes), columns)?;
        let is_snapshot = self.answers_yes(client, &change_tracking::snapshot_allowed()).await?;
        if is_snapshot {
            self.session.request(client, change_tracking::BEGIN_SNAPSHOT).await?;
        }
        self.check(client, changes).await?;
        self.execute(client, &statement).await?;
        let rows = self.rows(client, columns, batch, batches).await?;
        self.check(client, changes).await?;
        if is_snapshot {
            self.session.request(client, change_tracking::COMMIT_SNAPSHOT).await?;
        }
        Ok(rows)
    }
}

impl ExplainRows for RowReader {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        let Statement { sql, parameters } = statements::rows(rows, columns)?;
        Ok(Explained { sql, parameters })
    }
}

impl ReadRows for RowReader {
    type Batch = RecordBatch;

    async fn read<T: TakeBatches<RecordBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead> {
        let batch = Box::pin(self.batch_of(columns)).await?;
        if let Rows::Changes(changes) = rows {
            self.session.refuse_replica(NOT_OF_REPLICAS)?;
            // The session has no access to the connection meanwhile: if anything fails, the connection is closed, and
            // its transaction with it.
            let mut client = self.session.take_clean().await?;
            let outcome = Box::pin(self.changes(&mut client, changes, columns, batch, batches)).await;
            return self.session.settle(client, outcome).await;
        }
        let statement = statements::rows(rows, columns)?;
        let mut client = Box::pin(self.start(&statement)).await?;
        let outcome = Box::pin(self.rows(&mut client, columns, batch, batches)).await;
        self.session.settle(client, outcome).await
    }
}

/// Decodes rows into the batch. Returns `true` when the batch is full or has failed, and `false` when there are no more
/// rows.
async fn fill(client: &mut MssqlClient, batch: &mut BatchBuilder, silence: Duration) -> TdsResult<bool> {
    while !batch.is_full() {
        // Rows that have already arrived are decoded without a future for each.
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

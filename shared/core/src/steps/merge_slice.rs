//! Copying rows into a table of another database: they are read and loaded beside the table at once, then merged under
//! a lock.
//!
//! ```text
//! read ──batches──▶ load into the staging table │ lock, look for the record, merge, write the record
//! ```
//!
//! The lock is kept from before the record is looked for until after it is written. So a slice is merged only while it
//! has no record, and nothing of a later window can have been merged by then. An attempt that was overtaken finds the
//! record and merges nothing. A slice is split without the lock; its sub-slices are merged under it, and so after an
//! overtaken copy of the whole slice.

use tokio::sync::mpsc;

use super::upload_slice::{SliceRows, check_rows, read};
use crate::error::{OfRole, Result, Role};
use crate::ledger::{Decided, Ledger};
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::record::{Attempt, Decision, Record};
use crate::model::sink::SqlServerSink;
use crate::model::table::Tracking;
use crate::ports::objects::{CreateObjects, ReadObjects};
use crate::ports::rows::{ReadRows, RowsRead};
use crate::ports::sink_table::{MergeRows, Merged, Newest, SliceToMerge, StagedRows};
use crate::steps::context::Progress;

/// How many batches wait between the reader and the loading: one is filled while another one is loaded.
const BATCHES_AHEAD: usize = 1;

/// A slice to merge, and where to.
pub(super) struct Merging<'a> {
    /// The window's plan.
    pub(super) plan: &'a Plan,
    /// The slice's rows.
    pub(super) slice: SliceRows<'a>,
    /// The table that they go to, as the event names it.
    pub(super) sink: &'a SqlServerSink,
    /// The attempt at the slice.
    pub(super) attempt: Attempt,
    /// The run's id.
    pub(super) run_id: String,
    /// A function that is told how far the loading is.
    pub(super) progress: fn(Progress),
}

/// What is decided of a slice, and by whom.
pub(super) struct DecidedSlice {
    /// The record that counts.
    pub(super) record: Record,
    /// Whether the record is that of another attempt.
    pub(super) resumed: bool,
}

impl Merging<'_> {
    /// Merges the rows and writes the record.
    pub(super) async fn merge<R, M, S>(self, reader: &mut R, sinks: &M, ledger: &Ledger<'_, S>) -> Result<DecidedSlice>
    where
        R: ReadRows,
        M: MergeRows<Batch = R::Batch>,
        S: ReadObjects + CreateObjects,
    {
        let newest = match &self.plan.tracking {
            Tracking::Watermark(tracking) => Newest::Watermark(&tracking.column),
            Tracking::ChangeTracking(_) => Newest::Version,
        };
        let to_merge = SliceToMerge {
            source: &self.plan.table,
            sink: self.sink,
            columns: self.slice.columns,
            newest,
        };
        // The futures of databases are boxed, because they are large and deep.
        let mut staged = Box::pin(sinks.stage(&to_merge)).await.of(Role::Sink)?;
        let RowsRead {
            rows,
            malformed_texts,
            mask_key,
        } = Box::pin(self.load(reader, &mut staged)).await?;
        let mut decision = Decision::Empty;
        if rows > 0 {
            Box::pin(staged.lock()).await.of(Role::Sink)?;
            let slice = &self.attempt.slice;
            // Rows of a plan that is gone may be older than rows that are merged already.
            if let Err(error) = ledger.check_current(self.plan).await {
                staged.release().await;
                return Err(error);
            }
            if let Decided::Record(record) = ledger.decided(self.plan, slice).await? {
                tracing::info!(table = %self.plan.table, %slice, "Another attempt decided this slice first.");
                staged.release().await;
                return Ok(DecidedSlice { record, resumed: true });
            }
            let merged = Box::pin(staged.merge()).await.of(Role::Sink)?;
            tell(&self.plan.table, self.sink.table(&self.plan.table), merged);
            decision = Decision::Merged { rows };
        }
        let own = Record::new(self.attempt, decision, self.run_id).with_found(malformed_texts, mask_key);
        let record = ledger.decide(own.clone()).await?;
        staged.release().await;
        let resumed = record != own;
        Ok(DecidedSlice { record, resumed })
    }

    /// Reads the rows and loads them beside their table, both at once. Returns what was read.
    async fn load<R: ReadRows, T: StagedRows<R::Batch>>(&self, reader: &mut R, staged: &mut T) -> Result<RowsRead> {
        let (batches, mut batches_read) = mpsc::channel(BATCHES_AHEAD);
        let reading = read(reader, self.slice, batches);
        let loading = async {
            let mut loaded = 0;
            while let Some(batch) = batches_read.recv().await {
                loaded += staged.load(batch).await.of(Role::Sink)?;
                (self.progress)(Progress::RowsLoaded(loaded));
            }
            Ok(loaded)
        };
        let (read, loaded) = tokio::try_join!(reading, loading)?;
        check_rows(read.rows, loaded, "the sink's temporary table")?;
        Ok(read)
    }
}

fn tell(table: &ObjectName, sink_table: &ObjectName, merged: Merged) {
    let Merged {
        updated,
        inserted,
        deleted,
    } = merged;
    tracing::info!(%table, %sink_table, updated, inserted, deleted, "Slice merged.");
}

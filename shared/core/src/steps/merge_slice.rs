//! Rows into a table of another database: read and loaded beside it at once, then merged under a lock.
//!
//! ```text
//! read ──batches──▶ load into the staging table │ lock, look for the record, merge, write the record
//! ```
//!
//! The lock is kept from before the record is looked for until after it is written. So a slice is merged only while it has no
//! record, and nothing of a later window can have been merged by then: an attempt that was overtaken finds the record and
//! merges nothing.
//! A slice is split without the lock; its sub-slices are merged under it, hence after a copy that was overtaken so.

use tidemark::error::Result;
use tidemark::ledger::{Ledger, PartRecord, Plan, Slice};
use tidemark::merging::Newest;
use tidemark::ports::merge::{MergeRows, Merged, SliceToMerge, StagedRows};
use tidemark::ports::objects::{CreateObjects, ReadObjects};
use tidemark::ports::rows::RowSource;
use tidemark::runner::progress;
use tidemark::shape::Shape;
use tidemark::sink::SqlServerSink;
use tidemark::table::Tracking;
use tokio::sync::mpsc;

use crate::check_rows;
use crate::stage::{Sink, read};

/// Batches between the reader and the loading: one to fill while one is loaded.
const BATCHES_AHEAD: usize = 1;

/// Merges the rows of `slice` into the table of `sink` and writes `record`, with their number. Returns the record that holds,
/// and whether it is another attempt's.
pub(crate) async fn merge<R, M, S>(
    rows: &mut R,
    slice: &Slice,
    sinks: &M,
    sink: &SqlServerSink,
    plan: &Plan,
    ledger: &Ledger<'_, S>,
    record: PartRecord,
) -> Result<(PartRecord, bool)>
where
    R: RowSource,
    M: MergeRows,
    S: ReadObjects + CreateObjects,
{
    let shape = Shape::exact(&plan.columns)?;
    let newest = match &plan.tracking {
        Tracking::Watermark(tracking) => Newest::Watermark(&tracking.column),
        Tracking::ChangeTracking(_) => Newest::Version,
    };
    let to_merge = SliceToMerge {
        source: &plan.table,
        sink,
        shape: &shape,
        newest,
    };
    let mut staged = sinks.stage(&to_merge).await?;
    let read = load(rows, slice, &shape, &mut staged).await?;
    if read > 0 {
        staged.lock().await?;
        if let (_, Some(decided)) = ledger.decision(&record.window, &record.slice).await? {
            tracing::info!(table = %plan.table, slice = %record.slice, "Another attempt decided this slice first.");
            staged.release().await;
            return Ok((decided, true));
        }
        let Merged {
            updated,
            inserted,
            deleted,
        } = staged.merge().await?;
        let sink_table = sink.table(&plan.table);
        tracing::info!(table = %plan.table, %sink_table, updated, inserted, deleted, "Slice merged.");
    }
    let record = PartRecord { rows: read, ..record };
    let decided = ledger.decide(record.clone()).await?;
    let resumed = decided != record;
    staged.release().await;
    Ok((decided, resumed))
}

/// Reads the rows and loads them beside their table, both at once. Returns how many there were.
async fn load<R: RowSource, T: StagedRows>(rows: &mut R, slice: &Slice, shape: &Shape, staged: &mut T) -> Result<u64> {
    let (batches, mut batches_read) = mpsc::channel(BATCHES_AHEAD);
    let reading = async {
        // Dropped at the end of the reading, which tells the loading that nothing more can come.
        let mut sink = Sink { batches };
        read(rows, slice, shape, &mut sink).await
    };
    let loading = async {
        let mut loaded = 0;
        while let Some(batch) = batches_read.recv().await {
            staged.load(&batch).await?;
            loaded += batch.num_rows() as u64;
            progress(&format!("{loaded} rows loaded"));
        }
        Ok(loaded)
    };
    let (read, loaded) = tokio::try_join!(reading, loading)?;
    check_rows(read, loaded)?;
    Ok(read)
}

//! Step 3: copies one slice of a frozen window.
//!
//! Streams the rows into a multipart upload, does not complete it, and writes the slice's decision record. Whoever
//! loses the race for the record gives its own upload up. Into a table of another database the rows are merged, and the
//! record is written after that.

mod merge;
mod stage;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::ObjectName;
use tidemark::ledger::{Ledger, PartRecord, SliceId, WindowName};
use tidemark::ports::merge::MergeRows;
use tidemark::ports::objects::{CreateObjects, ReadObjects, StageObjects, Upload};
use tidemark::ports::rows::RowSource;
use tidemark::query::Query;
use tidemark::runner::{Answer, RunContext};
use tidemark::shape::Shape;
use tidemark::sink::SinkSpec;
use tidemark::steps::Split;
use tokio::time::Instant;

use stage::PartToBe;

/// What is kept back from the invocation's time to give the upload up in order.
const DEADLINE_MARGIN: Duration = Duration::from_secs(10);

/// The slice to copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The run, the execution's name.
    pub run_id: String,
    /// The table.
    pub table: ObjectName,
    /// The window, as `lookup-new-watermark` named it.
    pub window: WindowName,
    /// The slice: its number in the plan, from 0, or the name of a sub-slice.
    pub slice: SliceId,
    /// Whether to write nothing and show what would be run.
    #[serde(default)]
    pub dry_run: bool,
}

impl Request {
    /// What every line logged for this request says.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("copy", run_id = %self.run_id, table = %self.table, window = %self.window, slice = %self.slice)
    }
}

/// What became of the slice.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// It is copied, and its upload decided; or merged into its table.
    Copied {
        /// The table.
        table: ObjectName,
        /// The window.
        window: WindowName,
        /// The slice.
        slice: SliceId,
        /// Rows in its part.
        rows: u64,
        /// Bytes of its part.
        bytes: u64,
        /// The key its part will be visible under; none when the slice has no rows, or is merged into a table.
        key: Option<String>,
        /// Whether an earlier or concurrent attempt had copied it.
        resumed: bool,
    },
    /// It was split: these are copied in its place.
    Split(Split),
    /// What would be run, for a dry run.
    DryRun {
        /// The statement.
        dry_run: Query,
        /// The key its part would be visible under.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The table its rows would be merged into.
        #[serde(skip_serializing_if = "Option::is_none")]
        sink_table: Option<ObjectName>,
    },
}

impl Answer for Response {}

/// Copies the slice of the request, or finds it copied.
///
/// Errors: `LedgerInvalid` when the window has no plan, `InvalidInput` when the plan has no such slice,
/// `SchemaMismatch` when the source's columns are no longer those of the plan, `ChangeTrackingInvalid` when its changes
/// are no longer complete, `DeadlineExceeded` when the slice does
/// not fit into the invocation, and whatever the ports say. After an error nothing of this attempt is left but, at
/// worst, an upload that the bucket's lifecycle rule removes, or rows that a repetition merges again.
pub async fn handle<R, M, S>(
    rows: &mut R,
    sinks: &M,
    store: &S,
    prefix: &str,
    part_bytes: usize,
    request: Request,
    context: RunContext,
) -> Result<Response>
where
    R: RowSource,
    M: MergeRows,
    S: ReadObjects + CreateObjects + StageObjects,
{
    let Request {
        run_id,
        table,
        window,
        slice,
        dry_run,
    } = request;
    let ledger = Ledger::new(store, prefix, &table);
    let plan = ledger.frozen_plan(&window).await?;
    let planned = ledger.slice(&plan, &slice).await?;
    let sink = plan.sink.as_ref().map(|SinkSpec::SqlServer(sink)| sink);
    let key = ledger.keys().part(&plan, &slice);
    if dry_run {
        return Ok(Response::DryRun {
            dry_run: planned.query,
            key: sink.is_none().then_some(key),
            sink_table: sink.map(|sink| sink.table(&table).clone()),
        });
    }
    let (attempt, decided) = ledger.decision(&window, &slice).await?;
    if let Some(record) = decided {
        return Ok(answer(table, record, true));
    }

    let deadline = context
        .deadline
        .map(|deadline| deadline.checked_sub(DEADLINE_MARGIN).unwrap_or(deadline));
    let record = PartRecord::new(window, slice, attempt, run_id);
    if let Some(sink) = sink {
        let merging = merge::merge(rows, &planned, sinks, sink, &plan, &ledger, record);
        let (record, resumed) = within(deadline, Box::pin(merging))
            .await
            .map_err(|error| error.context(&table))?;
        return Ok(answer(table, record, resumed));
    }
    let shape = Shape::new(&plan.columns, &plan.format, plan.timestamps)?;
    let part = PartToBe {
        key: &key,
        format: &plan.format,
        part_bytes,
    };
    let staging = stage::stage(rows, &planned, &shape, store, &part, deadline);
    let (row_count, staged) = staging.await.map_err(|error| error.context(&table))?;
    let own = staged.as_ref().map(|staged| Upload {
        key: staged.key.clone(),
        id: staged.upload_id.clone(),
        token: staged.token.clone(),
    });
    let record = PartRecord {
        rows: row_count,
        staged,
        ..record
    };
    let decided = ledger.decide(record).await?;
    let lost = own.filter(|own| decided.staged.as_ref().is_none_or(|staged| staged.token != own.token));
    if let Some(upload) = &lost {
        tracing::info!(%table, slice = %decided.slice, "Another attempt decided this slice first.");
        stage::give_up(store, upload).await;
    }
    Ok(answer(table, decided, lost.is_some()))
}

/// `work`, if it is done before the deadline.
pub(crate) async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(deadline) = deadline else { return work.await };
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let message = "the slice does not fit into one invocation: raise the function's memory, and with it its speed, \
                       or copy fewer columns";
        Err(Error::new(ErrorCode::DeadlineExceeded, message))
    })
}

/// Every row that was read must have arrived.
pub(crate) fn check_rows(read: u64, arrived: u64) -> Result<()> {
    if read == arrived {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Internal,
        format!("{read} rows were read but {arrived} arrived"),
    ))
}

fn answer(table: ObjectName, record: PartRecord, resumed: bool) -> Response {
    let sub_slices: Vec<_> = record.sub_slices().collect();
    let PartRecord {
        window,
        slice,
        rows,
        staged,
        ..
    } = record;
    if !sub_slices.is_empty() {
        tracing::info!(%table, %window, %slice, sub_slices = sub_slices.len(), "Slice was split.");
        return Response::Split(Split {
            table,
            window,
            slice,
            slices: sub_slices,
        });
    }
    let (key, bytes) = staged.map_or((None, 0), |staged| (Some(staged.key), staged.bytes));
    tracing::info!(%table, %window, %slice, rows, bytes, resumed, "Slice copied.");
    Response::Copied {
        table,
        window,
        slice,
        rows,
        bytes,
        key,
        resumed,
    }
}

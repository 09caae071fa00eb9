//! Step 3: copies one slice of a frozen window.
//!
//! It streams the rows into a multipart upload, does not complete it, and writes the slice's decision record. An
//! attempt that another one forestalls at the record gives its own upload up. For a table of another database, the rows
//! are merged first, and the record is written after that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::merge_slice::{DecidedSlice, Merging};
use super::upload_slice::{self, PartToBe, SliceRows, UploadedSlice, Watch, within};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Decided, Lease, Ledger, Place, RunLease, Taken};
use crate::model::budget::Spent;
use crate::model::cost::Usd;
use crate::model::left_alone::TableLeftAlone;
use crate::model::lookup::Split;
use crate::model::moment::Moment;
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::record::{Attempt, Decision, Record};
use crate::model::sink::{SinkSpec, SqlServerSink};
use crate::model::slice_id::SliceId;
use crate::model::table::RunSettings;
use crate::model::window::WindowName;
use crate::ports::files::EncodeFiles;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, Upload, UploadObjects};
use crate::ports::rows::{ExplainRows, Explained, ReadRows};
use crate::ports::sink_table::MergeRows;
use crate::steps::context::{Measured, RunContext};

/// The time that is kept back from the invocation to give the upload up in order.
const DEADLINE_MARGIN: Duration = Duration::from_secs(10);

/// The request to copy a slice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// The table.
    pub table: ObjectName,
    /// The window, as `lookup-new-watermark` named it.
    pub window: WindowName,
    /// The slice: its number in the plan, from 0, or the name of a sub-slice.
    pub slice: SliceId,
    /// The settings of the table that name what is run or opened for it.
    #[serde(default)]
    pub settings: RunSettings,
    /// Whether to write nothing and show what would be run.
    #[serde(default)]
    pub dry_run: bool,
}

impl CopyRequest {
    /// Returns the span with the fields that every line logged for this request has.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("copy", run_id = %self.run_id, table = %self.table, window = %self.window, slice = %self.slice)
    }
}

/// What became of the slice.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum CopyAnswer {
    /// The slice is copied, and its upload decided; or it is merged into its table.
    Copied(CopiedSlice),
    /// The slice was split. Its sub-slices are copied in its place.
    Split(Split),
    /// The slice is left alone, because another run is copying its table, or somebody has paused it.
    LeftAlone(TableLeftAlone),
    /// The slice is left to the next run, because this run has copied as much as it may.
    Stopped(StoppedSlice),
    /// What would be run, for a dry run.
    DryRun(CopyDryRun),
}

/// A copied slice.
#[derive(Debug, Serialize)]
pub struct CopiedSlice {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// The number of rows in its part.
    pub rows: u64,
    /// The number of bytes of its part.
    pub bytes: u64,
    /// The key under which its part will be visible. `None` when the slice has no rows, or is merged into a table.
    pub key: Option<String>,
    /// Whether an earlier or concurrent attempt had copied it.
    pub resumed: bool,
}

/// A slice that is left to the next run.
#[derive(Debug, Serialize)]
pub struct StoppedSlice {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// The number of rows that this run has copied, of all its tables.
    pub rows_copied: u64,
    /// The number of bytes of their files.
    pub bytes_copied: u64,
    /// The estimated cost of them.
    pub usd: Usd,
}

/// What would be run for a slice.
#[derive(Debug, Serialize)]
pub struct CopyDryRun {
    /// The statement.
    pub dry_run: Explained,
    /// The key under which its part would be visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The table into which its rows would be merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink_table: Option<ObjectName>,
}

impl Measured for CopyAnswer {}

/// What a copy needs from the outside.
#[derive(Debug)]
pub struct CopyPorts<'a, R, E, M, S> {
    /// The reader of the rows.
    pub reader: &'a mut R,
    /// The maker of files of the rows.
    pub files: &'a E,
    /// The databases that rows are merged into.
    pub sinks: &'a M,
    /// Where the table's files and its ledger are.
    pub place: Place<'a, S>,
    /// The size of an upload's pieces in bytes.
    pub part_bytes: usize,
}

/// Copies the slice of the request, or finds it copied.
///
/// After an error, the most that is left of this attempt is an upload that the bucket's lifecycle rule removes, or rows
/// that a repetition merges again.
///
/// # Errors
///
/// `LedgerInvalid` when the window has no plan; `InvalidInput` when the plan has no such slice or was frozen with other
/// settings; `SchemaMismatch` when the source's columns are no longer those of the plan; `ChangeTrackingInvalid` when
/// its changes are no longer complete; `DeadlineExceeded` when the slice does not fit into the invocation; and the
/// errors of the ports.
pub async fn copy<R, E, M, S>(
    ports: CopyPorts<'_, R, E, M, S>,
    request: CopyRequest,
    context: RunContext,
) -> Result<CopyAnswer>
where
    R: ReadRows + ExplainRows,
    E: EncodeFiles<Batch = R::Batch>,
    M: MergeRows<Batch = R::Batch>,
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects,
{
    let table = request.table.clone();
    let ledger = Ledger::new(ports.place, &table);
    let plan = ledger.frozen_plan(&request.window, &request.settings).await?;
    let bounds = ledger.slice(&plan, &request.slice).await?;
    let rows = plan
        .slice_rows(&bounds, &request.settings)
        .ok_or_else(|| no_rows(&plan))?;
    let sink = request.settings.sink.as_ref().map(|SinkSpec::SqlServer(sink)| sink);
    let key = ledger.keys().part(&plan, &request.slice);
    if request.dry_run {
        let dry_run = ports.reader.explain(&rows, &plan.columns).of(Role::Source)?;
        return Ok(CopyAnswer::DryRun(CopyDryRun {
            dry_run,
            key: sink.is_none().then_some(key),
            sink_table: sink.map(|sink| sink.table(&table).clone()),
        }));
    }
    let attempt = match ledger.decided(&plan, &request.slice).await? {
        Decided::Record(record) => return answer(table, record, true),
        Decided::NotYet(attempt) => attempt,
    };
    let lease = Lease::new(&ledger, &request.run_id, context.leases);
    let run = RunLease::new(&ledger, &request.run_id);
    if let Some(left) = left(&request, &attempt, &lease, &run, context).await? {
        return Ok(left);
    }
    let copying = Copying {
        plan: &plan,
        slice: SliceRows {
            rows,
            columns: &plan.columns,
            mask_key: plan.mask_key.as_deref(),
        },
        attempt,
        run_id: request.run_id.clone(),
        begun_at: context.moment(),
        watch: Watch {
            deadline: deadline(context),
            progress: context.progress,
        },
    };
    let copied = lease.renewed_during(context.now, async {
        match sink {
            Some(sink) => copying.into_table(ports, sink, &ledger).await,
            None => copying.into_file(ports, &key, &ledger).await,
        }
    });
    match Box::pin(copied).await {
        Ok(decided) => counted(decided, table.clone(), &run, context).await,
        // The lease stays taken, because other slices of the table may be under way. Whoever reports the failure of the
        // table gives it back.
        Err(error) => Err(error.of_table(&table)),
    }
}

/// Returns the answer when the slice is left to somebody else. Otherwise returns `None`, and the lease is this run's.
async fn left<S>(
    request: &CopyRequest,
    attempt: &Attempt,
    lease: &Lease<'_, S>,
    run: &RunLease<'_, S>,
    context: RunContext,
) -> Result<Option<CopyAnswer>>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    // A slice that was copied before and whose upload expired does not count against the budget.
    if !context.budget.is_unlimited() && attempt.number == 0 {
        let spent = run.spent().await?;
        if context.budget.is_spent(spent) {
            return Ok(Some(stopped(request, spent, context)));
        }
    }
    Ok(match lease.take(context.now).await? {
        Taken::Ours => None,
        Taken::KeptBy(keeper) => {
            let left_alone = TableLeftAlone::new(request.table.clone(), keeper);
            left_alone.tell();
            Some(CopyAnswer::LeftAlone(left_alone))
        }
    })
}

/// Returns the answer for a slice that is decided, and counts the slice where a budget limits the run.
async fn counted<S>(
    decided: DecidedSlice,
    table: ObjectName,
    run: &RunLease<'_, S>,
    context: RunContext,
) -> Result<CopyAnswer>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let DecidedSlice { record, resumed } = decided;
    if !context.budget.is_unlimited() && !resumed {
        run.try_to_count(context.now, record.spent()).await;
    }
    answer(table, record, resumed)
}

/// Returns when the copy of a slice is given up.
fn deadline(context: RunContext) -> Option<tokio::time::Instant> {
    let deadline = context.deadline?;
    Some(deadline.checked_sub(DEADLINE_MARGIN).unwrap_or(deadline))
}

/// One attempt at a slice.
struct Copying<'a> {
    plan: &'a Plan,
    slice: SliceRows<'a>,
    attempt: Attempt,
    run_id: String,
    begun_at: Moment,
    watch: Watch,
}

impl Copying<'_> {
    async fn into_table<R, E, M, S>(
        self,
        ports: CopyPorts<'_, R, E, M, S>,
        sink: &SqlServerSink,
        ledger: &Ledger<'_, S>,
    ) -> Result<DecidedSlice>
    where
        R: ReadRows,
        M: MergeRows<Batch = R::Batch>,
        S: ReadObjects + CreateObjects,
    {
        let Watch { deadline, progress } = self.watch;
        let merging = Merging {
            plan: self.plan,
            slice: self.slice,
            sink,
            attempt: self.attempt,
            run_id: self.run_id,
            progress,
        };
        // Boxed, because the driver's futures are large.
        within(deadline, Box::pin(merging.merge(ports.reader, ports.sinks, ledger))).await
    }

    async fn into_file<R, E, M, S>(
        self,
        ports: CopyPorts<'_, R, E, M, S>,
        key: &str,
        ledger: &Ledger<'_, S>,
    ) -> Result<DecidedSlice>
    where
        R: ReadRows,
        E: EncodeFiles<Batch = R::Batch>,
        S: ReadObjects + CreateObjects + UploadObjects,
    {
        let format = &self.plan.format;
        let encoder = |bytes| {
            ports
                .files
                .encoder(&self.plan.columns, &self.plan.field_ids, format, bytes)
        };
        let part = PartToBe {
            key,
            format,
            part_bytes: ports.part_bytes,
        };
        let upload = upload_slice::upload_slice(ports.reader, self.slice, encoder, ports.place.store, part, self.watch);
        let UploadedSlice {
            rows,
            malformed_texts,
            mask_key,
            upload,
        } = upload.await?;
        let own = upload.as_ref().map(Upload::from);
        let decision = upload.map_or(Decision::Empty, |upload| Decision::Uploaded {
            rows,
            begun_at: self.begun_at,
            upload,
        });
        let own_record = Record::new(self.attempt, decision, self.run_id).with_found(malformed_texts, mask_key);
        let record = ledger.decide(own_record).await?;
        let decided = record.upload().map(|upload| upload.token.as_str());
        let lost = own.filter(|own| decided != Some(own.token.as_str()));
        if let Some(upload) = &lost {
            tracing::info!(table = %self.plan.table, slice = %record.slice, "Another attempt decided this slice first.");
            upload_slice::give_up(ports.place.store, upload).await;
        }
        let resumed = lost.is_some();
        Ok(DecidedSlice { record, resumed })
    }
}

fn stopped(request: &CopyRequest, spent: Spent, context: RunContext) -> CopyAnswer {
    let (table, window, slice) = (request.table.clone(), request.window.clone(), request.slice.clone());
    let Spent { rows, bytes, .. } = spent;
    let usd = spent.usd(context.budget.memory);
    tracing::warn!(%table, %window, %slice, rows, bytes, %usd, "The budget of the run is spent; the next run copies this slice.");
    CopyAnswer::Stopped(StoppedSlice {
        table,
        window,
        slice,
        rows_copied: rows,
        bytes_copied: bytes,
        usd,
    })
}

fn no_rows(plan: &Plan) -> Error {
    let message = format!(
        "window {} of {} has no slices to copy: commit it",
        plan.window, plan.table
    );
    Error::new(ErrorCode::InvalidInput, message)
}

fn answer(table: ObjectName, record: Record, resumed: bool) -> Result<CopyAnswer> {
    let rows = record.rows();
    let slices: Vec<_> = record.sub_slices()?.into_iter().map(|sub_slice| sub_slice.id).collect();
    let Record {
        window,
        slice,
        decision,
        ..
    } = record;
    if !slices.is_empty() {
        tracing::info!(%table, %window, %slice, sub_slices = slices.len(), "Slice was split.");
        return Ok(CopyAnswer::Split(Split {
            table,
            window,
            slice,
            slices,
        }));
    }
    let (key, bytes) = match decision {
        Decision::Uploaded { upload, .. } => (Some(upload.key), upload.bytes),
        _ => (None, 0),
    };
    tracing::info!(%table, %window, %slice, rows, bytes, resumed, "Slice copied.");
    Ok(CopyAnswer::Copied(CopiedSlice {
        table,
        window,
        slice,
        rows,
        bytes,
        key,
        resumed,
    }))
}

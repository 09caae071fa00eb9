//! Step 4: commits a window and moves the watermark.
//!
//! Every slice must have its decision. Each upload is completed, the manifest is written, and the pointer moves. Anyone
//! may repeat all of it at any time (W6).

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::commit::{Commit, Committing, Missing};
use super::pointer;
use crate::error::Result;
use crate::ledger::{Lease, Ledger, Place, RunLease, Taken};
use crate::model::budget::{Spent, StoppedTable};
use crate::model::left_alone::{BusyTable, PausedTable, TableLeftAlone};
use crate::model::manifest::Manifest;
use crate::model::metric::{Measurement, Metric};
use crate::model::names::ObjectName;
use crate::model::plan::{Author, Plan};
use crate::model::slice_id::SliceId;
use crate::model::table::{Clock, RunSettings, Tracking};
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;
use crate::ports::objects::{CompleteObjects, CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::CountRows;
use crate::ports::watermarks::MoveWatermarks;
use crate::steps::context::{Measured, RunContext};

/// The most slices that an answer names.
const SLICES_NAMED: usize = 1_000;

/// The request to commit a window.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// The table.
    pub table: ObjectName,
    /// The window, as `lookup-new-watermark` named it.
    pub window: WindowName,
    /// The settings of the table that name what is run for it.
    #[serde(default)]
    pub settings: RunSettings,
}

impl UpdateRequest {
    /// Returns the span with the fields that every line logged for this request has.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("commit", run_id = %self.run_id, table = %self.table, window = %self.window)
    }
}

/// What became of the window.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum UpdateAnswer {
    /// The window is committed and the watermark stands at its end or beyond.
    Committed(Committed),
    /// Slices have no usable upload, because they were never copied or their uploads expired. They have to be copied
    /// first.
    Recopy(ToCopy),
    /// Slices were split, and their sub-slices have yet to be copied.
    Split(ToCopy),
    /// Slices have yet to be copied, and another run is copying them.
    Busy(BusyTable),
    /// Slices have yet to be copied, and somebody has paused the table.
    Paused(PausedTable),
    /// Slices have yet to be copied, and this run has copied as much of the table as it may.
    Stopped(StoppedTable),
}

/// The slices to copy before a window can be committed.
#[derive(Debug, Serialize)]
pub struct ToCopy {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slices in order. There are at most 1,000, because they travel in one payload; the next commit names the
    /// others.
    pub slices: Vec<SliceId>,
}

/// A committed window.
#[derive(Debug, Serialize)]
pub struct Committed {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The number of its rows.
    pub rows: u64,
    /// The number of bytes of its objects.
    pub bytes: u64,
    /// The number of its objects.
    pub objects: usize,
    /// The number of late rows: they are on the source at commit, but not copied. `None` when they could not be
    /// counted.
    pub late_rows: Option<u64>,
    /// Where the next window starts.
    pub watermark: Watermark,
    /// The window in whose place this one, a full load, was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<WindowName>,
    /// The full load that is copied in place of this window, which has no rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// The seconds that the watermark is behind the clock; time columns only.
    #[serde(skip)]
    lag_seconds: Option<u64>,
}

impl Measured for UpdateAnswer {
    fn metrics(&self) -> Vec<Measurement> {
        let window = match self {
            Self::Committed(window) => window,
            Self::Paused(_) => return Measurement::of_tables(&[(Metric::TablesPaused, 1)]),
            Self::Busy(_) => return Measurement::of_tables(&[(Metric::TablesBusy, 1)]),
            Self::Stopped(stopped) => {
                return vec![Measurement {
                    table: Some(stopped.table.clone()),
                    metrics: vec![Metric::TablesStopped(1)],
                }];
            }
            Self::Recopy(_) | Self::Split(_) => return Vec::new(),
        };
        let mut metrics = vec![
            Metric::RowsCopied(window.rows),
            Metric::BytesWritten(window.bytes),
            Metric::PartsWritten(window.objects as u64),
        ];
        metrics.push(match window.late_rows {
            Some(rows) => Metric::LateRows(rows),
            None => Metric::LateRowsUnknown(1),
        });
        metrics.extend(window.lag_seconds.map(Metric::WatermarkLagSeconds));
        metrics.extend(window.supersedes.as_ref().map(|_| Metric::Reinitializations(1)));
        vec![Measurement {
            table: Some(window.table.clone()),
            metrics,
        }]
    }
}

/// What a commit needs from the outside.
#[derive(Debug)]
pub struct UpdatePorts<'a, C, W, S> {
    /// The source, to count the window's rows again.
    pub source: &'a C,
    /// The pointer.
    pub watermarks: &'a W,
    /// Where the table's files and its ledger are.
    pub place: Place<'a, S>,
}

impl<C, W, S> Clone for UpdatePorts<'_, C, W, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, W, S> Copy for UpdatePorts<'_, C, W, S> {}

/// Commits the window of the request and moves the watermark to its end.
///
/// The watermark moves only after the manifest is there (W5).
///
/// # Errors
///
/// `LedgerInvalid` when the plan or an object of a committed window is gone; `InvalidInput` when the plan was frozen
/// with other settings, or is not that of its window any more; `WatermarkConflict` when the store holds a watermark
/// that this ledger does not know; and the errors of the ports.
pub async fn update<C, W, S>(
    ports: UpdatePorts<'_, C, W, S>,
    request: UpdateRequest,
    context: RunContext,
) -> Result<UpdateAnswer>
where
    C: CountRows,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + CompleteObjects,
{
    let ledger = Ledger::new(ports.place, &request.table);
    let plan = ledger.existing_plan(&request.window).await?;
    if plan.slices.is_empty() {
        // No run reads anything for such a window, so none takes the lease.
        return Ok(match commit(ports, &ledger, &plan, &request, context).await? {
            Ended::Committed(committed) => UpdateAnswer::Committed(*committed),
            Ended::Waits(missing) => waits(request, missing),
        });
    }
    let lease = Lease::new(&ledger, &request.run_id, context.leases);
    let taken = lease.take(context.now).await?;
    match commit(ports, &ledger, &plan, &request, context).await {
        // A window whose slices are decided may be committed by any run, whoever has the lease.
        Ok(Ended::Committed(committed)) => {
            lease.try_to_give_back().await;
            Ok(UpdateAnswer::Committed(*committed))
        }
        Ok(Ended::Waits(missing)) => match taken {
            Taken::KeptBy(keeper) => Ok(left_alone(TableLeftAlone::new(request.table.clone(), keeper))),
            // Slices whose uploads expired are copied again in this run, whatever the budget is. Otherwise a window
            // whose copy takes longer than uploads wait would never end.
            Taken::Ours if context.budget.is_unlimited() || !missing.is_new => Ok(waits(request, missing)),
            Taken::Ours => {
                let spent = RunLease::new(&ledger, &request.run_id).spent().await?;
                if !context.budget.is_spent(spent) {
                    return Ok(waits(request, missing));
                }
                lease.try_to_give_back().await;
                Ok(stopped(request, spent, context, missing.slices.len()))
            }
        },
        Err(error) => {
            if !error.code().is_retryable() {
                lease.try_to_give_back().await;
            }
            Err(error)
        }
    }
}

/// The result of a commit.
enum Ended {
    /// The window is committed.
    Committed(Box<Committed>),
    /// The window waits for these slices, which have to be copied first.
    Waits(Missing),
}

/// Commits the window and moves the watermark, or returns the slices that are missing.
async fn commit<C, W, S>(
    ports: UpdatePorts<'_, C, W, S>,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    request: &UpdateRequest,
    context: RunContext,
) -> Result<Ended>
where
    C: CountRows,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    let manifest = match ledger.manifest_of(plan).await? {
        Some(manifest) => {
            ledger.check_objects(&manifest).await?;
            manifest
        }
        None => {
            pointer::check_start(ports.watermarks, ledger, plan).await?;
            let committing = Committing {
                source: ports.source,
                store: ports.place.store,
                ledger,
                plan,
                settings: &request.settings,
                author: Author {
                    run_id: &request.run_id,
                    created_at: context.moment(),
                },
                now: context.now,
            };
            match committing.commit().await? {
                Commit::Done(manifest) => *manifest,
                Commit::Waits(missing) => return Ok(Ended::Waits(missing)),
            }
        }
    };
    if !plan.is_backfill() {
        pointer::advance(ports.watermarks, ledger, plan, &manifest).await?;
    }
    Ok(Ended::Committed(Box::new(committed(plan, manifest, context.now))))
}

fn stopped(request: UpdateRequest, spent: Spent, context: RunContext, slices_left: usize) -> UpdateAnswer {
    let UpdateRequest { table, window, .. } = request;
    let Spent { rows, bytes, .. } = spent;
    let usd = spent.usd(context.budget.memory);
    tracing::warn!(
        %table, %window, rows, bytes, %usd, slices_left,
        "The budget of the run is spent; the next run goes on with the slices that are left."
    );
    UpdateAnswer::Stopped(StoppedTable {
        table,
        window,
        rows,
        bytes,
        usd,
        slices_left,
    })
}

fn left_alone(table: TableLeftAlone) -> UpdateAnswer {
    table.tell();
    match table {
        TableLeftAlone::Busy(busy) => UpdateAnswer::Busy(busy),
        TableLeftAlone::Paused(paused) => UpdateAnswer::Paused(paused),
    }
}

fn waits(request: UpdateRequest, missing: Missing) -> UpdateAnswer {
    let UpdateRequest { table, window, .. } = request;
    let Missing {
        mut slices, is_split, ..
    } = missing;
    tracing::info!(%table, %window, slices = slices.len(), is_split, "Slices have to be copied first.");
    slices.truncate(SLICES_NAMED);
    let to_copy = ToCopy { table, window, slices };
    if is_split {
        UpdateAnswer::Split(to_copy)
    } else {
        UpdateAnswer::Recopy(to_copy)
    }
}

fn committed(plan: &Plan, manifest: Manifest, now: OffsetDateTime) -> Committed {
    let lag_seconds = match &plan.tracking {
        Tracking::Watermark(tracking) => lag_seconds(&manifest.new_watermark, tracking.clock, now),
        Tracking::ChangeTracking(_) => None,
    };
    let Manifest {
        table,
        window,
        parts,
        rows,
        bytes,
        late_rows,
        new_watermark: watermark,
        superseded_by,
        ..
    } = manifest;
    Committed {
        table,
        window,
        rows,
        bytes,
        objects: parts.len(),
        late_rows,
        watermark,
        supersedes: plan.supersedes().cloned(),
        superseded_by,
        lag_seconds,
    }
}

/// Returns the seconds that a time column in UTC is behind `now`. Returns `None` for a column in the server's local
/// time, which is not known here, and for a watermark that is not a time.
fn lag_seconds(watermark: &Watermark, clock: Clock, now: OffsetDateTime) -> Option<u64> {
    if clock == Clock::Local {
        return None;
    }
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let text = watermark.value();
    let moment = match text.get(..19) {
        Some(moment) => moment.to_owned(),
        None => format!("{text}T00:00:00"),
    };
    let moment = PrimitiveDateTime::parse(&moment, format).ok()?.assume_utc();
    u64::try_from((now - moment).whole_seconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::CopiedRows;
    use crate::model::moment::Moment;
    use crate::model::plan::Author;
    use crate::model::types::TypeName;
    use crate::testing::documents;

    #[test]
    fn a_committed_window_of_a_time_column_measures_its_lag() {
        let now = time::macros::datetime!(2017-09-05 08:06:10 UTC);
        let plan = documents::plan("dbo.t", None, 7);
        let author = Author {
            run_id: "run",
            created_at: Moment::of(now),
        };
        let nothing = || CopiedRows::Parts(Vec::new());
        let lag = |sql_type: &str, value: &str| {
            let manifest = Manifest {
                new_watermark: Watermark::new(TypeName::new(sql_type).unwrap(), value).unwrap(),
                ..Manifest::committed(&plan, nothing(), Some(0), author)
            };
            let [measured] = &UpdateAnswer::Committed(committed(&plan, manifest, now)).metrics()[..] else {
                panic!("one table is measured")
            };
            let found = measured.metrics.iter().find_map(|metric| match metric {
                Metric::WatermarkLagSeconds(seconds) => Some(*seconds),
                _ => None,
            });
            (measured.metrics.contains(&Metric::LateRows(0)), found)
        };
        assert_eq!(lag("datetime2(3)", "2017-09-05T08:06:00.000"), (true, Some(10)));
        assert_eq!(lag("bigint", "7"), (true, None));
    }

    #[test]
    fn lag_is_that_of_time_columns() {
        let now = time::macros::datetime!(2017-09-05 08:06:10 UTC);
        let lag = |sql_type: &str, value: &str| {
            lag_seconds(
                &Watermark::new(TypeName::new(sql_type).unwrap(), value).unwrap(),
                Clock::Utc,
                now,
            )
        };
        assert_eq!(lag("datetime", "2017-09-05T08:06:00.997"), Some(10));
        assert_eq!(lag("date", "2017-09-05"), Some(8 * 3600 + 6 * 60 + 10));
        assert_eq!(lag("datetime2(0)", "2018-01-01T00:00:00"), None);
        assert_eq!(lag("int", "7"), None);
        assert_eq!(lag("decimal(38,0)", "-1234567890123456789012"), None);
    }
}

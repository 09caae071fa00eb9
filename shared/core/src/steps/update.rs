//! Step 4: commits a window and moves the watermark.
//!
//! Every slice must have its decision; each upload is completed, the manifest is written, the pointer moves. All of it
//! may be repeated by anyone at any time (W6).

mod commit;
mod empty;
mod event;
mod pointer;

use serde::{Deserialize, Serialize};
use tidemark::error::Result;
use tidemark::identifier::ObjectName;
use tidemark::ledger::{Ledger, Manifest, Plan, SliceId, WindowName};
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects};
use tidemark::ports::source::CountSource;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::runner::{Answer, RunContext};
use tidemark::table::{Clock, Tracking};
use tidemark::telemetry::Metric;
use tidemark::watermark::{self, Watermark};
use time::{OffsetDateTime, PrimitiveDateTime};

use commit::{Commit, Missing};
pub use empty::{Advanced, AllRequest, handle_all};
pub use event::{Event, Outcome};

/// Slices an answer names at most.
const SLICES_NAMED: usize = 1_000;

/// The window to commit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The run, the execution's name.
    pub run_id: String,
    /// The table.
    pub table: ObjectName,
    /// The window, as `lookup-new-watermark` named it.
    pub window: WindowName,
}

impl Request {
    /// What every line logged for this request says.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("commit", run_id = %self.run_id, table = %self.table, window = %self.window)
    }
}

/// What became of the window.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Response {
    /// The window is committed and the watermark stands at its end or beyond.
    Committed(Committed),
    /// Slices have no usable upload: they were never copied, or their uploads expired. Copy them again.
    Recopy(ToCopy),
    /// The same, because slices were split: their sub-slices have yet to be copied.
    Split(ToCopy),
}

/// Slices to copy before a window can be committed.
#[derive(Debug, Serialize)]
pub struct ToCopy {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slices in order; at most 1,000, because they travel in one payload. The next commit names the others.
    pub slices: Vec<SliceId>,
}

/// A committed window.
#[derive(Debug, Serialize)]
pub struct Committed {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its objects.
    pub objects: usize,
    /// Rows found late: on the source at commit, but not copied. `None` when they could not be counted.
    pub late_rows: Option<u64>,
    /// Where the next window starts.
    pub watermark: Watermark,
    /// The window whose version had expired, and in whose place this one is a full load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<WindowName>,
    /// The full load that is copied in place of this window, which has no rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// How far the watermark is behind the clock, time columns only.
    #[serde(skip)]
    lag_seconds: Option<u64>,
}

impl Answer for Response {
    fn metrics(&self) -> Vec<(String, Vec<Metric>)> {
        let Self::Committed(window) = self else {
            return Vec::new();
        };
        let mut metrics = vec![
            Metric::RowsCopied(window.rows),
            Metric::BytesWritten(window.bytes),
            Metric::PartsWritten(window.objects as u64),
        ];
        metrics.extend(window.late_rows.map(Metric::LateRows));
        metrics.extend(window.lag_seconds.map(Metric::WatermarkLagSeconds));
        metrics.extend(window.supersedes.as_ref().map(|_| Metric::Reinitializations(1)));
        vec![(window.table.to_string(), metrics)]
    }
}

/// Commits the window of the request and moves the watermark to its end.
///
/// Errors: `LedgerInvalid` when the plan or an object of a committed window is gone, `WatermarkConflict` when the store holds a watermark this ledger does
/// not know, and whatever the ports say. The watermark is moved only after the manifest is there (W5).
pub async fn handle<C, W, S>(
    source: &C,
    watermarks: &W,
    store: &S,
    prefix: &str,
    request: Request,
    context: RunContext,
) -> Result<Response>
where
    C: CountSource,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    let Request { run_id, table, window } = request;
    let ledger = Ledger::new(store, prefix, &table);
    let plan = ledger.frozen_plan(&window).await?;
    let manifest = match ledger.manifest(&window).await? {
        Some(manifest) => {
            ledger.check_objects(&manifest).await?;
            manifest
        }
        None => match commit::commit(source, store, &ledger, &plan, &run_id, context).await? {
            Commit::Done(manifest) => *manifest,
            Commit::Waits(missing) => return Ok(waits(table, window, missing)),
        },
    };
    pointer::advance(watermarks, &ledger, &plan, &manifest).await?;
    Ok(Response::Committed(committed(&plan, manifest, context.now)))
}

fn waits(table: ObjectName, window: WindowName, missing: Missing) -> Response {
    let Missing { mut slices, is_split } = missing;
    tracing::info!(%table, %window, slices = slices.len(), is_split, "Slices have to be copied first.");
    slices.truncate(SLICES_NAMED);
    let to_copy = ToCopy { table, window, slices };
    if is_split {
        Response::Split(to_copy)
    } else {
        Response::Recopy(to_copy)
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
        supersedes: plan.supersedes.clone(),
        superseded_by,
        lag_seconds,
    }
}

/// How far a time column in UTC is behind `now`. The server's local time is not known here.
fn lag_seconds(watermark: &Watermark, clock: Clock, now: OffsetDateTime) -> Option<u64> {
    if !watermark::is_time(watermark.sql_type()) || clock == Clock::Local {
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

    #[test]
    fn lag_is_that_of_time_columns() {
        let now = time::macros::datetime!(2017-09-05 08:06:10 UTC);
        let lag = |sql_type: &str, value| {
            lag_seconds(
                &Watermark::new(sql_type.parse().unwrap(), value).unwrap(),
                Clock::Utc,
                now,
            )
        };
        assert_eq!(lag("datetime", "2017-09-05T08:06:00.997"), Some(10));
        assert_eq!(lag("date", "2017-09-05"), Some(8 * 3600 + 6 * 60 + 10));
        assert_eq!(lag("datetime2(0)", "2018-01-01T00:00:00"), None);
        assert_eq!(lag("int", "7"), None);
    }
}

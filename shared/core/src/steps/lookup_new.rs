//! Step 2: how far has each table grown?
//!
//! A plan that is already there, frozen by a run that died or by one that is ahead, is adopted unchanged, whatever became
//! of the source since. Without one, computes the upper bound and freezes it, with everything a slice needs, as the plan
//! of the next window. Also splits a slice of a plan that turned out to be too large.

mod change_tracking;
mod event;
mod history;
mod planning;
mod slicing;
mod splitting;

use serde::{Deserialize, Serialize};
use tidemark::error::Result;
use tidemark::identifier::ObjectName;
use tidemark::ledger::{Ledger, Plan, WindowName};
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::{CreateObjects, ReadObjects};
use tidemark::ports::source::{ProbeSource, SliceSource};
use tidemark::query::Query;
use tidemark::runner::RunContext;
use tidemark::steps::{CopyWindow, EmptyWindow, FailedTable, LookedUp, Turns, for_each_table};
use tidemark::table::{Tracking, check_all};
use tidemark::watermark::Watermark;

pub use event::{Event, Outcome};
use planning::Found;
pub use splitting::{SliceToSplit, SplitRequest, handle_split};

/// The tables as the first step found them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The run, the execution's name.
    pub run_id: String,
    /// Every table of the run.
    pub tables: Vec<LookedUp>,
    /// Whether to write nothing and show what would be run.
    #[serde(default)]
    pub dry_run: bool,
}

/// All tables: with a window to copy, unchanged, or failed.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    /// The windows to copy.
    pub windows: Vec<CopyWindow>,
    /// The windows in which nothing changed: they only have to be committed, so that their tables' versions do not expire.
    pub empty: Vec<EmptyWindow>,
    /// The tables with nothing to copy.
    pub unchanged: Vec<ObjectName>,
    /// The tables whose windows are frozen and wait for the next run, because this one has as many slices as fit.
    pub waiting: Vec<ObjectName>,
    /// Rows no window selects, where there are any.
    pub notes: Vec<Note>,
    /// What would be run, for a dry run.
    pub dry_run: Vec<DryRun>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

/// Rows of a table that its windows do not select.
#[derive(Debug, Serialize)]
pub struct Note {
    /// The table.
    pub table: ObjectName,
    /// Rows whose watermark is NULL.
    pub null_rows: u64,
    /// Rows stamped later than the server's clock: a later run takes them.
    pub future_rows: u64,
    /// Whether a transaction that is still open holds the window back: rows committed since it began wait for its end.
    pub held_back: bool,
}

/// What a dry run would freeze.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The lower bound.
    pub old_watermark: Option<Watermark>,
    /// The upper bound.
    pub new_watermark: Watermark,
    /// Whether this is the plan of an earlier run that would be adopted.
    pub adopted: bool,
    /// The statement of each slice.
    pub slices: Vec<Query>,
}

/// Plans every table.
///
/// Errors: `InvalidInput` when the request makes no sense; retryable codes when no table could be probed for now. What
/// fails for one table is in the response.
pub async fn handle<P: ProbeSource + SliceSource + ProbeChanges, S: ReadObjects + CreateObjects>(
    source: &P,
    store: &S,
    prefix: &str,
    request: Request,
    context: RunContext,
) -> Result<Response> {
    if request.tables.is_empty() {
        return Ok(Response::default());
    }
    check_all(request.tables.iter().map(|table| &table.spec))?;
    let Request {
        run_id,
        tables,
        dry_run,
    } = request;
    let created_at = context.timestamp()?;
    let run = Run {
        id: &run_id,
        created_at: &created_at,
        dry_run,
    };
    let (outcomes, failed) = for_each_table(
        tables,
        context.deadline,
        |table| &table.spec.table,
        async |table: &LookedUp, turns: &Turns| {
            let ledger = Ledger::new(store, prefix, &table.spec.table);
            let tracking = match &table.spec.tracking {
                Tracking::Watermark(tracking) => tracking,
                Tracking::ChangeTracking(tracking) => {
                    // Boxed, as it is much larger than what the other arm keeps.
                    let next = Box::pin(change_tracking::next(source, &ledger, table, *tracking, run, turns));
                    return Ok((next.await?, None));
                }
            };
            if let Some(plan) = ledger.plan(&table.next_window()).await? {
                return Ok((frozen(plan, true, dry_run), None));
            }
            let probe = planning::probe(source, table, tracking, run);
            let found = turns.take(probe).await?;
            if let Found::Grown(plan) = &found.next
                && let Some(previous) = ledger.previous(&plan.window).await?
            {
                planning::check_schema(&table.spec, &previous, plan)?;
            }
            let next = match found.next {
                Found::Unchanged => unchanged(table, dry_run),
                Found::Grown(plan) if dry_run => frozen(*plan, false, true),
                Found::Grown(plan) => {
                    let (plan, adopted) = ledger.freeze(*plan).await?;
                    frozen(plan, adopted, dry_run)
                }
            };
            Ok((next, found.note))
        },
    )
    .await?;

    let mut response = Response {
        failed,
        ..Response::default()
    };
    for (next, note) in outcomes {
        match next {
            Next::Unchanged(table) => response.unchanged.push(table),
            Next::Copy(window) => response.windows.push(window),
            Next::Empty(window) => response.empty.push(window),
            Next::DryRun(plan) => response.dry_run.push(plan),
        }
        response.notes.extend(note);
    }
    response.waiting = history::hold_back(&mut response.windows);
    tracing::info!(
        run_id,
        windows = response.windows.len(),
        empty = response.empty.len(),
        unchanged = response.unchanged.len(),
        waiting = response.waiting.len(),
        failed = response.failed.len(),
        "New watermarks looked up."
    );
    Ok(response)
}

/// The run that plans.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    id: &'a str,
    created_at: &'a str,
    dry_run: bool,
}

enum Next {
    Unchanged(ObjectName),
    Copy(CopyWindow),
    Empty(EmptyWindow),
    DryRun(DryRun),
}

/// Nothing to copy; but a pointer that lags behind a committed window still has to move.
fn unchanged(table: &LookedUp, dry_run: bool) -> Next {
    match &table.committed {
        Some(committed) if !dry_run => Next::Copy(CopyWindow {
            table: table.spec.table.clone(),
            window: committed.window.clone(),
            slices: 0,
            settle_seconds: 0,
            adopted: true,
            old_watermark: None,
            new_watermark: committed.new_watermark.clone(),
        }),
        _ => Next::Unchanged(table.spec.table.clone()),
    }
}

/// What is to be done with a plan that is frozen or, in a dry run, would be.
fn frozen(plan: Plan, adopted: bool, dry_run: bool) -> Next {
    match plan {
        plan if dry_run => Next::DryRun(show(plan, adopted)),
        Plan {
            table, window, slices, ..
        } if slices.is_empty() => Next::Empty(EmptyWindow { table, window }),
        plan => Next::Copy(copy_window(plan, adopted)),
    }
}

fn copy_window(plan: Plan, adopted: bool) -> CopyWindow {
    let Plan {
        table,
        window,
        slices,
        tracking,
        old_watermark,
        new_watermark,
        ..
    } = plan;
    tracing::info!(%table, %window, %new_watermark, slices = slices.len(), adopted, "Window frozen.");
    CopyWindow {
        table,
        window,
        slices: slices.len(),
        settle_seconds: tracking.settle_seconds(new_watermark.sql_type()),
        adopted,
        old_watermark,
        new_watermark,
    }
}

fn show(plan: Plan, adopted: bool) -> DryRun {
    let Plan {
        table,
        window,
        slices,
        old_watermark,
        new_watermark,
        ..
    } = plan;
    let slices = slices.into_iter().map(|slice| slice.query).collect();
    DryRun {
        table,
        window,
        old_watermark,
        new_watermark,
        adopted,
        slices,
    }
}

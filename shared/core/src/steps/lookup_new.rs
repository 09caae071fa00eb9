//! Step 2: finds out how far each table has grown, and freezes its next window.
//!
//! A plan that is already there, frozen by a run that died or by one that is ahead, is adopted unchanged, whatever
//! became of the source since. Without one, this step finds the upper bound and freezes it, with everything that a
//! slice needs, as the plan of the next window.

use serde::{Deserialize, Serialize};

use crate::error::{OfRole, Result, Role};
use crate::ledger::{Frozen, Lease, Ledger, Place, check_settings};
use crate::model::lease::Keeper;
use crate::model::left_alone::{TableLeftAlone, TablesLeftAlone};
use crate::model::lookup::{CopyWindow, EmptyWindow, LookedUp, Note};
use crate::model::metric::{Measurement, Metric};
use crate::model::names::ObjectName;
use crate::model::plan::{Author, Plan};
use crate::model::table::{RunSettings, Tracking, check_all};
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;
use crate::planner::freezing::{self, Freezer};
use crate::planner::single_flight::Planning;
use crate::planner::tracked::Tracked;
use crate::planner::watermarked::Watermarked;
use crate::planner::{masks, run_limits};
use crate::ports::changes::ProbeChanges;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::rows::{ExplainRows, Explained};
use crate::ports::source::{Catalog, CutSource, ProbeSource};
use crate::shared_connection::{SharedConnection, jointly};
use crate::steps::context::{Measured, RunContext};
use crate::steps::leases::{Leaving, give_back, leave};
use crate::steps::tables::{FailedTable, Work, Worked, for_each_table};

/// The tables as the first step found them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupNewRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// Every table of the run.
    pub tables: Vec<LookedUp>,
    /// Whether to write nothing and show what would be run.
    #[serde(default)]
    pub dry_run: bool,
}

/// All tables of the run: with a window to copy, unchanged, left alone, or failed.
#[derive(Debug, Default, Serialize)]
pub struct NewWatermarks {
    /// The windows to copy.
    pub windows: Vec<CopyWindow>,
    /// The windows in which nothing changed. They only have to be committed, so that their tables' versions do not
    /// expire.
    pub empty: Vec<EmptyWindow>,
    /// The tables with nothing to copy.
    pub unchanged: Vec<ObjectName>,
    /// The tables whose windows are frozen and wait for the next run, because this run has as many slices as it can
    /// hold.
    pub waiting: Vec<ObjectName>,
    /// The tables that are left alone, because another run copies them or somebody has paused them.
    #[serde(flatten)]
    pub left_alone: TablesLeftAlone,
    /// The tables with rows that no window selects, or with other columns than in the last window.
    pub notes: Vec<Note>,
    /// What would be run, for a dry run.
    pub dry_run: Vec<DryRun>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

impl Measured for NewWatermarks {
    fn metrics(&self) -> Vec<Measurement> {
        Measurement::of_tables(&[
            (Metric::TablesPaused, self.left_alone.paused.len()),
            (Metric::TablesBusy, self.left_alone.busy.len()),
            (Metric::TablesWaiting, self.waiting.len()),
            (
                Metric::TablesIncomplete,
                self.notes.iter().filter(|note| note.is_incomplete).count(),
            ),
        ])
    }
}

/// What a dry run would freeze.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// Its plan, by which whoever shows it counts its rows.
    #[serde(skip)]
    pub plan: Box<Plan>,
    /// The lower bound.
    pub old_watermark: Option<Watermark>,
    /// The upper bound.
    pub new_watermark: Watermark,
    /// Whether the plan is that of an earlier run and would be adopted.
    pub adopted: bool,
    /// The statements by which the slices would be read.
    pub slices: Vec<Explained>,
}

/// Plans the next window of every table.
///
/// # Errors
///
/// `InvalidInput` when the request is invalid; a retryable code when no table could be probed for now. The failure of a
/// single table is in the answer.
pub async fn lookup_new<P, S>(
    source: &P,
    place: Place<'_, S>,
    request: LookupNewRequest,
    context: RunContext,
) -> Result<NewWatermarks>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    if request.tables.is_empty() {
        return Ok(NewWatermarks::default());
    }
    check_all(request.tables.iter().map(|table| &table.spec))?;
    let run_id = request.run_id;
    let planning = Planning {
        author: Author {
            run_id: &run_id,
            created_at: context.moment(),
        },
        dry_run: request.dry_run,
        now: context.now,
        leases: context.leases,
    };
    let names: Vec<ObjectName> = request.tables.iter().map(|table| table.spec.table.clone()).collect();
    let Worked { done, failed } = match plan_all(source, place, request.tables, planning, context).await {
        Ok(worked) => worked,
        Err(error) => {
            // The run ends here, unless the whole step is tried again and takes the leases once more.
            if !planning.dry_run {
                give_back(place, &run_id, context.leases, &names).await;
            }
            return Err(error);
        }
    };
    let mut answer = answer(done, failed);
    if !planning.dry_run {
        let Leaving { failed, left_alone } = leave(answer.failed, async |table: &ObjectName| {
            let ledger = Ledger::new(place, table);
            Lease::new(&ledger, &run_id, context.leases).give_back().await
        })
        .await;
        answer.failed = failed;
        answer.left_alone.extend(left_alone);
        give_back(place, &run_id, context.leases, &answer.waiting).await;
    }
    tracing::info!(
        run_id,
        windows = answer.windows.len(),
        empty = answer.empty.len(),
        unchanged = answer.unchanged.len(),
        waiting = answer.waiting.len(),
        busy = answer.left_alone.busy.len(),
        paused = answer.left_alone.paused.len(),
        failed = answer.failed.len(),
        "New watermarks looked up."
    );
    Ok(answer)
}

/// Plans every table, and takes the leases of those that have a window to copy.
async fn plan_all<P, S>(
    source: &P,
    place: Place<'_, S>,
    tables: Vec<LookedUp>,
    planning: Planning<'_>,
    context: RunContext,
) -> Result<Worked<Planned>>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let connection = SharedConnection::default();
    let catalogs = catalogs(source, &tables).await;
    for_each_table(
        Work::LookUpNew,
        tables.into_iter().zip(catalogs).collect(),
        context,
        |(table, _)| &table.spec.table,
        async |(table, catalog): &(LookedUp, Option<Catalog>)| {
            let ledger = Ledger::new(place, &table.spec.table);
            let planner = TablePlanner {
                source,
                ledger: &ledger,
                table,
                planning,
                connection: &connection,
                catalog: catalog.as_ref(),
            };
            // Boxed, because it is much larger than what surrounds it.
            Box::pin(planner.plan()).await
        },
    )
    .await
}

/// Asks what the catalog knows of all tables together. Tracked tables are left out, because their columns are only
/// asked for when they have changes. When the question fails, the answer is `None` for every table, and each asks by
/// itself, so that the failure is that of a single table.
async fn catalogs<P: ProbeSource>(source: &P, tables: &[LookedUp]) -> Vec<Option<Catalog>> {
    let is_asked_for = |table: &&LookedUp| matches!(table.spec.tracking, Tracking::Watermark(_));
    let names = tables.iter().filter(is_asked_for).map(|table| &table.spec.table);
    let names: Vec<&ObjectName> = names.collect();
    let found = jointly("The columns", names.len(), Role::Source, source.catalogs(&names)).await;
    let mut found = found.unwrap_or_default().into_iter();
    let of = |table: &LookedUp| is_asked_for(&table).then(|| found.next().flatten()).flatten();
    tables.iter().map(of).collect()
}

/// What is to be done with a table.
enum Answered {
    Unchanged(ObjectName),
    Copy(Box<CopyWindow>),
    Empty(EmptyWindow),
    DryRun(DryRun),
    LeftAlone(TableLeftAlone),
}

/// A planned table.
struct Planned {
    answered: Answered,
    note: Option<Note>,
}

fn answer(planned: Vec<Planned>, failed: Vec<FailedTable>) -> NewWatermarks {
    let mut answer = NewWatermarks {
        failed,
        ..NewWatermarks::default()
    };
    for Planned { answered, note } in planned {
        match answered {
            Answered::Unchanged(table) => answer.unchanged.push(table),
            Answered::Copy(window) => answer.windows.push(*window),
            Answered::Empty(window) => answer.empty.push(window),
            Answered::DryRun(plan) => answer.dry_run.push(plan),
            Answered::LeftAlone(left_alone) => answer.left_alone.push(left_alone),
        }
        answer.notes.extend(note);
    }
    answer.waiting = run_limits::hold_back(&mut answer.windows);
    answer
}

/// Plans one table.
struct TablePlanner<'a, P, S> {
    source: &'a P,
    ledger: &'a Ledger<'a, S>,
    table: &'a LookedUp,
    planning: Planning<'a>,
    connection: &'a SharedConnection,
    /// What the catalog knows of the table, when that was asked for all tables together.
    catalog: Option<&'a Catalog>,
}

impl<P, S> TablePlanner<'_, P, S>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    async fn plan(&self) -> Result<Planned> {
        let freezer = Freezer {
            ledger: self.ledger,
            table: self.table,
            planning: self.planning,
        };
        let (source, connection, freezer) = (self.source, self.connection, &freezer);
        let found = match &self.table.spec.tracking {
            Tracking::Watermark(tracking) => {
                let planner = Watermarked {
                    source,
                    freezer,
                    tracking,
                    connection,
                    catalog: self.catalog,
                };
                freezer.next(&planner).await?
            }
            Tracking::ChangeTracking(tracking) => {
                let planner = Tracked::new(source, freezer, *tracking, connection)?;
                freezer.next(&planner).await?
            }
        };
        let (answered, note) = match found {
            freezing::Next::Window(frozen, note) => (self.frozen(*frozen)?, note),
            freezing::Next::Unchanged(note) => (self.unchanged(), note),
            freezing::Next::KeptBy(keeper) => (self.kept_by(keeper), None),
        };
        Ok(Planned { answered, note })
    }

    /// Returns that the table is left alone, and logs it.
    fn kept_by(&self, keeper: Keeper) -> Answered {
        let left_alone = TableLeftAlone::new(self.table.spec.table.clone(), keeper);
        left_alone.tell();
        Answered::LeftAlone(left_alone)
    }

    /// Returns that there is nothing to copy. A pointer that lags behind a committed window still has to move.
    fn unchanged(&self) -> Answered {
        let table = self.table.spec.table.clone();
        match self.table.committed() {
            Some(committed) if !self.planning.dry_run => {
                Answered::Copy(Box::new(CopyWindow::committed(table, committed)))
            }
            _ => Answered::Unchanged(table),
        }
    }

    /// Returns what is to be done with a plan that is frozen or, in a dry run, would be.
    fn frozen(&self, frozen: Frozen) -> Result<Answered> {
        let Frozen { plan, adopted } = frozen;
        let settings = self.table.spec.run_settings();
        check_settings(&plan, &settings)?;
        masks::check_frozen(&self.table.spec, &plan)?;
        if self.planning.dry_run {
            return self.shown(plan, adopted, &settings).map(Answered::DryRun);
        }
        if plan.slices.is_empty() {
            let Plan { table, window, .. } = plan;
            return Ok(Answered::Empty(EmptyWindow { table, window }));
        }
        let window = CopyWindow::of(&plan, adopted, settings);
        tracing::info!(
            table = %window.table, window = %window.window, new_watermark = %window.new_watermark,
            slices = window.slices, adopted, "Window frozen."
        );
        Ok(Answered::Copy(Box::new(window)))
    }

    fn shown(&self, plan: Plan, adopted: bool, settings: &RunSettings) -> Result<DryRun> {
        let rows = plan.slices.iter().filter_map(|slice| plan.slice_rows(slice, settings));
        let statements = rows.map(|rows| self.source.explain(&rows, &plan.columns).of(Role::Source));
        let slices = statements.collect::<Result<_>>()?;
        Ok(DryRun {
            slices,
            adopted,
            table: plan.table.clone(),
            window: plan.window.clone(),
            old_watermark: plan.old_watermark.clone(),
            new_watermark: plan.new_watermark.clone(),
            plan: Box::new(plan),
        })
    }
}

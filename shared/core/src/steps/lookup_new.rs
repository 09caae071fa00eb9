//! Step 2: finds out how far each table has grown, and freezes its next window.
//!
//! A plan that is already there, frozen by a run that died or by one that is ahead, is adopted unchanged, whatever
//! became of the source since. Without one, this step finds the upper bound and freezes it, with everything that a
//! slice needs, as the plan of the next window.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Frozen, Lease, Ledger, Left, check_settings};
use crate::model::kept::{KeptTable, KeptTables};
use crate::model::lease::Keeper;
use crate::model::lookup::{CopyWindow, EmptyWindow, LookedUp, Note};
use crate::model::names::ObjectName;
use crate::model::plan::{Author, Content, Plan};
use crate::model::record::{Decision, Record};
use crate::model::table::{OnSchemaChange, RunSettings, Tracking, WatermarkTracking, check_all};
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;
use crate::planner::bound::{self, Probed};
use crate::planner::masks;
use crate::planner::schema::{self, Fit};
use crate::planner::single_flight::Planning;
use crate::planner::tracked;
use crate::planner::{SharedConnection, TRIES, TURN_TIMEOUT, run_limits, single_flight};
use crate::ports::changes::ProbeChanges;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::rows::{ExplainRows, Explained};
use crate::ports::source::{Catalog, CutSource, ProbeSource};
use crate::steps::context::{Measured, RunContext};
use crate::steps::kept::{Leaving, give_back, leave};
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
    pub kept: KeptTables,
    /// The tables with rows that no window selects, or with other columns than in the last window.
    pub notes: Vec<Note>,
    /// What would be run, for a dry run.
    pub dry_run: Vec<DryRun>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

impl Measured for NewWatermarks {}

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
    store: &S,
    prefix: &str,
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
    let created_at = context.timestamp()?;
    let planning = Planning {
        author: Author {
            run_id: &run_id,
            created_at: &created_at,
        },
        dry_run: request.dry_run,
        now: context.now,
        leases: context.leases,
    };
    let names: Vec<ObjectName> = request.tables.iter().map(|table| table.spec.table.clone()).collect();
    let Worked { done, failed } = match plan_all(source, (store, prefix), request.tables, planning, context).await {
        Ok(worked) => worked,
        Err(error) => {
            // The run ends here, unless the whole step is tried again and takes the leases once more.
            if !planning.dry_run {
                give_back(store, prefix, &run_id, context.leases, &names).await;
            }
            return Err(error);
        }
    };
    let mut answer = answer(done, failed);
    if !planning.dry_run {
        let Leaving { failed, kept } = leave(answer.failed, async |table: &ObjectName| {
            let ledger = Ledger::new(store, prefix, table);
            Lease::new(&ledger, &run_id, context.leases).give_back().await
        })
        .await;
        answer.failed = failed;
        answer.kept.extend(kept);
        give_back(store, prefix, &run_id, context.leases, &answer.waiting).await;
    }
    tracing::info!(
        run_id,
        windows = answer.windows.len(),
        empty = answer.empty.len(),
        unchanged = answer.unchanged.len(),
        waiting = answer.waiting.len(),
        busy = answer.kept.busy.len(),
        paused = answer.kept.paused.len(),
        failed = answer.failed.len(),
        "New watermarks looked up."
    );
    Ok(answer)
}

/// Plans every table, and takes the leases of those that have a window to copy.
async fn plan_all<P, S>(
    source: &P,
    (store, prefix): (&S, &str),
    tables: Vec<LookedUp>,
    planning: Planning<'_>,
    context: RunContext,
) -> Result<Worked<Planned>>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let catalogs = catalogs(source, &tables).await;
    for_each_table(
        Work::LookUpNew,
        tables.into_iter().zip(catalogs).collect(),
        context.time_to_answer(),
        |(table, _)| &table.spec.table,
        async |(table, catalog): &(LookedUp, Option<Catalog>), connection: &SharedConnection| {
            let ledger = Ledger::new(store, prefix, &table.spec.table);
            let planner = TablePlanner {
                source,
                ledger: &ledger,
                table,
                planning,
                connection,
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
    let asked = tokio::time::timeout(TURN_TIMEOUT, source.catalogs(&names));
    let found = match asked.await {
        Ok(Ok(catalogs)) => catalogs,
        _ => Vec::new(),
    };
    let mut found = found.into_iter();
    let of = |table: &LookedUp| is_asked_for(&table).then(|| found.next().flatten()).flatten();
    tables.iter().map(of).collect()
}

/// What is to be done with a table.
enum Next {
    Unchanged(ObjectName),
    Copy(CopyWindow),
    Empty(EmptyWindow),
    DryRun(DryRun),
    Kept(KeptTable),
}

/// A planned table.
struct Planned {
    next: Next,
    note: Option<Note>,
}

impl From<Next> for Planned {
    fn from(next: Next) -> Self {
        Self { next, note: None }
    }
}

fn answer(planned: Vec<Planned>, failed: Vec<FailedTable>) -> NewWatermarks {
    let mut answer = NewWatermarks {
        failed,
        ..NewWatermarks::default()
    };
    for Planned { next, note } in planned {
        match next {
            Next::Unchanged(table) => answer.unchanged.push(table),
            Next::Copy(window) => answer.windows.push(window),
            Next::Empty(window) => answer.empty.push(window),
            Next::DryRun(plan) => answer.dry_run.push(plan),
            Next::Kept(kept) => answer.kept.push(kept),
        }
        answer.notes.extend(note);
    }
    answer.waiting = run_limits::hold_back(&mut answer.windows);
    answer
}

/// The window of a table that is tracked by a watermark, as it was probed.
enum PlannedWindow {
    /// There is none, because the watermark has not grown.
    Unchanged(Option<Note>),
    /// The window's plan.
    Window(Box<Plan>, Option<Note>),
    /// The plan of a window whose files would not be like those before them.
    Reload(Box<Plan>),
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
        match &self.table.spec.tracking {
            Tracking::Watermark(tracking) => self.by_watermark(tracking).await,
            Tracking::ChangeTracking(tracking) => {
                let next = tracked::next(
                    self.source,
                    self.ledger,
                    self.table,
                    *tracking,
                    self.planning,
                    self.connection,
                );
                match next.await? {
                    tracked::Next::Window(frozen, note) => {
                        let next = self.frozen(*frozen)?;
                        Ok(Planned { next, note })
                    }
                    tracked::Next::Unchanged => Ok(self.unchanged().into()),
                    tracked::Next::KeptBy(keeper) => Ok(self.kept_by(keeper).into()),
                }
            }
        }
    }

    async fn by_watermark(&self, tracking: &WatermarkTracking) -> Result<Planned> {
        let mut window = self.table.next_window();
        let mut in_place_of = self.table.superseded().cloned();
        let mut may_be_frozen = self.table.may_be_frozen();
        for _ in 0..TRIES {
            let frozen = if std::mem::replace(&mut may_be_frozen, true) {
                self.ledger.plan(&window).await?
            } else {
                None
            };
            let plan = match frozen {
                Some(Plan {
                    content: Content::Superseded { by },
                    ..
                }) => {
                    in_place_of = Some(std::mem::replace(&mut window, by));
                    continue;
                }
                Some(plan) => match self.outdated(&plan, tracking).await? {
                    None => return self.adopted(plan).await,
                    Some(by) => {
                        in_place_of = Some(std::mem::replace(&mut window, by));
                        continue;
                    }
                },
                None => self.probed(tracking, in_place_of.as_ref()).await?,
            };
            match plan {
                PlannedWindow::Unchanged(note) => {
                    let next = self.unchanged();
                    return Ok(Planned { next, note });
                }
                PlannedWindow::Window(plan, note) => {
                    let next = self.freeze(*plan).await?;
                    return Ok(Planned { next, note });
                }
                PlannedWindow::Reload(plan) => {
                    // In a dry run no document says so, but what would be copied is known.
                    in_place_of = Some(plan.window.clone());
                    if let Some(next) = self.give_up(*plan).await? {
                        return Ok(next.into());
                    }
                    window = WindowName::reinit(&window);
                }
            }
        }
        let message = format!(
            "other runs keep changing window {window} of {} while it is planned: run again",
            self.table.spec.table
        );
        Err(Error::new(ErrorCode::SinkUnavailable, message))
    }

    /// Returns the full load that takes the place of a frozen window, when the window has to be given up: a column of
    /// it is gone from the table or has another type there, so that what is left of it cannot be copied, and the
    /// table's policy is to load it anew for that.
    ///
    /// The first undecided slice is decided as superseded, which ends the window for every run (W2). A first load, and
    /// a load for an earlier change, are never given up, because nothing can take their place.
    async fn outdated(&self, plan: &Plan, tracking: &WatermarkTracking) -> Result<Option<WindowName>> {
        if plan.old_watermark.is_none() || plan.supersedes().is_some() {
            return Ok(None);
        }
        let is_reload = self.table.spec.on_schema_change == Some(OnSchemaChange::Reload);
        let attempt = match self.ledger.left(plan).await? {
            // This was decided for good, whatever is asked for since.
            Left::SupersededBy(by) => return Ok(Some(by)),
            Left::Slice(attempt) if is_reload && attempt.number == 0 => attempt,
            // What was uploaded before may still become visible.
            Left::Slice(_) | Left::Nothing => return Ok(None),
        };
        let now = match self.probed(tracking, None).await {
            Ok(PlannedWindow::Reload(now)) => now,
            Err(error) if error.code().is_retryable() => return Err(error),
            // The window is left to the runs that copy it.
            Ok(_) | Err(_) => return Ok(None),
        };
        if !schema::is_outdated(&plan.columns, &now.columns) {
            return Ok(None);
        }
        let by = WindowName::reinit(&plan.window);
        if self.planning.dry_run {
            return Ok(Some(by));
        }
        if single_flight::kept_by(self.ledger, self.planning, plan)
            .await?
            .is_some()
        {
            return Ok(None);
        }
        let decision = Decision::Superseded { by: by.clone() };
        let run_id = self.planning.author.run_id.to_owned();
        let decided = self.ledger.decide(Record::new(attempt, decision, run_id)).await?;
        Ok(matches!(decided.decision, Decision::Superseded { .. }).then_some(by))
    }

    /// Goes on with a frozen plan, if it is this run's turn.
    async fn adopted(&self, plan: Plan) -> Result<Planned> {
        match single_flight::kept_by(self.ledger, self.planning, &plan).await? {
            Some(keeper) => Ok(self.kept_by(keeper).into()),
            None => self.frozen(Frozen { plan, adopted: true }).map(Planned::from),
        }
    }

    /// Plans the next window, or a full load in place of that window.
    async fn probed(&self, tracking: &WatermarkTracking, in_place_of: Option<&WindowName>) -> Result<PlannedWindow> {
        let next = bound::Next {
            table: self.table,
            tracking,
            in_place_of,
            author: self.planning.author,
        };
        let probe = bound::probe(self.source, next, self.catalog);
        let Probed { next, note } = self.connection.take_turn(probe).await?;
        let Some(plan) = next else {
            return Ok(PlannedWindow::Unchanged(note));
        };
        let begins = plan.begins();
        let Some(previous) = self.ledger.previous(begins).await? else {
            return Ok(PlannedWindow::Window(plan, note));
        };
        Ok(match schema::fit(&self.table.spec, previous, *plan)? {
            Fit::GoesOn(plan, changed) => {
                let note = Note::with_changes(note, &self.table.spec.table, changed);
                PlannedWindow::Window(plan, note)
            }
            Fit::Reload(plan) => PlannedWindow::Reload(plan),
        })
    }

    /// Freezes a plan, if it is this run's turn.
    async fn freeze(&self, plan: Plan) -> Result<Next> {
        if let Some(keeper) = single_flight::kept_by(self.ledger, self.planning, &plan).await? {
            return Ok(self.kept_by(keeper));
        }
        let frozen = if self.planning.dry_run {
            Frozen { plan, adopted: false }
        } else {
            self.ledger.freeze(plan).await?
        };
        if let Content::Superseded { .. } = frozen.plan.content {
            // Another run gave the window up meanwhile. The next run finds what takes its place.
            return Ok(self.unchanged());
        }
        self.frozen(frozen)
    }

    /// Gives the window of a plan up for a full load, by being the first to freeze a plan that says so (W1). Returns
    /// what is to be done when it is not this run's turn or another run was faster, and `None` when the window is given
    /// up.
    async fn give_up(&self, plan: Plan) -> Result<Option<Next>> {
        if self.planning.dry_run {
            return Ok(None);
        }
        if let Some(keeper) = single_flight::kept_by(self.ledger, self.planning, &plan).await? {
            return Ok(Some(self.kept_by(keeper)));
        }
        let by = WindowName::reinit(&plan.window);
        let frozen = self.ledger.freeze(plan.superseded_by(by)?).await?;
        Ok(match frozen.plan.content {
            Content::Superseded { .. } => None,
            // Another run froze the window itself meanwhile.
            _ => Some(self.frozen(frozen)?),
        })
    }

    /// Returns that the table is left alone, and logs it.
    fn kept_by(&self, keeper: Keeper) -> Next {
        let kept = KeptTable::new(self.table.spec.table.clone(), keeper);
        kept.tell();
        Next::Kept(kept)
    }

    /// Returns that there is nothing to copy. A pointer that lags behind a committed window still has to move.
    fn unchanged(&self) -> Next {
        let table = self.table.spec.table.clone();
        match self.table.committed() {
            Some(committed) if !self.planning.dry_run => Next::Copy(CopyWindow::committed(table, committed)),
            _ => Next::Unchanged(table),
        }
    }

    /// Returns what is to be done with a plan that is frozen or, in a dry run, would be.
    fn frozen(&self, frozen: Frozen) -> Result<Next> {
        let Frozen { plan, adopted } = frozen;
        let settings = self.table.spec.run_settings();
        check_settings(&plan, &settings)?;
        masks::check_frozen(&self.table.spec, &plan)?;
        if self.planning.dry_run {
            return self.shown(plan, adopted, &settings).map(Next::DryRun);
        }
        if plan.slices.is_empty() {
            let Plan { table, window, .. } = plan;
            return Ok(Next::Empty(EmptyWindow { table, window }));
        }
        let window = CopyWindow::of(&plan, adopted, settings);
        tracing::info!(
            table = %window.table, window = %window.window, new_watermark = %window.new_watermark,
            slices = window.slices, adopted, "Window frozen."
        );
        Ok(Next::Copy(window))
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

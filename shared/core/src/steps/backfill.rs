//! Planning a backfill: an interval of a table that is copied again, in windows of its own beside the chain.
//!
//! Nothing that is there is changed or deleted. The manifest of a backfill says which rows of earlier windows it
//! replaces. Its slices are copied and committed by the same steps as those of any window, but no watermark moves.

use serde::Serialize;
use time::OffsetDateTime;

use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Frozen, Ledger, Place, check_settings};
use crate::model::moment::Moment;
use crate::model::names::ObjectName;
use crate::model::plan::{Author, Plan};
use crate::model::table::{TableSpec, Tracking};
use crate::model::types::Column;
use crate::model::values::{Audit, Values};
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;
use crate::planner::backfill::{Again, BackfillPlanner, Between};
use crate::planner::freezing::TRIES;
use crate::ports::changes::ProbeChanges;
use crate::ports::objects::{CreateObjects, ReadObjects};
use crate::ports::rows::{ExplainRows, Explained};
use crate::ports::source::{CutSource, ProbeSource};
use crate::ports::watermarks::ReadWatermarks;
use crate::steps::context::RunContext;

/// What is copied again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// The rows between two watermarks.
    Between {
        /// The lower bound.
        from: String,
        /// Whether the lower bound belongs to the range. It does not when the range goes on from a backfill that was
        /// too large for one window.
        includes_from: bool,
        /// The upper bound, which belongs to the range. When absent, the end of the last window.
        to: Option<String>,
    },
    /// The changes of a tracked table since a version, without those of that version itself.
    Since(String),
}

/// A request for a backfill.
#[derive(Debug, Clone)]
pub struct BackfillRequest {
    /// The run.
    pub run_id: String,
    /// The table.
    pub spec: TableSpec,
    /// What is copied again.
    pub range: Range,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// What planning a backfill needs from the outside.
#[derive(Debug, Clone, Copy)]
pub struct BackfillPorts<'a, P, W, S> {
    /// The source.
    pub source: &'a P,
    /// The pointer, which stays where it is.
    pub watermarks: &'a W,
    /// Where the table's files and its ledger are.
    pub place: Place<'a, S>,
}

/// A backfill that is frozen or, in a dry run, would be.
#[derive(Debug, Serialize)]
pub struct Backfill {
    /// The table.
    pub table: ObjectName,
    /// Its window.
    pub window: WindowName,
    /// Its plan.
    #[serde(skip)]
    pub plan: Plan,
    /// The lower bound.
    pub old_watermark: Option<Watermark>,
    /// The upper bound.
    pub new_watermark: Watermark,
    /// The last window of the chain that holds rows it replaces.
    pub through: WindowName,
    /// The number of rows on the source between the bounds now.
    pub rows: u64,
    /// Whether an earlier call froze it.
    pub adopted: bool,
    /// Whether more of the range is left, for a further backfill from the upper bound on.
    pub goes_on: bool,
    /// The statements by which the slices are read.
    pub slices: Vec<Explained>,
}

/// Plans the backfill, or finds one of the same range that was begun and not committed.
///
/// # Errors
///
/// `InvalidInput` when the table has no committed window, when the range does not fit its tracking, and when it reaches
/// beyond what is copied; `ChangeTrackingInvalid` when the changes are no longer complete; `SchemaMismatch` when the
/// columns are not those of the last window; and the errors of the ports.
pub async fn plan_backfill<P, W, S>(
    ports: BackfillPorts<'_, P, W, S>,
    request: BackfillRequest,
    context: RunContext,
) -> Result<Backfill>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    W: ReadWatermarks,
    S: ReadObjects + CreateObjects,
{
    let spec = &request.spec;
    spec.check()?;
    let ledger = Ledger::new(ports.place, &spec.table);
    ledger.check_hold(|_| false).await?;
    let stored = ports.watermarks.stored(&spec.watermark_key()).await;
    let stored = stored.of(Role::WatermarkStore)?;
    let reached = ledger.reached(stored.value.as_deref()).await?;
    let last = reached.last.ok_or_else(|| never_copied(spec))?;
    for _ in 0..TRIES {
        let (window, begun) = next(&ledger).await?;
        let planner = BackfillPlanner {
            source: ports.source,
            ledger: &ledger,
            spec,
            last: &last,
            window,
            author: Author {
                run_id: &request.run_id,
                created_at: context.moment(),
            },
        };
        let again = match (&request.range, &spec.tracking) {
            (
                Range::Between {
                    from,
                    includes_from,
                    to,
                },
                Tracking::Watermark(tracking),
            ) => {
                let between = Between {
                    from,
                    includes_from: *includes_from,
                    to: to.as_deref(),
                };
                planner.between(tracking, between).await?
            }
            (Range::Since(version), Tracking::ChangeTracking(_)) => planner.since(version).await?,
            (Range::Between { .. }, Tracking::ChangeTracking(_)) => {
                return Err(misfit(spec, "--since", "change tracking"));
            }
            (Range::Since(_), Tracking::Watermark(_)) => return Err(misfit(spec, "--from and --to", "a watermark")),
        };
        let Again { plan, goes_on } = again;
        let begun = begun.into_iter().find(|begun| is_same(begun, &plan));
        let adopted = begun.is_some();
        if let Some(plan) = begun.or_else(|| request.dry_run.then(|| plan.clone())) {
            let again = Again { plan, goes_on };
            return shown(ports.source, again, adopted, spec).await;
        }
        let Frozen { plan, adopted } = ledger.freeze(plan).await?;
        // If another backfill got this name first, the next round takes the next name.
        if !adopted {
            return shown(ports.source, Again { plan, goes_on }, adopted, spec).await;
        }
    }
    Err(contended(&spec.table))
}

/// Makes the error that the names of backfills were taken by others again and again.
fn contended(table: &ObjectName) -> Error {
    Error::about(ErrorCode::SinkUnavailable, table, |table| {
        format!("another process began a backfill of {table} each time this one tried: try again later")
    })
}

/// Returns the name of the next backfill, and the plans of those that are begun and not committed.
async fn next<S: ReadObjects>(ledger: &Ledger<'_, S>) -> Result<(WindowName, Vec<Plan>)> {
    let mut last = 0;
    let mut begun = Vec::new();
    for window in ledger.windows().await? {
        let Some(number) = window.backfill_number() else {
            continue;
        };
        last = last.max(number);
        if let Some(plan) = ledger.plan(&window).await?
            && ledger.commit_of(&plan).await?.is_none()
        {
            begun.push(plan);
        }
    }
    Ok((WindowName::backfill(last.saturating_add(1)), begun))
}

/// Returns whether both plans copy the same rows in the same form.
fn is_same(begun: &Plan, plan: &Plan) -> bool {
    let includes = |plan: &Plan| plan.replaces.as_ref().map(|replaces| replaces.includes);
    begun.old_watermark == plan.old_watermark
        && begun.new_watermark == plan.new_watermark
        && begun.content == plan.content
        && of_both(&begun.columns) == of_both(&plan.columns)
        && begun.format == plan.format
        && includes(begun) == includes(plan)
}

/// Returns the columns without the values of an audit that are different for each window.
fn of_both(columns: &[Column]) -> Vec<Column> {
    let mut columns = columns.to_vec();
    for column in &mut columns {
        match &mut column.values {
            Values::Audit(Audit::Window(own)) => own.clear(),
            Values::Audit(Audit::CopiedAt(own)) => *own = Moment::of(OffsetDateTime::UNIX_EPOCH),
            Values::Audit(Audit::Operation(_)) | Values::OfSource | Values::ServerMask | Values::Masked(_) => {}
        }
    }
    columns
}

async fn shown<P>(source: &P, again: Again, adopted: bool, spec: &TableSpec) -> Result<Backfill>
where
    P: CutSource + ExplainRows,
{
    let Again { plan, goes_on } = again;
    let settings = spec.run_settings();
    check_settings(&plan, &settings)?;
    let rows = match plan.rows(&settings) {
        Some(rows) => source.count(&rows).await.of(Role::Source)?,
        None => 0,
    };
    let statements = plan.slices.iter().filter_map(|slice| plan.slice_rows(slice, &settings));
    let statements = statements.map(|rows| source.explain(&rows, &plan.columns).of(Role::Source));
    let slices = statements.collect::<Result<_>>()?;
    let through = plan.replaces.as_ref().map(|replaces| replaces.through.clone());
    Ok(Backfill {
        table: plan.table.clone(),
        window: plan.window.clone(),
        old_watermark: plan.old_watermark.clone(),
        new_watermark: plan.new_watermark.clone(),
        through: through.unwrap_or_else(WindowName::initial),
        rows,
        adopted,
        goes_on,
        slices,
        plan,
    })
}

fn never_copied(spec: &TableSpec) -> Error {
    let message = format!(
        "{} has no committed window yet: there is nothing to copy again",
        spec.table
    );
    Error::new(ErrorCode::InvalidInput, message)
}

fn misfit(spec: &TableSpec, asked: &str, tracking: &str) -> Error {
    let message = format!(
        "{} is tracked by {tracking}: give {asked} to say what of it is copied again",
        spec.table
    );
    Error::new(ErrorCode::InvalidInput, message)
}

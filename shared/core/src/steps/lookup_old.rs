//! Step 1: where does each table's next window start?
//!
//! Reads the watermark store and rolls forward along the manifests of windows that were committed while the pointer
//! stayed behind, or was deleted. Writes nothing.

use serde::{Deserialize, Serialize};

use crate::error::{OfRole, Result, Role};
use crate::ledger::{ChainEnd, Lease, Ledger};
use crate::model::kept::PausedTable;
use crate::model::lookup::{CommittedWindow, LookedUp, Start};
use crate::model::manifest::Manifest;
use crate::model::names::ObjectName;
use crate::model::table::{TableSpec, Tracking, check_all};
use crate::model::watermark::StoredWatermark;
use crate::model::window::WindowName;
use crate::planner::SharedConnection;
use crate::ports::objects::ReadObjects;
use crate::ports::watermarks::ReadWatermarks;
use crate::steps::context::{Measured, RunContext};
use crate::steps::kept::{Leaving, leave};
use crate::steps::tables::{FailedTable, Work, Worked, for_each_table};

/// The state machine's input and the name of the run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupOldRequest {
    /// The run, the execution's name.
    pub run_id: String,
    /// Every table of the run.
    pub tables: Vec<TableSpec>,
    /// Accepted because it belongs to the state machine's input; this step writes nothing in any case.
    #[serde(default)]
    pub dry_run: bool,
}

/// These are all tables, looked up or failed.
#[derive(Debug, Serialize)]
pub struct OldWatermarks {
    /// These are the tables, with their stored watermarks.
    pub tables: Vec<LookedUp>,
    /// These are the tables that failed.
    pub failed: Vec<FailedTable>,
    /// These are the tables that would have failed, and that somebody has paused.
    pub paused: Vec<PausedTable>,
}

impl Measured for OldWatermarks {}

/// Looks up every table.
///
/// # Errors
///
/// `InvalidInput` when the request makes no sense; retryable codes when no table could be looked up for now.
/// What fails for one table is in the answer.
pub async fn lookup_old<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    store: &S,
    prefix: &str,
    request: LookupOldRequest,
    context: RunContext,
) -> Result<OldWatermarks> {
    check_all(request.tables.iter())?;
    let Worked { done: tables, failed } = for_each_table(
        Work::LookUpOld,
        request.tables,
        context.time_to_answer(),
        |spec| &spec.table,
        async |spec: &TableSpec, connection: &SharedConnection| {
            let key = spec.watermark_key();
            let stored = async { watermarks.stored(&key).await.of(Role::WatermarkStore) };
            let stored = if watermarks.takes_turns() {
                connection.take_turn(stored).await?
            } else {
                stored.await?
            };
            look_up(&Ledger::new(store, prefix, &spec.table), spec, stored).await
        },
    )
    .await?;
    let Leaving { failed, kept } = leave(failed, async |table: &ObjectName| {
        let ledger = Ledger::new(store, prefix, table);
        let lease = Lease::new(&ledger, &request.run_id, context.leases);
        lease.keeper(context.now).await
    })
    .await;
    tracing::info!(
        run_id = request.run_id,
        tables = tables.len(),
        failed = failed.len(),
        "Old watermarks looked up."
    );
    Ok(OldWatermarks {
        tables,
        failed,
        paused: kept.paused,
    })
}

async fn look_up<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    spec: &TableSpec,
    stored: StoredWatermark,
) -> Result<LookedUp> {
    let mut is_unloaded = false;
    let end = match &stored.value {
        Some(text) => match ledger.chain_end(&WindowName::after_text(text)).await? {
            None if matches!(spec.tracking, Tracking::ChangeTracking(_)) => {
                let first = ledger.manifest(&WindowName::initial()).await?;
                is_unloaded = first.is_none();
                first_load_end(ledger, first, text).await?
            }
            end => end,
        },
        // The first run of a table, or its pointer was deleted: then its history may begin anywhere.
        None => ledger.only_chain_end().await?,
    };
    let start = match end {
        Some(end) => Start::Committed(committed(spec, &stored, end)),
        None if is_unloaded => Start::Unloaded,
        None => Start::Stored,
    };
    Ok(LookedUp {
        spec: spec.clone(),
        stored,
        start,
    })
}

fn committed(spec: &TableSpec, stored: &StoredWatermark, end: ChainEnd) -> CommittedWindow {
    let Manifest {
        new_watermark,
        superseded_by,
        ..
    } = end.manifest;
    if Some(new_watermark.value()) != stored.value.as_deref() {
        tracing::warn!(
            table = %spec.table, stored = ?stored.value, committed = %new_watermark,
            "The watermark lags behind the committed windows and is rolled forward."
        );
    }
    CommittedWindow {
        window: end.window,
        new_watermark,
        superseded_by,
    }
}

/// The end of the chain that begins with the first load, when the stored version is still the one the load found.
///
/// A version says nothing of the rows before it. So a version that was in the store before this ledger began does not
/// stand for a load: the table is loaded in full, and the load's window leads on from that version.
async fn first_load_end<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    first: Option<Manifest>,
    stored: &str,
) -> Result<Option<ChainEnd>> {
    let seed = first.and_then(|first| first.seed);
    let Some(seed) = seed.filter(|seed| seed.is(stored)) else {
        return Ok(None);
    };
    let end = ledger.chain_end(&WindowName::initial()).await?;
    Ok(end.filter(|end| end.manifest.new_watermark != seed))
}

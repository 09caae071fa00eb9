//! Step 1: where does each table's next window start?
//!
//! Reads the watermark store and rolls forward along the manifests of windows that were committed while the pointer
//! stayed behind, or was deleted. Writes nothing.

use serde::{Deserialize, Serialize};
use tidemark::error::Result;
use tidemark::ledger::{ChainEnd, Ledger, Manifest, WindowName};
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::watermarks::{ReadWatermarks, StoredWatermark};
use tidemark::runner::{Answer, RunContext};
use tidemark::steps::{CommittedWindow, FailedTable, LookedUp, Turns, for_each_table};
use tidemark::table::{TableSpec, Tracking, check_all};
use tidemark::watermark::Watermark;

/// The state machine's input and the name of the run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The run, the execution's name.
    pub run_id: String,
    /// Every table of the run.
    pub tables: Vec<TableSpec>,
    /// Accepted because it belongs to the state machine's input; this step writes nothing in any case.
    #[serde(default)]
    pub dry_run: bool,
}

/// All tables, looked up or failed.
#[derive(Debug, Serialize)]
pub struct Response {
    /// The tables, with their stored watermarks.
    pub tables: Vec<LookedUp>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

impl Answer for Response {}

/// Looks up every table.
///
/// Errors: `InvalidInput` when the request makes no sense; retryable codes when no table could be looked up for now.
/// What fails for one table is in the response.
pub async fn handle<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    store: &S,
    prefix: &str,
    request: Request,
    context: RunContext,
) -> Result<Response> {
    check_all(request.tables.iter())?;
    let run_id = &request.run_id;
    let (tables, failed) = for_each_table(
        request.tables,
        context.deadline,
        |spec| &spec.table,
        async |spec: &TableSpec, turns: &Turns| {
            let key = spec.watermark_key();
            let stored = watermarks.stored(&key);
            let stored = if watermarks.takes_turns() {
                turns.take(stored).await?
            } else {
                stored.await?
            };
            look_up(&Ledger::new(store, prefix, &spec.table), spec, stored).await
        },
    )
    .await?;
    tracing::info!(
        run_id,
        tables = tables.len(),
        failed = failed.len(),
        "Old watermarks looked up."
    );
    Ok(Response { tables, failed })
}

async fn look_up<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    spec: &TableSpec,
    stored: StoredWatermark,
) -> Result<LookedUp> {
    let mut unloaded = false;
    let end = match &stored.value {
        Some(text) => match ledger.chain_end(&WindowName::after_text(text)).await? {
            None if matches!(spec.tracking, Tracking::ChangeTracking(_)) => {
                let first = ledger.manifest(&WindowName::initial()).await?;
                unloaded = first.is_none();
                first_load_end(ledger, first, text).await?
            }
            end => end,
        },
        // The first run of a table, or its pointer was deleted: then its history may begin anywhere.
        None => ledger.only_chain_end().await?,
    };
    let committed = end.map(|end| {
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
    });
    Ok(LookedUp {
        spec: spec.clone(),
        stored,
        committed,
        unloaded,
    })
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
    let Some(seed) = seed.filter(|seed| Watermark::new(seed.sql_type(), stored).is_ok_and(|stored| stored == *seed))
    else {
        return Ok(None);
    };
    let end = ledger.chain_end(&WindowName::initial()).await?;
    Ok(end.filter(|end| end.manifest.new_watermark != seed))
}

//! Step 1: where does each table's next window start?
//!
//! Reads the watermark store and rolls forward along the manifests of windows that were committed while the pointer
//! stayed behind, or was deleted. Writes nothing.

use serde::{Deserialize, Serialize};
use tidemark::error::Result;
use tidemark::ledger::{Ledger, WindowName};
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::watermarks::{ReadWatermarks, StoredWatermark};
use tidemark::runner::{Answer, RunContext};
use tidemark::steps::{CommittedWindow, FailedTable, LookedUp, Turns, for_each_table};
use tidemark::table::{TableSpec, check_all};

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
    let end = match &stored.value {
        Some(text) => ledger.chain_end(&WindowName::after_text(text)).await?,
        // The first run of a table, or its pointer was deleted: then its history may begin anywhere.
        None => ledger.only_chain_end().await?,
    };
    let committed = end.map(|end| {
        let new_watermark = end.manifest.new_watermark;
        tracing::warn!(
            table = %spec.table, stored = ?stored.value, committed = %new_watermark,
            "The watermark lags behind the committed windows and is rolled forward."
        );
        CommittedWindow {
            window: end.window,
            new_watermark,
        }
    });
    Ok(LookedUp {
        spec: spec.clone(),
        stored,
        committed,
    })
}

//! Step 1: finds where each table's next window starts.
//!
//! It reads the watermark store and rolls forward along the manifests of windows that were committed while the pointer
//! stayed behind or was deleted. It writes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{OfRole, Result, Role};
use crate::ledger::{ChainEnd, Lease, Ledger, Place};
use crate::model::left_alone::PausedTable;
use crate::model::lookup::{CommittedWindow, LookedUp, Start};
use crate::model::manifest::Manifest;
use crate::model::metric::{Measurement, Metric};
use crate::model::names::ObjectName;
use crate::model::table::{TableSpec, Tracking, check_all};
use crate::model::watermark::StoredWatermark;
use crate::model::window::WindowName;
use crate::ports::objects::{AskBucket, ReadObjects};
use crate::ports::watermarks::ReadWatermarks;
use crate::shared_connection::{SharedConnection, jointly};
use crate::steps::context::{Measured, RunContext};
use crate::steps::leases::{Leaving, leave};
use crate::steps::tables::{FailedTable, Work, Worked, for_each_table};

/// How long the bucket may take to tell how it is set up.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// The state machine's input and the name of the run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupOldRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// Every table of the run.
    pub tables: Vec<TableSpec>,
    /// Accepted because it belongs to the state machine's input. This step writes nothing in any case.
    #[serde(default)]
    pub dry_run: bool,
}

/// All tables of the run, looked up or failed.
#[derive(Debug, Serialize)]
pub struct OldWatermarks {
    /// The tables with their stored watermarks.
    pub tables: Vec<LookedUp>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
    /// The tables that would have failed, but that somebody has paused.
    pub paused: Vec<PausedTable>,
    /// What the bucket lacks, and what could not be looked at. It is asked only while a table has no committed window.
    pub notes: Vec<BucketNote>,
}

/// A fact about the bucket that whoever set it up should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BucketNote {
    /// The bucket and the prefix in it.
    pub bucket: String,
    /// The fact, and what to do about it.
    pub note: String,
}

impl Measured for OldWatermarks {
    fn metrics(&self) -> Vec<Measurement> {
        Measurement::of_tables(&[(Metric::TablesPaused, self.paused.len())])
    }
}

/// Looks up every table.
///
/// # Errors
///
/// `InvalidInput` when the request is invalid; a retryable code when no table could be looked up for now. The failure
/// of a single table is in the answer.
pub async fn lookup_old<W: ReadWatermarks, S: ReadObjects + AskBucket>(
    watermarks: &W,
    place: Place<'_, S>,
    request: LookupOldRequest,
    context: RunContext,
) -> Result<OldWatermarks> {
    check_all(request.tables.iter())?;
    let connection = SharedConnection::default();
    let known = stored_together(watermarks, &request.tables).await;
    let Worked { done: tables, failed } = for_each_table(
        Work::LookUpOld,
        request.tables.into_iter().zip(known).collect(),
        context,
        |(spec, _)| &spec.table,
        async |(spec, known): &(TableSpec, Option<StoredWatermark>)| {
            let stored = match known {
                Some(known) => known.clone(),
                None => stored_alone(watermarks, spec, &connection).await?,
            };
            look_up(&Ledger::new(place, &spec.table), spec, stored).await
        },
    )
    .await?;
    let Leaving { failed, left_alone } = leave(failed, async |table: &ObjectName| {
        let ledger = Ledger::new(place, table);
        let lease = Lease::new(&ledger, &request.run_id, context.leases);
        lease.keeper(context.now).await
    })
    .await;
    let is_first = |found: &LookedUp| found.stored.value.is_none() && !matches!(found.start, Start::Committed(_));
    let notes = if tables.iter().any(is_first) {
        notes_of(place).await
    } else {
        Vec::new()
    };
    tracing::info!(
        run_id = request.run_id,
        tables = tables.len(),
        failed = failed.len(),
        "Old watermarks looked up."
    );
    Ok(OldWatermarks {
        tables,
        failed,
        paused: left_alone.paused,
        notes,
    })
}

/// Asks what the store holds for all tables together, where it can be asked so. The answer is `None` for a table that
/// has to be asked for by itself. That is every table when the question fails, so that the failure is that of a single
/// table.
async fn stored_together<W: ReadWatermarks>(watermarks: &W, tables: &[TableSpec]) -> Vec<Option<StoredWatermark>> {
    if !watermarks.takes_turns() {
        return vec![None; tables.len()];
    }
    let keys: Vec<_> = tables.iter().map(TableSpec::watermark_key).collect();
    let asked = watermarks.all_stored(&keys);
    let stored = jointly("The stored watermarks", tables.len(), Role::WatermarkStore, asked).await;
    stored.unwrap_or_else(|| vec![None; tables.len()])
}

async fn stored_alone<W: ReadWatermarks>(
    watermarks: &W,
    spec: &TableSpec,
    connection: &SharedConnection,
) -> Result<StoredWatermark> {
    let key = spec.watermark_key();
    let stored = async { watermarks.stored(&key).await.of(Role::WatermarkStore) };
    if watermarks.takes_turns() {
        connection.take_turn(stored).await
    } else {
        stored.await
    }
}

/// Returns what the bucket lacks. A question that it does not answer stops no run.
async fn notes_of<S: ReadObjects + AskBucket>(place: Place<'_, S>) -> Vec<BucketNote> {
    let notes = match tokio::time::timeout(SETTINGS_TIMEOUT, place.store.settings(place.prefix)).await {
        Ok(Ok(settings)) => settings.map(|settings| settings.notes()).unwrap_or_default(),
        Ok(Err(error)) => vec![format!("how it is set up was not looked at: {}", error.report())],
        Err(_) => {
            let seconds = SETTINGS_TIMEOUT.as_secs();
            vec![format!(
                "how it is set up was not looked at: it did not answer in {seconds} seconds"
            )]
        }
    };
    let bucket = place.store.address(place.prefix);
    let told = |note: String| {
        tracing::warn!(bucket, "{note}.");
        BucketNote {
            bucket: bucket.clone(),
            note,
        }
    };
    notes.into_iter().map(told).collect()
}

async fn look_up<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    spec: &TableSpec,
    stored: StoredWatermark,
) -> Result<LookedUp> {
    let start = match &stored.value {
        Some(text) => start_after(ledger, spec, text).await?,
        None if ledger.windows().await?.is_empty() => Start::Unfrozen,
        // The pointer of the table was deleted, so its history may begin anywhere.
        None => ledger.only_chain_end().await?.map_or(Start::Stored, Start::from),
    };
    if let Start::Committed(committed) = &start
        && Some(committed.new_watermark.value()) != stored.value.as_deref()
    {
        tracing::warn!(
            table = %spec.table, stored = ?stored.value, committed = %committed.new_watermark,
            "The watermark lags behind the committed windows and is rolled forward."
        );
    }
    Ok(LookedUp {
        spec: spec.clone(),
        stored,
        start,
    })
}

/// Returns where the next window starts when the store holds `text`.
async fn start_after<S: ReadObjects>(ledger: &Ledger<'_, S>, spec: &TableSpec, text: &str) -> Result<Start> {
    let followed = ledger.follow(&WindowName::after_text(text), None).await?;
    if let Some(end) = followed.end {
        return Ok(end.into());
    }
    let start = if followed.is_frozen {
        Start::Stored
    } else {
        Start::Unfrozen
    };
    if !matches!(spec.tracking, Tracking::ChangeTracking(_)) {
        return Ok(start);
    }
    let Some(first) = ledger.manifest(&WindowName::initial()).await? else {
        return Ok(Start::Unloaded);
    };
    let end = first_load_end(ledger, first, text).await?;
    Ok(end.map_or(start, Start::from))
}

impl From<ChainEnd> for Start {
    fn from(end: ChainEnd) -> Self {
        let Manifest {
            new_watermark,
            superseded_by,
            ..
        } = end.manifest;
        Self::Committed(CommittedWindow {
            window: end.window,
            new_watermark,
            superseded_by,
        })
    }
}

/// Returns the end of the chain that begins with the first load, when the stored version is still the one that the load
/// found.
///
/// A version tells nothing of the rows before it. So a version that was in the store before this ledger began does not
/// stand for a load: the table is loaded in full, and the load's window leads on from that version.
async fn first_load_end<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    first: Manifest,
    stored: &str,
) -> Result<Option<ChainEnd>> {
    let Some(seed) = first.seed.filter(|seed| seed.is(stored)) else {
        return Ok(None);
    };
    let end = ledger.chain_end(&WindowName::initial()).await?;
    Ok(end.filter(|end| end.manifest.new_watermark != seed))
}

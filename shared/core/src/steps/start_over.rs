//! Starting a table over: everything of it goes into the archive, and the next run loads it as if it had never been
//! copied.
//!
//! The table is paused first, which keeps every run off until all of it is done, and its hold says what is begun.
//! Whoever repeats the call goes on with the same folder of the archive. Nothing is deleted.

use futures::stream::{self, StreamExt};
use serde::Serialize;

use super::archive::{self, ArchivePorts, Standing};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{AT_ONCE, Ledger};
use crate::model::hold::{Begun, Hold, RESET};
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::watermark::WatermarkKey;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use crate::ports::watermarks::ClearWatermarks;
use crate::steps::context::RunContext;

/// A table that is started over.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct StartedOver {
    /// The table.
    pub table: ObjectName,
    /// The folder of the archive, below that of the table.
    pub archive: String,
    /// The number of documents of the ledger that this call moved.
    pub documents: usize,
    /// The number of objects with rows that this call moved.
    pub objects: usize,
    /// Whether an earlier call had begun it.
    pub resumed: bool,
}

/// How often the ledger is searched for documents that runs write which had begun before.
const ROUNDS: usize = 4;

/// Starts the table over, or goes on with what an earlier call began.
///
/// # Errors
///
/// `SinkUnavailable` while a run is copying the table, and the errors of the ports. Repeat the call after an error.
pub async fn start_over<W, S>(
    ports: ArchivePorts<'_, W, S>,
    table: &ObjectName,
    context: RunContext,
) -> Result<StartedOver>
where
    W: ClearWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + ArchiveObjects,
{
    let (store, ledger) = (ports.place.store, Ledger::new(ports.place, table));
    let standing = Standing::take(&ledger, table, RESET, context).await?;
    let is_paused = standing.was_paused;
    let begun = async {
        let plans = plans(&ledger).await?;
        let (hold, resumed) = begin(store, &ledger, table, &plans, is_paused, context).await?;
        Ok((plans, hold, resumed))
    };
    let (plans, hold, resumed) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            standing.end_unless_begun(is_paused).await?;
            return Err(error);
        }
    };
    standing.keep(&hold, context).await?;
    for plan in &plans {
        abort_uploads(store, &ledger, plan).await?;
    }
    let mut documents = 0;
    for _ in 0..ROUNDS {
        let moved = move_documents(store, &ledger, &hold.archive).await?;
        documents += moved;
        if moved == 0 {
            break;
        }
    }
    let Begun::StartOver { watermark_name } = &hold.begun else {
        return Err(Error::new(
            ErrorCode::Internal,
            "another thing was begun than was asked for",
        ));
    };
    let key = WatermarkKey::new(table, watermark_name.as_deref());
    // This comes after the plans are gone: a run that stores a watermark late finds either the cleared store, or that
    // its plan is gone.
    let cleared = ports.watermarks.clear(&key, &hold.archive).await;
    cleared.of(Role::WatermarkStore)?;
    let mut objects = 0;
    for folder in ledger.keys().data() {
        let parts = store.list(&folder).await?;
        objects += archive::move_all(store, &ledger, parts, &hold.archive).await?;
    }
    archive::end_hold(store, &ledger, &hold).await?;
    standing.end(hold.stays_paused).await?;
    tracing::warn!(%table, archive = hold.archive, documents, objects, "The table is started over.");
    Ok(StartedOver {
        table: table.clone(),
        archive: hold.archive,
        documents,
        objects,
        resumed,
    })
}

/// Returns the hold of this start over, and whether an earlier call began it.
async fn begin<S>(
    store: &S,
    ledger: &Ledger<'_, S>,
    table: &ObjectName,
    plans: &[Plan],
    is_paused: bool,
    context: RunContext,
) -> Result<(Hold, bool)>
where
    S: ReadObjects + CreateObjects + ArchiveObjects,
{
    let mut stays_paused = is_paused;
    match ledger.hold().await? {
        Some(hold) if matches!(hold.begun, Begun::StartOver { .. }) => return Ok((hold, true)),
        // What is left of a window that was to be given up is archived with everything else.
        Some(hold) => {
            stays_paused |= hold.stays_paused;
            archive::end_hold(store, ledger, &hold).await?;
        }
        None => {}
    }
    let begun = Begun::StartOver {
        watermark_name: plans.iter().find_map(|plan| plan.watermark_name.clone()),
    };
    let folder = archive::folder(store, ledger, context).await?;
    let hold = Hold::new(table, begun, folder, stays_paused, context.moment());
    Ok((ledger.begin(hold).await?, false))
}

/// Moves every document of the ledger except the hold, the lease and the pointer. Returns how many there were.
async fn move_documents<S>(store: &S, ledger: &Ledger<'_, S>, folder: &str) -> Result<usize>
where
    S: ReadObjects + ArchiveObjects,
{
    let mut keys = store.list(&ledger.keys().windows()).await?;
    let keys_of_table = ledger.keys();
    let stay = [keys_of_table.hold(), keys_of_table.lease(), keys_of_table.watermark()];
    keys.retain(|key| !stay.contains(key));
    // Manifests are moved first: readers that follow them must find none before the first object is gone.
    let (manifests, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.ends_with("/manifest.json"));
    let manifests = archive::move_all(store, ledger, manifests, folder).await?;
    Ok(manifests + archive::move_all(store, ledger, others, folder).await?)
}

/// Returns the plans of the table. A plan that cannot be read is left out, because a damaged ledger is a reason to
/// start over.
async fn plans<S: ReadObjects>(ledger: &Ledger<'_, S>) -> Result<Vec<Plan>> {
    let mut read = stream::iter(ledger.windows().await?)
        .map(|window| async move { ledger.plan(&window).await })
        .buffered(AT_ONCE);
    let mut plans = Vec::new();
    while let Some(plan) = read.next().await {
        match plan {
            Ok(plan) => plans.extend(plan),
            Err(error) if error.code() == ErrorCode::LedgerInvalid => {}
            Err(error) => return Err(error),
        }
    }
    Ok(plans)
}

/// Aborts the uploads of a window that is not committed. A committed window has none.
async fn abort_uploads<S: ReadObjects + UploadObjects>(store: &S, ledger: &Ledger<'_, S>, plan: &Plan) -> Result<()> {
    let aborted = async {
        if ledger.commit_of(plan).await?.is_none() {
            archive::abort_uploads(store, ledger, plan).await?;
        }
        Ok::<(), Error>(())
    };
    match aborted.await {
        // What is visible is archived with everything else. An upload whose record cannot be read is removed by the
        // bucket's lifecycle rule.
        Err(error) if error.code() == ErrorCode::LedgerInvalid => Ok(()),
        done => done,
    }
}

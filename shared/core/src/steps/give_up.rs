//! Giving up a window that is frozen and not committed, so that the next run plans it anew from where it starts.
//!
//! Its uploads are aborted first, so that none of them becomes visible any more. What somebody had begun to make
//! visible goes into the archive with the window's documents. No run works on the table meanwhile, as when it is
//! started over.

use serde::Serialize;

use super::archive::{self, ArchivePorts, Standing};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::Ledger;
use crate::model::hold::{Begun, GIVE_UP, Hold};
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::window::WindowName;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use crate::ports::watermarks::ReadWatermarks;
use crate::steps::context::RunContext;

/// A window that is given up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GivenUp {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The folder of the archive, below that of the table.
    pub archive: String,
    /// The number of documents that this call moved.
    pub documents: usize,
    /// The number of visible objects that this call moved.
    pub objects: usize,
}

/// Gives up this window of the table or, without one, the window after the last committed one, when it is frozen and
/// not committed; or goes on with what an earlier call began.
///
/// # Errors
///
/// `InvalidInput` when no window is pending, when it was committed meanwhile, and when the table is being started over;
/// `SinkUnavailable` while a run is copying the table; and the errors of the ports. Repeat the call after an error.
pub async fn give_up<W, S>(
    ports: ArchivePorts<'_, W, S>,
    table: &ObjectName,
    window: Option<WindowName>,
    context: RunContext,
) -> Result<GivenUp>
where
    W: ReadWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + ArchiveObjects,
{
    let (store, ledger) = (ports.place.store, Ledger::new(ports.place, table));
    let standing = Standing::take(&ledger, table, GIVE_UP, context).await?;
    let is_paused = standing.was_paused;
    let begun = begin(ports, &ledger, table, window, is_paused, context).await;
    let (hold, window) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // Nothing is begun, or all of it was done and only the lease is left. What somebody else has begun keeps
            // its pause.
            standing.end_unless_begun(is_paused).await?;
            return Err(error);
        }
    };
    standing.keep(&hold, context).await?;
    let frozen = ledger.plan(&window).await?;
    let committed = match &frozen {
        Some(plan) => ledger.commit_of(plan).await?,
        None => None,
    };
    if committed.is_some() {
        archive::end_hold(store, &ledger, &hold).await?;
        standing.end(hold.stays_paused).await?;
        return Err(nothing(table, &format!("window {window} was committed meanwhile")));
    }
    let mut objects = 0;
    if let Some(plan) = &frozen {
        let visible = archive::abort_uploads(store, &ledger, plan).await?;
        objects = archive::move_all(store, &ledger, visible, &hold.archive).await?;
    }
    let mut keys = store.list(&ledger.keys().window(&window)).await?;
    // `previous.json` in this folder belongs to the window before, which is committed.
    let (previous, plan) = (ledger.keys().previous(&window), ledger.keys().plan(&window));
    keys.retain(|key| *key != previous);
    if let Some(plan) = &frozen {
        keys.extend(begun_outside(store, &ledger, plan).await?);
    }
    // The plan comes last, because it says which objects there may be.
    let (plan, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| *key == plan);
    let mut documents = archive::move_all(store, &ledger, others, &hold.archive).await?;
    documents += archive::move_all(store, &ledger, plan, &hold.archive).await?;
    archive::end_hold(store, &ledger, &hold).await?;
    standing.end(hold.stays_paused).await?;
    tracing::warn!(%table, %window, archive = hold.archive, documents, objects, "The window is given up.");
    Ok(GivenUp {
        table: table.clone(),
        window,
        archive: hold.archive,
        documents,
        objects,
    })
}

/// Returns the keys of what a commit that did not end wrote outside the window's folder of the ledger, and what the
/// next commit could not write again.
async fn begun_outside<S: ReadObjects>(store: &S, ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let next = WindowName::after(&plan.new_watermark);
    if let Some(left) = ledger.any_previous(&next).await? {
        // A document of a plan that is gone would keep the next plan from being committed.
        let is_in_the_way = left.window == plan.window || !ledger.is_current(&left.window, &left.plan).await?;
        keys.extend(is_in_the_way.then(|| ledger.keys().previous(&next)));
    }
    let folder = ledger.keys().window(&plan.window);
    for loader in &plan.loader_manifests {
        let key = ledger.keys().loader(plan, *loader);
        if !key.starts_with(&folder) && store.size(&key).await?.is_some() {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Returns the hold of this giving up, and the window.
async fn begin<W, S>(
    ports: ArchivePorts<'_, W, S>,
    ledger: &Ledger<'_, S>,
    table: &ObjectName,
    window: Option<WindowName>,
    is_paused: bool,
    context: RunContext,
) -> Result<(Hold, WindowName)>
where
    W: ReadWatermarks,
    S: ReadObjects + CreateObjects,
{
    let found = ledger.check_hold(|begun| matches!(begun, Begun::GiveUp { .. })).await?;
    let hold = match found {
        Some(hold) => hold,
        None => {
            let window = match window {
                Some(window) if ledger.plan(&window).await?.is_some() => window,
                Some(window) => return Err(nothing(table, &format!("there is no window {window} of it"))),
                None => pending(ports.watermarks, ledger, table).await?,
            };
            let archive = archive::folder(ports.place.store, ledger, context).await?;
            let since = context.moment();
            let hold = Hold::new(table, Begun::GiveUp { window }, archive, is_paused, since);
            ledger.begin(hold).await?
        }
    };
    match hold.begun.clone() {
        Begun::GiveUp { window } => Ok((hold, window)),
        Begun::StartOver { .. } => Err(nothing(table, "it is being started over")),
    }
}

async fn pending<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    table: &ObjectName,
) -> Result<WindowName> {
    let key = ledger.watermark_key().await?;
    let stored = watermarks.stored(&key).await.of(Role::WatermarkStore)?;
    let reached = ledger.reached(stored.value.as_deref()).await?;
    let pending = reached.pending.map(|plan| plan.window);
    pending.ok_or_else(|| nothing(table, "no window of it is frozen and not committed"))
}

fn nothing(table: &ObjectName, why: &str) -> Error {
    Error::new(
        ErrorCode::InvalidInput,
        format!("{table}: {why}: there is nothing to give up"),
    )
}

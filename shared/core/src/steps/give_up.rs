//! Giving a window up that is frozen and not committed, so that the next run plans it anew from where it starts.
//!
//! Its uploads are aborted first, so that none of them becomes visible any more; what somebody had begun to make visible goes
//! into the archive with the window's documents. The hold of the table comes first and ends last, as when it is started over.

use serde::Serialize;

use super::archive;
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{FoundHold, Ledger, check_hold};
use crate::model::hold::HoldState;
use crate::model::names::ObjectName;
use crate::model::watermark::WatermarkKey;
use crate::model::window::WindowName;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use crate::ports::watermarks::ReadWatermarks;
use crate::steps::context::RunContext;

/// What giving up needs from the outside.
#[derive(Debug, Clone, Copy)]
pub struct GiveUpPorts<'a, W, S> {
    /// The pointer, which stays where it is.
    pub watermarks: &'a W,
    /// The bucket.
    pub store: &'a S,
    /// The prefix in the bucket.
    pub prefix: &'a str,
}

/// A window that is given up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GivenUp {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The folder of the archive, below the table's.
    pub archive: String,
    /// Documents that were moved, by this call.
    pub documents: usize,
    /// Objects that were visible and moved, by this call.
    pub objects: usize,
}

/// What is begun.
struct Begun {
    hold: FoundHold,
    window: WindowName,
    archive: String,
    stays_paused: bool,
}

/// Gives up this window of the table, or the one after the last committed one, when it is frozen and not committed; or goes on with what an earlier call began.
///
/// # Errors
///
/// `InvalidInput` when no window is pending, or it was committed meanwhile; `LedgerInvalid` when the table is being started
/// over; `WatermarkConflict` when somebody else changes its hold; and whatever the ports say. Repeat it after an error.
pub async fn give_up<W, S>(
    ports: GiveUpPorts<'_, W, S>,
    table: &ObjectName,
    window: Option<WindowName>,
    context: RunContext,
) -> Result<GivenUp>
where
    W: ReadWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + ArchiveObjects,
{
    let (store, ledger) = (ports.store, Ledger::new(ports.store, ports.prefix, table));
    let begun = begin(ports, &ledger, table, window, context).await?;
    let after = HoldState::after(begun.stays_paused);
    let window = begun.window;
    if ledger.manifest(&window).await?.is_some() {
        ledger.replace_hold(&begun.hold, after, context.timestamp()?).await?;
        let message = format!("window {window} of {table} was committed meanwhile: there is nothing to give up");
        return Err(Error::new(ErrorCode::InvalidInput, message));
    }
    let mut objects = 0;
    if let Some(plan) = ledger.plan(&window).await? {
        let visible = archive::abort_uploads(store, &ledger, &plan).await?;
        objects = archive::move_all(store, &ledger, visible, &begun.archive).await?;
    }
    let mut keys = store.list(&ledger.keys().window(&window)).await?;
    // Of the window before, which is committed.
    let (previous, plan) = (ledger.keys().previous(&window), ledger.keys().plan(&window));
    keys.retain(|key| *key != previous);
    // The plan comes last: it says which objects there may be.
    let (plan, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| *key == plan);
    let mut documents = archive::move_all(store, &ledger, others, &begun.archive).await?;
    documents += archive::move_all(store, &ledger, plan, &begun.archive).await?;
    ledger.replace_hold(&begun.hold, after, context.timestamp()?).await?;
    tracing::warn!(%table, %window, archive = begun.archive, documents, objects, "The window is given up.");
    Ok(GivenUp {
        table: table.clone(),
        window,
        archive: begun.archive,
        documents,
        objects,
    })
}

async fn begin<W, S>(
    ports: GiveUpPorts<'_, W, S>,
    ledger: &Ledger<'_, S>,
    table: &ObjectName,
    window: Option<WindowName>,
    context: RunContext,
) -> Result<Begun>
where
    W: ReadWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let found = ledger.hold().await?;
    if let HoldState::GivingUp {
        window,
        archive,
        stays_paused,
    } = &found.hold.state
    {
        return Ok(Begun {
            window: window.clone(),
            archive: archive.clone(),
            stays_paused: *stays_paused,
            hold: found,
        });
    }
    check_hold(&found.hold)?;
    let stays_paused = matches!(found.hold.state, HoldState::Paused { .. });
    let window = match window {
        Some(window) if ledger.plan(&window).await?.is_some() => window,
        Some(window) => return Err(nothing(table, &format!("there is no window {window} of it"))),
        None => pending(ports.watermarks, ledger, table).await?,
    };
    let archive = archive::folder(context)?;
    let state = HoldState::GivingUp {
        window: window.clone(),
        archive: archive.clone(),
        stays_paused,
    };
    let hold = ledger.replace_hold(&found, state, context.timestamp()?).await?;
    Ok(Begun {
        hold,
        window,
        archive,
        stays_paused,
    })
}

async fn pending<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    table: &ObjectName,
) -> Result<WindowName> {
    // A control table may know the table by another name, which any of its plans says.
    let key = WatermarkKey {
        table: table.clone(),
        name: ledger.watermark_name().await?,
    };
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

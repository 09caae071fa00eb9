//! Starting a table over: everything of it goes into the archive, and the next run loads it as if it had never been copied.
//!
//! The hold of the table comes first and ends last. While it stands, no run begins to work on the table, and whoever repeats
//! the step goes on with the same folder of the archive. Nothing is deleted.

use serde::Serialize;

use super::archive;
use crate::error::{ErrorCode, OfRole, Result, Role};
use crate::ledger::{FoundHold, Ledger};
use crate::model::hold::HoldState;
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::watermark::WatermarkKey;
use crate::model::window::WindowName;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use crate::ports::watermarks::ClearWatermarks;
use crate::steps::context::RunContext;

/// What starting over needs from the outside.
#[derive(Debug, Clone, Copy)]
pub struct StartOverPorts<'a, W, S> {
    /// The pointer.
    pub watermarks: &'a W,
    /// The bucket.
    pub store: &'a S,
    /// The prefix in the bucket.
    pub prefix: &'a str,
}

/// A table that is started over.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct StartedOver {
    /// The table.
    pub table: ObjectName,
    /// The folder of the archive, below the table's.
    pub archive: String,
    /// Documents of the ledger that were moved, by this call.
    pub documents: usize,
    /// Objects with rows that were moved, by this call.
    pub objects: usize,
    /// Whether an earlier call had begun it.
    pub resumed: bool,
}

/// What is begun.
struct Begun {
    hold: FoundHold,
    archive: String,
    key: WatermarkKey,
    stays_paused: bool,
    resumed: bool,
}

/// Starts the table over, or goes on with what an earlier call began.
///
/// # Errors
///
/// `WatermarkConflict` when somebody else changes the hold of the table meanwhile, and whatever the ports say. Repeat it then.
pub async fn start_over<W, S>(
    ports: StartOverPorts<'_, W, S>,
    table: &ObjectName,
    context: RunContext,
) -> Result<StartedOver>
where
    W: ClearWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + ArchiveObjects,
{
    let StartOverPorts {
        watermarks,
        store,
        prefix,
    } = ports;
    let ledger = Ledger::new(store, prefix, table);
    let plans = plans(&ledger).await?;
    let begun = begin(&ledger, table, &plans, context).await?;
    for plan in &plans {
        if ledger
            .manifest(&plan.window)
            .await
            .is_ok_and(|manifest| manifest.is_none())
        {
            abort_uploads(store, &ledger, plan).await?;
        }
    }
    let mut keys = store.list(&ledger.keys().windows()).await?;
    let hold = ledger.keys().hold();
    keys.retain(|key| *key != hold);
    // Readers that follow manifests are to find none of them before the first object is gone.
    let (manifests, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.ends_with("/manifest.json"));
    let mut documents = archive::move_all(store, &ledger, manifests, &begun.archive).await?;
    documents += archive::move_all(store, &ledger, others, &begun.archive).await?;
    watermarks.clear(&begun.key).await.of(Role::WatermarkStore)?;
    let parts = store.list(&ledger.keys().data()).await?;
    let objects = archive::move_all(store, &ledger, parts, &begun.archive).await?;
    let after = HoldState::after(begun.stays_paused);
    ledger.replace_hold(&begun.hold, after, context.timestamp()?).await?;
    tracing::warn!(%table, archive = begun.archive, documents, objects, "The table is started over.");
    Ok(StartedOver {
        table: table.clone(),
        archive: begun.archive,
        documents,
        objects,
        resumed: begun.resumed,
    })
}

async fn begin<S>(ledger: &Ledger<'_, S>, table: &ObjectName, plans: &[Plan], context: RunContext) -> Result<Begun>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let found = ledger.hold().await?;
    let key = |name: Option<String>| WatermarkKey {
        table: table.clone(),
        name,
    };
    let stays_paused = match &found.hold.state {
        HoldState::StartingOver {
            archive,
            watermark_name,
            stays_paused,
        } => {
            return Ok(Begun {
                archive: archive.clone(),
                key: key(watermark_name.clone()),
                stays_paused: *stays_paused,
                resumed: true,
                hold: found,
            });
        }
        HoldState::Free => false,
        HoldState::Paused { .. } => true,
        // What is left of the window goes with everything else.
        HoldState::GivingUp { stays_paused, .. } => *stays_paused,
    };
    let archive = archive::folder(context)?;
    let watermark_name = plans.iter().find_map(|plan| plan.watermark_name.clone());
    let state = HoldState::StartingOver {
        archive: archive.clone(),
        watermark_name: watermark_name.clone(),
        stays_paused,
    };
    let hold = ledger.replace_hold(&found, state, context.timestamp()?).await?;
    Ok(Begun {
        hold,
        archive,
        key: key(watermark_name),
        stays_paused,
        resumed: false,
    })
}

/// The plans of the table. One that cannot be read is a reason to start over, and none against it.
async fn plans<S: ReadObjects>(ledger: &Ledger<'_, S>) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for folder in ledger.folders().await? {
        let Ok(window) = WindowName::try_from(folder) else {
            continue;
        };
        match ledger.plan(&window).await {
            Ok(plan) => plans.extend(plan),
            Err(error) if error.code() == ErrorCode::LedgerInvalid => {}
            Err(error) => return Err(error),
        }
    }
    Ok(plans)
}

async fn abort_uploads<S: ReadObjects + UploadObjects>(store: &S, ledger: &Ledger<'_, S>, plan: &Plan) -> Result<()> {
    match archive::abort_uploads(store, ledger, plan).await {
        // What is visible goes with everything else; what no record can be read of, by the bucket's lifecycle rule.
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::LedgerInvalid => Ok(()),
        Err(error) => Err(error),
    }
}

//! Pausing a table, and resuming it. Every run leaves a paused table alone, whatever started the run.

use serde::Serialize;

use crate::error::Result;
use crate::ledger::{Lease, Ledger, Place};
use crate::model::lease::{Keeper, Leases};
use crate::model::names::ObjectName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::steps::context::RunContext;

/// Who pauses a table, and why.
#[derive(Debug, Clone)]
pub struct Pause {
    /// The name of the person.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: Option<String>,
}

/// What became of a table that somebody pauses or resumes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PauseState {
    /// The table.
    pub table: ObjectName,
    /// Whether runs leave it alone now.
    pub paused: bool,
    /// Whether they did so before.
    pub was_paused: bool,
}

/// Pauses the table. A run that is at work on it may end its current slice. A table that is paused already keeps the
/// name and the reason of whoever paused it, unless there is a reason to put in their place.
///
/// # Errors
///
/// `InvalidInput` when something that was begun with the table is not done, and the errors of the bucket.
pub async fn pause<S>(place: Place<'_, S>, table: &ObjectName, pause: Pause, context: RunContext) -> Result<PauseState>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let ledger = Ledger::new(place, table);
    ledger.check_hold(|_| false).await?;
    let lease = Lease::new(&ledger, &pause.by, Leases::Taken);
    let was_paused = matches!(lease.keeper(context.now).await?, Some(Keeper::Paused { .. }));
    if !was_paused || pause.reason.is_some() {
        lease.pause(context.now, pause.reason).await?;
    }
    Ok(PauseState {
        table: table.clone(),
        paused: true,
        was_paused,
    })
}

/// Resumes the table. The next run goes on where the last one ended.
///
/// # Errors
///
/// As [`pause`].
pub async fn resume<S>(place: Place<'_, S>, table: &ObjectName) -> Result<PauseState>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let ledger = Ledger::new(place, table);
    ledger.check_hold(|_| false).await?;
    let was_paused = Lease::new(&ledger, "", Leases::Taken).resume().await?;
    Ok(PauseState {
        table: table.clone(),
        paused: false,
        was_paused,
    })
}

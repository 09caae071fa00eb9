//! Pausing a table, and resuming it: runs pass over a paused table, whatever started them.

use serde::Serialize;

use crate::error::Result;
use crate::ledger::{IsPaused, Ledger, check_hold};
use crate::model::hold::HoldState;
use crate::model::names::ObjectName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::steps::context::RunContext;

/// What became of a table that somebody pauses or resumes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The table.
    pub table: ObjectName,
    /// Whether runs pass over it now.
    pub paused: bool,
    /// Whether they did so before.
    pub was_paused: bool,
}

/// Pauses the table. A run that is at work on it ends its window first.
///
/// # Errors
///
/// `LedgerInvalid` when something that was begun with the table is not finished, `WatermarkConflict` when somebody else changes
/// its hold, and whatever the bucket says.
pub async fn pause<S>(
    store: &S,
    prefix: &str,
    table: &ObjectName,
    reason: Option<String>,
    context: RunContext,
) -> Result<Held>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    hold(store, prefix, table, HoldState::Paused { reason }, context).await
}

/// Resumes the table: the next run goes on where the last one ended.
///
/// # Errors
///
/// As [`pause`].
pub async fn resume<S>(store: &S, prefix: &str, table: &ObjectName, context: RunContext) -> Result<Held>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    hold(store, prefix, table, HoldState::Free, context).await
}

async fn hold<S>(store: &S, prefix: &str, table: &ObjectName, state: HoldState, context: RunContext) -> Result<Held>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let ledger = Ledger::new(store, prefix, table);
    let found = ledger.hold().await?;
    let was_paused = check_hold(&found.hold)? == IsPaused::Yes;
    let paused = matches!(state, HoldState::Paused { .. });
    if paused != was_paused {
        ledger.replace_hold(&found, state, context.timestamp()?).await?;
    }
    Ok(Held {
        table: table.clone(),
        paused,
        was_paused,
    })
}

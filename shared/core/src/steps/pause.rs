//! Pausing a table, and resuming it: runs pass over a paused table, whatever started them.

use serde::Serialize;

use crate::error::Result;
use crate::ledger::{Lease, Ledger};
use crate::model::lease::{Keeper, Leases};
use crate::model::names::ObjectName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::steps::context::RunContext;

/// This says who pauses a table, and why.
#[derive(Debug, Clone)]
pub struct Pause {
    /// This says who.
    pub by: String,
    /// This says why, in that person's words.
    pub reason: Option<String>,
}

/// This says what became of a table that somebody pauses or resumes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// This is the table.
    pub table: ObjectName,
    /// This says whether runs pass over it now.
    pub paused: bool,
    /// This says whether they did so before.
    pub was_paused: bool,
}

/// Pauses the table. A run that is at work on it may end the slice it is at.
///
/// # Errors
///
/// `InvalidInput` when something that was begun with the table is not done, and whatever the bucket says.
pub async fn pause<S>(store: &S, prefix: &str, table: &ObjectName, pause: Pause, context: RunContext) -> Result<Held>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let ledger = Ledger::new(store, prefix, table);
    ledger.check_hold(|_| false).await?;
    let lease = Lease::new(&ledger, &pause.by, Leases::Taken);
    let was_paused = matches!(lease.keeper(context.now).await?, Some(Keeper::Paused { .. }));
    lease.pause(context.now, pause.reason).await?;
    Ok(Held {
        table: table.clone(),
        paused: true,
        was_paused,
    })
}

/// Resumes the table: the next run goes on where the last one ended.
///
/// # Errors
///
/// As [`pause`].
pub async fn resume<S>(store: &S, prefix: &str, table: &ObjectName) -> Result<Held>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let ledger = Ledger::new(store, prefix, table);
    ledger.check_hold(|_| false).await?;
    let was_paused = Lease::new(&ledger, "", Leases::Taken).resume().await?;
    Ok(Held {
        table: table.clone(),
        paused: false,
        was_paused,
    })
}

//! What becomes of the leases of tables that failed: they are given back, and a table that is paused has not failed.

use futures::stream::{self, StreamExt};

use crate::error::Result;
use crate::ledger::AT_ONCE;
use crate::model::kept::{KeptTable, KeptTables};
use crate::model::lease::Keeper;
use crate::model::names::ObjectName;
use crate::steps::tables::FailedTable;

/// This says what is left of tables that failed.
pub(super) struct Leaving {
    /// They are those that did fail.
    pub(super) failed: Vec<FailedTable>,
    /// They are those that somebody has paused.
    pub(super) kept: KeptTables,
}

/// Asks `keeper_of` for every table that failed, which also gives this run's lease back. Of a paused table nobody wants to know
/// what its source says. Where the lease cannot be read, it stays with the failure, and the lease expires.
pub(super) async fn leave(
    failed: Vec<FailedTable>,
    keeper_of: impl AsyncFn(&ObjectName) -> Result<Option<Keeper>>,
) -> Leaving {
    let keeper_of = &keeper_of;
    let asked = failed.into_iter().map(|failed| async move {
        let keeper = keeper_of(&failed.table).await.unwrap_or(None);
        (failed, keeper)
    });
    let mut asked = stream::iter(asked).buffered(AT_ONCE);
    let mut leaving = Leaving {
        failed: Vec::new(),
        kept: KeptTables::default(),
    };
    while let Some((failed, keeper)) = asked.next().await {
        match keeper {
            Some(paused @ Keeper::Paused { .. }) => leaving.kept.push(KeptTable::new(failed.table, paused)),
            _ => leaving.failed.push(failed),
        }
    }
    leaving
}

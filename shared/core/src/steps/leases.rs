//! The leases of tables that a run does not go on with: they are given back, and a table that is paused does not count as
//! failed.

use futures::stream::{self, StreamExt};

use crate::error::Result;
use crate::ledger::{AT_ONCE, Lease, Ledger, Place};
use crate::model::lease::{Keeper, Leases};
use crate::model::left_alone::{TableLeftAlone, TablesLeftAlone};
use crate::model::names::ObjectName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::steps::tables::FailedTable;

/// What is left of the tables that failed.
pub(super) struct Leaving {
    /// The tables that did fail.
    pub(super) failed: Vec<FailedTable>,
    /// The tables that somebody has paused.
    pub(super) left_alone: TablesLeftAlone,
}

/// Asks `keeper_of` for every table that failed, which may also give this run's lease back. A paused table is not
/// reported as failed, whatever its source answered. A table whose lease cannot be read stays failed, and its lease
/// expires.
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
        left_alone: TablesLeftAlone::default(),
    };
    while let Some((failed, keeper)) = asked.next().await {
        match keeper {
            Some(paused @ Keeper::Paused { .. }) => leaving.left_alone.push(TableLeftAlone::new(failed.table, paused)),
            _ => leaving.failed.push(failed),
        }
    }
    leaving
}

/// Gives back this run's leases of these tables. One that cannot be given back expires.
pub(super) async fn give_back<S>(
    place: Place<'_, S>,
    run_id: &str,
    leases: Leases,
    tables: impl IntoIterator<Item = &ObjectName>,
) where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let given_back = stream::iter(tables).map(|table| async move {
        let ledger = Ledger::new(place, table);
        Lease::new(&ledger, run_id, leases).try_to_give_back().await;
    });
    given_back.buffer_unordered(AT_ONCE).collect::<()>().await;
}

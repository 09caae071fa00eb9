//! One run at a time for each table: whether it is this run's turn is asked before it freezes a window or goes on with
//! one.

use std::time::Duration;

use time::OffsetDateTime;

use crate::error::Result;
use crate::ledger::{Lease, Ledger, Taken};
use crate::model::lease::{Keeper, Leases};
use crate::model::plan::{Author, Plan};
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};

/// The run that plans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planning<'a> {
    /// Who freezes the plan.
    pub(crate) author: Author<'a>,
    /// Whether nothing is written.
    pub(crate) dry_run: bool,
    /// The present time.
    pub(crate) now: OffsetDateTime,
    /// Whether the table's lease is taken.
    pub(crate) leases: Leases,
}

/// Takes the table's lease for the window of `plan` and returns `None`, or returns who keeps the table.
///
/// A window without slices is committed at once and reads nothing, so its lease is read and not taken, because an idle
/// table must cost little.
pub(crate) async fn kept_by<S>(ledger: &Ledger<'_, S>, planning: Planning<'_>, plan: &Plan) -> Result<Option<Keeper>>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    if planning.dry_run {
        return Ok(None);
    }
    let lease = Lease::new(ledger, planning.author.run_id, planning.leases);
    if plan.slices.is_empty() {
        return lease.keeper(planning.now).await;
    }
    let settling = Duration::from_secs(plan.settle_seconds.into());
    Ok(match lease.take_for(planning.now, settling).await? {
        Taken::Ours => None,
        Taken::KeptBy(keeper) => Some(keeper),
    })
}

//! Asking SQL Server's change tracking about a table.

use crate::error::Result;
use crate::identifier::ObjectName;

/// What change tracking says of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The version of the database: that of the last committed transaction.
    pub current: i64,
    /// The least version since which all changes of the table are still there.
    pub min_valid: i64,
    /// The version at which the table's tracking began, or began anew because it was truncated. `None` when the login may
    /// not see it.
    pub begun: Option<i64>,
}

/// Probing a tracked table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeChanges {
    /// The versions, as of one moment. Fails with `ChangeTrackingInvalid`, naming the cause as far as the login may see it, when the
    /// table is not tracked or the login may not read its changes.
    async fn versions(&self, table: &ObjectName) -> Result<Versions>;
    /// The columns of the primary key in their order, as the server spells them.
    async fn primary_key(&self, table: &ObjectName) -> Result<Vec<String>>;
    /// Whether a row has its last change in (`after`, `up_to`]. Means nothing unless `after` is still valid afterwards.
    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Result<bool>;
}

//! Asking change tracking about a table.

use crate::error::Answer;
use crate::model::names::ObjectName;
use crate::model::types::{Column, WantedForms};

/// What change tracking knows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The version of the database: that of the last committed transaction.
    pub current: i64,
    /// The least version since which all changes of the table are still there.
    pub min_valid: i64,
    /// The version at which the table's tracking began, or began anew because the table was truncated. `None` when the
    /// login may not see it.
    pub begun: Option<i64>,
}

/// The two columns that follow those of a tracked table in every file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeColumns {
    /// The version at which a row was last changed.
    pub version: Column,
    /// How it was changed: `I`, `U` or `D`.
    pub operation: Column,
}

/// Asks about a tracked table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeChanges {
    /// Returns the columns by which files describe a change.
    fn change_columns(&self, wanted: WantedForms) -> ChangeColumns;
    /// Returns the versions as of one moment. Fails with `ChangeTrackingInvalid`, naming the cause as far as the login
    /// may see it, when the table is not tracked or the login may not read its changes.
    async fn versions(&self, table: &ObjectName) -> Answer<Versions>;
    /// Returns the columns of the primary key in their order, as the server spells them.
    async fn primary_key(&self, table: &ObjectName) -> Answer<Vec<String>>;
    /// Returns whether a row has its last change in (`after`, `up_to`]. The answer holds only if `after` is still valid
    /// afterwards.
    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Answer<bool>;
}

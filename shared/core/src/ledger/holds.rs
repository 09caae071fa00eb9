//! The hold of a table in the ledger: what a person has begun with the table.

use super::of_table::Ledger;
use crate::error::{Error, ErrorCode, Result};
use crate::model::hold::{Begun, Hold};
use crate::model::window::WindowName;
use crate::ports::objects::{CreateObjects, ReadObjects};

impl<S: ReadObjects> Ledger<'_, S> {
    /// Returns what was begun with the table and not ended.
    pub async fn hold(&self) -> Result<Option<Hold>> {
        // The hold belongs to no window, and `read` needs one to compare with.
        self.read(&self.keys.hold(), &WindowName::initial()).await
    }

    /// Returns what was begun with the table and not ended, when `allowed` accepts it.
    ///
    /// Errors: `InvalidInput`, saying how to end what was begun, when `allowed` does not accept it.
    pub async fn check_hold(&self, allowed: impl Fn(&Begun) -> bool) -> Result<Option<Hold>> {
        let Some(hold) = self.hold().await? else {
            return Ok(None);
        };
        if allowed(&hold.begun) {
            return Ok(Some(hold));
        }
        let (verb, table) = (hold.begun.verb(), &hold.table);
        Err(Error::about(ErrorCode::InvalidInput, table, |name| {
            format!(
                "`{verb}` of {name} was begun at {} and did not end: finish it with `{verb} {table} --yes`",
                hold.since
            )
        }))
    }
}

impl<S: ReadObjects + CreateObjects> Ledger<'_, S> {
    /// Writes `hold`, or returns the hold of what was begun before.
    pub async fn begin(&self, hold: Hold) -> Result<Hold> {
        self.create_or_read(&self.keys.hold(), &WindowName::initial(), hold)
            .await
    }
}

//! The hold of a table, the one document of its ledger that is replaced: by `If-Match`, so that of two people one is told.

use bytes::Bytes;
use serde::Serialize;

use super::Ledger;
use crate::error::{Error, ErrorCode, Result};
use crate::model::hold::{Hold, HoldState};
use crate::model::names::ObjectName;
use crate::model::plan::VERSION;
use crate::ports::objects::{CreateObjects, Created, ReadObjects, ReplaceObjects, Replaced};

/// A hold as it was read, to be replaced by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHold {
    /// The hold; of a table that nobody ever held, a free one.
    pub hold: Hold,
    /// The object's `ETag`, if there is one.
    etag: Option<String>,
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// The hold of the table.
    ///
    /// Errors: `LedgerInvalid` when it is none, and whatever the bucket says.
    pub async fn hold(&self) -> Result<FoundHold> {
        let key = self.keys.hold();
        let Some(object) = self.store.get(&key).await? else {
            return Ok(FoundHold {
                hold: Hold::new(self.table, HoldState::Free, String::new()),
                etag: None,
            });
        };
        let invalid = |what: &str| Error::new(ErrorCode::LedgerInvalid, format!("{key} {what}"));
        let hold: Hold = serde_json::from_slice(&object.body).map_err(|error| {
            let message = format!("{key} is not what Tidemark wrote there");
            Error::with_source(ErrorCode::LedgerInvalid, message, error)
        })?;
        if hold.version != VERSION || hold.table != *self.table {
            return Err(invalid("is the document of another table or version"));
        }
        Ok(FoundHold {
            hold,
            etag: Some(object.etag),
        })
    }
}

impl<S: ReadObjects + CreateObjects + ReplaceObjects> Ledger<'_, S> {
    /// Puts a hold in the place of the one that was found.
    ///
    /// Errors: `WatermarkConflict` when somebody else was first, and whatever the bucket says.
    pub async fn replace_hold(&self, found: &FoundHold, state: HoldState, since: String) -> Result<FoundHold> {
        let hold = Hold::new(self.table, state, since);
        let (key, body) = (self.keys.hold(), document(&hold)?);
        let is_done = match &found.etag {
            None => self.store.create(&key, body).await? == Created::Created,
            Some(etag) => self.store.replace(&key, body, etag).await? == Replaced::Replaced,
        };
        // A lost answer looks like somebody else's write of the same.
        let now = self.hold().await?;
        if is_done || now.hold == hold {
            return Ok(now);
        }
        Err(changed(self.table))
    }
}

fn document(hold: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec_pretty(hold)
        .map_err(|error| Error::with_source(ErrorCode::Internal, "cannot write the hold of a table", error))?;
    Ok(Bytes::from(body))
}

fn changed(table: &ObjectName) -> Error {
    let message = format!(
        "somebody else changed the hold of {table} at this moment: look at `tidemark status`, and decide again"
    );
    Error::new(ErrorCode::WatermarkConflict, message)
}

/// Why a step must not work on a table that is held.
///
/// Errors: `LedgerInvalid` when what somebody began is not finished.
pub fn check_hold(hold: &Hold) -> Result<IsPaused> {
    let (verb, what) = match &hold.state {
        HoldState::Free => return Ok(IsPaused::No),
        HoldState::Paused { .. } => return Ok(IsPaused::Yes),
        HoldState::StartingOver { .. } => ("reset", "the start over"),
        HoldState::GivingUp { .. } => ("give-up", "the giving up of a window"),
    };
    let table = &hold.table;
    let message = format!(
        "{what} of {table} was begun at {} and did not end: finish it with `tidemark {verb} {table} --yes`",
        hold.since
    );
    Err(Error::new(ErrorCode::LedgerInvalid, message))
}

/// Whether runs pass over a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsPaused {
    /// They do.
    Yes,
    /// They do not.
    No,
}

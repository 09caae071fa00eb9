//! The hold of a table: why no run works on it, decided by a person and kept in the ledger.

use serde::{Deserialize, Serialize};

use crate::model::names::ObjectName;
use crate::model::plan::VERSION;
use crate::model::window::WindowName;

/// `hold.json`: the one document of a table that people change. Without it, a table is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// [`VERSION`]
    pub version: u32,
    /// The table.
    pub table: ObjectName,
    /// Whether runs work on it.
    pub state: HoldState,
    /// When that was decided, RFC 3339.
    pub since: String,
}

/// Whether runs work on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// They do.
    Free,
    /// They pass over it until somebody resumes it.
    Paused {
        /// Why, in the words of whoever paused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It is being started over, and everything of it goes into this folder of the archive.
    StartingOver {
        /// The name of the folder.
        archive: String,
        /// The row of the control table, when it has a name of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watermark_name: Option<String>,
        /// Whether it was paused before, and is so again when it is done.
        stays_paused: bool,
    },
    /// A window of it is being given up, and goes into this folder of the archive.
    GivingUp {
        /// The window.
        window: WindowName,
        /// The name of the folder.
        archive: String,
        /// Whether the table was paused before, and is so again when it is done.
        stays_paused: bool,
    },
}

impl HoldState {
    /// The state after what was begun is done.
    pub(crate) const fn after(stays_paused: bool) -> Self {
        if stays_paused {
            Self::Paused { reason: None }
        } else {
            Self::Free
        }
    }
}

impl Hold {
    /// What is decided of `table` at this time.
    #[must_use]
    pub fn new(table: &ObjectName, state: HoldState, since: String) -> Self {
        Self {
            version: VERSION,
            table: table.clone(),
            state,
            since,
        }
    }
}

//! The hold of a table: what a person has begun with it and not ended.

use serde::{Deserialize, Serialize};

use crate::model::names::ObjectName;
use crate::model::plan::VERSION;
use crate::model::window::WindowName;

/// `hold.json`: what was begun, so that whoever repeats it goes on with the same. It goes into the archive when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// This is [`VERSION`].
    pub version: u32,
    /// This is the table.
    pub table: ObjectName,
    /// This says what was begun.
    pub begun: Begun,
    /// This is the folder of the archive that everything goes into.
    pub archive: String,
    /// This says whether somebody had paused the table before, who then is the one to resume it.
    pub stays_paused: bool,
    /// This says when it was begun, RFC 3339.
    pub since: String,
}

/// This is the command that starts a table over.
pub const RESET: &str = "tidemark reset";
/// This is the command that gives a window up.
pub const GIVE_UP: &str = "tidemark give-up";

/// This says what a person begins with a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It is started over.
    StartOver {
        /// This is the row of the control table, when it has a name of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watermark_name: Option<String>,
    },
    /// A window of it is given up.
    GiveUp {
        /// This is the window.
        window: WindowName,
    },
}

impl Begun {
    /// Returns the command that ends it. It is also who pauses the table meanwhile.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::StartOver { .. } => RESET,
            Self::GiveUp { .. } => GIVE_UP,
        }
    }
}

impl Hold {
    /// Returns what is begun with `table` at this time.
    #[must_use]
    pub fn new(table: &ObjectName, begun: Begun, archive: String, stays_paused: bool, since: String) -> Self {
        Self {
            version: VERSION,
            table: table.clone(),
            begun,
            archive,
            stays_paused,
            since,
        }
    }
}

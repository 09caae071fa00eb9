//! The hold of a table: what a person has begun with the table and not ended.

use serde::{Deserialize, Serialize};

use crate::model::moment::Moment;
use crate::model::names::ObjectName;
use crate::model::plan::VERSION;
use crate::model::window::WindowName;

/// `hold.json`: what was begun, so that whoever repeats the command goes on with the same. It goes into the archive
/// when the command is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Always [`VERSION`].
    pub version: u32,
    /// The table.
    pub table: ObjectName,
    /// What was begun.
    pub begun: Begun,
    /// The folder of the archive that everything goes into.
    pub archive: String,
    /// Whether somebody had paused the table before. If so, the table stays paused at the end, and that person resumes
    /// it.
    pub stays_paused: bool,
    /// When it was begun.
    pub since: Moment,
}

/// The command that starts a table over.
pub const RESET: &str = "tidemark reset";
/// The command that gives a window up.
pub const GIVE_UP: &str = "tidemark give-up";

/// What a person has begun with a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// The table is started over.
    StartOver {
        /// The row of the control table, when the table's watermark has a name of its own there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watermark_name: Option<String>,
    },
    /// A window of the table is given up.
    GiveUp {
        /// The window.
        window: WindowName,
    },
}

impl Begun {
    /// Returns the command that began it, and that ends it when it is repeated. The pause that the command sets names
    /// it as its author.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::StartOver { .. } => RESET,
            Self::GiveUp { .. } => GIVE_UP,
        }
    }
}

impl Hold {
    /// Makes the hold of what is begun with `table` now.
    #[must_use]
    pub fn new(table: &ObjectName, begun: Begun, archive: String, stays_paused: bool, since: Moment) -> Self {
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

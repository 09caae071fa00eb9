//! What the lookups find, and pass on: where a table's next window starts, and the windows that are to be copied.

use serde::{Deserialize, Serialize};

use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::slice_id::SliceId;
use crate::model::table::{RunSettings, TableSpec};
use crate::model::watermark::{StoredWatermark, Watermark};
use crate::model::window::WindowName;

/// This is a table with what the ledger and the store know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookedUp {
    /// This is the table as configured.
    pub spec: TableSpec,
    /// This is the pointer.
    pub stored: StoredWatermark,
    /// This says where the next window starts.
    #[serde(default, skip_serializing_if = "Start::is_stored")]
    pub start: Start,
}

/// This says where the next window of a table starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// At what the store holds; at nothing, where it holds nothing.
    #[default]
    Stored,
    /// The same, and no window was frozen there when it was looked up.
    Unfrozen,
    /// At the end of a committed window that the store does not hold yet, or holds already.
    Committed(CommittedWindow),
    /// At nothing, whatever the store holds: that is no window of this ledger's, and the table has yet to be loaded in full.
    Unloaded,
}

impl Start {
    fn is_stored(&self) -> bool {
        *self == Self::Stored
    }
}

/// The last committed window of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedWindow {
    /// This is the window.
    pub window: WindowName,
    /// This says where it ended: the old watermark of the next window.
    pub new_watermark: Watermark,
    /// This is the window that is copied in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
}

impl LookedUp {
    /// The last committed window, where the chain of windows led to one.
    #[must_use]
    pub const fn committed(&self) -> Option<&CommittedWindow> {
        match &self.start {
            Start::Committed(window) => Some(window),
            Start::Stored | Start::Unfrozen | Start::Unloaded => None,
        }
    }

    /// Whether the ledger has to be asked for a plan of the next window. One that was frozen since it was looked up is met by
    /// whoever freezes the next one.
    #[must_use]
    pub fn may_be_frozen(&self) -> bool {
        self.start != Start::Unfrozen
    }

    /// The window that the next one is copied in place of, where the last committed one says so.
    #[must_use]
    pub fn superseded(&self) -> Option<&WindowName> {
        let committed = self.committed()?;
        committed.superseded_by.as_ref().map(|_| &committed.window)
    }

    /// Returns the text of the watermark that the next window starts after; `None` before a first load.
    #[must_use]
    pub fn old_text(&self) -> Option<&str> {
        match &self.start {
            Start::Committed(window) => Some(window.new_watermark.value()),
            Start::Stored | Start::Unfrozen | Start::Unloaded => self.stored.value.as_deref(),
        }
    }

    /// Returns the window after the last committed one.
    #[must_use]
    pub fn next_window(&self) -> WindowName {
        match &self.start {
            Start::Committed(committed) => {
                let next = committed.superseded_by.clone();
                next.unwrap_or_else(|| WindowName::after(&committed.new_watermark))
            }
            Start::Unloaded => WindowName::initial(),
            Start::Stored | Start::Unfrozen => WindowName::after_stored(self.stored.value.as_deref()),
        }
    }
}

/// This is a window to be copied: an item of the state machine's Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyWindow {
    /// This is the table.
    pub table: ObjectName,
    /// This is the window.
    pub window: WindowName,
    /// This counts the slices to copy, numbered from 0; none when the window is committed and only its pointer has to move.
    pub slices: usize,
    /// This says how long to wait before copying.
    pub settle_seconds: u32,
    /// This says whether an earlier or concurrent run froze the plan.
    pub adopted: bool,
    /// This is the lower bound, exclusive but for row versions.
    pub old_watermark: Option<Watermark>,
    /// This is the upper bound, inclusive but for row versions.
    pub new_watermark: Watermark,
    /// This says what the events of the window's steps have to say beside its name.
    #[serde(default, skip_serializing_if = "RunSettings::is_default")]
    pub settings: RunSettings,
}

impl CopyWindow {
    /// Makes the window of a plan.
    #[must_use]
    pub fn of(plan: &Plan, adopted: bool, settings: RunSettings) -> Self {
        Self {
            table: plan.table.clone(),
            window: plan.window.clone(),
            slices: plan.slices.len(),
            settle_seconds: plan.settle_seconds,
            adopted,
            old_watermark: plan.old_watermark.clone(),
            new_watermark: plan.new_watermark.clone(),
            settings,
        }
    }

    /// Returns a window that is committed, and whose pointer has to move.
    #[must_use]
    pub fn committed(table: ObjectName, committed: &CommittedWindow) -> Self {
        Self {
            table,
            window: committed.window.clone(),
            slices: 0,
            settle_seconds: 0,
            adopted: true,
            old_watermark: None,
            new_watermark: committed.new_watermark.clone(),
            settings: RunSettings::default(),
        }
    }
}

/// This is a window without a slice, which only has to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyWindow {
    /// This is the table.
    pub table: ObjectName,
    /// This is the window.
    pub window: WindowName,
}

/// These are rows of a table that its windows do not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// This is the table.
    pub table: ObjectName,
    /// This counts the rows whose watermark is NULL.
    pub null_rows: u64,
    /// This counts the rows stamped later than the server's clock: a later run takes them.
    pub future_rows: u64,
    /// This says whether a transaction that is still open holds the window back: rows committed since it began wait for
    /// its end.
    pub held_back: bool,
    /// This says whether a security policy filters the table: what it hides from the login is in no window.
    pub filtered: bool,
}

impl Note {
    /// Returns that a security policy filters a table of which every other row is in a window.
    pub(crate) const fn filtered(table: ObjectName) -> Self {
        Self {
            table,
            null_rows: 0,
            future_rows: 0,
            held_back: false,
            filtered: true,
        }
    }
}

/// This says what became of a slice that did not fit into one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// This is the table.
    pub table: ObjectName,
    /// This is the window.
    pub window: WindowName,
    /// This is the slice.
    pub slice: SliceId,
    /// These are the slices that are copied in its place; none when it was copied after all.
    pub slices: Vec<SliceId>,
}

//! What the lookups find and pass on: where a table's next window starts, and the windows that are to be copied.

use serde::{Deserialize, Serialize};

use crate::model::moment::Moment;
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::slice_id::SliceId;
use crate::model::table::{RunSettings, TableSpec};
use crate::model::unseen::Unseen;
use crate::model::watermark::{StoredWatermark, Watermark};
use crate::model::window::WindowName;

/// A table with what the ledger and the watermark store know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookedUp {
    /// The table as configured.
    pub spec: TableSpec,
    /// What the watermark store holds for it.
    pub stored: StoredWatermark,
    /// Where the next window starts.
    #[serde(default, skip_serializing_if = "Start::is_stored")]
    pub start: Start,
}

/// Where the next window of a table starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// At what the store holds, or at nothing where it holds nothing.
    #[default]
    Stored,
    /// At what the store holds, and no window was frozen there when it was looked up.
    Unfrozen,
    /// At the end of a committed window, whether or not the store holds that end yet.
    Committed(CommittedWindow),
    /// At nothing, whatever the store holds: the stored value is the end of no window of this ledger, and the table has
    /// yet to be loaded in full.
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
    /// The window.
    pub window: WindowName,
    /// The upper bound of the window: the old watermark of the next one.
    pub new_watermark: Watermark,
    /// The window that is copied in place of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
}

impl LookedUp {
    /// Returns the last committed window, where the chain of windows led to one.
    #[must_use]
    pub const fn committed(&self) -> Option<&CommittedWindow> {
        match &self.start {
            Start::Committed(window) => Some(window),
            Start::Stored | Start::Unfrozen | Start::Unloaded => None,
        }
    }

    /// Returns whether the ledger has to be asked for a plan of the next window. When it is false, the lookup found
    /// none; a plan that was frozen since then is met by whoever freezes the next one.
    #[must_use]
    pub fn may_be_frozen(&self) -> bool {
        self.start != Start::Unfrozen
    }

    /// Returns the window that the next one is copied in place of, where the last committed window says so.
    #[must_use]
    pub fn superseded(&self) -> Option<&WindowName> {
        let committed = self.committed()?;
        committed.superseded_by.as_ref().map(|_| &committed.window)
    }

    /// Returns the text of the watermark that the next window starts after, or `None` before a first load.
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

/// A window to be copied: an item of the state machine's Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyWindow {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The number of slices to copy, which are numbered from 0. It is 0 when the window is committed and only its
    /// pointer has to move.
    pub slices: usize,
    /// The seconds to wait before copying.
    pub settle_seconds: u32,
    /// Whether an earlier or concurrent run froze the plan.
    pub adopted: bool,
    /// When the plan was frozen, or `None` when only the pointer has to move. It is not passed on.
    #[serde(skip)]
    pub frozen_at: Option<Moment>,
    /// The lower bound, exclusive except for row versions.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive except for row versions.
    pub new_watermark: Watermark,
    /// The settings that the events of the window's steps carry beside its name.
    #[serde(default, skip_serializing_if = "RunSettings::is_default")]
    pub settings: RunSettings,
}

impl CopyWindow {
    /// Makes the item for the window of a plan.
    #[must_use]
    pub fn of(plan: &Plan, adopted: bool, settings: RunSettings) -> Self {
        Self {
            table: plan.table.clone(),
            window: plan.window.clone(),
            slices: plan.slices.len(),
            settle_seconds: plan.settle_seconds,
            adopted,
            frozen_at: Some(plan.created_at),
            old_watermark: plan.old_watermark.clone(),
            new_watermark: plan.new_watermark.clone(),
            settings,
        }
    }

    /// Makes the item for a window that is committed and whose pointer has to move.
    #[must_use]
    pub fn committed(table: ObjectName, committed: &CommittedWindow) -> Self {
        Self {
            table,
            window: committed.window.clone(),
            slices: 0,
            settle_seconds: 0,
            adopted: true,
            frozen_at: None,
            old_watermark: None,
            new_watermark: committed.new_watermark.clone(),
            settings: RunSettings::default(),
        }
    }
}

/// A window without slices, which only has to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyWindow {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
}

/// What a lookup has to report of a table: rows that are in no window yet, or never will be, and columns that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The table.
    pub table: ObjectName,
    /// The number of rows whose watermark is NULL.
    pub null_rows: u64,
    /// The number of rows whose watermark is later than the server's clock. A later run takes them.
    pub future_rows: u64,
    /// Whether a transaction that is still open holds the window back: rows committed since it began wait for its end.
    pub held_back: bool,
    /// Whether a security policy filters the table: the rows that it hides from the login are in no window.
    pub filtered: bool,
    /// Whether it could not be looked whether the login reads masks in place of values, because the table is a view or
    /// is in another database.
    pub veiled: bool,
    /// Whether the login does not see everything that a view with a row version as its watermark reads. Rows of another database
    /// would be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unseen_sources: bool,
    /// Whether rows are in no window and never will be, which nobody asked for.
    #[serde(skip)]
    pub is_incomplete: bool,
    /// What changed in the columns, or in the form of the files, since the last window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_changes: Vec<String>,
    /// The generation that the window begins, when the table is loaded in full into a new folder for these changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
}

/// What changed in the columns, or in the form of the files, from one window to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChanges {
    /// Each change, as people read it.
    pub changes: Vec<String>,
    /// The generation that begins, if one does.
    pub generation: Option<u32>,
}

impl Note {
    /// Makes a note with nothing to report.
    pub(crate) const fn of(table: ObjectName) -> Self {
        Self {
            table,
            null_rows: 0,
            future_rows: 0,
            held_back: false,
            filtered: false,
            veiled: false,
            unseen_sources: false,
            is_incomplete: false,
            schema_changes: Vec::new(),
            generation: None,
        }
    }

    /// Adds what the login does not see of a table to its note.
    pub(crate) fn with_unseen(note: Option<Self>, spec: &TableSpec, unseen: Unseen) -> Option<Self> {
        let unseen = unseen.told(spec.masked_columns);
        if unseen.is_nothing() {
            return note;
        }
        let note = note.unwrap_or_else(|| Self::of(spec.table.clone()));
        Some(Self {
            filtered: unseen.filtered,
            veiled: unseen.veiled,
            unseen_sources: unseen.sources,
            is_incomplete: note.is_incomplete || unseen.filtered || unseen.sources,
            ..note
        })
    }

    /// Adds what changed since the last window to the note of a table.
    pub(crate) fn with_changes(note: Option<Self>, table: &ObjectName, changed: Option<SchemaChanges>) -> Option<Self> {
        let Some(SchemaChanges { changes, generation }) = changed else {
            return note;
        };
        let mut note = note.unwrap_or_else(|| Self::of(table.clone()));
        (note.schema_changes, note.generation) = (changes, generation);
        Some(note)
    }
}

/// What became of a slice that did not fit into one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// The slices that are copied in its place; none when it was copied after all.
    pub slices: Vec<SliceId>,
}

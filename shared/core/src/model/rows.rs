//! Rows of the source, as data: which of them, never how they are asked for. Adapters make statements of these.

use serde::{Deserialize, Serialize};

use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::slice::{KeyBounds, SliceBounds};
use crate::model::watermark::Watermark;

/// These are rows of one table of the source.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// They are those whose watermark is in an interval.
    Interval(Interval<'a>),
    /// They are those of a tracked table, as if they had been inserted at a version.
    Load(Load<'a>),
    /// They are those of a tracked table that changed.
    Changes(Changes<'a>),
}

/// This is the interval (old, new] of a watermark column; of row versions [old, new).
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// This is the table.
    pub table: &'a ObjectName,
    /// This is the watermark column, as the server spells it.
    pub column: &'a Identifier,
    /// This is the lower bound; without one, everything up to `new`.
    pub old: Option<&'a Watermark>,
    /// This is the upper bound. Its type is the column's.
    pub new: &'a Watermark,
    /// This says which of its bounds belong to it beside the one that always does.
    pub closed: Closed,
    /// This says whether rows without a watermark belong to it.
    pub with_nulls: bool,
    /// The range of a key it is limited to, if it is.
    pub key: Option<&'a KeyBounds>,
    /// This says which of its rows are copied.
    pub filter: Option<&'a Predicate>,
}

/// This says which bounds of an interval belong to it though they would not: both are open where windows follow one
/// another, and closed where one stands for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// This is the lower bound; that of row versions always does.
    pub old_watermark: bool,
    /// This is the upper bound; that of all but row versions always does.
    pub new_watermark: bool,
}

/// These are the rows of a table, or of a range of its key, at a version that was read before them.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// This is the table.
    pub table: &'a ObjectName,
    /// This is the version that every row gets.
    pub version: &'a Watermark,
    /// The range of a key it is limited to, if it is.
    pub key: Option<&'a KeyBounds>,
}

/// These are the rows of a table that changed in the window (old, new] of versions.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// This is the table.
    pub table: &'a ObjectName,
    /// These are the columns of its primary key, of which there is at least one.
    pub key_columns: &'a [String],
    /// This is the version since which changes are asked for.
    pub old: &'a Watermark,
    /// The last version that belongs to the window.
    pub new: &'a Watermark,
    /// The range of a key it is limited to, if it is.
    pub key: Option<&'a KeyBounds>,
}

impl<'a> Interval<'a> {
    /// Returns the part of the interval that a slice is.
    #[must_use]
    pub fn slice(self, slice: &'a SliceBounds) -> Self {
        Self {
            // Rows without a watermark come with the slice that begins where the window does.
            with_nulls: self.with_nulls && slice.old.is_none(),
            closed: Closed {
                old_watermark: self.closed.old_watermark && slice.old.is_none(),
                new_watermark: self.closed.new_watermark && slice.new.is_none(),
            },
            old: slice.old.as_ref().or(self.old),
            new: slice.new.as_ref().unwrap_or(self.new),
            key: slice.key.as_ref(),
            ..self
        }
    }
}

impl<'a> Rows<'a> {
    /// Returns the table.
    #[must_use]
    pub const fn table(&self) -> &'a ObjectName {
        match self {
            Self::Interval(Interval { table, .. })
            | Self::Load(Load { table, .. })
            | Self::Changes(Changes { table, .. }) => table,
        }
    }

    /// The range of a key these are limited to.
    #[must_use]
    pub const fn key(&self) -> Option<&'a KeyBounds> {
        match self {
            Self::Interval(Interval { key, .. })
            | Self::Load(Load { key, .. })
            | Self::Changes(Changes { key, .. }) => *key,
        }
    }

    /// Returns the same, limited to this range of a key instead.
    #[must_use]
    pub const fn within(self, key: &'a KeyBounds) -> Self {
        let key = Some(key);
        match self {
            Self::Interval(interval) => Self::Interval(Interval { key, ..interval }),
            Self::Load(load) => Self::Load(Load { key, ..load }),
            Self::Changes(changes) => Self::Changes(Changes { key, ..changes }),
        }
    }
}

//! Rows of the source, as data: which rows are meant, never how they are asked for. Adapters make statements of these.

use serde::{Deserialize, Serialize};

use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::slice::{KeyBounds, SliceBounds};
use crate::model::watermark::Watermark;

/// A selection of rows of one table of the source.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// The rows whose watermark is in an interval.
    Interval(Interval<'a>),
    /// The rows of a tracked table, as if they had been inserted at one version.
    Load(Load<'a>),
    /// The rows of a tracked table that changed.
    Changes(Changes<'a>),
}

/// The interval (old, new] of a watermark column, or [old, new) of row versions.
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The watermark column, as the server spells it.
    pub column: &'a Identifier,
    /// The lower bound, or `None` for everything up to `new`.
    pub old: Option<&'a Watermark>,
    /// The upper bound. Its type is the column's.
    pub new: &'a Watermark,
    /// Which bounds belong to the interval beside the one that always does.
    pub closed: Closed,
    /// Whether rows without a watermark belong to it.
    pub with_nulls: bool,
    /// The range of a key that it is limited to, if any.
    pub key: Option<&'a KeyBounds>,
    /// The condition that the rows must meet as well.
    pub filter: Option<&'a Predicate>,
}

/// Which bound of an interval belongs to it although by its kind it would not. Both are `false` where windows follow
/// one another, and `true` where an interval stands for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// Whether the lower bound belongs to it. That of row versions always does.
    pub old_watermark: bool,
    /// Whether the upper bound belongs to it. That of everything but row versions always does.
    pub new_watermark: bool,
}

/// The rows of a table, or of a range of its key, at a version that was read before the rows.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The version that every row gets.
    pub version: &'a Watermark,
    /// The range of a key that they are limited to, if any.
    pub key: Option<&'a KeyBounds>,
}

/// The rows of a table that changed in the window (old, new] of versions.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The columns of the table's primary key; at least one.
    pub key_columns: &'a [String],
    /// The version since which changes are asked for.
    pub old: &'a Watermark,
    /// The last version that belongs to the window.
    pub new: &'a Watermark,
    /// The range of a key that they are limited to, if any.
    pub key: Option<&'a KeyBounds>,
}

impl<'a> Interval<'a> {
    /// Returns the part of the interval that `slice` selects.
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
    /// Returns the table that the rows are of.
    #[must_use]
    pub const fn table(&self) -> &'a ObjectName {
        match self {
            Self::Interval(Interval { table, .. })
            | Self::Load(Load { table, .. })
            | Self::Changes(Changes { table, .. }) => table,
        }
    }

    /// Returns the range of a key that the rows are limited to, if any.
    #[must_use]
    pub const fn key(&self) -> Option<&'a KeyBounds> {
        match self {
            Self::Interval(Interval { key, .. })
            | Self::Load(Load { key, .. })
            | Self::Changes(Changes { key, .. }) => *key,
        }
    }

    /// Returns the same rows, limited to this range of a key instead of any other.
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

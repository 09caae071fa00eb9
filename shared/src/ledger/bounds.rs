//! What a slice is of its window: enough to write its statement again, and so to split it.

use serde::{Deserialize, Serialize};

use crate::identifier::Identifier;
use crate::query::Interval;
use crate::query::slices::KeyRange;
use crate::watermark::Watermark;

/// The bounds of a slice within its window; those that are absent are the window's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceBounds {
    /// The lower bound, exclusive but for a rowversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Watermark>,
    /// The upper bound, inclusive but for a rowversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Watermark>,
    /// The part of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyBounds>,
}

/// The bounds of a slice by the key; open where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBounds {
    /// The column, as the server spells it.
    pub column: Identifier,
    /// The exclusive lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Watermark>,
    /// The inclusive upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Watermark>,
}

impl KeyBounds {
    /// The whole range of `column`.
    #[must_use]
    pub const fn all(column: Identifier) -> Self {
        Self {
            column,
            above: None,
            up_to: None,
        }
    }

    /// As a query has them.
    #[must_use]
    pub const fn range(&self) -> KeyRange<'_> {
        KeyRange {
            column: &self.column,
            above: self.above.as_ref(),
            up_to: self.up_to.as_ref(),
        }
    }
}

impl SliceBounds {
    /// The slice of this window.
    #[must_use]
    pub fn interval<'a>(&'a self, window: &Interval<'a>) -> Interval<'a> {
        Interval {
            // Rows without a watermark come with the slice that begins where the window does.
            with_nulls: window.with_nulls && self.old.is_none(),
            old: self.old.as_ref().or(window.old),
            new: self.new.as_ref().unwrap_or(window.new),
            key: self.key.as_ref().map(KeyBounds::range),
            ..*window
        }
    }
}

impl From<KeyBounds> for SliceBounds {
    fn from(key: KeyBounds) -> Self {
        Self {
            key: Some(key),
            ..Self::default()
        }
    }
}

//! What a slice is of its window: bounds, as data.

use serde::{Deserialize, Serialize};

use crate::model::names::Identifier;
use crate::model::watermark::Watermark;

/// These are the bounds of a slice within its window; those that are absent are the window's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceBounds {
    /// This is the lower bound, exclusive but for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Watermark>,
    /// This is the upper bound, inclusive but for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Watermark>,
    /// This is the part of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyBounds>,
}

/// This is a range of a key: above one value and up to another; open where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBounds {
    /// This is the column, as the server spells it.
    pub column: Identifier,
    /// This is the exclusive lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Watermark>,
    /// This is the inclusive upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Watermark>,
}

impl KeyBounds {
    /// Returns the whole range of `column`.
    #[must_use]
    pub const fn all(column: Identifier) -> Self {
        Self {
            column,
            above: None,
            up_to: None,
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

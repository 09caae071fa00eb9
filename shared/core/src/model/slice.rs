//! What a slice is of its window: bounds, as data.

use serde::{Deserialize, Serialize};

use crate::model::names::Identifier;
use crate::model::watermark::Watermark;

/// The bounds of a slice within its window; those that are absent are the window's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceBounds {
    /// The lower bound, exclusive but for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Watermark>,
    /// The upper bound, inclusive but for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Watermark>,
    /// The part of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyBounds>,
}

/// A range of a key: above one value and up to another; open where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
}

impl From<KeyBounds> for SliceBounds {
    fn from(key: KeyBounds) -> Self {
        Self {
            key: Some(key),
            ..Self::default()
        }
    }
}

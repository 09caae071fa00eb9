//! The bounds of a slice within its window, as data.

use serde::{Deserialize, Serialize};

use crate::model::names::Identifier;
use crate::model::watermark::Watermark;

/// The bounds of a slice. A bound that is absent is that of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceBounds {
    /// The lower bound, exclusive except for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Watermark>,
    /// The upper bound, inclusive except for row versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Watermark>,
    /// The range of a key that the slice is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyBounds>,
}

/// A range of a key: above one value and up to another, and open at an end without a value.
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
    /// Makes the whole range of `column`.
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

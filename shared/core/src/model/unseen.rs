//! What a window may lack, or hold a mask of, because the login does not see it.

use serde::{Deserialize, Serialize};

use crate::model::table::MaskedColumns;

/// What a login may not see of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// Whether a security policy filters the table: the rows that it hides from the login are in no window.
    #[serde(default, skip_serializing_if = "is_false")]
    pub filtered: bool,
    /// Whether the window may hold masks in place of values in columns that are not known to be masked, because the table is a
    /// view or is in another database.
    #[serde(default, skip_serializing_if = "is_false")]
    pub veiled: bool,
}

impl Unseen {
    /// Returns whether the login sees everything. Serde takes it by reference.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the same without the masks, where these are taken on purpose and so are no news.
    #[must_use]
    pub fn told(self, masked_columns: MaskedColumns) -> Self {
        Self {
            veiled: self.veiled && masked_columns == MaskedColumns::Refuse,
            ..self
        }
    }

    /// Returns what is not seen of one or the other.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            filtered: self.filtered || other.filtered,
            veiled: self.veiled || other.veiled,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(is: &bool) -> bool {
    !*is
}

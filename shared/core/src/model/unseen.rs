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
    /// Whether the login does not see whether a security policy filters the table, so that rows may be hidden from it without
    /// anybody's knowing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub policies: bool,
    /// Whether the login does not see everything that a view with a row version as its watermark reads: the rows may be of
    /// another database, whose row versions are others, and be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sources: bool,
}

impl Unseen {
    /// Returns whether the login sees everything. Serde takes it by reference.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what is told of a single table: masks that are taken on purpose are no news, and which policies the login sees
    /// is the same for all tables.
    #[must_use]
    pub fn told(self, masked_columns: MaskedColumns) -> Self {
        Self {
            veiled: self.veiled && masked_columns == MaskedColumns::Refuse,
            policies: false,
            ..self
        }
    }

    /// Returns what is not seen of one or the other.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            filtered: self.filtered || other.filtered,
            veiled: self.veiled || other.veiled,
            policies: self.policies || other.policies,
            sources: self.sources || other.sources,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(is: &bool) -> bool {
    !*is
}

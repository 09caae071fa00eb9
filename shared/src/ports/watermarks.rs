//! The watermark store: the pointer to where a table's next window starts.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::identifier::ObjectName;
use crate::watermark::{StoreType, Watermark};

/// Which row of the store is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkKey {
    /// The table.
    pub table: ObjectName,
    /// Its name in the control table, when it is configured.
    pub name: Option<String>,
}

impl WatermarkKey {
    /// The names the table may go by in a control table: the configured one, or `schema.table` and, for `dbo`, `table`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        if let Some(name) = &self.name {
            return vec![name.clone()];
        }
        let mut names = vec![self.table.to_string()];
        if self.table.schema().as_str() == "dbo" {
            names.push(self.table.name().as_str().to_owned());
        }
        names
    }
}

/// What the store holds for a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredWatermark {
    /// Of what type the store's values are.
    pub store_type: StoreType,
    /// The value's canonical text, `None` when the table has none yet.
    pub value: Option<String>,
}

/// Reading the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadWatermarks {
    /// What the store holds for the table.
    async fn stored(&self, key: &WatermarkKey) -> Result<StoredWatermark>;

    /// Whether lookups wait for each other, as on one connection.
    fn takes_turns(&self) -> bool {
        true
    }
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The store holds the new watermark.
    Moved,
    /// The store no longer held what was expected; nothing was written.
    Changed,
}

/// Moving the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MoveWatermarks: ReadWatermarks {
    /// Moves the pointer to `new` if the store still holds `expected` (W5).
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Result<Moved>;
}

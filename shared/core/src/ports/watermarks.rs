//! The watermark store: the pointer to where a table's next window starts.

use crate::error::Answer;
use crate::model::watermark::{StoredWatermark, Watermark, WatermarkKey};

/// Reads the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadWatermarks {
    /// Returns what the store holds for the table.
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark>;

    /// Returns what the store holds for each of the tables, in their order, asked together. It is `None` for a table
    /// that has to be asked for by itself, which by default is every table.
    async fn all_stored(&self, keys: &[WatermarkKey]) -> Answer<Vec<Option<StoredWatermark>>> {
        Ok(vec![None; keys.len()])
    }

    /// Returns whether lookups have to wait for each other, as on one connection.
    fn takes_turns(&self) -> bool {
        true
    }
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The store holds the new watermark.
    Moved,
    /// The store no longer held what was expected. Nothing was written.
    Changed,
}

/// Moves the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MoveWatermarks: ReadWatermarks {
    /// Moves the pointer to `new` if the store still holds `expected` (W5).
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved>;
}

/// Takes the pointer of a table away, so that the table starts over.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ClearWatermarks: ReadWatermarks {
    /// Makes the store hold nothing for the table, which is started over. `reset` is different for each start over.
    /// Succeeds when the store holds nothing already.
    async fn clear(&self, key: &WatermarkKey, reset: &str) -> Answer<()>;
}

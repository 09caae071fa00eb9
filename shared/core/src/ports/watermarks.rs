//! The watermark store: the pointer to where a table's next window starts.

use crate::error::Answer;
use crate::model::watermark::{StoredWatermark, Watermark, WatermarkKey};

/// This is for reading the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadWatermarks {
    /// Returns what the store holds for the table.
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark>;

    /// What the store holds for each of the tables, in their order, asked together. `None` for a table that has to be asked for
    /// by itself, which is every table of a store that does not know how to.
    async fn all_stored(&self, keys: &[WatermarkKey]) -> Answer<Vec<Option<StoredWatermark>>> {
        Ok(vec![None; keys.len()])
    }

    /// Whether lookups wait for each other, as on one connection.
    fn takes_turns(&self) -> bool {
        true
    }
}

/// This says what became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The store holds the new watermark.
    Moved,
    /// This is the store no longer held what was expected; nothing was written.
    Changed,
}

/// This is for moving the pointer.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MoveWatermarks: ReadWatermarks {
    /// Moves the pointer to `new` if the store still holds `expected` (W5).
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved>;
}

/// This is for taking the pointer of a table away, so that it starts over.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ClearWatermarks: ReadWatermarks {
    /// Makes the store hold nothing for the table, which is started over; `reset` names this start over and no other. Success when
    /// it holds nothing.
    async fn clear(&self, key: &WatermarkKey, reset: &str) -> Answer<()>;
}

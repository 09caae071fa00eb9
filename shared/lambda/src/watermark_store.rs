//! Joins the two kinds of watermark store, of which a deployment chooses one.

use tidemark::error::Answer;
use tidemark::model::watermark::{StoredWatermark, Watermark, WatermarkKey};
use tidemark::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};

/// A watermark store of either kind, so that a step is compiled once for both.
#[derive(Debug)]
pub enum WatermarkStore<T, P> {
    /// The store with watermarks in a control table.
    ControlTable(T),
    /// The store with pointers beside the ledger.
    Pointers(P),
}

impl<T: ReadWatermarks, P: ReadWatermarks> ReadWatermarks for WatermarkStore<T, P> {
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark> {
        match self {
            Self::ControlTable(table) => table.stored(key).await,
            Self::Pointers(pointers) => pointers.stored(key).await,
        }
    }

    async fn all_stored(&self, keys: &[WatermarkKey]) -> Answer<Vec<Option<StoredWatermark>>> {
        match self {
            Self::ControlTable(table) => table.all_stored(keys).await,
            Self::Pointers(pointers) => pointers.all_stored(keys).await,
        }
    }

    fn takes_turns(&self) -> bool {
        match self {
            Self::ControlTable(table) => table.takes_turns(),
            Self::Pointers(pointers) => pointers.takes_turns(),
        }
    }
}

impl<T: MoveWatermarks, P: MoveWatermarks> MoveWatermarks for WatermarkStore<T, P> {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved> {
        match self {
            Self::ControlTable(table) => table.advance(key, expected, new).await,
            Self::Pointers(pointers) => pointers.advance(key, expected, new).await,
        }
    }
}

impl<T: ClearWatermarks, P: ClearWatermarks> ClearWatermarks for WatermarkStore<T, P> {
    async fn clear(&self, key: &WatermarkKey, reset: &str) -> Answer<()> {
        match self {
            Self::ControlTable(table) => table.clear(key, reset).await,
            Self::Pointers(pointers) => pointers.clear(key, reset).await,
        }
    }
}

//! Joins the two kinds of watermark store, of which a deployment chooses one.

use tidemark::error::{Answer, Error, ErrorCode};
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

/// Maps an error of reading the login of a control table. A store of secrets that fails for now makes the watermark
/// store unreachable, not the source.
#[must_use]
pub fn without_login(error: Error) -> Error {
    match error.code() {
        ErrorCode::SourceUnavailable => error.recoded(ErrorCode::WatermarkStoreUnavailable),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_cannot_be_read_for_now_is_missed_by_the_watermark_store() {
        for (code, expected) in [
            (ErrorCode::SourceUnavailable, ErrorCode::WatermarkStoreUnavailable),
            (ErrorCode::InvalidConfig, ErrorCode::InvalidConfig),
        ] {
            assert_eq!(without_login(Error::new(code, "throttled")).code(), expected);
        }
    }
}

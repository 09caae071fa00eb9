//! Reading rows in memory, for which no connection of one's own is needed.

use super::files::MemoryBatch;
use crate::error::Answer;
use crate::model::rows::Rows;
use crate::model::types::Column;
use crate::ports::rows::{ReadRows, RowsRead, TakeBatches};

/// A source in memory, from which several tasks read at once.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadShared {
    /// Reads as [`ReadRows::read`] does.
    async fn read_shared<B: TakeBatches<MemoryBatch>>(
        &self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead>;
}

impl<T: ReadShared> ReadRows for &T {
    type Batch = MemoryBatch;

    async fn read<B: TakeBatches<MemoryBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        self.read_shared(rows, columns, batches).await
    }
}

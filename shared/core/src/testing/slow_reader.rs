//! A source that is too slow for large slices.

use super::files::MemoryBatch;
use crate::error::{Answer, Error, ErrorCode};
use crate::model::rows::Rows;
use crate::model::types::Column;
use crate::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};

/// A function that counts the rows of a batch.
pub type CountBatch<B> = fn(&B) -> u64;

/// A reader that reads as another one does, and fails with the deadline's error when there are more rows than it has
/// time for.
#[derive(Debug)]
pub struct Slow<R: ReadRows> {
    inner: R,
    rows_in_time: u64,
    count: CountBatch<R::Batch>,
}

impl<R: ReadRows> Slow<R> {
    /// Reads as `inner` does, with time for `rows_in_time` rows of a slice. `count` counts the rows of a batch.
    pub const fn new(inner: R, rows_in_time: u64, count: CountBatch<R::Batch>) -> Self {
        Self {
            inner,
            rows_in_time,
            count,
        }
    }
}

impl<R: ReadRows<Batch = MemoryBatch>> Slow<R> {
    /// Makes a slow reader of rows in memory.
    pub fn in_memory(inner: R, rows_in_time: u64) -> Self {
        Self::new(inner, rows_in_time, |batch| batch.0.len() as u64)
    }
}

impl<R: ReadRows + ExplainRows> ExplainRows for Slow<R> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.inner.explain(rows, columns)
    }
}

impl<R: ReadRows> ReadRows for Slow<R> {
    type Batch = R::Batch;

    async fn read<T: TakeBatches<R::Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead> {
        let mut until = Until {
            batches,
            rows_left: self.rows_in_time,
            count: self.count,
        };
        self.inner.read(rows, columns, &mut until).await
    }
}

/// Takes rows until there is no time left.
struct Until<'a, T, B> {
    batches: &'a mut T,
    rows_left: u64,
    count: CountBatch<B>,
}

impl<B, T: TakeBatches<B>> TakeBatches<B> for Until<'_, T, B> {
    async fn take(&mut self, batch: B) -> Answer<()> {
        let rows = (self.count)(&batch);
        self.rows_left = self.rows_left.checked_sub(rows).ok_or_else(|| {
            let message = "the slice does not fit into one invocation";
            Error::new(ErrorCode::DeadlineExceeded, message)
        })?;
        self.batches.take(batch).await
    }

    async fn catch_up(&mut self) -> Answer<()> {
        self.batches.catch_up().await
    }
}

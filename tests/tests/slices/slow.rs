//! A source that is too slow for large slices.

use arrow_array::RecordBatch;
use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::model::rows::Rows;
use tidemark::model::types::Column;
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, TakeBatches};

/// Reads rows as `inner` does, and is overtaken by the deadline when there are more than it has time for.
#[derive(Debug)]
pub struct Slow<R> {
    /// Where the rows come from.
    pub inner: R,
    /// How many rows of a slice can be read in time.
    pub rows_in_time: u64,
}

impl<R: ReadRows<Batch = RecordBatch>> ReadRows for Slow<R> {
    type Batch = RecordBatch;

    async fn read<T: TakeBatches<RecordBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<u64> {
        let mut until = Until {
            batches,
            rows_left: self.rows_in_time,
        };
        self.inner.read(rows, columns, &mut until).await
    }
}

impl<R: ExplainRows> ExplainRows for Slow<R> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.inner.explain(rows, columns)
    }
}

/// Takes rows until there is no time left.
struct Until<'a, T> {
    batches: &'a mut T,
    rows_left: u64,
}

impl<T: TakeBatches<RecordBatch>> TakeBatches<RecordBatch> for Until<'_, T> {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        self.rows_left = self.rows_left.checked_sub(batch.num_rows() as u64).ok_or_else(|| {
            let message = "the slice does not fit into one invocation";
            Error::new(ErrorCode::DeadlineExceeded, message)
        })?;
        self.batches.take(batch).await
    }
}

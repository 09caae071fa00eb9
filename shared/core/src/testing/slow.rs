//! A source that is too slow for large slices.

use arrow_array::RecordBatch;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ports::rows::{BatchSink, RowSource};
use tidemark::query::Query;
use tidemark::shape::Shape;

/// Reads rows as `inner` does, and is overtaken by the deadline when there are more than it has time for.
#[derive(Debug)]
pub struct Slow<R> {
    /// Where the rows come from.
    pub inner: R,
    /// How many rows of a slice can be read in time.
    pub rows_in_time: u64,
}

impl<R: RowSource> RowSource for Slow<R> {
    async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64> {
        let mut sink = Until::new(sink, self.rows_in_time);
        self.inner.read(query, shape, &mut sink).await
    }

    async fn read_guarded<S: BatchSink>(
        &mut self,
        guard: &Query,
        query: &Query,
        shape: &Shape,
        sink: &mut S,
    ) -> Result<u64> {
        let mut sink = Until::new(sink, self.rows_in_time);
        self.inner.read_guarded(guard, query, shape, &mut sink).await
    }
}

/// Takes rows until there is no time left.
struct Until<'a, S> {
    sink: &'a mut S,
    rows_left: u64,
}

impl<'a, S> Until<'a, S> {
    const fn new(sink: &'a mut S, rows_left: u64) -> Self {
        Self { sink, rows_left }
    }
}

impl<S: BatchSink> BatchSink for Until<'_, S> {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows_left = self.rows_left.checked_sub(batch.num_rows() as u64).ok_or_else(|| {
            let message = "the slice does not fit into one invocation";
            Error::new(ErrorCode::DeadlineExceeded, message)
        })?;
        self.sink.push(batch).await
    }
}

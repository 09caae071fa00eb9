//! Reading the rows of a slice.

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::query::Query;
use crate::shape::Shape;

/// Takes the record batches of a slice in the order they were read.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait BatchSink {
    /// Takes one batch; waits while the sink is full. An error ends the reading.
    async fn push(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Streams the rows a query selects.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait RowSource {
    /// Runs `query` and pushes its rows to `sink` as record batches of `shape`, bounded in rows and bytes.
    ///
    /// Returns the number of rows read. Fails with `SchemaMismatch`, before any batch is pushed, when the result does
    /// not have the columns of `shape`.
    async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64>;

    /// As [`read`](Self::read), but only while `guard` answers 1: it is asked before the first row and after the last, and
    /// where the database allows it, it and `query` run in one `SNAPSHOT` transaction.
    ///
    /// Fails with `ChangeTrackingInvalid` when the guard answers anything else: the rows may be incomplete.
    async fn read_guarded<S: BatchSink>(
        &mut self,
        guard: &Query,
        query: &Query,
        shape: &Shape,
        sink: &mut S,
    ) -> Result<u64>;
}

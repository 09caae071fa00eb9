//! A source that has something else to say of its rows.

use super::files::MemoryBatch;
use crate::error::Answer;
use crate::model::rows::Rows;
use crate::model::types::Column;
use crate::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};

/// A reader that reads as another one does, and then changes what is reported of the rows.
#[derive(Debug)]
pub struct Reported<R, F> {
    inner: R,
    report: F,
}

impl<R, F: Fn(&mut RowsRead)> Reported<R, F> {
    /// Makes a reader like `inner` whose reports are changed by `report`.
    pub const fn new(inner: R, report: F) -> Self {
        Self { inner, report }
    }
}

impl<R: ExplainRows, F> ExplainRows for Reported<R, F> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.inner.explain(rows, columns)
    }
}

impl<R: ReadRows<Batch = MemoryBatch>, F: Fn(&mut RowsRead)> ReadRows for Reported<R, F> {
    type Batch = MemoryBatch;

    async fn read<B: TakeBatches<MemoryBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        let mut read = self.inner.read(rows, columns, batches).await?;
        (self.report)(&mut read);
        Ok(read)
    }
}

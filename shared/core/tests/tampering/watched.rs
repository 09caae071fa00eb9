//! Ports that note what they are asked for.

use std::cell::RefCell;

use tidemark::error::Answer;
use tidemark::model::names::ObjectName;
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::Column;
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};
use tidemark::ports::sink_table::{MergeRows, SliceToMerge};
use tidemark::testing::{MemoryBatch, MemorySink, MemoryStaged};

/// What the ports of some steps were asked for.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rows that were read.
    pub reads: RefCell<Vec<Read>>,
    /// Sinks that were opened, with the table whose rows they are for.
    pub sinks: RefCell<Vec<(ObjectName, SqlServerSink)>>,
}

/// Rows that were read.
#[derive(Debug)]
pub struct Read {
    /// The table.
    pub table: ObjectName,
    /// The condition.
    pub filter: Option<String>,
    /// The columns.
    pub columns: Vec<String>,
}

/// A port, and where it notes what it is asked for.
pub struct Watched<'a, T> {
    /// The port.
    pub inner: T,
    /// What it was asked for.
    pub seen: &'a Seen,
    /// What is found in rows beside their number.
    pub found: fn(&mut RowsRead),
}

impl<T: ExplainRows> ExplainRows for Watched<'_, T> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.inner.explain(rows, columns)
    }
}

impl<T: ReadRows> ReadRows for Watched<'_, T> {
    type Batch = T::Batch;

    async fn read<B: TakeBatches<T::Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        let filter = match rows {
            Rows::Interval(Interval { filter, .. }) => filter.map(ToString::to_string),
            Rows::Load(_) | Rows::Changes(_) => None,
        };
        self.seen.reads.borrow_mut().push(Read {
            table: rows.table().clone(),
            filter,
            columns: columns.iter().map(|column| column.name.clone()).collect(),
        });
        let mut read = self.inner.read(rows, columns, batches).await?;
        (self.found)(&mut read);
        Ok(read)
    }
}

impl MergeRows for Watched<'_, MemorySink> {
    type Batch = MemoryBatch;
    type Staged = MemoryStaged;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<MemoryStaged> {
        let opened = (slice.source.clone(), slice.sink.clone());
        self.seen.sinks.borrow_mut().push(opened);
        self.inner.stage(slice).await
    }
}

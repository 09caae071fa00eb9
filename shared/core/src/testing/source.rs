//! A table in memory with one column, its watermark.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::ports::changes::{ProbeChanges, Versions};
use crate::ports::source::{
    CountSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn, Maximum, ProbeSource, SliceSource,
    WatermarkColumn,
};
use crate::query::slices::{KeyRange, KeyedRows};
use crate::query::{Interval, Query};
use crate::types::SqlType;
use crate::watermark::Watermark;

/// `create table t (v bigint)`, with `v` as its watermark.
///
/// It understands the bounds of a query by their number: `(old, new]` for two, `≤ new` for one.
#[derive(Debug, Default)]
pub struct MemoryTable {
    rows: Mutex<Vec<i64>>,
    is_uncountable: AtomicBool,
}

impl MemoryTable {
    /// A table with these rows.
    pub fn new(rows: impl IntoIterator<Item = i64>) -> Self {
        Self {
            rows: Mutex::new(rows.into_iter().collect()),
            is_uncountable: AtomicBool::new(false),
        }
    }

    /// Adds a row.
    pub fn insert(&self, row: i64) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// From now on its rows may be read and not counted.
    pub fn refuse_counts(&self) {
        self.is_uncountable.store(true, Relaxed);
    }

    fn window(&self, query: &Query) -> Result<Vec<i64>> {
        let bound = |text: &String| {
            text.parse::<i64>()
                .map_err(|error| Error::with_source(ErrorCode::SourceRejected, "not a bigint", error))
        };
        let (old, new) = match query.parameters.as_slice() {
            [new] => (i64::MIN, bound(new)?),
            [old, new] => (bound(old)?, bound(new)?),
            _ => return Err(Error::new(ErrorCode::SourceRejected, "not a window")),
        };
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let above = |row: i64| query.parameters.len() == 1 || row > old;
        Ok(rows.iter().copied().filter(|&row| above(row) && row <= new).collect())
    }
}

impl ProbeSource for MemoryTable {
    async fn columns(&self, _table: &ObjectName, _only: Option<&[&Identifier]>) -> Result<Vec<DeclaredColumn>> {
        Ok(vec![DeclaredColumn {
            name: "v".into(),
            sql_type: Ok(SqlType::BigInt),
            nullable: false,
        }])
    }

    async fn growth(&self, _column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Growth> {
        let maximum = self
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .max();
        let old = old.and_then(|old| old.value().parse::<i64>().ok());
        let maximum = match maximum {
            None => None,
            Some(value) => Some(Maximum {
                watermark: Watermark::new(SqlType::BigInt, &value.to_string())?,
                ordering: old.map_or(Ordering::Greater, |old| value.cmp(&old)),
            }),
        };
        Ok(Growth {
            maximum,
            future_rows: 0,
            null_rows: 0,
            held_back: false,
        })
    }
}

/// Its index begins with its one column.
impl SliceSource for MemoryTable {
    async fn extent(&self, _table: &ObjectName) -> Result<Option<Extent>> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        Ok(Some(Extent { rows, bytes: rows * 8 }))
    }

    async fn leading_columns(&self, _table: &ObjectName) -> Result<Vec<LeadingColumn>> {
        Ok(vec![LeadingColumn {
            name: "v".into(),
            is_key: false,
        }])
    }

    async fn histogram(
        &self,
        _table: &ObjectName,
        _column: &Identifier,
        _sql_type: SqlType,
        _below: Option<&Watermark>,
    ) -> Result<Histogram> {
        Ok(Histogram::default())
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Result<Option<Watermark>> {
        let mut rows = self.window(&interval.count())?;
        rows.sort_unstable();
        let nth = usize::try_from(number).ok().and_then(|number| rows.get(number - 1));
        nth.map(|row| Watermark::new(SqlType::BigInt, &row.to_string()))
            .transpose()
    }

    async fn nth_key(
        &self,
        _rows: &KeyedRows<'_>,
        _range: &KeyRange<'_>,
        _sql_type: SqlType,
        _number: u64,
    ) -> Result<Option<Watermark>> {
        Err(Error::new(ErrorCode::SourceRejected, "the table has no key"))
    }
}

impl ProbeChanges for MemoryTable {
    async fn versions(&self, _table: &ObjectName) -> Result<Versions> {
        Err(not_tracked())
    }

    async fn primary_key(&self, _table: &ObjectName) -> Result<Vec<String>> {
        Err(not_tracked())
    }

    async fn has_changes(&self, _table: &ObjectName, _after: i64, _up_to: i64) -> Result<bool> {
        Err(not_tracked())
    }
}

fn not_tracked() -> Error {
    Error::new(ErrorCode::ChangeTrackingInvalid, "change tracking is off for the table")
}

impl CountSource for MemoryTable {
    async fn count(&self, query: &Query) -> Result<u64> {
        if self.is_uncountable.load(Relaxed) {
            return Err(Error::new(ErrorCode::SourceRejected, "no permission"));
        }
        self.window(query).map(|rows| rows.len() as u64)
    }
}

#[cfg(feature = "encode")]
mod rows {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::{Error, ErrorCode, MemoryTable, Query, Result, not_tracked};
    use crate::ports::rows::{BatchSink, RowSource};
    use crate::shape::Shape;

    impl RowSource for &MemoryTable {
        async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64> {
            let rows = self.window(query)?;
            // Small batches, so that a slice is more than one.
            for batch in rows.chunks(2) {
                let column: ArrayRef = Arc::new(Int64Array::from(batch.to_vec()));
                let batch = RecordBatch::try_new(shape.schema().clone(), vec![column])
                    .map_err(|error| Error::with_source(ErrorCode::SchemaMismatch, "not this table", error))?;
                sink.push(batch).await?;
            }
            Ok(rows.len() as u64)
        }

        async fn read_guarded<S: BatchSink>(
            &mut self,
            _guard: &Query,
            _query: &Query,
            _shape: &Shape,
            _sink: &mut S,
        ) -> Result<u64> {
            Err(not_tracked())
        }
    }
}

//! A table in memory with one column, its watermark.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::{MemoryBatch, MemoryValue};
use super::types::{asked_for, bigint, declared, explained, number, version, watermark};
use crate::error::{Answer, Error, ErrorCode, Failure, Fault, Result};
use crate::model::names::{Identifier, ObjectName};
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::types::{Column, TypeName, WantedForms};
use crate::model::watermark::Watermark;
use crate::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use crate::ports::rows::{ExplainRows, Explained, ReadRows, TakeBatches};
use crate::ports::source::{
    CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, KnowTypes, LeadingColumn, Maximum,
    ProbeSource, RowsToCut, WatermarkColumn,
};

/// `create table t (v bigint)`, with `v` as its watermark and an index on it.
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

    fn rows(&self) -> MutexGuard<'_, Vec<i64>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a row.
    pub fn insert(&self, row: i64) {
        self.rows().push(row);
    }

    /// From now on its rows may be read and not counted.
    pub fn refuse_counts(&self) {
        self.is_uncountable.store(true, Relaxed);
    }

    fn within(&self, interval: &Interval<'_>) -> Answer<Vec<i64>> {
        let old = interval.old.map(|old| number(old.value())).transpose()?;
        let new = number(interval.new.value())?;
        let is_in = |row: &i64| old.is_none_or(|old| *row > old) && *row <= new;
        Ok(self.rows().iter().copied().filter(is_in).collect())
    }

    fn window(&self, rows: &Rows<'_>) -> Answer<Vec<i64>> {
        match rows {
            Rows::Interval(interval) => self.within(interval),
            Rows::Load(_) | Rows::Changes(_) => Err(not_tracked()),
        }
    }
}

impl KnowTypes for MemoryTable {
    fn watermark(&self, _sql_type: &TypeName, text: &str) -> Result<Watermark> {
        watermark(text)
    }

    fn holds(&self, store: &TypeName, column: &TypeName) -> bool {
        store == column
    }
}

impl ProbeSource for MemoryTable {
    async fn columns(
        &self,
        _table: &ObjectName,
        only: Option<&[&Identifier]>,
        _wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        Ok(asked_for(vec![declared("v", false)], only))
    }

    async fn growth(&self, _column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        let maximum = self.rows().iter().copied().max();
        let old = old.map(|old| number(old.value())).transpose()?;
        Ok(Growth {
            maximum: maximum.map(|value| Maximum {
                watermark: version(value),
                ordering: old.map_or(Ordering::Greater, |old| value.cmp(&old)),
            }),
            ..Growth::default()
        })
    }
}

impl CutSource for MemoryTable {
    async fn extent(&self, _table: &ObjectName) -> Answer<Option<Extent>> {
        let rows = self.rows().len() as u64;
        Ok(Some(Extent { rows, bytes: rows * 8 }))
    }

    async fn leading_columns(&self, _table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        Ok(vec![LeadingColumn {
            name: "v".into(),
            is_key: false,
        }])
    }

    async fn histogram(
        &self,
        _table: &ObjectName,
        _column: &CutColumn,
        _below: Option<&Watermark>,
    ) -> Answer<Histogram> {
        Ok(Histogram::default())
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>> {
        let mut rows = self.within(interval)?;
        rows.sort_unstable();
        let nth = usize::try_from(number).ok().and_then(|number| rows.get(number - 1));
        Ok(nth.copied().map(version))
    }

    async fn nth_key(
        &self,
        _rows: &RowsToCut<'_>,
        _range: &KeyBounds,
        _sql_type: &TypeName,
        _number: u64,
    ) -> Answer<Option<Watermark>> {
        Err(Failure::new(Fault::Refused, "the table has no key"))
    }
}

impl ProbeChanges for MemoryTable {
    fn change_columns(&self, _wanted: WantedForms) -> ChangeColumns {
        super::tracked::change_columns()
    }

    async fn versions(&self, _table: &ObjectName) -> Answer<Versions> {
        Err(not_tracked())
    }

    async fn primary_key(&self, _table: &ObjectName) -> Answer<Vec<String>> {
        Err(not_tracked())
    }

    async fn has_changes(&self, _table: &ObjectName, _after: i64, _up_to: i64) -> Answer<bool> {
        Err(not_tracked())
    }
}

fn not_tracked() -> Failure {
    Error::new(ErrorCode::ChangeTrackingInvalid, "change tracking is off for the table").into()
}

impl CountRows for MemoryTable {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        if self.is_uncountable.load(Relaxed) {
            return Err(Failure::new(Fault::Refused, "no permission"));
        }
        self.window(rows).map(|rows| rows.len() as u64)
    }
}

impl ExplainRows for MemoryTable {
    fn explain(&self, rows: &Rows<'_>, _columns: &[Column]) -> Answer<Explained> {
        Ok(explained(rows.table(), rows))
    }
}

impl ExplainRows for &MemoryTable {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        (**self).explain(rows, columns)
    }
}

impl ReadRows for &MemoryTable {
    type Batch = MemoryBatch;

    async fn read<T: TakeBatches<MemoryBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<u64> {
        if columns.len() != 1 || columns.iter().any(|column| column.sql_type != bigint()) {
            return Err(Error::new(ErrorCode::SchemaMismatch, "not this table").into());
        }
        let rows = self.window(rows)?;
        // Small batches, so that a slice is more than one.
        for batch in rows.chunks(2) {
            let batch = batch.iter().map(|row| vec![MemoryValue::Number(*row)]).collect();
            batches.take(MemoryBatch(batch)).await?;
        }
        Ok(rows.len() as u64)
    }
}

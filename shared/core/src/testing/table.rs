//! A table in memory with one column, its watermark.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::{MemoryBatch, MemoryValue};
use super::read::ReadShared;
use super::types::{asked_for, bound, compare, declared, explained, only_numbers, version};
use crate::error::{Answer, Error, ErrorCode, Failure, Fault};
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::types::{Column, TypeName, WantedForms, of_source};
use crate::model::values::Values;
use crate::model::watermark::Watermark;
use crate::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use crate::ports::rows::{ExplainRows, Explained, RowsRead, TakeBatches};
use crate::ports::source::{
    Catalog, CatalogColumn, CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn,
    Maximum, ProbeSource, RowsToCut, WatermarkColumn,
};

/// The watermark column.
const WATERMARK: &str = "v";

/// `create table t (v bigint)`, with `v` as its watermark and an index on it.
///
/// Further columns can be [declared](Self::declare); they are NULL in every row.
#[derive(Debug, Default)]
pub struct MemoryTable {
    rows: Mutex<Vec<i64>>,
    others: Mutex<Vec<DeclaredColumn>>,
    catalog: Mutex<Option<Catalog>>,
    is_uncountable: AtomicBool,
    nulls: AtomicU64,
}

impl MemoryTable {
    /// Makes a table with these rows.
    pub fn new(rows: impl IntoIterator<Item = i64>) -> Self {
        Self {
            rows: Mutex::new(rows.into_iter().collect()),
            ..Self::default()
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<i64>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a table of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            rows: Mutex::new(self.rows().clone()),
            others: Mutex::new(others),
            catalog: Mutex::new(catalog),
            is_uncountable: AtomicBool::new(self.is_uncountable.load(Relaxed)),
            nulls: AtomicU64::new(self.nulls.load(Relaxed)),
        }
    }

    /// Adds a row.
    pub fn insert(&self, row: i64) {
        self.rows().push(row);
    }

    /// Tells from now on of so many rows without a watermark.
    pub fn tell_nulls(&self, count: u64) {
        self.nulls.store(count, Relaxed);
    }

    /// Declares these columns, and no others, beside the watermark.
    pub fn declare(&self, others: impl IntoIterator<Item = DeclaredColumn>) {
        *self.others.lock().unwrap_or_else(PoisonError::into_inner) = others.into_iter().collect();
    }

    /// Makes its catalog list these columns.
    pub fn list(&self, columns: impl IntoIterator<Item = CatalogColumn>) {
        let catalog = Catalog {
            columns: columns.into_iter().collect(),
            ..Catalog::default()
        };
        *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = Some(catalog);
    }

    /// Makes its catalog report a security policy that filters its rows.
    pub fn filter(&self) {
        if let Some(catalog) = &mut *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) {
            catalog.is_filtered = true;
        }
    }

    fn declared(&self) -> Vec<DeclaredColumn> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [vec![declared(WATERMARK, false)], others].concat()
    }

    /// From now on refuses to count its rows. They may still be read.
    pub fn refuse_counts(&self) {
        self.is_uncountable.store(true, Relaxed);
    }

    fn within(&self, interval: &Interval<'_>) -> Answer<Vec<i64>> {
        if interval.column.as_str() != WATERMARK || interval.key.is_some() {
            return Err(Failure::new(Fault::Refused, "no such column"));
        }
        let old = interval.old.map(bound).transpose()?;
        let new = bound(interval.new)?;
        let chosen = interval.filter.map(chosen_above).transpose()?;
        let is_closed = interval.closed.old_watermark;
        let is_above = |row: i64| old.is_none_or(|old| row > old || is_closed && row == old);
        let is_in = |row: &i64| is_above(*row) && *row <= new && chosen.is_none_or(|chosen| *row > chosen);
        Ok(self.rows().iter().copied().filter(is_in).collect())
    }

    fn window(&self, rows: &Rows<'_>) -> Answer<Vec<i64>> {
        match rows {
            Rows::Interval(interval) => self.within(interval),
            Rows::Load(_) | Rows::Changes(_) => Err(not_tracked()),
        }
    }
}

/// Reads the number that `v` must be above from `v > …`, the only condition that is understood here.
fn chosen_above(filter: &Predicate) -> Answer<i64> {
    let text = filter.to_string();
    let above = text.strip_prefix("v > ").and_then(|number| number.parse().ok());
    above.ok_or_else(|| Failure::new(Fault::Refused, "incorrect syntax"))
}

only_numbers!(MemoryTable);

impl ProbeSource for MemoryTable {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(vec![catalog; tables.len()])
    }

    async fn columns(
        &self,
        _table: &ObjectName,
        only: Option<&[&Identifier]>,
        _catalog: Option<&Catalog>,
        _wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        Ok(asked_for(self.declared(), only))
    }

    fn has_mask_key(&self) -> bool {
        true
    }

    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering> {
        compare(one, other)
    }

    async fn growth(&self, _column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        let maximum = self.rows().iter().copied().max();
        let old = old.map(bound).transpose()?;
        Ok(Growth {
            maximum: maximum.map(|value| Maximum {
                watermark: version(value),
                ordering: old.map_or(Ordering::Greater, |old| value.cmp(&old)),
            }),
            null_rows: self.nulls.load(Relaxed),
            ..Growth::default()
        })
    }

    async fn accepts(&self, _table: &ObjectName, filter: &Predicate) -> Answer<()> {
        chosen_above(filter).map(drop)
    }
}

impl CutSource for MemoryTable {
    async fn extent(&self, _table: &ObjectName) -> Answer<Option<Extent>> {
        let rows = self.rows().len() as u64;
        Ok(Some(Extent { rows, bytes: rows * 8 }))
    }

    async fn leading_columns(&self, _table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        Ok(vec![LeadingColumn {
            name: WATERMARK.into(),
            is_key: false,
            is_split: false,
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

    async fn sample_watermarks(&self, interval: &Interval<'_>, count: u64) -> Answer<Vec<Watermark>> {
        let mut rows = self.within(interval)?;
        rows.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        rows.sort_unstable();
        Ok(rows.into_iter().map(version).collect())
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

impl ReadShared for MemoryTable {
    async fn read_shared<B: TakeBatches<MemoryBatch>>(
        &self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        let declared = self.declared();
        let is_here = |column: &Column| declared.iter().any(|declared| is_as_declared(column, declared));
        if !of_source(columns).iter().all(is_here) {
            return Err(Error::new(ErrorCode::SchemaMismatch, "not the columns of this table").into());
        }
        let row = |number: i64| -> Vec<MemoryValue> {
            let value = |column: &Column| match column.name.as_str() {
                WATERMARK => MemoryValue::Number(number),
                _ => MemoryValue::Null,
            };
            columns.iter().map(value).collect()
        };
        let rows = self.window(rows)?;
        // The batches are small, so that a slice has more than one.
        for batch in rows.chunks(2) {
            let batch = batch.iter().map(|number| row(*number)).collect();
            batches.take(MemoryBatch(batch)).await?;
        }
        Ok(RowsRead::sound(rows.len() as u64))
    }
}

fn is_as_declared(column: &Column, declared: &DeclaredColumn) -> bool {
    column.name == declared.name
        && column.sql_type == declared.sql_type
        && (column.values != Values::OfSource || declared.form.as_ref() == Ok(&column.form))
}

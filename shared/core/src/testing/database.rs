//! A database in memory: several tables by their names.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::files::MemoryBatch;
use super::read::ReadShared;
use super::types::{compare, only_numbers};
use crate::error::{Answer, Failure, Fault};
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::types::{Column, TypeName, WantedForms};
use crate::model::watermark::Watermark;
use crate::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use crate::ports::rows::{ExplainRows, Explained, RowsRead, TakeBatches};
use crate::ports::source::{
    Catalog, CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn, ProbeSource,
    RowsToCut, WatermarkColumn,
};

/// Tables by name. A table that does not exist is refused, as a server refuses it.
#[derive(Debug)]
pub struct MemoryDatabase<T> {
    tables: BTreeMap<ObjectName, T>,
    asked_for: Mutex<BTreeSet<ObjectName>>,
}

impl<T> MemoryDatabase<T> {
    /// Makes a database with these tables.
    pub fn new(tables: impl IntoIterator<Item = (ObjectName, T)>) -> Self {
        Self {
            tables: tables.into_iter().collect(),
            asked_for: Mutex::default(),
        }
    }

    /// Returns the table of this name.
    pub fn table(&self, name: &ObjectName) -> Answer<&T> {
        let mut asked_for = self.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        asked_for.insert(name.clone());
        let refused = || Failure::new(Fault::Refused, format!("Invalid object name '{name}'"));
        self.tables.get(name).ok_or_else(refused)
    }

    /// Returns the names of all tables that were asked for so far, whether they exist or not.
    pub fn asked_for(&self) -> BTreeSet<ObjectName> {
        self.asked_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

only_numbers!(MemoryDatabase<T>, T);

impl<T: ProbeSource> ProbeSource for MemoryDatabase<T> {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        let mut catalogs = Vec::with_capacity(tables.len());
        for table in tables {
            // A catalog knows nothing of a table that does not exist.
            catalogs.extend(match self.table(table) {
                Ok(found) => found.catalogs(&[table]).await?,
                Err(_) => vec![None],
            });
        }
        Ok(catalogs)
    }

    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        self.table(table)?.columns(table, only, catalog, wanted).await
    }

    fn has_mask_key(&self) -> bool {
        self.tables.values().any(T::has_mask_key)
    }

    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering> {
        compare(one, other)
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        self.table(column.table)?.growth(column, old).await
    }

    async fn accepts(&self, table: &ObjectName, filter: &Predicate) -> Answer<()> {
        self.table(table)?.accepts(table, filter).await
    }
}

impl<T: CutSource> CutSource for MemoryDatabase<T> {
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>> {
        self.table(table)?.extent(table).await
    }

    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        self.table(table)?.leading_columns(table).await
    }

    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram> {
        self.table(table)?.histogram(table, column, below).await
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>> {
        self.table(interval.table)?.nth_watermark(interval, number).await
    }

    async fn sample_watermarks(&self, interval: &Interval<'_>, count: u64) -> Answer<Vec<Watermark>> {
        self.table(interval.table)?.sample_watermarks(interval, count).await
    }

    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>> {
        let table = match rows {
            RowsToCut::Table(table) => table,
            RowsToCut::Rows(rows) => rows.table(),
        };
        self.table(table)?.nth_key(rows, range, sql_type, number).await
    }
}

impl<T: ProbeChanges> ProbeChanges for MemoryDatabase<T> {
    fn change_columns(&self, _wanted: WantedForms) -> ChangeColumns {
        super::tracked::change_columns()
    }

    async fn versions(&self, table: &ObjectName) -> Answer<Versions> {
        self.table(table)?.versions(table).await
    }

    async fn primary_key(&self, table: &ObjectName) -> Answer<Vec<String>> {
        self.table(table)?.primary_key(table).await
    }

    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Answer<bool> {
        self.table(table)?.has_changes(table, after, up_to).await
    }
}

impl<T: CountRows> CountRows for MemoryDatabase<T> {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        self.table(rows.table())?.count(rows).await
    }
}

impl<T: ExplainRows> ExplainRows for MemoryDatabase<T> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.table(rows.table())?.explain(rows, columns)
    }
}

impl<T: ReadShared> ReadShared for MemoryDatabase<T> {
    async fn read_shared<B: TakeBatches<MemoryBatch>>(
        &self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        self.table(rows.table())?.read_shared(rows, columns, batches).await
    }
}

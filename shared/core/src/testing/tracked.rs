//! A table in memory with change tracking.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::ports::changes::{ProbeChanges, Versions};
use crate::ports::source::{
    CountSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn, ProbeSource, SliceSource, WatermarkColumn,
};
use crate::query::slices::{KeyRange, KeyedRows};
use crate::query::{Interval, Query};
use crate::types::SqlType;
use crate::watermark::Watermark;

/// `create table t (id bigint primary key, v bigint)` with change tracking on, and nobody in a transaction.
///
/// It understands a query by its parameters: the bounds of a window are the first two, of its guard the last two; a full load
/// has its version first; a range of the key has its bounds after that.
#[derive(Debug, Default)]
pub struct MemoryTracked {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<i64, i64>,
    changes: BTreeMap<i64, Vec<Change>>,
    current: i64,
    min_valid: i64,
    begun: i64,
    is_off: bool,
    expires_when_looked_at: bool,
}

/// One transaction's change of a row.
#[derive(Debug, Clone, Copy)]
struct Change {
    version: i64,
    was_there: bool,
}

impl State {
    fn change(&mut self, id: i64, value: Option<i64>) {
        self.current += 1;
        let before = match value {
            Some(value) => self.rows.insert(id, value),
            None => self.rows.remove(&id),
        };
        let change = Change {
            version: self.current,
            was_there: before.is_some(),
        };
        self.changes.entry(id).or_default().push(change);
    }

    /// The net changes since `version`: the row, its last version, and whether it was there at `version`.
    fn since(&self, version: i64) -> Vec<(i64, i64, bool)> {
        let net = |(&id, changes): (&i64, &Vec<Change>)| {
            let mut since = changes.iter().filter(|change| change.version > version);
            let first = since.next()?;
            Some((id, since.next_back().unwrap_or(first).version, first.was_there))
        };
        self.changes.iter().filter_map(net).collect()
    }

    fn holds(&self, old: i64, new: i64) -> bool {
        !self.is_off && self.min_valid <= old && self.current >= new
    }
}

impl MemoryTracked {
    /// A table with these rows, which were there before it was tracked.
    pub fn new(rows: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let state = State {
            rows: rows.into_iter().collect(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inserts or updates a row, in a transaction of its own.
    pub fn set(&self, id: i64, value: i64) {
        self.state().change(id, Some(value));
    }

    /// Deletes a row, in a transaction of its own.
    pub fn delete(&self, id: i64) {
        self.state().change(id, None);
    }

    /// A transaction on another tracked table of the database.
    pub fn change_elsewhere(&self) {
        self.state().current += 1;
    }

    /// What the cleanup does when the retention of all that was changed has passed.
    pub fn expire(&self) {
        let mut state = self.state();
        state.changes.clear();
        state.min_valid = state.current;
    }

    /// From now on its changes expire whenever they are looked for.
    pub fn expire_when_looked_at(&self) {
        self.state().expires_when_looked_at = true;
    }

    /// `TRUNCATE TABLE`, which is no version of its own.
    pub fn truncate(&self) {
        let mut state = self.state();
        if state.begun == state.current {
            // From the second time at one version the first cannot be told.
            state.current += 1;
        }
        state.rows.clear();
        state.changes.clear();
        state.begun = state.current;
        state.min_valid = state.current;
    }

    /// Switches tracking off.
    pub fn untrack(&self) {
        self.state().is_off = true;
    }

    /// The version of the database.
    pub fn version(&self) -> i64 {
        self.state().current
    }

    /// The keys that a counting query counts, of the table or of changes.
    fn keys(&self, query: &Query) -> Result<Vec<i64>> {
        if !query.sql.contains("CHANGETABLE") {
            let range = range(query, 0)?;
            return Ok(self.rows().into_keys().filter(|id| range.contains(id)).collect());
        }
        let (old, new, range) = (number(query, 0)?, number(query, 1)?, range(query, 2)?);
        let changes = self.state().since(old).into_iter();
        let in_window = changes.filter(|&(id, version, _)| version <= new && range.contains(&id));
        Ok(in_window.map(|(id, ..)| id).collect())
    }

    /// The rows of the table.
    pub fn rows(&self) -> BTreeMap<i64, i64> {
        self.state().rows.clone()
    }
}

/// The parameter at this place.
fn number(query: &Query, at: usize) -> Result<i64> {
    let number = query.parameters.get(at).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::new(ErrorCode::SourceRejected, "not the bounds of a window or load"))
}

/// The range of the key whose bounds are the parameters from this place on.
fn range(query: &Query, at: usize) -> Result<RangeInclusive<i64>> {
    let has = |bound: &str| query.sql.contains(&format!("[id] {bound} "));
    let above = if has(">") { Some(number(query, at)?) } else { None };
    let up_to = if has("<=") {
        number(query, at + usize::from(above.is_some()))?
    } else {
        i64::MAX
    };
    Ok(above.map_or(i64::MIN, |above| above + 1)..=up_to)
}

impl ProbeSource for MemoryTracked {
    async fn columns(&self, _table: &ObjectName, only: Option<&[&Identifier]>) -> Result<Vec<DeclaredColumn>> {
        let column = |name: &str, nullable| DeclaredColumn {
            name: name.to_owned(),
            sql_type: Ok(SqlType::BigInt),
            nullable,
        };
        let all = [column("id", false), column("v", true)];
        let asked_for =
            |name: &str| only.is_none_or(|only| only.iter().any(|one| one.as_str().eq_ignore_ascii_case(name)));
        Ok(all.into_iter().filter(|column| asked_for(&column.name)).collect())
    }

    async fn growth(&self, _column: &WatermarkColumn<'_>, _old: Option<&Watermark>) -> Result<Growth> {
        Err(Error::new(ErrorCode::SourceRejected, "not a watermark's table"))
    }
}

impl ProbeChanges for MemoryTracked {
    async fn versions(&self, _table: &ObjectName) -> Result<Versions> {
        let state = self.state();
        if state.is_off {
            return Err(Error::new(
                ErrorCode::ChangeTrackingInvalid,
                "change tracking is off for the table",
            ));
        }
        Ok(Versions {
            current: state.current,
            min_valid: state.min_valid,
            begun: Some(state.begun),
        })
    }

    async fn primary_key(&self, _table: &ObjectName) -> Result<Vec<String>> {
        Ok(vec!["id".to_owned()])
    }

    async fn has_changes(&self, _table: &ObjectName, after: i64, up_to: i64) -> Result<bool> {
        if self.state().expires_when_looked_at {
            self.expire();
        }
        Ok(self
            .state()
            .since(after)
            .iter()
            .any(|&(_, version, _)| version <= up_to))
    }
}

/// Its primary key is the clustered index.
impl SliceSource for MemoryTracked {
    async fn extent(&self, _table: &ObjectName) -> Result<Option<Extent>> {
        let rows = self.state().rows.len() as u64;
        Ok(Some(Extent { rows, bytes: rows * 16 }))
    }

    async fn leading_columns(&self, _table: &ObjectName) -> Result<Vec<LeadingColumn>> {
        Ok(vec![LeadingColumn {
            name: "id".into(),
            is_key: true,
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

    async fn nth_watermark(&self, _interval: &Interval<'_>, _number: u64) -> Result<Option<Watermark>> {
        Err(Error::new(ErrorCode::SourceRejected, "not a watermark's table"))
    }

    async fn nth_key(
        &self,
        rows: &KeyedRows<'_>,
        range: &KeyRange<'_>,
        sql_type: SqlType,
        number: u64,
    ) -> Result<Option<Watermark>> {
        let skipped = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let nth = self.keys(&rows.count(range))?.into_iter().nth(skipped);
        nth.map(|id| Watermark::new(sql_type, &id.to_string())).transpose()
    }
}

impl CountSource for MemoryTracked {
    async fn count(&self, query: &Query) -> Result<u64> {
        self.keys(query).map(|keys| keys.len() as u64)
    }
}

#[cfg(feature = "encode")]
mod rows {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use tokio::task::yield_now;

    use super::{Error, ErrorCode, MemoryTracked, Query, Result, number, range};
    use crate::ports::rows::{BatchSink, RowSource};
    use crate::shape::Shape;

    type Row = (i64, Option<i64>, i64, &'static str);

    async fn push<S: BatchSink>(rows: &[Row], shape: &Shape, sink: &mut S) -> Result<u64> {
        // Small batches, so that a slice is more than one; others have their turns in between, as there is no snapshot.
        for rows in rows.chunks(2) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| Some(row.3)).collect::<StringArray>()),
            ];
            let batch = RecordBatch::try_new(shape.schema().clone(), columns)
                .map_err(|error| Error::with_source(ErrorCode::SchemaMismatch, "not this table", error))?;
            sink.push(batch).await?;
            yield_now().await;
        }
        Ok(rows.len() as u64)
    }

    impl MemoryTracked {
        fn check(&self, guard: &Query) -> Result<()> {
            let last = guard.parameters.len().saturating_sub(1);
            let (old, new) = (number(guard, last.saturating_sub(1))?, number(guard, last)?);
            if self.state().holds(old, new) {
                return Ok(());
            }
            Err(Error::new(
                ErrorCode::ChangeTrackingInvalid,
                "the changes are no longer complete",
            ))
        }
    }

    impl RowSource for &MemoryTracked {
        async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64> {
            let (version, range) = (number(query, 0)?, range(query, 1)?);
            let ids: Vec<i64> = self.rows().into_keys().filter(|id| range.contains(id)).collect();
            let mut read = 0;
            for ids in ids.chunks(2) {
                let rows = self.rows();
                let there = ids
                    .iter()
                    .filter_map(|id| Some((*id, Some(*rows.get(id)?), version, "I")));
                read += push(&there.collect::<Vec<_>>(), shape, sink).await?;
            }
            Ok(read)
        }

        async fn read_guarded<S: BatchSink>(
            &mut self,
            guard: &Query,
            query: &Query,
            shape: &Shape,
            sink: &mut S,
        ) -> Result<u64> {
            let (old, new, range) = (number(query, 0)?, number(query, 1)?, range(query, 2)?);
            self.check(guard)?;
            yield_now().await;
            let (changed, there) = {
                let state = self.state();
                (state.since(old), state.rows.clone())
            };
            // Without a snapshot the table is read later than its changes.
            yield_now().await;
            let rows = self.rows();
            let row = |(id, version, was_there): (i64, i64, bool)| match there.contains_key(&id) {
                _ if version > new || !range.contains(&id) => None,
                false => Some((id, None, version, "D")),
                true => Some((id, Some(*rows.get(&id)?), version, if was_there { "U" } else { "I" })),
            };
            let changed: Vec<Row> = changed.into_iter().filter_map(row).collect();
            let read = push(&changed, shape, sink).await?;
            self.check(guard)?;
            Ok(read)
        }
    }
}

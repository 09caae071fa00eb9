//! A table in memory with change tracking.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use super::files::{MemoryBatch, MemoryValue};
use super::read::ReadShared;
use super::types::{asked_for, bound, column, compare, declared, explained, only_numbers, version};
use crate::error::{Answer, Error, ErrorCode, Failure, Fault};
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Changes, Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::types::{Column, Form, TypeName, WantedForms};
use crate::model::watermark::Watermark;
use crate::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use crate::ports::rows::{ExplainRows, Explained, RowsRead, TakeBatches};
use crate::ports::source::{
    Catalog, CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn, ProbeSource,
    RowsToCut, WatermarkColumn,
};

/// `create table t (id bigint primary key, v bigint)` with change tracking on, and without open transactions.
#[derive(Debug, Default)]
pub struct MemoryTracked {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
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

/// What became of a row since a version.
struct NetChange {
    id: i64,
    /// The last version at which it changed.
    version: i64,
    /// Whether the row was there at the version since which changes are asked for.
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

    /// Returns the net changes since `version`.
    fn since(&self, version: i64) -> Vec<NetChange> {
        let net = |(&id, changes): (&i64, &Vec<Change>)| {
            let mut since = changes.iter().filter(|change| change.version > version);
            let first = since.next()?;
            Some(NetChange {
                id,
                version: since.next_back().unwrap_or(first).version,
                was_there: first.was_there,
            })
        };
        self.changes.iter().filter_map(net).collect()
    }

    fn holds(&self, old: i64, new: i64) -> bool {
        !self.is_off && self.min_valid <= old && self.current >= new
    }
}

impl MemoryTracked {
    /// Makes a table with these rows, which were there before it was tracked.
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

    /// Returns a table of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            state: Mutex::new(self.state().clone()),
        }
    }

    /// Inserts or updates a row, in a transaction of its own.
    pub fn set(&self, id: i64, value: i64) {
        self.state().change(id, Some(value));
    }

    /// Deletes a row, in a transaction of its own.
    pub fn delete(&self, id: i64) {
        self.state().change(id, None);
    }

    /// Counts a transaction on another tracked table of the database.
    pub fn change_elsewhere(&self) {
        self.state().current += 1;
    }

    /// Removes all changes, as the cleanup does when their retention has passed.
    pub fn expire(&self) {
        let mut state = self.state();
        state.changes.clear();
        state.min_valid = state.current;
    }

    /// From now on lets its changes expire whenever they are looked for.
    pub fn expire_when_looked_at(&self) {
        self.state().expires_when_looked_at = true;
    }

    /// Does what `TRUNCATE TABLE` does. It has no version of its own.
    pub fn truncate(&self) {
        let mut state = self.state();
        if state.begun == state.current {
            // Without a version in between, a second truncation could not be told from the first.
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

    /// Returns the version of the database.
    pub fn version(&self) -> i64 {
        self.state().current
    }

    /// Returns the rows of the table.
    pub fn rows(&self) -> BTreeMap<i64, i64> {
        self.state().rows.clone()
    }

    /// Returns the keys in a range.
    fn keys(&self, range: Option<&KeyBounds>) -> Answer<Vec<i64>> {
        let range = KeyRange::of(range)?;
        Ok(self.rows().into_keys().filter(|id| range.contains(*id)).collect())
    }

    /// Returns the keys of the changes of a window.
    fn changed_keys(&self, changes: &Changes<'_>) -> Answer<Vec<i64>> {
        let (old, new) = (bound(changes.old)?, bound(changes.new)?);
        let range = KeyRange::of(changes.key)?;
        let changed = self.state().since(old).into_iter();
        let in_window = changed.filter(|change| change.version <= new && range.contains(change.id));
        Ok(in_window.map(|change| change.id).collect())
    }

    fn keys_of(&self, rows: &Rows<'_>) -> Answer<Vec<i64>> {
        match rows {
            Rows::Load(load) => self.keys(load.key),
            Rows::Changes(changes) => self.changed_keys(changes),
            Rows::Interval(_) => Err(no_watermark()),
        }
    }
}

/// The primary key.
const KEY: &str = "id";

/// A range of the key.
struct KeyRange {
    above: Option<i64>,
    up_to: Option<i64>,
}

impl KeyRange {
    fn of(bounds: Option<&KeyBounds>) -> Answer<Self> {
        let (above, up_to) = bounds.map_or((None, None), |key| (key.above.as_ref(), key.up_to.as_ref()));
        if bounds.is_some_and(|key| key.column.as_str() != KEY) {
            return Err(Failure::new(Fault::Refused, "no such column"));
        }
        Ok(Self {
            above: above.map(bound).transpose()?,
            up_to: up_to.map(bound).transpose()?,
        })
    }

    fn contains(&self, id: i64) -> bool {
        self.above.is_none_or(|above| id > above) && self.up_to.is_none_or(|up_to| id <= up_to)
    }
}

/// Returns the columns by which files describe a change.
pub(super) fn change_columns() -> ChangeColumns {
    ChangeColumns {
        version: column("SYS_CHANGE_VERSION", Form::Int64),
        operation: column("SYS_CHANGE_OPERATION", Form::Text),
    }
}

fn no_watermark() -> Failure {
    Failure::new(Fault::Refused, "not a watermark's table")
}

only_numbers!(MemoryTracked);

impl ProbeSource for MemoryTracked {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        Ok(vec![None; tables.len()])
    }

    async fn columns(
        &self,
        _table: &ObjectName,
        only: Option<&[&Identifier]>,
        _catalog: Option<&Catalog>,
        _wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        Ok(asked_for(vec![declared("id", false), declared("v", true)], only))
    }

    fn has_mask_key(&self) -> bool {
        true
    }

    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering> {
        compare(one, other)
    }

    async fn growth(&self, _column: &WatermarkColumn<'_>, _old: Option<&Watermark>) -> Answer<Growth> {
        Err(no_watermark())
    }

    async fn accepts(&self, _table: &ObjectName, _filter: &Predicate) -> Answer<()> {
        Err(no_watermark())
    }
}

impl ProbeChanges for MemoryTracked {
    fn change_columns(&self, _wanted: WantedForms) -> ChangeColumns {
        change_columns()
    }

    async fn versions(&self, _table: &ObjectName) -> Answer<Versions> {
        let state = self.state();
        if state.is_off {
            let error = Error::new(ErrorCode::ChangeTrackingInvalid, "change tracking is off for the table");
            return Err(error.into());
        }
        Ok(Versions {
            current: state.current,
            min_valid: state.min_valid,
            begun: Some(state.begun),
        })
    }

    async fn primary_key(&self, _table: &ObjectName) -> Answer<Vec<String>> {
        Ok(vec!["id".to_owned()])
    }

    async fn has_changes(&self, _table: &ObjectName, after: i64, up_to: i64) -> Answer<bool> {
        if self.state().expires_when_looked_at {
            self.expire();
        }
        let changes = self.state().since(after);
        Ok(changes.iter().any(|change| change.version <= up_to))
    }
}

/// The primary key is the clustered index.
impl CutSource for MemoryTracked {
    async fn extent(&self, _table: &ObjectName) -> Answer<Option<Extent>> {
        let rows = self.state().rows.len() as u64;
        Ok(Some(Extent { rows, bytes: rows * 16 }))
    }

    async fn leading_columns(&self, _table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        Ok(vec![LeadingColumn {
            name: "id".into(),
            is_key: true,
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

    async fn nth_watermark(&self, _interval: &Interval<'_>, _number: u64) -> Answer<Option<Watermark>> {
        Err(no_watermark())
    }

    async fn sample_watermarks(&self, _interval: &Interval<'_>, _count: u64) -> Answer<Vec<Watermark>> {
        Err(no_watermark())
    }

    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        _sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>> {
        let keys = match rows {
            RowsToCut::Table(_) => self.keys(Some(range))?,
            RowsToCut::Rows(rows) => self.keys_of(&rows.within(range))?,
        };
        let skipped = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(keys.into_iter().nth(skipped).map(version))
    }
}

impl CountRows for MemoryTracked {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        self.keys_of(rows).map(|keys| keys.len() as u64)
    }
}

impl ExplainRows for MemoryTracked {
    fn explain(&self, rows: &Rows<'_>, _columns: &[Column]) -> Answer<Explained> {
        Ok(explained(rows.table(), rows))
    }
}

type Row = Vec<MemoryValue>;

fn row(id: i64, value: Option<i64>, version: i64, operation: &'static str) -> Row {
    vec![
        MemoryValue::Number(id),
        value.map_or(MemoryValue::Null, MemoryValue::Number),
        MemoryValue::Number(version),
        MemoryValue::Text(operation),
    ]
}

async fn push<T: TakeBatches<MemoryBatch>>(rows: Vec<Row>, batches: &mut T) -> Answer<u64> {
    // The batches are small, so that a slice has more than one. Other tasks have their turns in between, because there
    // is no snapshot.
    for rows in rows.chunks(2) {
        batches.take(MemoryBatch(rows.to_vec())).await?;
        yield_now().await;
    }
    Ok(rows.len() as u64)
}

impl MemoryTracked {
    fn check(&self, old: i64, new: i64) -> Answer<()> {
        if self.state().holds(old, new) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::ChangeTrackingInvalid, "the changes are no longer complete").into())
    }

    async fn read_load<T: TakeBatches<MemoryBatch>>(
        &self,
        version: i64,
        key: Option<&KeyBounds>,
        batches: &mut T,
    ) -> Answer<u64> {
        let mut read = 0;
        for ids in self.keys(key)?.chunks(2) {
            let rows = self.rows();
            let there = ids
                .iter()
                .filter_map(|id| Some(row(*id, Some(*rows.get(id)?), version, "I")));
            read += push(there.collect(), batches).await?;
        }
        Ok(read)
    }

    async fn read_changes<T: TakeBatches<MemoryBatch>>(&self, changes: &Changes<'_>, batches: &mut T) -> Answer<u64> {
        let (old, new) = (bound(changes.old)?, bound(changes.new)?);
        let range = KeyRange::of(changes.key)?;
        self.check(old, new)?;
        yield_now().await;
        let (changed, there) = {
            let state = self.state();
            (state.since(old), state.rows.clone())
        };
        // Without a snapshot the table is read later than its changes.
        yield_now().await;
        let rows = self.rows();
        let changed = changed.into_iter().filter_map(|change| {
            let id = change.id;
            if change.version > new || !range.contains(id) {
                return None;
            }
            if !there.contains_key(&id) {
                return Some(row(id, None, change.version, "D"));
            }
            let operation = if change.was_there { "U" } else { "I" };
            Some(row(id, Some(*rows.get(&id)?), change.version, operation))
        });
        let read = push(changed.collect(), batches).await?;
        self.check(old, new)?;
        Ok(read)
    }
}

impl ReadShared for MemoryTracked {
    async fn read_shared<B: TakeBatches<MemoryBatch>>(
        &self,
        rows: &Rows<'_>,
        _columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        match rows {
            Rows::Load(load) => self.read_load(bound(load.version)?, load.key, batches).await,
            Rows::Changes(changes) => self.read_changes(changes, batches).await,
            Rows::Interval(_) => Err(no_watermark()),
        }
        .map(RowsRead::sound)
    }
}

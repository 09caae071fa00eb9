//! Splitting a slice that did not fit into one invocation, instead of failing its table.
//!
//! The slice is cut as a window is, into a few sub-slices. That they are copied in its place is decided by its own record
//! (W2): a copy of the slice that is still under way loses the record and gives its upload up, and a split that comes after
//! a finished copy is dropped.

use serde::Deserialize;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::{KeyBounds, Ledger, PartRecord, Plan, Slice, SliceBounds, SliceId, WindowName};
use tidemark::ports::objects::{CreateObjects, ReadObjects};
use tidemark::ports::source::{DeclaredColumn, LeadingColumn, ProbeSource, SliceSource};
use tidemark::query::Interval;
use tidemark::query::change_tracking::{self, Changes};
use tidemark::query::slices::KeyedRows;
use tidemark::runner::RunContext;
use tidemark::steps::{ANSWER_MARGIN, Split, before};
use tidemark::table::{NullWatermark, Tracking, WatermarkTracking};
use tidemark::types::Column;
use tokio::time::Instant;

use crate::change_tracking::load_query;
use crate::planning::find;
use crate::slicing::{self, Key, Limits, TIME_TO_CUT, sliceable};

/// Into how many a slice is split, by its rows: enough that a slice that took far too long need not be split again.
const SUB_SLICES: u64 = 8;
/// The same with those that come of ties, at most.
const MAX_SUB_SLICES: usize = 16;

/// A slice to split.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRequest {
    /// The run, the execution's name.
    pub run_id: String,
    /// Which slice.
    pub split: SliceToSplit,
}

/// The slice that did not fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceToSplit {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
}

impl SplitRequest {
    /// What every line logged for this request says.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        let SliceToSplit { table, window, slice } = &self.split;
        tracing::info_span!("split", run_id = %self.run_id, %table, %window, %slice)
    }
}

/// Splits the slice of the request, or finds what was decided of it meanwhile: no sub-slices when it was copied after all.
///
/// Errors: `LedgerInvalid` when the window has no plan, `InvalidInput` when there is no such slice, `DeadlineExceeded` when
/// it cannot be split, and whatever the ports say.
pub async fn handle_split<P, S>(
    source: &P,
    store: &S,
    prefix: &str,
    request: SplitRequest,
    context: RunContext,
) -> Result<Split>
where
    P: ProbeSource + SliceSource,
    S: ReadObjects + CreateObjects,
{
    let SplitRequest {
        run_id,
        split: SliceToSplit { table, window, slice },
    } = request;
    let ledger = Ledger::new(store, prefix, &table);
    let plan = ledger.frozen_plan(&window).await?;
    let planned = ledger.slice(&plan, &slice).await?;
    let (attempt, decided) = ledger.decision(&window, &slice).await?;
    let record = match decided {
        Some(record) => record,
        None => {
            let splitter = Splitter {
                source,
                plan: &plan,
                id: &slice,
                end: Instant::now() + TIME_TO_CUT,
            };
            let end = context.deadline.map(|deadline| deadline - ANSWER_MARGIN);
            // Boxed, as it is much larger than the rest.
            let sub_slices = before(end, Box::pin(splitter.split(&planned, attempt))).await?;
            let record = PartRecord::new(window.clone(), slice.clone(), attempt, run_id);
            ledger.decide(record.split_into(sub_slices)).await?
        }
    };
    let slices: Vec<_> = record.sub_slices().collect();
    tracing::info!(%table, %window, %slice, sub_slices = slices.len(), "Slice split.");
    Ok(Split {
        table,
        window,
        slice,
        slices,
    })
}

struct Splitter<'a, P> {
    source: &'a P,
    plan: &'a Plan,
    id: &'a SliceId,
    end: Instant,
}

impl<P: ProbeSource + SliceSource> Splitter<'_, P> {
    async fn split(&self, slice: &Slice, attempt: u32) -> Result<Vec<Slice>> {
        let Some(bounds) = &slice.bounds else {
            return Err(self.cannot("its plan was frozen by an earlier release, which did not keep its bounds"));
        };
        if self.id.sub_slice(0).is_none() {
            return Err(self.cannot("it was split too often"));
        }
        if attempt > 0 {
            // Its voided upload may become visible after all, and its rows must not come twice.
            return Err(self.cannot("an upload of it has expired before"));
        }
        let sub_slices = match &self.plan.tracking {
            Tracking::Watermark(tracking) => self.of_watermark(tracking, bounds).await?,
            Tracking::ChangeTracking(_) if slice.guard.is_some() => self.of_changes(slice, bounds).await?,
            Tracking::ChangeTracking(_) => self.of_load(bounds).await?,
        };
        if sub_slices.len() < 2 {
            return Err(self.cannot("no column that could cut it has two values in it"));
        }
        Ok(sub_slices)
    }

    /// A slice of a window of watermarks: by the key that cut it before, else by the watermark, else by the key. Without
    /// an index on the watermark the key comes first.
    async fn of_watermark(&self, tracking: &WatermarkTracking, bounds: &SliceBounds) -> Result<Vec<Slice>> {
        let Plan {
            table,
            columns,
            old_watermark: old,
            ..
        } = self.plan;
        let declared = self.declared(columns, Some(&tracking.column)).await?;
        let column = Identifier::new(find(table, &declared, &tracking.column)?.name.as_str())?;
        let window = Interval {
            table,
            column: &column,
            old: old.as_ref(),
            new: &self.plan.new_watermark,
            with_nulls: old.is_none() && tracking.null_watermark == NullWatermark::FirstLoad,
            key: None,
            filter: self.plan.filter.as_ref(),
        };
        let interval = bounds.interval(&window);
        let limits = self.limits(self.source.count(&interval.count()).await?);
        let leading = self.source.leading_columns(table).await?;
        let key_first = bounds.key.is_some() || !slicing::leads(&leading, &column);
        let mut cut = Vec::new();
        for by_key in [key_first, !key_first] {
            if !by_key {
                let (slices, rest, _) =
                    slicing::by_watermark(self.source, &window, bounds.clone(), &[], limits).await?;
                cut = slices;
                cut.push(rest);
            } else if let Some(key) = key_of(bounds, &leading, &declared, Some(&column)) {
                cut = self
                    .by_key(&KeyedRows::Interval(&interval), key, bounds, limits)
                    .await?;
            }
            if cut.len() > 1 {
                break;
            }
        }
        let slice = |bounds: SliceBounds| Slice {
            query: bounds.interval(&window).rows(columns),
            guard: None,
            bounds: Some(bounds),
        };
        Ok(cut.into_iter().map(slice).collect())
    }

    /// A slice of a full load: by the key.
    async fn of_load(&self, bounds: &SliceBounds) -> Result<Vec<Slice>> {
        let Plan {
            table, new_watermark, ..
        } = self.plan;
        let copied = self.copied();
        let declared = self.declared(copied, None).await?;
        let leading = self.source.leading_columns(table).await?;
        let Some(key) = key_of(bounds, &leading, &declared, None) else {
            return Ok(Vec::new());
        };
        let slice = |bounds: SliceBounds| Slice {
            query: load_query(table, copied, new_watermark, &bounds),
            guard: None,
            bounds: Some(bounds),
        };
        let cut = self.of_key(&KeyedRows::Table(table), key, bounds).await?;
        Ok(cut.into_iter().map(slice).collect())
    }

    /// Changes: by a column of the primary key, which is never NULL, and which alone is so in the files.
    async fn of_changes(&self, slice: &Slice, bounds: &SliceBounds) -> Result<Vec<Slice>> {
        let Plan {
            table,
            old_watermark: Some(old),
            new_watermark: new,
            ..
        } = self.plan
        else {
            return Ok(Vec::new());
        };
        let copied = self.copied();
        let keys = copied.iter().filter(|column| !column.nullable);
        let keys: Vec<String> = keys.map(|column| column.name.clone()).collect();
        let declared = self.declared(copied, None).await?;
        let column = match &bounds.key {
            Some(key) => sliceable(&declared, key.column.as_str()),
            None => keys.iter().find_map(|name| sliceable(&declared, name)),
        };
        let Some(key) = column else {
            return Ok(Vec::new());
        };
        let changes = Changes {
            table,
            key: &keys,
            old,
            new,
        };
        let slice = |bounds: SliceBounds| Slice {
            query: changes.rows(copied, bounds.key.as_ref().map(KeyBounds::range).as_ref()),
            guard: slice.guard.clone(),
            bounds: Some(bounds),
        };
        let cut = self.of_key(&KeyedRows::Changes(&changes), key, bounds).await?;
        Ok(cut.into_iter().map(slice).collect())
    }

    /// Cuts rows that only a key can cut.
    async fn of_key(&self, rows: &KeyedRows<'_>, key: Key, bounds: &SliceBounds) -> Result<Vec<SliceBounds>> {
        let within = key_bounds(bounds, &key);
        let limits = self.limits(self.source.count(&rows.count(&within.range())).await?);
        self.by_key(rows, key, bounds, limits).await
    }

    async fn by_key(
        &self,
        rows: &KeyedRows<'_>,
        key: Key,
        bounds: &SliceBounds,
        limits: Limits,
    ) -> Result<Vec<SliceBounds>> {
        let within = key_bounds(bounds, &key);
        let cut = slicing::by_key(self.source, rows, within, key.1, &[], limits).await?;
        let slice = |key| SliceBounds {
            key: Some(key),
            ..bounds.clone()
        };
        Ok(cut.into_iter().map(slice).collect())
    }

    /// The columns of the source, of which the plan had these, and `also`.
    async fn declared(&self, columns: &[Column], also: Option<&Identifier>) -> Result<Vec<DeclaredColumn>> {
        let is_also = |name: &Identifier| also.is_some_and(|also| name.as_str() == also.as_str());
        let mut names = Vec::with_capacity(columns.len());
        for column in columns {
            names.push(Identifier::new(column.name.as_str())?);
        }
        let others = names.iter().filter(|name| !is_also(name));
        let all: Vec<&Identifier> = also.into_iter().chain(others).collect();
        self.source.columns(&self.plan.table, Some(&all)).await
    }

    /// The columns of a tracked table, without those that describe the change.
    fn copied(&self) -> &[Column] {
        let columns = &self.plan.columns;
        let own = change_tracking::columns().len();
        columns.get(..columns.len().saturating_sub(own)).unwrap_or_default()
    }

    fn limits(&self, rows: u64) -> Limits {
        Limits {
            rows: rows.div_ceil(SUB_SLICES).max(1),
            slices: MAX_SUB_SLICES,
            end: self.end,
        }
    }

    fn cannot(&self, why: &str) -> Error {
        let (id, Plan { table, window, .. }) = (self.id, self.plan);
        let message = format!(
            "slice {id} of window {window} of {table} does not fit into one invocation and cannot be split: {why}. Index \
             the watermark column, raise the memory of copy-delta, and with it its speed, copy fewer columns, or set \
             slice_rows lower for the windows to come"
        );
        Error::new(ErrorCode::DeadlineExceeded, message)
    }
}

/// The column that cut the slice before, else the table's key.
fn key_of(
    bounds: &SliceBounds,
    leading: &[LeadingColumn],
    declared: &[DeclaredColumn],
    watermark: Option<&Identifier>,
) -> Option<Key> {
    match &bounds.key {
        Some(key) => sliceable(declared, key.column.as_str()),
        None => slicing::key(leading, declared, watermark),
    }
}

/// What the slice has of the key.
fn key_bounds(bounds: &SliceBounds, (column, _): &Key) -> KeyBounds {
    bounds.key.clone().unwrap_or_else(|| KeyBounds::all(column.clone()))
}

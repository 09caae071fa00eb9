//! Splitting a slice that did not fit into one invocation: it is cut, as a window is, into a few sub-slices.

use tokio::time::Instant;

use super::columns::find;
use super::cut::{self, sliceable};
use super::cut_points::{ByWatermark, Limits, TIME_TO_CUT, Window, by_key, by_sample, by_watermark};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::model::names::Identifier;
use crate::model::plan::{Content, Plan};
use crate::model::record::Attempt;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::{KeyBounds, SliceBounds};
use crate::model::table::RunSettings;
use crate::model::types::{Column, TrackedColumns, WantedForms, of_source};
use crate::model::values::Values;
use crate::model::watermark::WatermarkKind;
use crate::ports::source::{CutColumn, CutSource, DeclaredColumn, LeadingColumn, ProbeSource, RowsToCut};

/// The number of sub-slices of a slice, by its rows. It is large enough that a slice that took far too long need not be
/// split again.
const SUB_SLICES: usize = 8;
/// The most sub-slices.
const MAX_SUB_SLICES: usize = 16;
/// The forms that the columns are asked for in. Where they are cut does not depend on the forms of their values.
const ANY_FORMS: WantedForms = WantedForms::exact();

/// Splits slices of one plan.
pub(crate) struct Splitter<'a, P> {
    source: &'a P,
    plan: &'a Plan,
    settings: &'a RunSettings,
    attempt: &'a Attempt,
    end: Instant,
}

impl<'a, P: ProbeSource + CutSource> Splitter<'a, P> {
    /// Makes a splitter for the slice of `attempt`, which has [`TIME_TO_CUT`] from now on.
    pub(crate) fn new(source: &'a P, plan: &'a Plan, settings: &'a RunSettings, attempt: &'a Attempt) -> Self {
        Self {
            source,
            plan,
            settings,
            attempt,
            end: Instant::now() + TIME_TO_CUT,
        }
    }

    /// Returns the sub-slices of the slice with these bounds: at least two.
    ///
    /// Errors: `DeadlineExceeded`, with the reason, when the slice cannot be split.
    pub(crate) async fn split(&self, bounds: &SliceBounds) -> Result<Vec<SliceBounds>> {
        if self.attempt.slice.sub_slice(0).is_none() {
            return Err(self.cannot("it was split too often"));
        }
        if self.attempt.number > 0 {
            // The voided upload may still become visible, and its rows must not come twice.
            return Err(self.cannot("an upload of it has expired before"));
        }
        let sub_slices = match (&self.plan.content, self.plan.rows(self.settings)) {
            (_, Some(Rows::Interval(interval))) => self.of_interval(interval, bounds).await?,
            (_, Some(rows @ Rows::Load(_))) => self.of_load(&rows, bounds).await?,
            (Content::Changes { key_columns }, Some(rows)) => self.of_changes(&rows, key_columns, bounds).await?,
            _ => Vec::new(),
        };
        if sub_slices.len() < 2 {
            return Err(self.cannot("no column that could cut it has two values in it"));
        }
        Ok(sub_slices)
    }

    /// Splits a slice of a window of watermarks by the key that cut it before, else by the watermark, else by the
    /// table's key. When no index begins with the watermark column, the key comes first, and the watermark cuts by a
    /// sample.
    async fn of_interval(&self, interval: Interval<'_>, bounds: &SliceBounds) -> Result<Vec<SliceBounds>> {
        let declared = self.declared(Some(interval.column)).await?;
        let column = find(interval.table, &declared, interval.column)?;
        let window = Window {
            interval,
            is_exact: column.watermark == Some(WatermarkKind::Exact),
        };
        let rows = Rows::Interval(interval.slice(bounds));
        let leading = self.leading_columns().await?;
        let is_indexed = cut::leads(&leading, interval.column);
        let key = key_of(bounds, &leading, &declared, Some(interval.column));
        // A sample needs no count, which would be one more reading of all rows.
        let limits = match is_indexed || key.is_some() {
            true => self.limits(self.source.count(&rows).await.of(Role::Source)?),
            false => self.limits(0),
        };
        let key_first = bounds.key.is_some() || !is_indexed;
        let mut sub_slices = Vec::new();
        for is_by_key in [key_first, !key_first] {
            if !is_by_key && is_indexed {
                let by_watermark = by_watermark(self.source, &window, bounds.clone(), &[], limits);
                let ByWatermark { slices, rest, .. } = by_watermark.await?;
                sub_slices = slices;
                sub_slices.push(rest);
            } else if !is_by_key && (bounds.key.is_none() || key.is_some()) {
                // A plan may name a key that the table does not have, and then the slice is none of this table.
                sub_slices = by_sample(self.source, &window, bounds, SUB_SLICES).await?;
            } else if let Some(key) = &key {
                sub_slices = self.by_key(&rows, key, bounds, limits).await?;
            }
            if sub_slices.len() > 1 {
                break;
            }
        }
        Ok(sub_slices)
    }

    /// Splits a slice of a full load by the key.
    async fn of_load(&self, rows: &Rows<'_>, bounds: &SliceBounds) -> Result<Vec<SliceBounds>> {
        let declared = self.declared(None).await?;
        let leading = self.leading_columns().await?;
        match key_of(bounds, &leading, &declared, None) {
            Some(key) => self.counted_by_key(rows, &key, bounds).await,
            None => Ok(Vec::new()),
        }
    }

    /// Splits a slice of changes by a column of the primary key, which is never NULL.
    async fn of_changes(
        &self,
        rows: &Rows<'_>,
        key_columns: &[String],
        bounds: &SliceBounds,
    ) -> Result<Vec<SliceBounds>> {
        let declared = self.declared(None).await?;
        let key = match &bounds.key {
            Some(key) => sliceable(&declared, key.column.as_str()),
            None => key_columns.iter().find_map(|name| sliceable(&declared, name)),
        };
        match key {
            Some(key) => self.counted_by_key(rows, &key, bounds).await,
            None => Ok(Vec::new()),
        }
    }

    /// Counts rows that only a key can cut, and cuts them.
    async fn counted_by_key(&self, rows: &Rows<'_>, key: &CutColumn, bounds: &SliceBounds) -> Result<Vec<SliceBounds>> {
        let within = key_bounds(bounds, key);
        let limits = self.limits(self.source.count(&rows.within(&within)).await.of(Role::Source)?);
        self.by_key(rows, key, bounds, limits).await
    }

    async fn by_key(
        &self,
        rows: &Rows<'_>,
        key: &CutColumn,
        bounds: &SliceBounds,
        limits: Limits,
    ) -> Result<Vec<SliceBounds>> {
        let rows = match rows {
            // The version that a load gives its rows does not matter here.
            Rows::Load(load) => RowsToCut::Table(load.table),
            rows => RowsToCut::Rows(*rows),
        };
        let cut = by_key(self.source, &rows, key, key_bounds(bounds, key), &[], limits).await?;
        let slice = |key| SliceBounds {
            key: Some(key),
            ..bounds.clone()
        };
        Ok(cut.into_iter().map(slice).collect())
    }

    /// Asks for the columns of the source that the plan has, and for `also`.
    async fn declared(&self, also: Option<&Identifier>) -> Result<Vec<DeclaredColumn>> {
        let columns = &self.plan.columns;
        let copied = match &self.plan.content {
            Content::Load { .. } | Content::Changes { .. } => match TrackedColumns::of(columns) {
                Some(tracked) => tracked.copied,
                None => return Err(self.cannot("its plan lacks the columns that describe a change")),
            },
            Content::Interval { .. } | Content::Unchanged | Content::Superseded { .. } => of_source(columns),
        };
        let mut names = Vec::with_capacity(copied.len());
        for column in copied {
            names.push(Identifier::new(column.name.as_str())?);
        }
        let others = names.iter().filter(|name| Some(*name) != also);
        let all: Vec<&Identifier> = also.into_iter().chain(others).collect();
        let declared = self.source.columns(&self.plan.table, Some(&all), None, ANY_FORMS).await;
        let mut declared = declared.of(Role::Source)?;
        let is_masked = |column: &&Column| matches!(column.values, Values::Masked(_));
        for masked in copied.iter().filter(is_masked) {
            // Sub-slices have bounds that are kept in the bucket, where no masked value may be.
            let own = declared.iter_mut().filter(|column| column.name == masked.name);
            own.for_each(|column| column.cuts = false);
        }
        Ok(declared)
    }

    async fn leading_columns(&self) -> Result<Vec<LeadingColumn>> {
        self.source.leading_columns(&self.plan.table).await.of(Role::Source)
    }

    fn limits(&self, rows: u64) -> Limits {
        Limits {
            rows: rows.div_ceil(SUB_SLICES as u64).max(1),
            slices: MAX_SUB_SLICES,
            end: self.end,
        }
    }

    fn cannot(&self, why: &str) -> Error {
        let (slice, Plan { table, window, .. }) = (&self.attempt.slice, self.plan);
        Error::about(ErrorCode::DeadlineExceeded, table, |table| {
            format!(
                "slice {slice} of window {window} of {table} does not fit into one invocation and cannot be split: {why}. Index \
                 the watermark column, raise the memory of copy-delta, and with it its speed, copy fewer columns, or set \
                 slice_rows lower for the windows to come"
            )
        })
    }
}

/// Returns the column that cut the slice before, else the first column of the table's key that can cut.
fn key_of(
    bounds: &SliceBounds,
    leading: &[LeadingColumn],
    declared: &[DeclaredColumn],
    watermark: Option<&Identifier>,
) -> Option<CutColumn> {
    match &bounds.key {
        Some(key) => sliceable(declared, key.column.as_str()),
        None => cut::key(leading, declared, watermark),
    }
}

/// Returns the range of the key that the slice has.
fn key_bounds(bounds: &SliceBounds, key: &CutColumn) -> KeyBounds {
    bounds.key.clone().unwrap_or_else(|| KeyBounds::all(key.name.clone()))
}

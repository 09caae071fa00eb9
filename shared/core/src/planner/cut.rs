//! Cutting large windows into slices of bounded rows and bytes, at values that the column really has, so that rows with
//! equal values are never in two slices.
//!
//! Where an index begins with the watermark column, a window is cut by the watermark: at the ends of the steps of its
//! histogram, without reading a row. Where a step is larger than a slice, or rows came after the statistics were made,
//! it is cut by steps over the index, each of which reads as many entries as a slice has rows. Where no index begins
//! with the watermark column, or that index is divided among partitions by another column, or a first load has too few
//! different watermarks, a window is cut by the key. A window
//! that would need too many slices, or take too long to be cut, ends earlier, and the next run goes on from there.

use crate::error::{OfRole, Result, Role};
use crate::model::names::{Identifier, is_alike};
use crate::model::rows::Rows;
use crate::model::slice::{KeyBounds, SliceBounds};
use crate::model::table::TableSpec;
use crate::model::watermark::Watermark;
use crate::planner::cut_points::{ByWatermark, Limits, Window, by_key, by_watermark};
use crate::ports::source::{CutColumn, CutSource, DeclaredColumn, Extent, Histogram, LeadingColumn, RowsToCut, Step};

/// The most bytes on the server that a slice has when its rows are not configured: a minute at 20 MB/s, which is the
/// slowest rate measured elsewhere for wide rows (docs/explanation/performance.md), and files of a few hundred MB.
const SLICE_BYTES: u64 = 1 << 30;
/// The least and the most rows of such a slice.
const DERIVED_ROWS: std::ops::RangeInclusive<u64> = 10_000..=20_000_000;
/// A first load whose watermarks give fewer than a quarter of the slices that it should have is cut by the key.
const TOO_FEW: u64 = 4;

/// The slices of a window.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The slices in order; at least one.
    pub(crate) slices: Vec<SliceBounds>,
    /// Where the window ends, if earlier than was asked for.
    pub(crate) new: Option<Watermark>,
}

impl Cut {
    /// Returns the same slices without an early end: what would have been left for the next window is one more slice,
    /// which is split if it does not fit into an invocation.
    pub(crate) fn without_early_end(mut self) -> Self {
        if let Some(old) = self.new.take() {
            self.slices.push(SliceBounds {
                old: Some(old),
                ..SliceBounds::default()
            });
        }
        self
    }

    fn whole() -> Self {
        Self {
            slices: vec![SliceBounds::default()],
            new: None,
        }
    }
}

/// Cuts `window` of the table of `spec`, of which these columns are known.
pub(crate) async fn cut<P: CutSource>(
    source: &P,
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    window: &Window<'_>,
) -> Result<Cut> {
    let extent = source.extent(&spec.table).await.of(Role::Source)?;
    let Some(extent) = extent else {
        return cut_view(source, spec, window).await;
    };
    let limits = Limits::of_window(slice_rows(spec, extent));
    if extent.rows <= limits.rows {
        return Ok(Cut::whole());
    }
    let cutter = TableCutter { source, spec, limits };
    let leading = source.leading_columns(&spec.table).await.of(Role::Source)?;
    let key = key(&leading, declared, Some(window.interval.column));
    if !leads(&leading, window.interval.column) {
        cutter.tell_why(&leading, window.interval.column, extent);
        return cutter.window_without_order(window, key, extent).await;
    }
    // As a rule, the rows since the last run came after the statistics, so only a first load asks for them.
    let is_first_load = window.interval.old.is_none();
    let steps = if is_first_load {
        cutter
            .histogram(&window.column(), Some(window.interval.new), extent)
            .await?
    } else {
        Vec::new()
    };
    let cut = cutter.window_by_watermark(window, &steps).await?;
    let expected = extent.rows / limits.rows;
    let is_enough = !is_first_load || cut.slices.len() as u64 >= expected / TOO_FEW;
    match key {
        Some(key) if !is_enough => cutter.window_by_key(&key, extent, extent.rows).await,
        _ => Ok(cut),
    }
}

/// Cuts a window of a view or a synonym. To find where a slice ends, the server would compute and sort all rows of the
/// window for each slice, so that is done only when the user has set the rows of a slice. A first load cannot be told by
/// its missing old watermark: in a control table, every table has a watermark from the start.
async fn cut_view<P: CutSource>(source: &P, spec: &TableSpec, window: &Window<'_>) -> Result<Cut> {
    let Some(rows) = spec.slice_rows else {
        tracing::info!(
            table = %spec.table,
            "The window is one slice, because the server keeps no row count and no index of a view: set slice_rows to have it cut."
        );
        return Ok(Cut::whole());
    };
    let limits = Limits::of_window(rows.get());
    TableCutter { source, spec, limits }
        .window_by_watermark(window, &[])
        .await
}

/// Cuts the whole table of `spec` by its key. Returns `None` when it is one slice.
pub(crate) async fn cut_table<P: CutSource>(
    source: &P,
    spec: &TableSpec,
    declared: &[DeclaredColumn],
) -> Result<Option<Vec<KeyBounds>>> {
    let Some(extent) = source.extent(&spec.table).await.of(Role::Source)? else {
        return Ok(None);
    };
    let limits = Limits::of_window(slice_rows(spec, extent));
    if extent.rows <= limits.rows {
        return Ok(None);
    }
    let leading = source.leading_columns(&spec.table).await.of(Role::Source)?;
    let Some(key) = key(&leading, declared, None) else {
        tracing::warn!(table = %spec.table, rows = extent.rows, "The table is one slice: its key is none it could be cut by.");
        return Ok(None);
    };
    let cutter = TableCutter { source, spec, limits };
    cutter.table_by_key(&key, extent, extent.rows).await.map(Some)
}

/// Returns the first column of a key that can cut the table, other than `watermark`, if there is one.
pub(crate) fn key(
    leading: &[LeadingColumn],
    declared: &[DeclaredColumn],
    watermark: Option<&Identifier>,
) -> Option<CutColumn> {
    let mut keys = leading.iter().filter(|column| {
        column.is_key && watermark.is_none_or(|watermark| !is_alike(&column.name, watermark.as_str()))
    });
    keys.find_map(|column| sliceable(declared, &column.name))
}

/// Returns whether an index has the rows in the order of `column`.
pub(crate) fn leads(leading: &[LeadingColumn], column: &Identifier) -> bool {
    let is_it = |leads: &LeadingColumn| is_alike(&leads.name, column.as_str());
    leading.iter().any(|leads| is_it(leads) && !leads.is_split)
}

/// Cuts the windows of one table.
struct TableCutter<'a, P> {
    source: &'a P,
    spec: &'a TableSpec,
    limits: Limits,
}

impl<P: CutSource> TableCutter<'_, P> {
    /// Logs why no index has the rows in the watermark's order.
    fn tell_why(&self, leading: &[LeadingColumn], watermark: &Identifier, extent: Extent) {
        let (table, column, rows) = (&self.spec.table, watermark.as_str(), extent.rows);
        if leading.iter().any(|leads| is_alike(&leads.name, column)) {
            tracing::info!(
                %table, column, rows,
                "The index of the watermark column is divided among partitions by another column, so the window is cut by the key."
            );
        } else {
            tracing::warn!(
                %table, column, rows,
                "No index begins with the watermark column, so every lookup and every slice scans the table: index it."
            );
        }
    }

    /// Cuts a window where no index has the rows in the watermark's order.
    async fn window_without_order(&self, window: &Window<'_>, key: Option<CutColumn>, extent: Extent) -> Result<Cut> {
        let spec = self.spec;
        // A first load is the whole table.
        let rows = match window.interval.old {
            None => extent.rows,
            Some(_) => {
                let rows = Rows::Interval(window.interval);
                self.source.count(&rows).await.of(Role::Source)?
            }
        };
        match key {
            _ if rows <= self.limits.rows => Ok(Cut::whole()),
            Some(key) => self.window_by_key(&key, extent, rows).await,
            None => {
                tracing::warn!(table = %spec.table, rows, "The window is one slice: no index begins with a column it could be cut by.");
                Ok(Cut::whole())
            }
        }
    }

    async fn window_by_watermark(&self, window: &Window<'_>, steps: &[Step]) -> Result<Cut> {
        let by_watermark = by_watermark(self.source, window, SliceBounds::default(), steps, self.limits);
        let ByWatermark {
            mut slices,
            rest,
            is_more,
        } = by_watermark.await?;
        if let Some(new_watermark) = rest.old.as_ref().filter(|_| is_more) {
            tracing::info!(
                table = %self.spec.table, slices = slices.len(), %new_watermark,
                "The window ends early; the next run goes on from there."
            );
            return Ok(Cut { slices, new: rest.old });
        }
        slices.push(rest);
        Ok(Cut { slices, new: None })
    }

    /// Cuts `rows` rows of a window, which are spread over the whole table.
    async fn window_by_key(&self, key: &CutColumn, extent: Extent, rows: u64) -> Result<Cut> {
        let slices = self.table_by_key(key, extent, rows).await?;
        Ok(Cut {
            slices: slices.into_iter().map(SliceBounds::from).collect(),
            new: None,
        })
    }

    /// Cuts the table so that each slice holds an equal share of the `rows` that are copied, if these are spread
    /// evenly.
    async fn table_by_key(&self, key: &CutColumn, extent: Extent, rows: u64) -> Result<Vec<KeyBounds>> {
        let count = (rows / self.limits.rows).clamp(1, self.limits.slices as u64 - 1);
        let limits = Limits {
            rows: (extent.rows / count).max(1),
            ..self.limits
        };
        let steps = self.histogram(key, None, extent).await?;
        let table = RowsToCut::Table(&self.spec.table);
        by_key(
            self.source,
            &table,
            key,
            KeyBounds::all(key.name.clone()),
            &steps,
            limits,
        )
        .await
    }

    /// Returns the steps of the histogram of `column` below a value, scaled to the rows that the table has now.
    async fn histogram(&self, column: &CutColumn, below: Option<&Watermark>, extent: Extent) -> Result<Vec<Step>> {
        let table = &self.spec.table;
        let histogram = self.source.histogram(table, column, below).await;
        let Histogram { rows, mut steps } = histogram.of(Role::Source)?;
        tracing::debug!(%table, column = column.name.as_str(), rows, steps = steps.len(), "Statistics read.");
        if rows > 0 && extent.rows > rows {
            for step in &mut steps {
                let grown = u128::from(step.rows) * u128::from(extent.rows) / u128::from(rows);
                step.rows = u64::try_from(grown).unwrap_or(u64::MAX);
            }
        }
        Ok(steps)
    }
}

/// Returns how many rows a slice has.
fn slice_rows(spec: &TableSpec, Extent { rows, bytes }: Extent) -> u64 {
    if let Some(rows) = spec.slice_rows {
        return rows.get();
    }
    let row_bytes = (bytes / rows.max(1)).max(1);
    (SLICE_BYTES / row_bytes).clamp(*DERIVED_ROWS.start(), *DERIVED_ROWS.end())
}

/// Returns the column as one that can cut, if it was asked for, every row has a value in it, and its values have an
/// exact text.
pub(crate) fn sliceable(declared: &[DeclaredColumn], name: &str) -> Option<CutColumn> {
    let mut alike = declared.iter().filter(|column| column.name == name);
    let column = alike.find(|column| column.cuts && !column.nullable)?;
    Some(CutColumn {
        name: Identifier::new(name).ok()?,
        sql_type: column.sql_type.clone(),
    })
}

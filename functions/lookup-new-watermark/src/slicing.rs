//! Large windows are cut into slices of bounded rows and bytes, at values the column really has, so that ties never
//! straddle.
//!
//! By the watermark where an index begins with it: each step over the index reads as many entries as a slice has rows.
//! By the key where none does, or where a first load has too few different watermarks. A window that would need too
//! many slices, or too long to be cut, ends earlier, and the next run goes on from there.

use std::time::Duration;

use tidemark::error::Result;
use tidemark::identifier::Identifier;
use tidemark::ledger::{KeyBounds, SliceBounds};
use tidemark::ports::source::{DeclaredColumn, Extent, LeadingColumn, SliceSource};
use tidemark::query::Interval;
use tidemark::query::slices::KeyedRows;
use tidemark::table::TableSpec;
use tidemark::types::SqlType;
use tidemark::watermark::{self, Watermark};
use tokio::time::Instant;

/// Bytes on the server that a slice has at most when its rows are not configured: a minute at 20 MB/s, the slowest
/// wide rows that were measured elsewhere (docs/performance.md), and files of a few hundred MB.
const SLICE_BYTES: u64 = 1 << 30;
/// The least and the most rows of such a slice.
const DERIVED_ROWS: std::ops::RangeInclusive<u64> = 10_000..=20_000_000;
/// Rows of a slice when the server does not tell how large the table is.
const UNKNOWN_ROWS: u64 = 5_000_000;
/// Slices of a window at most: each is a few events of an execution's history, which has 25,000.
const MAX_SLICES: usize = 500;
/// How long a window may take to be cut.
pub(crate) const TIME_TO_CUT: Duration = Duration::from_secs(30);
/// A first load whose watermarks give fewer than a quarter of the slices it should have is cut by the key.
const TOO_FEW: u64 = 4;

/// A window's slices.
#[derive(Debug)]
pub(crate) struct Cut {
    /// In order; at least one.
    pub(crate) slices: Vec<SliceBounds>,
    /// Where the window ends, if earlier than was asked for.
    pub(crate) new: Option<Watermark>,
}

impl Cut {
    fn whole() -> Self {
        Self {
            slices: vec![SliceBounds::default()],
            new: None,
        }
    }
}

/// Cuts `window` of the table of `spec`, of which these columns are known.
pub(crate) async fn cut<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    window: &Interval<'_>,
) -> Result<Cut> {
    let extent = source.extent(&spec.table).await?;
    let slice_rows = slice_rows(spec, extent);
    if extent.is_some_and(|extent| extent.rows <= slice_rows) {
        return Ok(Cut::whole());
    }
    let end = Instant::now() + TIME_TO_CUT;
    let limits = Limits {
        rows: slice_rows,
        slices: MAX_SLICES,
        end,
    };
    let Some(extent) = extent else {
        return window_by_watermark(source, spec, window, limits).await;
    };
    let leading = source.leading_columns(&spec.table).await?;
    let key = key(&leading, declared, Some(window.column));
    if leads(&leading, window.column) {
        let cut = window_by_watermark(source, spec, window, limits).await?;
        let expected = extent.rows / slice_rows;
        let is_enough = window.old.is_some() || cut.slices.len() as u64 >= expected / TOO_FEW;
        return match key {
            Some(key) if !is_enough => window_by_key(source, spec, key, extent, extent.rows, limits).await,
            _ => Ok(cut),
        };
    }
    let column = window.column.as_str();
    tracing::warn!(
        table = %spec.table, column, rows = extent.rows,
        "No index begins with the watermark column, so every lookup and every slice scans the table: CREATE INDEX on it."
    );
    // Everything is read in any case; a first load is the whole table.
    let rows = match window.old {
        None => extent.rows,
        Some(_) => source.count(&window.count()).await?,
    };
    match key {
        _ if rows <= slice_rows => Ok(Cut::whole()),
        Some(key) => window_by_key(source, spec, key, extent, rows, limits).await,
        None => {
            tracing::warn!(table = %spec.table, rows, "The window is one slice: no index begins with a column it could be cut by.");
            Ok(Cut::whole())
        }
    }
}

/// Cuts the whole table of `spec` by its key. `None` when it is one slice.
pub(crate) async fn cut_table<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    declared: &[DeclaredColumn],
) -> Result<Option<Vec<KeyBounds>>> {
    let Some(extent) = source.extent(&spec.table).await? else {
        return Ok(None);
    };
    let slice_rows = slice_rows(spec, Some(extent));
    if extent.rows <= slice_rows {
        return Ok(None);
    }
    let leading = source.leading_columns(&spec.table).await?;
    let Some(key) = key(&leading, declared, None) else {
        tracing::warn!(table = %spec.table, rows = extent.rows, "The table is one slice: its key is none it could be cut by.");
        return Ok(None);
    };
    let limits = Limits {
        rows: slice_rows,
        slices: MAX_SLICES,
        end: Instant::now() + TIME_TO_CUT,
    };
    table_by_key(source, spec, key, extent, extent.rows, limits)
        .await
        .map(Some)
}

/// A column that cuts, and its type.
pub(crate) type Key = (Identifier, SqlType);

/// The first column of a key that can cut the table, if there is one other than `watermark`.
pub(crate) fn key(
    leading: &[LeadingColumn],
    declared: &[DeclaredColumn],
    watermark: Option<&Identifier>,
) -> Option<Key> {
    let mut keys = leading
        .iter()
        .filter(|column| column.is_key && watermark.is_none_or(|watermark| !is_same(&column.name, watermark)));
    keys.find_map(|column| sliceable(declared, &column.name))
}

/// Whether an index begins with `column`.
pub(crate) fn leads(leading: &[LeadingColumn], column: &Identifier) -> bool {
    leading.iter().any(|leads| is_same(&leads.name, column))
}

fn is_same(name: &str, column: &Identifier) -> bool {
    name.to_lowercase() == column.as_str().to_lowercase()
}

/// What bounds the cutting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows of a slice.
    pub(crate) rows: u64,
    /// Slices at most.
    pub(crate) slices: usize,
    /// When no further value is asked for.
    pub(crate) end: Instant,
}

impl Limits {
    fn are_reached(self, slices: usize) -> bool {
        slices >= self.slices || Instant::now() >= self.end
    }
}

/// Cuts `rest` of the window by its watermark. Returns the slices and what is left after them, which is more than one
/// slice if a limit was reached; the flag says so.
pub(crate) async fn by_watermark<P: SliceSource>(
    source: &P,
    window: &Interval<'_>,
    mut rest: SliceBounds,
    limits: Limits,
) -> Result<(Vec<SliceBounds>, SliceBounds, bool)> {
    let mut slices: Vec<SliceBounds> = Vec::new();
    // The value a slice ends with, or, of a rowversion, the one before which it ends.
    let number = limits.rows + u64::from(watermark::is_exact(window.new.sql_type()));
    loop {
        let interval = Interval {
            with_nulls: false,
            ..rest.interval(window)
        };
        let next = source.nth_watermark(&interval, number).await?;
        // Otherwise nothing would be left for the next slice.
        let next = next.filter(|value| value != interval.new && rest.old.as_ref() != Some(value));
        let Some(value) = next else {
            return Ok((slices, rest, false));
        };
        slices.push(SliceBounds {
            new: Some(value.clone()),
            ..rest.clone()
        });
        rest.old = Some(value);
        if limits.are_reached(slices.len()) {
            return Ok((slices, rest, true));
        }
    }
}

/// Cuts those of `rows` that are in `rest`; the last slice is what is left.
pub(crate) async fn by_key<P: SliceSource>(
    source: &P,
    rows: &KeyedRows<'_>,
    mut rest: KeyBounds,
    sql_type: SqlType,
    limits: Limits,
) -> Result<Vec<KeyBounds>> {
    let mut slices: Vec<KeyBounds> = Vec::new();
    while !limits.are_reached(slices.len() + 1) {
        let next = source.nth_key(rows, &rest.range(), sql_type, limits.rows).await?;
        // Otherwise nothing would be left for the next slice.
        let next = next.filter(|value| rest.up_to.as_ref() != Some(value));
        let Some(value) = next else { break };
        slices.push(KeyBounds {
            up_to: Some(value.clone()),
            ..rest.clone()
        });
        rest.above = Some(value);
    }
    slices.push(rest);
    Ok(slices)
}

async fn window_by_watermark<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    window: &Interval<'_>,
    limits: Limits,
) -> Result<Cut> {
    let (mut slices, rest, is_more) = by_watermark(source, window, SliceBounds::default(), limits).await?;
    if let Some(new_watermark) = rest.old.as_ref().filter(|_| is_more) {
        tracing::info!(
            table = %spec.table, slices = slices.len(), %new_watermark,
            "The window ends early; the next run goes on from there."
        );
        return Ok(Cut { slices, new: rest.old });
    }
    slices.push(rest);
    Ok(Cut { slices, new: None })
}

/// Cuts `rows` rows of a window that are spread over the whole table.
async fn window_by_key<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    key: Key,
    extent: Extent,
    rows: u64,
    limits: Limits,
) -> Result<Cut> {
    let slices = table_by_key(source, spec, key, extent, rows, limits).await?;
    Ok(Cut {
        slices: slices.into_iter().map(SliceBounds::from).collect(),
        new: None,
    })
}

/// Cuts the table into slices of as many rows of it each as hold their share of `rows`.
async fn table_by_key<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    (column, sql_type): Key,
    extent: Extent,
    rows: u64,
    limits: Limits,
) -> Result<Vec<KeyBounds>> {
    let count = (rows / limits.rows).clamp(1, limits.slices as u64 - 1);
    let limits = Limits {
        rows: (extent.rows / count).max(1),
        ..limits
    };
    let table = KeyedRows::Table(&spec.table);
    by_key(source, &table, KeyBounds::all(column), sql_type, limits).await
}

/// How many rows a slice has.
fn slice_rows(spec: &TableSpec, extent: Option<Extent>) -> u64 {
    if let Some(rows) = spec.slice_rows {
        return rows.get();
    }
    let Some(Extent { rows, bytes }) = extent else {
        return UNKNOWN_ROWS;
    };
    let row_bytes = (bytes / rows.max(1)).max(1);
    (SLICE_BYTES / row_bytes).clamp(*DERIVED_ROWS.start(), *DERIVED_ROWS.end())
}

/// The column, if it is one of those asked for, every row has a value in it, and its values have an exact text.
pub(crate) fn sliceable(declared: &[DeclaredColumn], name: &str) -> Option<Key> {
    let column = declared.iter().find(|column| column.name == name && !column.nullable)?;
    let sql_type = *column.sql_type.as_ref().ok()?;
    let column = Identifier::new(name).ok()?;
    watermark::can_cut(sql_type).then_some((column, sql_type))
}

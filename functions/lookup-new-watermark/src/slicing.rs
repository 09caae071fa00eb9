//! Large windows are cut into slices of bounded rows and bytes, at values the column really has, so that ties never
//! straddle.
//!
//! By the watermark where an index begins with it: each step over the index reads as many entries as a slice has rows.
//! By the key where none does, or where a first load has too few different watermarks. A window that would need too
//! many slices, or too long to be cut, ends earlier, and the next run goes on from there.

use std::time::Duration;

use tidemark::error::Result;
use tidemark::identifier::Identifier;
use tidemark::ports::source::{DeclaredColumn, Extent, SliceSource};
use tidemark::query::Interval;
use tidemark::query::slices::KeyRange;
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
const TIME_TO_CUT: Duration = Duration::from_secs(30);
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

/// The bounds of a slice within its window; those that are `None` are the window's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SliceBounds {
    old: Option<Watermark>,
    new: Option<Watermark>,
    key: Option<KeyBounds>,
}

/// The bounds of a slice by the key; open where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyBounds {
    column: Identifier,
    above: Option<Watermark>,
    up_to: Option<Watermark>,
}

impl KeyBounds {
    /// As a query has them.
    pub(crate) fn range(&self) -> KeyRange<'_> {
        KeyRange {
            column: &self.column,
            above: self.above.as_ref(),
            up_to: self.up_to.as_ref(),
        }
    }
}

impl SliceBounds {
    /// The slice of this window.
    pub(crate) fn interval<'a>(&'a self, window: &Interval<'a>) -> Interval<'a> {
        Interval {
            // Rows without a watermark come with the slice that begins where the window does.
            with_nulls: window.with_nulls && self.old.is_none(),
            old: self.old.as_ref().or(window.old),
            new: self.new.as_ref().unwrap_or(window.new),
            key: self.key.as_ref().map(KeyBounds::range),
            ..*window
        }
    }
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
    let cutter = Cutter {
        source,
        spec,
        window,
        slice_rows,
        end: Instant::now() + TIME_TO_CUT,
    };
    let Some(extent) = extent else {
        return cutter.by_watermark().await;
    };
    let leading = source.leading_columns(&spec.table).await?;
    let is_watermark = |name: &str| name.to_lowercase() == window.column.as_str().to_lowercase();
    let key = leading
        .iter()
        .filter(|column| column.is_key && !is_watermark(&column.name))
        .find_map(|column| sliceable(declared, &column.name));
    if leading.iter().any(|column| is_watermark(&column.name)) {
        let cut = cutter.by_watermark().await?;
        let expected = extent.rows / slice_rows;
        let is_enough = window.old.is_some() || cut.slices.len() as u64 >= expected / TOO_FEW;
        return match key {
            Some(key) if !is_enough => cutter.by_key(key, extent, extent.rows).await,
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
        Some(key) => cutter.by_key(key, extent, rows).await,
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
    let mut keys = leading.iter().filter(|column| column.is_key);
    let Some(key) = keys.find_map(|column| sliceable(declared, &column.name)) else {
        tracing::warn!(table = %spec.table, rows = extent.rows, "The table is one slice: its key is none it could be cut by.");
        return Ok(None);
    };
    let end = Instant::now() + TIME_TO_CUT;
    by_key(source, spec, key, extent, extent.rows / slice_rows, end)
        .await
        .map(Some)
}

/// Cuts the table into about `count` slices of as many rows each.
async fn by_key<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    (column, sql_type): (Identifier, SqlType),
    extent: Extent,
    count: u64,
    end: Instant,
) -> Result<Vec<KeyBounds>> {
    let count = count.clamp(1, MAX_SLICES as u64 - 1);
    let step = (extent.rows / count).max(1);
    let mut slices: Vec<KeyBounds> = Vec::new();
    let mut rest = KeyBounds {
        column,
        above: None,
        up_to: None,
    };
    while slices.len() + 1 < MAX_SLICES && Instant::now() < end {
        let next = source.nth_key(&spec.table, &rest.range(), sql_type, step).await?;
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

/// The column, if it is one of those asked for, every row has a value in it, and its values have an exact text, as
/// watermarks have.
fn sliceable(declared: &[DeclaredColumn], name: &str) -> Option<(Identifier, SqlType)> {
    let column = declared.iter().find(|column| column.name == name && !column.nullable)?;
    let sql_type = *column.sql_type.as_ref().ok()?;
    watermark::check_type(sql_type).ok()?;
    Some((Identifier::new(name).ok()?, sql_type))
}

struct Cutter<'a, P> {
    source: &'a P,
    spec: &'a TableSpec,
    window: &'a Interval<'a>,
    slice_rows: u64,
    end: Instant,
}

impl<P: SliceSource> Cutter<'_, P> {
    async fn by_watermark(&self) -> Result<Cut> {
        let mut slices: Vec<SliceBounds> = Vec::new();
        let mut rest = SliceBounds::default();
        // The value a slice ends with, or, of a rowversion, the one before which it ends.
        let number = self.slice_rows + u64::from(watermark::is_exact(self.window.new.sql_type()));
        loop {
            let interval = Interval {
                with_nulls: false,
                ..rest.interval(self.window)
            };
            let Some(value) = self.source.nth_watermark(&interval, number).await? else {
                break;
            };
            // Nothing would be left for the next slice.
            if value == *self.window.new || rest.old.as_ref() == Some(&value) {
                break;
            }
            slices.push(SliceBounds {
                new: Some(value.clone()),
                ..rest
            });
            if slices.len() == MAX_SLICES || Instant::now() >= self.end {
                tracing::info!(
                    table = %self.spec.table, slices = slices.len(), new_watermark = %value,
                    "The window ends early; the next run goes on from there."
                );
                return Ok(Cut {
                    slices,
                    new: Some(value),
                });
            }
            rest = SliceBounds {
                old: Some(value),
                ..SliceBounds::default()
            };
        }
        slices.push(rest);
        Ok(Cut { slices, new: None })
    }

    /// Cuts `rows` rows of the window that are spread over the whole table.
    async fn by_key(&self, key: (Identifier, SqlType), extent: Extent, rows: u64) -> Result<Cut> {
        let count = rows / self.slice_rows;
        let slices = by_key(self.source, self.spec, key, extent, count, self.end).await?;
        let slice = |key| SliceBounds {
            key: Some(key),
            ..SliceBounds::default()
        };
        Ok(Cut {
            slices: slices.into_iter().map(slice).collect(),
            new: None,
        })
    }
}

//! Large windows are cut into slices of bounded rows and bytes, at values the column really has, so that ties never
//! straddle.
//!
//! By the watermark where an index begins with it: at the ends of the steps of its histogram, without reading a row; where a
//! step is larger than a slice, or the rows came after the statistics were made, by steps over the index, each of which reads as many
//! entries as a slice has rows. By the key where none does, or where a first load has too few different watermarks. A window that would need too
//! many slices, or too long to be cut, ends earlier, and the next run goes on from there.

use std::time::Duration;

use tidemark::error::Result;
use tidemark::identifier::Identifier;
use tidemark::ledger::{KeyBounds, SliceBounds};
use tidemark::ports::source::{DeclaredColumn, Extent, Histogram, LeadingColumn, SliceSource, Step};
use tidemark::query::Interval;
use tidemark::query::slices::{KeyRange, KeyedRows};
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
        return window_by_watermark(source, spec, window, &[], limits).await;
    };
    let leading = source.leading_columns(&spec.table).await?;
    let key = key(&leading, declared, Some(window.column));
    if leads(&leading, window.column) {
        // What came since the last run came since the statistics, as a rule: they are asked for a first load only.
        let steps = match window.old {
            None => {
                let column = (window.column, window.new.sql_type());
                histogram(source, spec, column, Some(window.new), extent).await?
            }
            Some(_) => Vec::new(),
        };
        let cut = window_by_watermark(source, spec, window, &steps, limits).await?;
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
    histogram: &[Step],
    limits: Limits,
) -> Result<(Vec<SliceBounds>, SliceBounds, bool)> {
    let bounds = &rest;
    // The value a slice ends with, or, of a rowversion, the one before which it ends.
    let number = limits.rows + u64::from(watermark::is_exact(window.new.sql_type()));
    let nth = async |above: Option<&Watermark>, up_to: Option<&Watermark>| {
        let whole = bounds.interval(window);
        let interval = Interval {
            with_nulls: false,
            old: above.or(whole.old),
            new: up_to.unwrap_or(whole.new),
            ..whole
        };
        source.nth_watermark(&interval, number).await
    };
    let last = Some(bounds.interval(window).new);
    let (cuts, is_more) = cuts(bounds.old.clone(), last, histogram, limits, nth).await?;
    let mut slices: Vec<SliceBounds> = Vec::with_capacity(cuts.len());
    for value in cuts {
        slices.push(SliceBounds {
            new: Some(value.clone()),
            ..rest.clone()
        });
        rest.old = Some(value);
    }
    Ok((slices, rest, is_more))
}

/// Cuts those of `rows` that are in `rest`; the last slice is what is left.
pub(crate) async fn by_key<P: SliceSource>(
    source: &P,
    rows: &KeyedRows<'_>,
    mut rest: KeyBounds,
    sql_type: SqlType,
    histogram: &[Step],
    limits: Limits,
) -> Result<Vec<KeyBounds>> {
    let bounds = &rest;
    let nth = async |above: Option<&Watermark>, up_to: Option<&Watermark>| {
        let range = KeyRange {
            above,
            up_to: up_to.or(bounds.up_to.as_ref()),
            ..bounds.range()
        };
        source.nth_key(rows, &range, sql_type, limits.rows).await
    };
    let limits_of_cuts = Limits {
        slices: limits.slices.saturating_sub(1),
        ..limits
    };
    let (cuts, _) = cuts(
        bounds.above.clone(),
        bounds.up_to.as_ref(),
        histogram,
        limits_of_cuts,
        nth,
    )
    .await?;
    let mut slices: Vec<KeyBounds> = Vec::with_capacity(cuts.len() + 1);
    for value in cuts {
        slices.push(KeyBounds {
            up_to: Some(value.clone()),
            ..rest.clone()
        });
        rest.above = Some(value);
    }
    slices.push(rest);
    Ok(slices)
}

/// The values that cut rows above `start` and up to `last` into slices, and whether a limit was reached before the end.
///
/// Where the server has a histogram, at the ends of its steps. `nth` steps over the index, from one value on and up to
/// another, and reads as many entries as a slice has rows: it is asked within steps that are larger than a slice, and after
/// the last one, for what came since. Any value that is found cuts rightly, however wrong a histogram is about their number.
async fn cuts(
    start: Option<Watermark>,
    last: Option<&Watermark>,
    histogram: &[Step],
    limits: Limits,
    nth: impl AsyncFn(Option<&Watermark>, Option<&Watermark>) -> Result<Option<Watermark>>,
) -> Result<(Vec<Watermark>, bool)> {
    let mut found: Vec<Watermark> = Vec::new();
    let mut gathered = 0;
    let mut before: Option<&Watermark> = None;
    // After the last step there is no further end to it.
    for step in histogram.iter().map(Some).chain([None]) {
        if let (Some(Step { rows, .. }), Some(end)) = (step, before)
            && gathered > 0
            && gathered + rows > limits.rows
        {
            found.push(end.clone());
            gathered = 0;
        }
        let up_to = step.map(|step| &step.up_to);
        if step.is_none_or(|step| step.rows > limits.rows) {
            loop {
                if limits.are_reached(found.len()) && !found.is_empty() {
                    return Ok((found, true));
                }
                let at = found.last().or(start.as_ref());
                let next = nth(at, up_to).await?;
                // Otherwise nothing would be left for the next slice.
                let next = next.filter(|value| Some(value) != up_to.or(last) && Some(value) != at);
                let Some(value) = next else { break };
                found.push(value);
            }
            // What is left of a large step is a slice of its own.
            found.extend(up_to.cloned());
            gathered = 0;
        } else {
            gathered += step.map_or(0, |step| step.rows);
            before = up_to;
        }
        if limits.are_reached(found.len()) && !found.is_empty() {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// The steps of the histogram of `column` below a value, for as many rows as the table has now.
async fn histogram<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    (column, sql_type): (&Identifier, SqlType),
    below: Option<&Watermark>,
    extent: Extent,
) -> Result<Vec<Step>> {
    let Histogram { rows, mut steps } = source.histogram(&spec.table, column, sql_type, below).await?;
    tracing::debug!(table = %spec.table, column = column.as_str(), rows, steps = steps.len(), "Statistics read.");
    if rows > 0 && extent.rows > rows {
        for step in &mut steps {
            let grown = u128::from(step.rows) * u128::from(extent.rows) / u128::from(rows);
            step.rows = u64::try_from(grown).unwrap_or(u64::MAX);
        }
    }
    Ok(steps)
}

async fn window_by_watermark<P: SliceSource>(
    source: &P,
    spec: &TableSpec,
    window: &Interval<'_>,
    steps: &[Step],
    limits: Limits,
) -> Result<Cut> {
    let (mut slices, rest, is_more) = by_watermark(source, window, SliceBounds::default(), steps, limits).await?;
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
    let steps = histogram(source, spec, (&column, sql_type), None, extent).await?;
    let table = KeyedRows::Table(&spec.table);
    by_key(source, &table, KeyBounds::all(column), sql_type, &steps, limits).await
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn value(number: u64) -> Watermark {
        Watermark::new(SqlType::BigInt, &number.to_string()).unwrap()
    }

    /// Cuts the rows 1 to `rows` by a histogram with these steps. Returns the slices' sizes and, for each step over the index,
    /// from where it began and how far it could read.
    async fn cut_rows(rows: u64, steps: &[(u64, u64)], limit: u64) -> (Vec<u64>, Vec<(u64, u64)>) {
        let steps: Vec<Step> = steps
            .iter()
            .map(|&(up_to, rows)| Step {
                up_to: value(up_to),
                rows,
            })
            .collect();
        let number = |value: &Watermark| value.value().parse::<u64>().unwrap();
        let read = RefCell::new(Vec::new());
        let nth = async |above: Option<&Watermark>, up_to: Option<&Watermark>| {
            let (above, up_to) = (above.map_or(0, number), up_to.map_or(rows, number).min(rows));
            read.borrow_mut().push((above, up_to));
            Ok((above + limit <= up_to).then(|| value(above + limit)))
        };
        let limits = Limits {
            rows: limit,
            slices: 1_000,
            end: Instant::now() + TIME_TO_CUT,
        };
        let last = value(rows);
        let (cuts, _) = cuts(None, Some(&last), &steps, limits, nth).await.unwrap();
        let ends: Vec<u64> = std::iter::once(0)
            .chain(cuts.iter().map(number))
            .chain([rows])
            .collect();
        assert!(ends.is_sorted());
        let sizes = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        (sizes, read.into_inner())
    }

    #[tokio::test]
    async fn small_steps_are_gathered_without_reading_a_row() {
        let steps: Vec<_> = (1..=100).map(|number| (number * 1_000, 1_000)).collect();
        let (sizes, read) = cut_rows(100_000, &steps[..99], 5_500).await;
        assert!(sizes[..19].iter().all(|&size| size == 5_000), "{sizes:?}");
        // But for what may have come after the last step.
        assert_eq!(read, [(95_000, 100_000)]);
    }

    #[tokio::test]
    async fn a_step_that_is_larger_than_a_slice_is_stepped_through() {
        let steps = [(1_000, 1_000), (2_000, 1_000), (12_000, 10_000), (13_000, 1_000)];
        let (sizes, read) = cut_rows(13_500, &steps, 4_000).await;
        assert_eq!(sizes, [2_000, 4_000, 4_000, 2_000, 1_500]);
        assert_eq!(
            read,
            [(2_000, 12_000), (6_000, 12_000), (10_000, 12_000), (12_000, 13_500)]
        );
    }

    #[tokio::test]
    async fn stale_or_wrong_statistics_never_make_a_slice_of_all_that_came_since() {
        let (sizes, _) = cut_rows(100_000, &[(500, 500), (1_000, 500)], 10_000).await;
        assert!(sizes.iter().all(|&size| size <= 10_000), "{sizes:?}");
        // Steps that say too much only make smaller slices.
        let (sizes, _) = cut_rows(10_000, &[(2_000, 900_000), (4_000, 900_000)], 3_000).await;
        assert_eq!(sizes, [2_000, 2_000, 3_000, 3_000]);
        let (sizes, read) = cut_rows(10_000, &[], 3_000).await;
        assert_eq!((sizes, read.len()), (vec![3_000, 3_000, 3_000, 1_000], 4));
    }
}

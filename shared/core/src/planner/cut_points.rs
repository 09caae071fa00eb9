//! The values at which rows are cut: at the ends of the steps of a histogram, and by steps over an index where the
//! histogram tells too little.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{OfRole, Result, Role};
use crate::model::rows::{Closed, Interval};
use crate::model::slice::{KeyBounds, SliceBounds};
use crate::model::watermark::Watermark;
use crate::ports::source::{CutColumn, CutSource, RowsToCut, Step};

/// The most slices of a window: each is a few events of an execution's history, which has at most 25,000.
const MAX_SLICES: usize = 500;
/// The rows that a sample has. SQL Server keeps no more rows than these while it chooses them, because they are at most
/// a hundred.
const SAMPLE: u64 = 63;
/// How long it may take to cut a window.
pub(crate) const TIME_TO_CUT: Duration = Duration::from_secs(30);

/// A window of a watermark column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    /// The rows of the window.
    pub(crate) interval: Interval<'a>,
    /// Whether the window includes its lower bound and excludes its upper.
    pub(crate) is_exact: bool,
}

impl Window<'_> {
    pub(crate) fn column(&self) -> CutColumn {
        CutColumn {
            name: self.interval.column.clone(),
            sql_type: self.interval.new.sql_type().clone(),
        }
    }
}

/// The limits of cutting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The rows of a slice.
    pub(crate) rows: u64,
    /// The most slices.
    pub(crate) slices: usize,
    /// The time from which on no further value is asked for.
    pub(crate) end: Instant,
}

impl Limits {
    /// Returns the limits for a window that is cut into slices of so many rows, from now on.
    pub(crate) fn of_window(rows: u64) -> Self {
        Self {
            rows,
            slices: MAX_SLICES,
            end: Instant::now() + TIME_TO_CUT,
        }
    }

    fn are_reached(self, slices: usize) -> bool {
        slices >= self.slices || Instant::now() >= self.end
    }
}

/// A window, or what was left of it, cut by its watermark.
#[derive(Debug)]
pub(crate) struct ByWatermark {
    /// The slices in order, without the last one.
    pub(crate) slices: Vec<SliceBounds>,
    /// What is left after them: more than one slice if a limit was reached.
    pub(crate) rest: SliceBounds,
    /// Whether a limit was reached.
    pub(crate) is_more: bool,
}

/// Cuts `rest` of the window by its watermark.
pub(crate) async fn by_watermark<P: CutSource>(
    source: &P,
    window: &Window<'_>,
    mut rest: SliceBounds,
    histogram: &[Step],
    limits: Limits,
) -> Result<ByWatermark> {
    let bounds = &rest;
    let whole = window.interval.slice(bounds);
    // `number` is that of the row whose value ends a slice or, for row versions, of the first row after the slice.
    let number = limits.rows + u64::from(window.is_exact);
    let nth = async |above: Option<&Watermark>, up_to: Option<&Watermark>| {
        let interval = Interval {
            with_nulls: false,
            closed: Closed {
                old_watermark: whole.closed.old_watermark && above.is_none(),
                new_watermark: whole.closed.new_watermark && up_to.is_none(),
            },
            old: above.or(whole.old),
            new: up_to.unwrap_or(whole.new),
            ..whole
        };
        source.nth_watermark(&interval, number).await.of(Role::Source)
    };
    let ends = Ends {
        start: bounds.old.clone(),
        last: Some(whole.new),
    };
    let CutPoints { values, is_more } = cut_points(ends, histogram, limits, nth).await?;
    let slices = cut_at(values, &mut rest);
    Ok(ByWatermark { slices, rest, is_more })
}

/// Cuts `bounds` of the window by its watermark into about `count` slices where the server cannot step over an index.
/// The cuts are at watermarks of rows chosen at random, so that the server reads the rows once and does not sort them.
/// Returns one slice when all rows that were chosen have the same watermark.
pub(crate) async fn by_sample<P: CutSource>(
    source: &P,
    window: &Window<'_>,
    bounds: &SliceBounds,
    count: usize,
) -> Result<Vec<SliceBounds>> {
    let interval = Interval {
        with_nulls: false,
        ..window.interval.slice(bounds)
    };
    let sample = source.sample_watermarks(&interval, SAMPLE).await.of(Role::Source)?;
    let mut rest = bounds.clone();
    let mut slices = cut_at(sample_cuts(&sample, count, window.is_exact), &mut rest);
    slices.push(rest);
    Ok(slices)
}

/// Chooses at most `count - 1` different values of an ordered sample so that there are values on both sides of each. A
/// value belongs to the slice that it ends, but for row versions to the slice after it.
fn sample_cuts(sample: &[Watermark], count: usize, is_exact: bool) -> Vec<Watermark> {
    let Some(end) = (if is_exact { sample.first() } else { sample.last() }) else {
        return Vec::new();
    };
    let step = sample.len().div_ceil(count).max(1);
    let skipped = if is_exact { step } else { step - 1 };
    let mut cuts: Vec<_> = sample
        .iter()
        .skip(skipped)
        .step_by(step)
        .filter(|value| *value != end)
        .cloned()
        .collect();
    cuts.dedup();
    if cuts.is_empty() {
        // Most rows have the same watermark.
        let mut others = sample.iter().filter(|value| *value != end);
        cuts.extend(if is_exact { others.next() } else { others.next_back() }.cloned());
    }
    cuts
}

/// Cuts `rest` at `values`. What is left after the last slice stays in `rest`.
fn cut_at(values: Vec<Watermark>, rest: &mut SliceBounds) -> Vec<SliceBounds> {
    let mut slices = Vec::with_capacity(values.len());
    for value in values {
        slices.push(SliceBounds {
            new: Some(value.clone()),
            ..rest.clone()
        });
        rest.old = Some(value);
    }
    slices
}

/// Cuts those of `rows` that are in `rest` by `key`. The last slice is what is left.
pub(crate) async fn by_key<P: CutSource>(
    source: &P,
    rows: &RowsToCut<'_>,
    key: &CutColumn,
    mut rest: KeyBounds,
    histogram: &[Step],
    limits: Limits,
) -> Result<Vec<KeyBounds>> {
    let bounds = &rest;
    let nth = async |above: Option<&Watermark>, up_to: Option<&Watermark>| {
        let range = KeyBounds {
            column: bounds.column.clone(),
            above: above.cloned(),
            up_to: up_to.or(bounds.up_to.as_ref()).cloned(),
        };
        let value = source.nth_key(rows, &range, &key.sql_type, limits.rows).await;
        value.of(Role::Source)
    };
    let limits_of_points = Limits {
        slices: limits.slices.saturating_sub(1),
        ..limits
    };
    let ends = Ends {
        start: bounds.above.clone(),
        last: bounds.up_to.as_ref(),
    };
    let CutPoints { values, .. } = cut_points(ends, histogram, limits_of_points, nth).await?;
    let mut slices: Vec<KeyBounds> = Vec::with_capacity(values.len() + 1);
    for value in values {
        slices.push(KeyBounds {
            up_to: Some(value.clone()),
            ..rest.clone()
        });
        rest.above = Some(value);
    }
    slices.push(rest);
    Ok(slices)
}

/// Where the rows to cut begin and end, and open at an end without a value.
struct Ends<'a> {
    start: Option<Watermark>,
    last: Option<&'a Watermark>,
}

/// The values at which rows are cut.
struct CutPoints {
    values: Vec<Watermark>,
    /// Whether a limit was reached before the end.
    is_more: bool,
}

/// Finds the values that cut the rows between `ends` into slices.
///
/// Where the server has a histogram, they are the ends of its steps. `nth` steps over the index, from one value on and
/// up to another, and reads as many entries as a slice has rows. It is asked within steps that are larger than a slice,
/// and after the last step, for rows that came later. Any value that is found is a correct cut, however wrong the
/// histogram's counts are.
async fn cut_points(
    ends: Ends<'_>,
    histogram: &[Step],
    limits: Limits,
    nth: impl AsyncFn(Option<&Watermark>, Option<&Watermark>) -> Result<Option<Watermark>>,
) -> Result<CutPoints> {
    let mut found: Vec<Watermark> = Vec::new();
    let mut gathered = 0;
    let mut before: Option<&Watermark> = None;
    // After the last step, the range is open.
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
                    return Ok(CutPoints {
                        values: found,
                        is_more: true,
                    });
                }
                let at = found.last().or(ends.start.as_ref());
                let next = nth(at, up_to).await?;
                // A cut at the end would leave nothing for the next slice.
                let next = next.filter(|value| Some(value) != up_to.or(ends.last) && Some(value) != at);
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
            return Ok(CutPoints {
                values: found,
                is_more: true,
            });
        }
    }
    Ok(CutPoints {
        values: found,
        is_more: false,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::model::types::TypeName;

    fn value(number: u64) -> Watermark {
        Watermark::new(TypeName::new("bigint").unwrap(), number.to_string()).unwrap()
    }

    /// Cuts the rows 1 to `rows` by a histogram with these steps. Returns the sizes of the slices and, for each step
    /// over the index, where it began and how far it could read.
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
        let ends = Ends {
            start: None,
            last: Some(&last),
        };
        let points = cut_points(ends, &steps, limits, nth).await.unwrap();
        let ends: Vec<u64> = std::iter::once(0)
            .chain(points.values.iter().map(number))
            .chain([rows])
            .collect();
        assert!(ends.is_sorted());
        let sizes = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        (sizes, read.into_inner())
    }

    #[test]
    fn a_sample_is_cut_into_even_slices_and_at_every_place_where_it_can_be() {
        let cuts = |sample: &[u64], count, is_exact| -> Vec<String> {
            let sample: Vec<_> = sample.iter().map(|&number| value(number)).collect();
            sample_cuts(&sample, count, is_exact)
                .iter()
                .map(|cut| cut.value().to_owned())
                .collect()
        };
        let all: Vec<u64> = (1..=63).collect();
        assert_eq!(cuts(&all, 8, false), ["8", "16", "24", "32", "40", "48", "56"]);
        assert_eq!(cuts(&all, 8, true), ["9", "17", "25", "33", "41", "49", "57"]);
        assert_eq!(cuts(&[1, 2, 3], 8, false), ["1", "2"]);
        assert_eq!(cuts(&[1, 2, 3], 8, true), ["2", "3"]);
        // However few differ, there is a cut, and it leaves rows on both sides.
        assert_eq!(cuts(&[1, 2, 2, 2, 2, 2, 2, 2, 2, 2], 2, false), ["1"]);
        assert_eq!(cuts(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 2], 2, true), ["2"]);
        assert_eq!(cuts(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 2], 2, false), ["1"]);
        assert_eq!(cuts(&[1, 2, 2, 2, 2, 2, 2, 2, 2, 2], 2, true), ["2"]);
        for is_exact in [false, true] {
            assert!(cuts(&[7; 20], 8, is_exact).is_empty() && cuts(&[], 8, is_exact).is_empty());
        }
    }

    #[tokio::test]
    async fn small_steps_are_gathered_without_reading_a_row() {
        let steps: Vec<_> = (1..=100).map(|number| (number * 1_000, 1_000)).collect();
        let (sizes, read) = cut_rows(100_000, &steps[..99], 5_500).await;
        assert!(sizes[..19].iter().all(|&size| size == 5_000), "{sizes:?}");
        // The one step over the index is for rows that may have come after the last step of the histogram.
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
        // Steps with too high counts only make smaller slices.
        let (sizes, _) = cut_rows(10_000, &[(2_000, 900_000), (4_000, 900_000)], 3_000).await;
        assert_eq!(sizes, [2_000, 2_000, 3_000, 3_000]);
        let (sizes, read) = cut_rows(10_000, &[], 3_000).await;
        assert_eq!((sizes, read.len()), (vec![3_000, 3_000, 3_000, 1_000], 4));
    }
}

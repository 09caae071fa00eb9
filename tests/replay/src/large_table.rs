//! A table of any number of rows, whose key counts from 1. It answers what it takes to plan, copy and count a table by
//! its key.
//!
//! Statements are recognised by parts of their text, and the bounds of an interval by the parameters that are numbers.
//! A statement that is not recognised, such as a question to the catalog about columns, is answered without a row.

use std::ops::Range;

use tidemark_tds::connection::Stream;

use crate::outgoing::Outgoing;
use crate::rows::Rows;
use crate::tables::Table;
use crate::tokens::{columns, end, row, short, utf16};

/// The number of steps in its histogram.
const STEPS: u64 = 200;
/// The types: INTN of 8 and of 4 bytes.
const BIGINT: [u8; 2] = [0x26, 8];
const INT: [u8; 2] = [0x26, 4];

/// A part of the table that is read slowly, as where pages are cold.
#[derive(Debug, Clone)]
pub struct SlowKeys {
    /// The slow keys.
    pub keys: Range<u64>,
    /// The rows per second of a connection that reads any of them.
    pub rows_per_s: u64,
}

/// The table.
#[derive(Debug)]
pub struct LargeTable {
    rows: Rows,
    count: u64,
    rows_per_s: Option<u64>,
    slow: Option<SlowKeys>,
}

impl LargeTable {
    /// Makes a table of `count` rows like those of `table`, which are sent as fast as they are taken.
    #[must_use]
    pub fn new(table: &Table, count: u64) -> Self {
        Self {
            rows: Rows::new(table, count),
            count,
            rows_per_s: None,
            slow: None,
        }
    }

    /// Sends each connection no more than so many rows in a second, as a real server does. The connections do not share them.
    #[must_use]
    pub fn at_most(self, rows_per_s: u64) -> Self {
        Self {
            rows_per_s: Some(rows_per_s),
            ..self
        }
    }

    /// Reads some of the rows slowly.
    #[must_use]
    pub fn with_slow(self, slow: SlowKeys) -> Self {
        Self {
            slow: Some(slow),
            ..self
        }
    }

    pub(crate) async fn answer(&self, request: &[u8], stream: &mut Stream, out: &mut Outgoing) -> std::io::Result<()> {
        let says = |text: &str| contains(request, text);
        let tokens = if says("SELECT TOP 0 ") {
            [self.rows.head(), &end(0)].concat()
        } else if says("@@TRANCOUNT") {
            answer(&[("answer", &INT)], &[&[&1_i32.to_le_bytes()]])
        } else if says("MAX([id])") {
            let (names, none) = (
                ["new_watermark", "ordering", "future_rows", "null_rows", "held_back"],
                &0_u64.to_le_bytes()[..],
            );
            let described = names.map(|name| (name, if name == "ordering" { &INT } else { &BIGINT }));
            answer(
                &described,
                &[&[&self.count.to_le_bytes(), &1_i32.to_le_bytes(), none, none, none]],
            )
        } else if says("sys.allocation_units") {
            let (rows, bytes) = (self.count.to_le_bytes(), (self.count * 40).to_le_bytes());
            answer(&[("rows", &BIGINT), ("bytes", &BIGINT)], &[&[&rows, &bytes]])
        } else if says("AS [is_key]") {
            leading_column()
        } else if says("SELECT [s].[stats_id]") {
            answer(&[("stats_id", &INT)], &[&[&1_i32.to_le_bytes()]])
        } else if says("sys.dm_db_stats_histogram") {
            self.histogram()
        } else if says("COUNT_BIG(*)") {
            let keys = self.keys(request);
            answer(&[("rows", &BIGINT)], &[&[&(keys.end - keys.start).to_le_bytes()]])
        } else if let Some(skipped) = number_after(request, " OFFSET ") {
            let keys = self.keys(request);
            let nth = (keys.start + skipped).to_le_bytes();
            let rows: &[&[&[u8]]] = if keys.start + skipped < keys.end {
                &[&[&nth]]
            } else {
                &[]
            };
            answer(&[("id", &BIGINT)], rows)
        } else if says("FROM [dbo].[large]") {
            let keys = self.keys(request);
            let pace = self.pace(&keys);
            return self.rows.send_keys(stream, out, keys, pace).await;
        } else {
            answer(&[("nothing", &INT)], &[])
        };
        out.send(stream, &tokens, true).await
    }

    /// Returns the rows per second at which these keys are sent.
    fn pace(&self, keys: &Range<u64>) -> Option<u64> {
        let is_slow = |slow: &&SlowKeys| slow.keys.start < keys.end && keys.start < slow.keys.end;
        let slow = self.slow.as_ref().filter(is_slow);
        slow.map(|slow| slow.rows_per_s).or(self.rows_per_s)
    }

    /// Returns the keys of the interval that a statement is about: above one bound and up to the other, where it has
    /// them.
    fn keys(&self, request: &[u8]) -> Range<u64> {
        let bounds = numbers(request);
        let (above, up_to) = match (contains(request, "[id] > @B"), contains(request, "[id] <= @B")) {
            (true, true) => (bounds.first().copied(), bounds.get(1).copied()),
            (true, false) => (bounds.first().copied(), None),
            (false, true) => (None, bounds.first().copied()),
            (false, false) => (None, None),
        };
        let end = up_to.unwrap_or(self.count).min(self.count) + 1;
        (above.unwrap_or(0) + 1).min(end)..end
    }

    fn histogram(&self) -> Vec<u8> {
        let described = [("up_to", &BIGINT), ("rows", &BIGINT), ("all_rows", &BIGINT)];
        let all = self.count.to_le_bytes();
        let steps: Vec<[[u8; 8]; 2]> = (1..=STEPS)
            .map(|step| {
                let (from, to) = (self.count * (step - 1) / STEPS, self.count * step / STEPS);
                [to.to_le_bytes(), (to - from).to_le_bytes()]
            })
            .collect();
        let rows: Vec<[&[u8]; 3]> = steps.iter().map(|[to, rows]| [&to[..], rows, &all]).collect();
        let rows: Vec<&[&[u8]]> = rows.iter().map(|row| &row[..]).collect();
        answer(&described, &rows)
    }
}

/// Returns the catalog's answer that the key leads the clustered index, which has no partitions.
fn leading_column() -> Vec<u8> {
    let text = crate::tokens::characters(0xE7, 256, crate::tokens::LATIN1);
    let described = columns(&[("name", text), ("is_key", INT.to_vec()), ("is_split", INT.to_vec())]);
    let name = crate::tokens::long(Some(&utf16("id")));
    let values = row(&[name, short(&1_i32.to_le_bytes()), short(&0_i32.to_le_bytes())]);
    [described, values, end(1)].concat()
}

/// Makes an answer of rows of numbers.
fn answer(described: &[(&str, &[u8; 2])], rows: &[&[&[u8]]]) -> Vec<u8> {
    let described: Vec<_> = described.iter().map(|(name, info)| (*name, info.to_vec())).collect();
    let mut tokens = columns(&described);
    for values in rows {
        tokens.extend(row(&values.iter().map(|value| short(value)).collect::<Vec<_>>()));
    }
    tokens.extend(end(rows.len() as u64));
    tokens
}

/// Returns where a text is in a request.
fn find(request: &[u8], text: &str) -> Option<usize> {
    let text = utf16(text);
    request.windows(text.len()).position(|window| window == text)
}

fn contains(request: &[u8], text: &str) -> bool {
    find(request, text).is_some()
}

/// Returns the number that a text's digits are.
fn number(utf16: &[u8]) -> Option<u64> {
    let units = utf16.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .ok()?
        .parse()
        .ok()
}

fn number_after(request: &[u8], text: &str) -> Option<u64> {
    let begin = find(request, text)? + 2 * text.len();
    let digits = request[begin..]
        .chunks_exact(2)
        .take_while(|unit| unit[0].is_ascii_digit() && unit[1] == 0);
    number(&request[begin..begin + 2 * digits.count()])
}

/// Returns the parameters of type `nvarchar` that are numbers, in their order.
fn numbers(request: &[u8]) -> Vec<u64> {
    let value = |at: usize| {
        let fixed = |at: usize| {
            Some(usize::from(u16::from_le_bytes(
                request.get(at..at + 2)?.try_into().ok()?,
            )))
        };
        let (begin, length) = if fixed(at + 1)? == 0xFFFF {
            let length = u32::from_le_bytes(request.get(at + 16..at + 20)?.try_into().ok()?);
            (at + 20, usize::try_from(length).ok()?)
        } else {
            (at + 10, fixed(at + 8)?)
        };
        number(request.get(begin..begin.checked_add(length)?)?)
    };
    let starts = request.iter().enumerate().filter(|(_, byte)| **byte == 0xE7);
    starts.filter_map(|(at, _)| value(at)).collect()
}

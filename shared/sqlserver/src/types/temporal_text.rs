//! Reads and writes the canonical text of days and points in time, without an inexact form in between.

use tiberius::ColumnData;
use tidemark::model::types::Digits;
use tidemark::model::value_text::{self, DAY_TICKS, SECOND_TICKS, Style};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Time};

use super::family::ValueText;

/// The number of days from 0001-01-01 to 1900-01-01, the first day of `datetime` and `smalldatetime`.
pub(crate) const EPOCH_1900_DAYS: i64 = 693_595;
/// The day 9999-12-31, counted from 0001-01-01.
pub(crate) const LAST_DAY: i64 = 3_652_058;

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");

/// Reads the text of a value from tiberius.
pub(super) fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    let text = match data {
        ColumnData::Date(value) => value.map(|value| day(value.days().into())),
        ColumnData::SmallDateTime(value) => value.map(|value| {
            let ticks = i64::from(value.seconds_fragments()) * 60 * SECOND_TICKS;
            point(EPOCH_1900_DAYS + i64::from(value.days()), ticks, 0)
        }),
        ColumnData::DateTime(value) => value.map(|value| {
            let ticks = ticks_of_datetime(value.seconds_fragments());
            point(EPOCH_1900_DAYS + i64::from(value.days()), ticks, 3)
        }),
        ColumnData::DateTime2(value) => value.map(|value| {
            let (ticks, digits) = of_day(value.time());
            point(value.date().days().into(), ticks, digits)
        }),
        // The wire carries the date and time of a datetimeoffset in UTC (MS-TDS 2.2.5.5.1.9).
        ColumnData::DateTimeOffset(value) => value.map(|value| {
            let (ticks, digits) = of_day(value.datetime2().time());
            let text = point(value.datetime2().date().days().into(), ticks, digits)?;
            Ok(format!("{text}Z"))
        }),
        _ => return None,
    };
    Some(text.transpose())
}

/// Returns the ticks of 100 ns that so many units of 1/300 s are in a `datetime`: those of the millisecond that SQL
/// Server shows (.000, .003, .007).
pub(crate) const fn ticks_of_datetime(units: u32) -> i64 {
    (units as i64 * 10 + 1) / 3 * (SECOND_TICKS / 1_000)
}

/// Returns the ticks of 100 ns since midnight, and the number of fractional digits.
fn of_day(time: tiberius::time::Time) -> (i64, Digits) {
    let digits = time.scale().min(7);
    let unit = 10_i64.pow(u32::from(7 - digits));
    (
        i64::try_from(time.increments())
            .unwrap_or(i64::MAX)
            .saturating_mul(unit),
        digits,
    )
}

/// Formats a day, counted from 0001-01-01.
fn day(days: i64) -> Result<String, &'static str> {
    if !(0..=LAST_DAY).contains(&days) {
        return Err("a date outside 0001 to 9999");
    }
    let mut text = Vec::new();
    value_text::date(&mut text, days);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Formats a point in time: a day, counted from 0001-01-01, and ticks of 100 ns since midnight.
fn point(days: i64, ticks: i64, digits: Digits) -> Result<String, &'static str> {
    let day = day(days)?;
    if !(0..DAY_TICKS).contains(&ticks) {
        return Err("a time outside the day");
    }
    let mut text = Vec::new();
    value_text::timestamp(&mut text, ticks, digits, Style::Iso);
    // Only the time is taken from this text, because the day is checked on its own.
    let time = String::from_utf8_lossy(&text);
    let (_, time) = time.split_once('T').unwrap_or_default();
    Ok(format!("{day}T{time}"))
}

/// Parses a day. A point in time at midnight is accepted too.
pub(super) fn date_of(text: &str) -> Option<String> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    (is_date(date) && clock_and_fraction(time)? == ("00:00:00", "")).then(|| date.to_owned())
}

/// Parses a point in time such as `2017-09-05T08:06:00.1`, and writes it with `digits` fractional digits.
pub(super) fn date_and_time_of(text: &str, digits: Digits) -> Option<String> {
    let digits = usize::from(digits);
    let (date, clock) = text.split_once('T')?;
    let (clock, fraction) = clock_and_fraction(clock)?;
    if !is_date(date) || fraction.len() > digits {
        return None;
    }
    Some(if digits == 0 {
        format!("{date}T{clock}")
    } else {
        format!("{date}T{clock}.{fraction:0<digits$}")
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Date::parse(text, DATE).is_ok_and(|date| date.year() >= 1)
}

/// Splits a time into `hh:mm:ss` and the fraction's digits without trailing zeros.
fn clock_and_fraction(text: &str) -> Option<(&str, &str)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = clock.len() == 8
        && Time::parse(clock, TIME).is_ok()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && !text.ends_with('.');
    is_valid.then(|| (clock, fraction.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use tiberius::time::{DateTime, DateTime2, SmallDateTime};

    use super::*;

    #[test]
    fn values_become_exact_text() {
        let day = |days| tiberius::time::Date::new(days);
        let point = |days, increments, scale| DateTime2::new(day(days), tiberius::time::Time::new(increments, scale));
        let cases = [
            (
                ColumnData::DateTime(Some(DateTime::new(42_981, 8 * 3600 * 300 + 6 * 60 * 300))),
                "2017-09-05T08:06:00.000",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(-53_690, 1))),
                "1753-01-01T00:00:00.003",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(2_958_463, 25_919_999))),
                "9999-12-31T23:59:59.997",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(0, 2))),
                "1900-01-01T00:00:00.007",
            ),
            (
                ColumnData::SmallDateTime(Some(SmallDateTime::new(65_535, 1439))),
                "2079-06-06T23:59:00",
            ),
            (
                ColumnData::DateTime2(Some(point(0, 1, 7))),
                "0001-01-01T00:00:00.0000001",
            ),
            (
                ColumnData::DateTime2(Some(point(3_652_058, 863_999_999_999, 7))),
                "9999-12-31T23:59:59.9999999",
            ),
            (
                ColumnData::DateTime2(Some(point(736_576, 86_399, 0))),
                "2017-09-05T23:59:59",
            ),
            (ColumnData::Date(Some(day(736_576))), "2017-09-05"),
        ];
        for (data, expected) in cases {
            assert_eq!(read(&data), Some(Ok(Some(expected.to_owned()))));
        }
        assert_eq!(read(&ColumnData::Date(None)), Some(Ok(None)));
        assert!(read(&ColumnData::Date(Some(day(4_000_000)))).unwrap().is_err());
        assert_eq!(read(&ColumnData::I32(Some(1))), None);
    }
}

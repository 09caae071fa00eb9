//! Watermarks: how far a table has been copied, exact in the column's own type.
//!
//! A watermark is carried as text with a type tag, never as a JSON number, and is compared only by the server. This
//! module reads and checks the text; it never orders two values.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Time};

use crate::error::{Error, ErrorCode, Result};
use crate::types::SqlType;

/// A value of a watermark column, in the canonical text of its type.
///
/// | type | text |
/// |---|---|
/// | tinyint … bigint | `-42` |
/// | decimal(p,s) | `-1.50`, always s digits |
/// | date | `2017-09-05` |
/// | smalldatetime | `2017-09-05T08:06:00` |
/// | datetime | `2017-09-05T08:06:00.003`, the three digits SQL Server shows for its 1/300 s ticks |
/// | datetime2(n) | `2017-09-05T08:06:00.1234567`, always n digits |
/// | datetimeoffset(n) | `2017-09-05T06:06:00.1234567Z`, always UTC, as SQL Server compares it |
/// | rowversion | `0x00000000000007E4`, always 16 digits |
/// | uniqueidentifier, of a key that cuts slices only | `0E984725-C51C-4BF4-9960-E1C80E27ABA0` |
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawWatermark", into = "RawWatermark")]
pub struct Watermark {
    sql_type: SqlType,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatermark {
    r#type: SqlType,
    value: String,
}

impl Watermark {
    /// Takes `value` as the text of a watermark of type `sql_type`.
    ///
    /// Time fractions may have fewer digits than the type, or more if those are zeros: control tables and people write
    /// them so. Errors: `UnsupportedType` when the type cannot be a watermark, nor that of a key that cuts slices, `InvalidInput` when the text is not a
    /// value of it.
    pub fn new(sql_type: SqlType, value: &str) -> Result<Self> {
        if !can_cut(sql_type) {
            check_type(sql_type)?;
        }
        let value = canonical(sql_type, value).ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidInput,
                format!("'{value}' is not a watermark of type {sql_type}"),
            )
        })?;
        Ok(Self { sql_type, value })
    }

    /// The type of the column.
    #[must_use]
    pub const fn sql_type(&self) -> SqlType {
        self.sql_type
    }

    /// The canonical text, fit for `CAST(@P1 AS type)`, or `CONVERT(binary(8), @P1, 1)` for a rowversion.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl TryFrom<RawWatermark> for Watermark {
    type Error = Error;

    fn try_from(raw: RawWatermark) -> Result<Self> {
        Self::new(raw.r#type, &raw.value)
    }
}

impl From<Watermark> for RawWatermark {
    fn from(watermark: Watermark) -> Self {
        Self {
            r#type: watermark.sql_type,
            value: watermark.value,
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// Whether a column of this type can be a watermark; `UnsupportedType` naming the type when not.
pub fn check_type(sql_type: SqlType) -> Result<()> {
    match sql_type {
        SqlType::TinyInt
        | SqlType::SmallInt
        | SqlType::Int
        | SqlType::BigInt
        | SqlType::Decimal { .. }
        | SqlType::Date
        | SqlType::SmallDateTime
        | SqlType::DateTime
        | SqlType::DateTime2(_)
        | SqlType::DateTimeOffset(_)
        | SqlType::RowVersion => Ok(()),
        _ => Err(Error::new(
            ErrorCode::UnsupportedType,
            format!(
                "a column of type {sql_type} cannot be a watermark: use a date, smalldatetime, datetime, datetime2, \
                 datetimeoffset, integer, decimal or rowversion column that grows with every insert and update"
            ),
        )),
    }
}

/// Whether the values of a key of this type can cut slices: those of a watermark, and of a `uniqueidentifier`, which grows
/// with nothing but has an order of the server's own
/// (<https://learn.microsoft.com/en-us/sql/connect/ado-net/sql/compare-guid-uniqueidentifier-values>).
#[must_use]
pub fn can_cut(sql_type: SqlType) -> bool {
    sql_type == SqlType::UniqueIdentifier || check_type(sql_type).is_ok()
}

/// Whether the type counts time, so that the server's clock bounds it.
#[must_use]
pub const fn is_time(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Date | SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2(_) | SqlType::DateTimeOffset(_)
    )
}

/// Whether no transaction can commit a value of the type below a bound once that is known, because the server knows the
/// lowest value still in use: `MIN_ACTIVE_ROWVERSION()`. Its windows include their lower bound and exclude their upper.
#[must_use]
pub const fn is_exact(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::RowVersion)
}

/// Where a stored watermark comes from, as far as exactness is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreType {
    /// A text column or a JSON document: holds every watermark exactly.
    Text,
    /// A column of this type, as in the tutorials' control tables.
    Typed(SqlType),
}

impl StoreType {
    /// Whether every value of a `column` of that type survives being stored here.
    #[must_use]
    pub fn holds(self, column: SqlType) -> bool {
        let Self::Typed(store) = self else { return true };
        let integer_digits = |sql_type| match sql_type {
            SqlType::TinyInt => Some(3),
            SqlType::SmallInt => Some(5),
            SqlType::Int => Some(10),
            SqlType::BigInt => Some(19),
            _ => None,
        };
        match (store, column) {
            (_, SqlType::RowVersion) => false,
            (store, column) if store == column => true,
            (SqlType::DateTime2(digits), SqlType::DateTime2(needed)) => digits >= needed,
            (SqlType::DateTime2(_), SqlType::Date | SqlType::SmallDateTime) => true,
            (SqlType::DateTime, SqlType::SmallDateTime) => true,
            (SqlType::DateTimeOffset(digits), SqlType::DateTimeOffset(needed)) => digits >= needed,
            (SqlType::Decimal { precision, scale }, SqlType::Decimal { precision: p, scale: s }) => {
                scale >= s && precision - scale >= p - s
            }
            (SqlType::Decimal { precision, scale }, column) => {
                integer_digits(column).is_some_and(|digits| precision - scale >= digits)
            }
            (store, column) => match (integer_digits(store), integer_digits(column)) {
                (Some(digits), Some(needed)) => digits >= needed,
                _ => false,
            },
        }
    }
}

impl fmt::Display for StoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Typed(sql_type) => sql_type.fmt(f),
        }
    }
}

impl TryFrom<String> for StoreType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text == "text" {
            Ok(Self::Text)
        } else {
            text.parse().map(Self::Typed)
        }
    }
}

impl Serialize for StoreType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");

/// The canonical text of `value`, or `None` when it is not a value of the type.
fn canonical(sql_type: SqlType, value: &str) -> Option<String> {
    match sql_type {
        SqlType::TinyInt => integer(value, 0, i64::from(u8::MAX)),
        SqlType::SmallInt => integer(value, i64::from(i16::MIN), i64::from(i16::MAX)),
        SqlType::Int => integer(value, i64::from(i32::MIN), i64::from(i32::MAX)),
        SqlType::BigInt => integer(value, i64::MIN, i64::MAX),
        SqlType::Decimal { precision, scale } => decimal(value, precision.into(), scale.into()),
        SqlType::Date => {
            let (date, time) = value.split_once('T').unwrap_or((value, "00:00:00"));
            (date_is_valid(date) && moment_parts(time)? == ("00:00:00", String::new())).then(|| date.to_owned())
        }
        SqlType::SmallDateTime => {
            let text = moment(value, 0)?;
            text.ends_with(":00").then_some(text)
        }
        SqlType::DateTime => moment(value, 3).filter(|text| text.ends_with(['0', '3', '7'])),
        SqlType::DateTime2(digits) => moment(value, digits.into()),
        SqlType::DateTimeOffset(digits) => {
            let text = value.strip_suffix('Z')?;
            moment(text, digits.into()).map(|text| format!("{text}Z"))
        }
        SqlType::RowVersion => {
            let digits = value.strip_prefix("0x")?;
            let is_one = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_one.then(|| format!("0x{}", digits.to_ascii_uppercase()))
        }
        SqlType::UniqueIdentifier => {
            let groups: Vec<&str> = value.split('-').collect();
            let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
            let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
            (lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex)).then(|| value.to_ascii_uppercase())
        }
        _ => None,
    }
}

/// A whole number, also as a `decimal` control column gives it back (`42.00`).
fn integer(value: &str, min: i64, max: i64) -> Option<String> {
    let whole = value
        .split_once('.')
        .filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'));
    let number: i64 = whole.map_or(value, |(whole, _)| whole).parse().ok()?;
    (min..=max).contains(&number).then(|| number.to_string())
}

/// `-1.5` at scale 2 becomes `-1.50`; more digits than the type holds are refused.
fn decimal(value: &str, precision: usize, scale: usize) -> Option<String> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > precision - scale || fraction.len() > scale {
        return None;
    }
    let zero = whole.is_empty() && fraction.is_empty();
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction:0<scale$}")
    })
}

fn date_is_valid(text: &str) -> bool {
    text.len() == 10 && Date::parse(text, DATE).is_ok_and(|date| date.year() >= 1)
}

/// The clock part `hh:mm:ss` and the fraction's digits without trailing zeros.
fn moment_parts(text: &str) -> Option<(&str, String)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let valid = clock.len() == 8
        && Time::parse(clock, TIME).is_ok()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && !text.ends_with('.');
    valid.then(|| (clock, fraction.trim_end_matches('0').to_owned()))
}

/// `2017-09-05T08:06:00.1` with `digits` digits of fraction.
fn moment(value: &str, digits: usize) -> Option<String> {
    let (date, clock) = value.split_once('T')?;
    let (clock, fraction) = moment_parts(clock)?;
    if !date_is_valid(date) || fraction.len() > digits {
        return None;
    }
    Some(if digits == 0 {
        format!("{date}T{clock}")
    } else {
        format!("{date}T{clock}.{fraction:0<digits$}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_canonical_or_is_refused() {
        let cases = [
            ("int", "42", Some("42")),
            ("int", "-042", Some("-42")),
            ("int", "2147483648", None),
            ("int", "42.00", Some("42")),
            ("int", "42.10", None),
            ("tinyint", "-1", None),
            ("bigint", "9223372036854775807", Some("9223372036854775807")),
            ("bigint", "9223372036854775808", None),
            (
                "decimal(38,0)",
                "99999999999999999999999999999999999999",
                Some("99999999999999999999999999999999999999"),
            ),
            (
                "uniqueidentifier",
                "0e984725-c51c-4bf4-9960-e1c80e27aba0",
                Some("0E984725-C51C-4BF4-9960-E1C80E27ABA0"),
            ),
            ("uniqueidentifier", "0e984725c51c-4bf4-9960-e1c80e27-aba0", None),
            ("uniqueidentifier", "0x984725-c51c-4bf4-9960-e1c80e27aba0", None),
            ("decimal(5,2)", "-1.5", Some("-1.50")),
            ("decimal(5,2)", "1000", None),
            ("decimal(5,2)", "1.005", None),
            ("decimal(2,2)", "-0.00", Some("0.00")),
            ("datetime", "2017-09-05T08:06:00.003", Some("2017-09-05T08:06:00.003")),
            ("datetime", "2017-09-05T08:06:00", Some("2017-09-05T08:06:00.000")),
            ("datetime", "2017-09-05T08:06:00.004", None),
            ("datetime", "2017-09-05 08:06:00", None),
            (
                "datetime2(7)",
                "0001-01-01T00:00:00.0000001",
                Some("0001-01-01T00:00:00.0000001"),
            ),
            (
                "datetime2(3)",
                "9999-12-31T23:59:59.9990000",
                Some("9999-12-31T23:59:59.999"),
            ),
            ("datetime2(3)", "9999-12-31T23:59:59.9999", None),
            ("datetime2(0)", "2017-02-29T00:00:00", None),
            ("datetime2(0)", "2017-02-28T24:00:00", None),
            ("smalldatetime", "2017-09-05T08:06:00", Some("2017-09-05T08:06:00")),
            ("smalldatetime", "2017-09-05T08:06:30", None),
            ("date", "2017-09-05", Some("2017-09-05")),
            ("date", "2017-09-05T00:00:00.000", Some("2017-09-05")),
            ("date", "2017-09-05T00:00:01", None),
            (
                "datetimeoffset(7)",
                "2017-09-05T08:06:00Z",
                Some("2017-09-05T08:06:00.0000000Z"),
            ),
            ("datetimeoffset(7)", "2017-09-05T08:06:00", None),
            ("rowversion", "0x00000000000007e4", Some("0x00000000000007E4")),
            ("rowversion", "0x7E4", None),
            ("rowversion", "2020", None),
            ("rowversion", "0x00000000000007E4x", None),
        ];
        for (sql_type, text, expected) in cases {
            let read = Watermark::new(sql_type.parse().unwrap(), text);
            assert_eq!(read.as_ref().ok().map(Watermark::value), expected, "{sql_type} {text}");
        }
    }

    #[test]
    fn a_type_that_cannot_be_a_watermark_is_refused_by_name() {
        for name in [
            "varchar(20)",
            "uniqueidentifier",
            "float",
            "money",
            "bit",
            "time(7)",
            "xml",
        ] {
            let error = check_type(name.parse().unwrap()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedType);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_store_holds_what_it_can_give_back() {
        let cases = [
            ("datetime", "datetime", true),
            ("datetime", "datetime2(7)", false),
            ("datetime", "datetime2(0)", false),
            ("datetime", "smalldatetime", true),
            ("datetime", "int", false),
            ("datetime2(7)", "datetime2(3)", true),
            ("datetime2(7)", "datetime", false),
            ("bigint", "int", true),
            ("int", "bigint", false),
            ("decimal(38,0)", "bigint", true),
            ("decimal(18,4)", "bigint", false),
            ("text", "rowversion", true),
            ("bigint", "rowversion", false),
            // A procedure's binary parameter takes no text.
            ("binary(8)", "rowversion", false),
            ("rowversion", "rowversion", false),
            ("text", "datetime2(7)", true),
        ];
        for (store, column, holds) in cases {
            let store = StoreType::try_from(store.to_owned()).unwrap();
            assert_eq!(store.holds(column.parse().unwrap()), holds, "{store} {column}");
        }
    }

    #[test]
    fn json_carries_type_and_text() {
        let watermark = Watermark::new(SqlType::BigInt, "9007199254740993").unwrap();
        let json = serde_json::to_string(&watermark).unwrap();
        assert_eq!(json, r#"{"type":"bigint","value":"9007199254740993"}"#);
        assert_eq!(serde_json::from_str::<Watermark>(&json).unwrap(), watermark);
        assert!(serde_json::from_str::<Watermark>(r#"{"type":"bigint","value":"x"}"#).is_err());
    }
}

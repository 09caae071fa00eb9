//! Tests the canonical texts of watermarks, and which store columns keep them.

use proptest::prelude::*;
use tiberius::ColumnData;
use tiberius::numeric::Numeric;
use tidemark::error::ErrorCode;
use tidemark::model::watermark::{Watermark, WatermarkKind};

use super::SqlType;
use super::tests::parse;
use super::value_text;

#[test]
fn text_becomes_canonical_or_is_refused() {
    for (sql_type, text, expected) in [
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
    ] {
        let read = parse(sql_type).watermark(text);
        assert_eq!(read.as_ref().ok().map(Watermark::value), expected, "{sql_type} {text}");
        if let Err(error) = read {
            assert_eq!(error.code(), ErrorCode::InvalidInput);
        }
    }
}

#[test]
fn a_type_that_cannot_be_a_watermark_is_refused_by_name() {
    for name in ["varchar(20)", "float", "money", "bit", "time(7)", "xml", "binary(8)"] {
        assert_eq!(
            (parse(name).watermark_kind(), parse(name).cuts()),
            (None, false),
            "{name}"
        );
        let error = parse(name).watermark("1").unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnsupportedType);
        assert!(error.to_string().contains(name), "{error}");
    }
    for (name, kind) in [
        ("tinyint", WatermarkKind::Number),
        ("decimal(9,2)", WatermarkKind::Number),
        ("date", WatermarkKind::Time),
        ("datetimeoffset(0)", WatermarkKind::Time),
        ("rowversion", WatermarkKind::Exact),
    ] {
        assert_eq!(
            (parse(name).watermark_kind(), parse(name).cuts()),
            (Some(kind), true),
            "{name}"
        );
    }
    let guid = parse("uniqueidentifier");
    assert_eq!((guid.watermark_kind(), guid.cuts()), (None, true));
}

#[test]
fn what_a_column_counts_is_known_by_the_name_of_its_type_and_a_day_is_not_proposed() {
    for (name, kind) in [
        ("timestamp", Some(WatermarkKind::Exact)),
        ("datetime2", Some(WatermarkKind::Time)),
        ("smalldatetime", Some(WatermarkKind::Time)),
        ("numeric", Some(WatermarkKind::Number)),
        ("bigint", Some(WatermarkKind::Number)),
        ("date", None),
        ("time", None),
        ("nvarchar", None),
        ("of_somebody", None),
    ] {
        assert_eq!(SqlType::proposed_kind(name), kind, "{name}");
    }
}

#[test]
fn values_of_the_lookups_driver_become_exact_text() {
    for (data, expected) in [
        (ColumnData::I64(Some(i64::MIN)), Some("-9223372036854775808")),
        (ColumnData::Numeric(Some(Numeric::new_with_scale(-5, 2))), Some("-0.05")),
        (
            ColumnData::Numeric(Some(Numeric::new_with_scale(u64::MAX.into(), 0))),
            Some("18446744073709551615"),
        ),
        (
            ColumnData::String(Some("2017-09-05T08:06:00  ".into())),
            Some("2017-09-05T08:06:00"),
        ),
        (
            ColumnData::Binary(Some(vec![0, 0, 0, 0, 0, 0, 7, 0xE4].into())),
            Some("0x00000000000007E4"),
        ),
        (ColumnData::I32(None), None),
    ] {
        assert_eq!(value_text(&data).unwrap().as_deref(), expected);
    }
    assert!(value_text(&ColumnData::Bit(Some(true))).is_err());
}

#[test]
fn a_store_holds_what_it_can_give_back() {
    for (store, column, holds) in [
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
        ("datetime2(0)", "date", true),
        ("bigint", "rowversion", false),
        // A procedure's binary parameter takes no text.
        ("binary(8)", "rowversion", false),
        ("rowversion", "rowversion", false),
        ("float", "int", false),
    ] {
        assert_eq!(
            parse(store).keeps_watermarks_of(parse(column)),
            holds,
            "{store} {column}"
        );
    }
}

/// Generates a type and a text of one of its values, which need not be canonical.
fn values() -> impl Strategy<Value = (String, String)> {
    let parts = (
        0_usize..=7,
        1..=9999_u32,
        1..=12_u32,
        1..=28_u32,
        0..86_400_u32,
        0..10_000_000_u32,
    );
    let points = parts.prop_map(|(digits, year, month, day, seconds, ticks)| {
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let ticks = format!("{ticks:07}");
        let fraction = match &ticks[..digits] {
            "" => String::new(),
            fraction => format!(".{fraction}"),
        };
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}");
        (digits, text)
    });
    prop_oneof![
        any::<i64>().prop_map(|number| ("bigint".to_owned(), format!("{number}.00"))),
        any::<u64>().prop_map(|number| ("rowversion".to_owned(), format!("0x{number:016x}"))),
        any::<i64>().prop_map(|number| ("decimal(38,7)".to_owned(), format!("{number}.5"))),
        points
            .clone()
            .prop_map(|(digits, text)| (format!("datetime2({digits})"), text)),
        points.prop_map(|(digits, text)| (format!("datetimeoffset({digits})"), format!("{text}Z"))),
    ]
}

proptest! {
    #[test]
    fn a_canonical_text_is_its_own_canonical_text((sql_type, text) in values()) {
        let sql_type = parse(&sql_type);
        let value = sql_type.watermark(&text).unwrap();
        prop_assert_eq!(sql_type.watermark(value.value()).unwrap(), value);
    }
}

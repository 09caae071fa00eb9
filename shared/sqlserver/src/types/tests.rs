//! What the types say of themselves, as tables.

use proptest::prelude::*;
use tiberius::numeric::Numeric;
use tiberius::{FixedLenType, TypeInfo};
use tidemark::model::format::Timestamps;
use tidemark::model::types::{Fraction, VariantColumns};

use super::*;

fn parse(text: &str) -> SqlType {
    SqlType::parse(text).unwrap_or_else(|| panic!("{text} is no type"))
}

fn typed(timestamps: Timestamps) -> WantedForms {
    WantedForms::Typed {
        timestamps,
        variants: VariantColumns::Text,
    }
}

const EXACT: WantedForms = WantedForms::Exact {
    variants: VariantColumns::Text,
};

/// Every type, as its text; where there is an argument, at its edges.
const ALL: [&str; 42] = [
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "decimal(38,0)",
    "decimal(9,9)",
    "money",
    "smallmoney",
    "real",
    "float",
    "char(1)",
    "char(8000)",
    "varchar(8000)",
    "varchar(max)",
    "nchar(4000)",
    "nvarchar(1)",
    "nvarchar(4000)",
    "nvarchar(max)",
    "text",
    "ntext",
    "binary(8)",
    "varbinary(1)",
    "varbinary(8000)",
    "varbinary(max)",
    "image",
    "rowversion",
    "date",
    "time(0)",
    "time(7)",
    "smalldatetime",
    "datetime",
    "datetime2(0)",
    "datetime2(7)",
    "datetimeoffset(3)",
    "datetimeoffset(7)",
    "uniqueidentifier",
    "xml",
    "hierarchyid",
    "geometry",
    "geography",
    "sql_variant",
];

#[test]
fn every_type_survives_its_text() {
    for text in ALL {
        assert_eq!(parse(text).to_string(), text);
        assert_eq!(SqlType::of(&parse(text).name()).unwrap(), parse(text));
    }
}

/// The types that the table of docs/types.md has a row for, as they stand there.
fn documented() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/types.md");
    let values = page.split("\n## Values").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines = values.lines().skip_while(|line| !line.starts_with("| `"));
    let rows = lines.take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(", "));
    names.map(|name| name.trim().trim_matches('`')).collect()
}

#[test]
fn the_page_of_types_has_a_row_for_every_type_and_for_no_other() {
    let page = documented();
    for name in page.iter().filter(|name| !matches!(**name, "json" | "vector")) {
        let (name, length, precision, scale) = match *name {
            "decimal(p,s)" | "numeric(p,s)" => (&name[..7], 9, 12, 4),
            name => match (name.strip_suffix("(n)"), name.strip_suffix("(max)")) {
                (Some(name), _) => (name, 6, 0, 3),
                (_, Some(name)) => (name, -1, 0, 0),
                (None, None) => (name, 8, 0, 0),
            },
        };
        assert!(
            SqlType::from_catalog(name, length, precision, scale).is_some(),
            "{name}"
        );
    }
    for text in ALL {
        let row = match text.split_once('(') {
            None => text.to_owned(),
            Some(("decimal", _)) => "decimal(p,s)".to_owned(),
            Some((_, "max)")) => text.to_owned(),
            Some((name, _)) => format!("{name}(n)"),
        };
        assert!(page.contains(&row.as_str()), "{row}");
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    for text in [
        "decimal(39,0)",
        "decimal(5,6)",
        "decimal(5)",
        "decimal(05,2)",
        "decimal(5, 2)",
        "datetime2(8)",
        "datetime2(+3)",
        "datetime2",
        "int(4)",
        "varchar(0)",
        "nvarchar(4001)",
        "char(max)",
        "INT",
        "int ",
        "int); DROP TABLE t; --",
        "varchar(9)); DROP TABLE t; --)",
        "sql_variant(1)",
        "dbo.point",
    ] {
        let name = TypeName::new(text).unwrap();
        let error = SqlType::of(&name).unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid);
        assert!(error.to_string().contains(text));
        assert!(!is_variant(&name));
    }
    assert!(is_variant(&TypeName::new("sql_variant").unwrap()));
}

#[test]
fn the_catalogs_lengths_become_declared_types() {
    for (name, length, precision, scale, expected) in [
        ("int", 4, 10, 0, Some("int")),
        ("numeric", 9, 12, 4, Some("decimal(12,4)")),
        ("nvarchar", 40, 0, 0, Some("nvarchar(20)")),
        ("nchar", 2, 0, 0, Some("nchar(1)")),
        ("varchar", -1, 0, 0, Some("varchar(max)")),
        ("varbinary", -1, 0, 0, Some("varbinary(max)")),
        ("datetime2", 8, 27, 7, Some("datetime2(7)")),
        ("timestamp", 8, 0, 0, Some("rowversion")),
        ("text", 16, 0, 0, Some("text")),
        ("sysname", 256, 0, 0, Some("nvarchar(128)")),
        ("hierarchyid", 892, 0, 0, Some("hierarchyid")),
        ("sql_variant", 8016, 0, 0, Some("sql_variant")),
        ("vector", 20, 0, 0, None),
        ("a type of the user's", 8, 0, 0, None),
    ] {
        let found = SqlType::from_catalog(name, length, precision, scale).map(|sql_type| sql_type.to_string());
        assert_eq!(found.as_deref(), expected, "{name}");
    }
}

#[test]
fn results_are_described_as_declared_types() {
    for (info, expected) in [
        (TypeInfo::FixedLen(FixedLenType::Int8), "bigint"),
        (TypeInfo::FixedLen(FixedLenType::Datetime4), "smalldatetime"),
        (TypeInfo::FixedLen(FixedLenType::Money), "money"),
        (TypeInfo::FixedLen(FixedLenType::Float4), "real"),
        (TypeInfo::Xml { schema: None, size: 0 }, "xml"),
    ] {
        assert_eq!(SqlType::of_result(&info).unwrap().to_string(), expected);
    }
    assert!(SqlType::of_result(&TypeInfo::FixedLen(FixedLenType::Null)).is_err());
}

#[test]
fn points_in_time_are_microseconds_in_typed_files_and_exact_elsewhere() {
    let (us, ns) = (Fraction::Micros, Fraction::Nanos);
    for (name, default, nanos, text, exact) in [
        (
            "time(7)",
            Form::Time(us),
            Form::Time(ns),
            Form::Iso(7),
            Form::TimeTicks(7),
        ),
        (
            "time(0)",
            Form::Time(us),
            Form::Time(us),
            Form::Iso(0),
            Form::TimeTicks(0),
        ),
        (
            "smalldatetime",
            Form::Timestamp(us),
            Form::Timestamp(us),
            Form::Iso(0),
            Form::Ticks(0),
        ),
        (
            "datetime",
            Form::Timestamp(us),
            Form::Timestamp(us),
            Form::Iso(3),
            Form::Ticks(3),
        ),
        (
            "datetime2(7)",
            Form::Timestamp(us),
            Form::Timestamp(ns),
            Form::Iso(7),
            Form::Ticks(7),
        ),
        (
            "datetime2(6)",
            Form::Timestamp(us),
            Form::Timestamp(us),
            Form::Iso(6),
            Form::Ticks(6),
        ),
        (
            "datetimeoffset(7)",
            Form::Instant(us),
            Form::Instant(ns),
            Form::Iso(7),
            Form::TicksAndOffset(7),
        ),
        ("date", Form::Date, Form::Date, Form::Date, Form::Date),
    ] {
        let form = |wanted| parse(name).form(wanted);
        assert_eq!(form(typed(Timestamps::Us)), Ok(default), "{name}");
        assert_eq!(form(typed(Timestamps::Ns)), Ok(nanos), "{name}");
        assert_eq!(form(typed(Timestamps::Text)), Ok(text), "{name}");
        assert_eq!(form(EXACT), Ok(exact), "{name}");
    }
}

#[test]
fn the_other_types_have_one_form() {
    let decimal = |precision, scale| Form::Decimal { precision, scale };
    for (name, expected) in [
        ("bit", Form::Bool),
        ("tinyint", Form::Int16),
        ("smallint", Form::Int16),
        ("int", Form::Int32),
        ("bigint", Form::Int64),
        ("decimal(38,10)", decimal(38, 10)),
        ("money", decimal(19, 4)),
        ("smallmoney", decimal(10, 4)),
        ("real", Form::Float32),
        ("float", Form::Float64),
        ("ntext", Form::Text),
        ("xml", Form::Text),
        ("sql_variant", Form::Text),
        ("image", Form::Binary),
        ("rowversion", Form::RowVersion),
        ("geography", Form::Binary),
        ("uniqueidentifier", Form::Uuid),
    ] {
        for wanted in [typed(Timestamps::Us), typed(Timestamps::Text), EXACT] {
            assert_eq!(parse(name).form(wanted), Ok(expected), "{name}");
        }
    }
}

#[test]
fn a_variant_is_text_or_refused() {
    let variants = VariantColumns::Refuse;
    let variant = parse("sql_variant");
    assert_eq!(variant.form(EXACT), Ok(Form::Text));
    let refused = variant.form(WantedForms::Exact { variants }).unwrap_err();
    assert!(
        refused.contains("sql_variant") && refused.contains("variant_columns"),
        "{refused}"
    );
    assert_eq!(parse("int").form(WantedForms::Exact { variants }), Ok(Form::Int32));
}

#[test]
fn a_value_that_would_not_arrive_as_it_is_is_cast() {
    for (name, expected) in [
        ("money", Some("CAST([c] AS decimal(19,4))")),
        ("smallmoney", Some("CAST([c] AS decimal(10,4))")),
        ("hierarchyid", Some("CAST([c] AS varbinary(max))")),
        ("decimal(19,4)", None),
        ("sql_variant", None),
    ] {
        assert_eq!(parse(name).selected("[c]").as_deref(), expected, "{name}");
    }
}

#[test]
fn a_parameter_becomes_a_value_of_the_type() {
    for (name, expected) in [
        ("datetime2(3)", "CAST(@P1 AS datetime2(3))"),
        ("uniqueidentifier", "CAST(@P1 AS uniqueidentifier)"),
        ("rowversion", "CONVERT(binary(8), @P1, 1)"),
    ] {
        assert_eq!(parse(name).of_parameter("@P1"), expected);
    }
    assert_eq!(SqlType::ROWVERSION.of_variant("[v]"), "CAST([v] AS binary(8))");
    assert_eq!(SqlType::BIGINT.of_variant("[v]"), "CAST([v] AS bigint)");
}

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
    for name in [
        "varchar(20)",
        "float",
        "money",
        "bit",
        "time(7)",
        "xml",
        "sql_variant",
        "binary(8)",
    ] {
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

#[test]
fn a_type_fits_when_every_value_arrives_as_it_was() {
    for (source, sink) in [
        ("int", "int"),
        ("bit", "int"),
        ("tinyint", "smallint"),
        ("int", "bigint"),
        ("smallint", "real"),
        ("int", "float"),
        ("int", "decimal(10,0)"),
        ("bigint", "decimal(38,10)"),
        ("decimal(5,2)", "decimal(7,3)"),
        ("money", "decimal(19,4)"),
        ("money", "money"),
        ("smallmoney", "money"),
        ("real", "float"),
        ("char(3)", "char(3)"),
        ("char(3)", "varchar(3)"),
        ("varchar(10)", "nvarchar(10)"),
        ("varchar(10)", "varchar(max)"),
        ("text", "nvarchar(max)"),
        ("nchar(3)", "ntext"),
        ("binary(8)", "varbinary(8)"),
        ("image", "varbinary(max)"),
        ("rowversion", "binary(8)"),
        ("rowversion", "varbinary(max)"),
        ("hierarchyid", "hierarchyid"),
        ("geography", "varbinary(max)"),
        ("xml", "nvarchar(max)"),
        ("date", "datetime2(0)"),
        ("smalldatetime", "datetime"),
        ("datetime", "datetime2(3)"),
        ("datetime2(3)", "datetime2(7)"),
        ("datetimeoffset(0)", "datetimeoffset(7)"),
        ("time(1)", "time(2)"),
    ] {
        assert!(parse(sink).holds(parse(source)), "{source} into {sink}");
    }
    for (source, sink) in [
        ("bigint", "int"),
        ("int", "bit"),
        ("int", "real"),
        ("bigint", "float"),
        ("float", "decimal(38,10)"),
        ("float", "real"),
        ("bit", "real"),
        ("int", "money"),
        ("int", "decimal(9,0)"),
        ("int", "decimal(10,1)"),
        ("decimal(5,2)", "decimal(5,3)"),
        ("decimal(5,2)", "decimal(6,1)"),
        ("decimal(19,4)", "money"),
        ("money", "smallmoney"),
        ("varchar(10)", "varchar(9)"),
        ("varchar(max)", "varchar(8000)"),
        ("nvarchar(10)", "varchar(10)"),
        ("varchar(3)", "char(3)"),
        ("char(3)", "char(4)"),
        ("varchar(3)", "varbinary(3)"),
        ("binary(3)", "binary(4)"),
        ("image", "varbinary(8000)"),
        ("rowversion", "varbinary(7)"),
        ("rowversion", "bigint"),
        ("xml", "varchar(max)"),
        ("nvarchar(max)", "xml"),
        ("varbinary(max)", "hierarchyid"),
        ("geometry", "varbinary(8000)"),
        ("datetime", "datetime2(2)"),
        ("datetime2(7)", "datetime2(6)"),
        ("datetime2(0)", "datetime"),
        ("datetime", "smalldatetime"),
        ("time(2)", "time(1)"),
        ("date", "datetime"),
        ("datetimeoffset(7)", "datetime2(7)"),
        ("uniqueidentifier", "nvarchar(36)"),
        ("sql_variant", "nvarchar(max)"),
        ("sql_variant", "sql_variant"),
    ] {
        assert!(!parse(sink).holds(parse(source)), "{source} into {sink}");
    }
}

#[test]
fn a_type_is_staged_as_what_a_bulk_load_takes_exactly() {
    for (source, sink, expected) in [
        ("smalldatetime", "datetime", "smalldatetime"),
        ("time(0)", "time(3)", "time(0)"),
        ("datetimeoffset(2)", "datetimeoffset(2)", "datetimeoffset(2)"),
        ("money", "money", "money"),
        ("rowversion", "binary(8)", "binary(8)"),
        ("char(4)", "char(4)", "nvarchar(4)"),
        ("varchar(5)", "nvarchar(2001)", "nvarchar(2001)"),
        ("varchar(5)", "varchar(8000)", "nvarchar(max)"),
        ("nvarchar(max)", "ntext", "nvarchar(max)"),
        ("xml", "xml", "nvarchar(max)"),
        ("varbinary(8000)", "varbinary(max)", "varbinary(8000)"),
        ("image", "image", "varbinary(max)"),
        ("hierarchyid", "hierarchyid", "varbinary(max)"),
    ] {
        let staged = parse(source).staged_for(parse(sink));
        assert_eq!(staged.to_string(), expected, "{source} into {sink}");
    }
}

#[test]
fn every_type_but_a_variant_holds_itself_and_a_key_is_comparable_and_limited() {
    for name in ALL {
        let sql_type = parse(name);
        assert_eq!(sql_type.holds(sql_type), name != "sql_variant", "{name}");
        let is_unlimited =
            name.ends_with("(max)") || matches!(name, "text" | "ntext" | "image" | "xml" | "sql_variant");
        let is_clr = matches!(name, "hierarchyid" | "geometry" | "geography");
        assert_eq!(sql_type.can_be_key(), !is_unlimited && !is_clr, "{name}");
    }
}

/// A type, and a text of one of its values that need not be the canonical one.
fn values() -> impl Strategy<Value = (String, String)> {
    let parts = (
        0_usize..=7,
        1..=9999_u32,
        1..=12_u32,
        1..=28_u32,
        0..86_400_u32,
        0..10_000_000_u32,
    );
    let moments = parts.prop_map(|(digits, year, month, day, seconds, ticks)| {
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
        moments
            .clone()
            .prop_map(|(digits, text)| (format!("datetime2({digits})"), text)),
        moments.prop_map(|(digits, text)| (format!("datetimeoffset({digits})"), format!("{text}Z"))),
    ]
}

proptest! {
    #[test]
    fn a_canonical_text_is_its_own_canonical_text((sql_type, text) in values()) {
        let sql_type = parse(&sql_type);
        let value = sql_type.watermark(&text).unwrap();
        prop_assert_eq!(sql_type.watermark(value.value()).unwrap(), value);
    }

    #[test]
    fn a_type_is_read_from_the_text_that_it_writes_and_from_no_other(text in "[a-z0-9(),; '-]{1,24}") {
        if let Some(sql_type) = SqlType::parse(&text) {
            prop_assert_eq!(sql_type.to_string(), text);
        }
    }
}

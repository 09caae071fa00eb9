//! What the types say of themselves, as tables.

use proptest::prelude::*;
use tidemark::model::format::Timestamps;
use tidemark::model::types::VariantColumns;

use super::*;

fn parse(text: &str) -> SqlType {
    SqlType::parse(text).unwrap_or_else(|| panic!("{text} is no type"))
}

/// Every type, as its text; where there is an argument, at its edges.
const ALL: [&str; 37] = [
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
    "varchar(8000)",
    "varchar(max)",
    "nchar(4000)",
    "nvarchar(1)",
    "nvarchar(max)",
    "text",
    "ntext",
    "binary(8)",
    "varbinary(1)",
    "varbinary(max)",
    "image",
    "rowversion",
    "date",
    "time(0)",
    "smalldatetime",
    "datetime",
    "datetime2(7)",
    "datetimeoffset(3)",
    "uniqueidentifier",
    "xml",
    "hierarchyid",
    "geometry",
    "geography",
    "sql_variant",
    "time(7)",
];

#[test]
fn every_type_survives_its_text() {
    for text in ALL {
        assert_eq!(parse(text).to_string(), text);
        assert_eq!(SqlType::of(&parse(text).name()).unwrap(), parse(text));
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    for text in [
        "decimal(39,0)",
        "decimal(5,6)",
        "datetime2(8)",
        "int(4)",
        "varchar(0)",
        "char(max)",
        "int); DROP TABLE t; --",
        "sql_variant(1)",
    ] {
        let error = SqlType::of(&TypeName::new(text).unwrap()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnsupportedType);
        assert!(error.to_string().contains(text));
    }
}

#[test]
fn the_catalogs_lengths_become_declared_types() {
    for (name, length, precision, scale, expected) in [
        ("int", 4, 10, 0, Some("int")),
        ("numeric", 9, 12, 4, Some("decimal(12,4)")),
        ("nvarchar", 40, 0, 0, Some("nvarchar(20)")),
        ("varbinary", -1, 0, 0, Some("varbinary(max)")),
        ("datetime2", 8, 27, 7, Some("datetime2(7)")),
        ("timestamp", 8, 0, 0, Some("rowversion")),
        ("text", 16, 0, 0, Some("text")),
        ("sysname", 256, 0, 0, Some("nvarchar(128)")),
        ("hierarchyid", 892, 0, 0, Some("hierarchyid")),
        ("sql_variant", 8016, 0, 0, Some("sql_variant")),
        ("a type of the user's", 8, 0, 0, None),
    ] {
        let size = CatalogSize {
            length,
            precision,
            scale,
        };
        let found = SqlType::from_catalog(name, size).map(|sql_type| sql_type.to_string());
        assert_eq!(found.as_deref(), expected, "{name}");
    }
}

#[test]
fn points_in_time_are_microseconds_in_typed_files_and_exact_elsewhere() {
    use tidemark::model::types::Fraction::{Micros, Nanos};
    let typed = |timestamps| WantedForms::Typed {
        timestamps,
        variants: VariantColumns::Text,
    };
    let exact = WantedForms::Exact {
        variants: VariantColumns::Text,
    };
    for (sql_type, us, ns, iso, ticks) in [
        ("time(7)", Form::Time(Micros), Form::Time(Nanos), Form::Iso(7), Form::TimeTicks(7)),
        ("time(0)", Form::Time(Micros), Form::Time(Micros), Form::Iso(0), Form::TimeTicks(0)),
        ("smalldatetime", Form::Timestamp(Micros), Form::Timestamp(Micros), Form::Iso(0), Form::Ticks(0)),
        ("datetime", Form::Timestamp(Micros), Form::Timestamp(Micros), Form::Iso(3), Form::Ticks(3)),
        ("datetime2(7)", Form::Timestamp(Micros), Form::Timestamp(Nanos), Form::Iso(7), Form::Ticks(7)),
        ("datetime2(6)", Form::Timestamp(Micros), Form::Timestamp(Micros), Form::Iso(6), Form::Ticks(6)),
        (
            "datetimeoffset(7)",
            Form::Instant(Micros),
            Form::Instant(Nanos),
            Form::Iso(7),
            Form::TicksAndOffset(7),
        ),
        ("date", Form::Date, Form::Date, Form::Date, Form::Date),
    ] {
        let sql_type = parse(sql_type);
        assert_eq!(sql_type.form(typed(Timestamps::Us)), Ok(us), "{sql_type}");
        assert_eq!(sql_type.form(typed(Timestamps::Ns)), Ok(ns), "{sql_type}");
        assert_eq!(sql_type.form(typed(Timestamps::Text)), Ok(iso), "{sql_type}");
        assert_eq!(sql_type.form(exact), Ok(ticks), "{sql_type}");
    }
}

#[test]
fn a_variant_is_text_or_refused() {
    let wanted = |variants| WantedForms::Exact { variants };
    let variant = parse("sql_variant");
    assert_eq!(variant.form(wanted(VariantColumns::Text)), Ok(Form::Text));
    let refused = variant.form(wanted(VariantColumns::Refuse)).unwrap_err();
    assert!(refused.contains("sql_variant") && refused.contains("variant_columns"), "{refused}");
    assert!(!variant.cuts() && variant.watermark().is_none());
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
        ("datetimeoffset(7)", "2017-09-05T08:06:00Z", Some("2017-09-05T08:06:00.0000000Z")),
        ("datetimeoffset(7)", "2017-09-05T08:06:00", None),
        ("rowversion", "0x00000000000007e4", Some("0x00000000000007E4")),
        ("rowversion", "0x7E4", None),
        ("rowversion", "2020", None),
        ("rowversion", "0x00000000000007E4x", None),
    ] {
        let read = parse(sql_type).value(text);
        assert_eq!(read.as_ref().ok().map(Watermark::value), expected, "{sql_type} {text}");
    }
}

#[test]
fn a_type_that_cannot_be_a_watermark_is_refused_by_name() {
    for name in ["varchar(20)", "float", "money", "bit", "time(7)", "xml", "sql_variant"] {
        assert_eq!(parse(name).watermark(), None);
        let error = parse(name).value("1").unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnsupportedType);
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(parse("uniqueidentifier").watermark(), None, "though it cuts slices");
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
        ("bigint", "rowversion", false),
        ("binary(8)", "rowversion", false),
        ("rowversion", "rowversion", false),
        ("float", "int", false),
    ] {
        assert_eq!(parse(store).stores(parse(column)), holds, "{store} {column}");
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
        ("smallmoney", "money"),
        ("real", "float"),
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
        ("binary(3)", "binary(4)"),
        ("varbinary(max)", "hierarchyid"),
        ("geometry", "varbinary(8000)"),
        ("datetime", "datetime2(2)"),
        ("datetime2(7)", "datetime"),
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

proptest! {
    #[test]
    fn a_canonical_text_is_its_own_canonical_text(text in "[0-9]{1,4}(-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})?(\\.[0-9]{0,7})?Z?") {
        for name in ALL {
            let sql_type = parse(name);
            if let Ok(value) = sql_type.value(&text) {
                prop_assert_eq!(sql_type.value(value.value()).unwrap(), value);
            }
        }
    }
}

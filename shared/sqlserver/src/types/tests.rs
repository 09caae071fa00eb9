//! Tests the name and the forms of every type.

use proptest::prelude::*;
use tiberius::{FixedLenType, TypeInfo};
use tidemark::model::format::Timestamps;
use tidemark::model::types::{Fraction, VariantColumns};

use super::*;

pub(super) fn parse(text: &str) -> SqlType {
    SqlType::parse(text).unwrap_or_else(|| panic!("{text} is no type"))
}

fn typed(timestamps: Timestamps) -> WantedForms {
    WantedForms::typed(timestamps)
}

const EXACT: WantedForms = WantedForms::exact();

/// Every type as text; those with an argument, with the smallest and largest argument.
pub(super) const ALL: [&str; 42] = [
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

/// Returns the types that have a row in the table of docs/reference/types.md, as they are written there.
fn documented() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/reference/types.md");
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
        assert!(!is_of_any_type(&name));
    }
    assert!(is_of_any_type(&TypeName::new("sql_variant").unwrap()));
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
        ("time(7)", Form::Iso(7), Form::Iso(7), Form::Iso(7), Form::TimeTicks(7)),
        ("time(0)", Form::Iso(0), Form::Iso(0), Form::Iso(0), Form::TimeTicks(0)),
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
    ] {
        for wanted in [typed(Timestamps::Us), typed(Timestamps::Text), EXACT] {
            assert_eq!(parse(name).form(wanted), Ok(expected), "{name}");
        }
    }
}

#[test]
fn what_some_engines_do_not_open_is_text_unless_the_native_form_is_asked_for() {
    let (us, ns) = (Fraction::Micros, Fraction::Nanos);
    for (name, wanted, form, native) in [
        ("uniqueidentifier", typed(Timestamps::Us), Form::Text, Some(Form::Uuid)),
        (
            "uniqueidentifier",
            typed(Timestamps::Text),
            Form::Text,
            Some(Form::Uuid),
        ),
        ("uniqueidentifier", EXACT, Form::Uuid, None),
        ("time(7)", typed(Timestamps::Us), Form::Iso(7), Some(Form::Time(us))),
        ("time(7)", typed(Timestamps::Ns), Form::Iso(7), Some(Form::Time(ns))),
        ("time(3)", typed(Timestamps::Ns), Form::Iso(3), Some(Form::Time(us))),
        ("time(7)", typed(Timestamps::Text), Form::Iso(7), None),
        ("time(7)", EXACT, Form::TimeTicks(7), None),
        ("datetime2(7)", typed(Timestamps::Us), Form::Timestamp(us), None),
        ("int", typed(Timestamps::Us), Form::Int32, None),
    ] {
        let parsed = parse(name);
        assert_eq!(
            (parsed.form(wanted), parsed.native(wanted)),
            (Ok(form), native),
            "{name}"
        );
    }
}

#[test]
fn a_variant_is_text_or_refused() {
    let variants = VariantColumns::Refuse;
    let variant = parse("sql_variant");
    assert!(!parse("nvarchar(max)").holds(variant));
    assert_eq!((variant.watermark_kind(), variant.cuts()), (None, false));
    assert_eq!(variant.form(EXACT), Ok(Form::Text));
    let refused = variant.form(WantedForms::Exact { variants }).unwrap_err();
    assert!(
        refused.contains("sql_variant") && refused.contains("variant_columns"),
        "{refused}"
    );
    assert_eq!(parse("int").form(WantedForms::Exact { variants }), Ok(Form::Int32));
}

proptest! {
    #[test]
    fn a_type_is_read_from_the_text_that_it_writes_and_from_no_other(text in "[a-z0-9(),; '-]{1,24}") {
        if let Some(sql_type) = SqlType::parse(&text) {
            prop_assert_eq!(sql_type.to_string(), text);
        }
    }
}

//! Tests which types hold the values of which others, and in which types values are staged.

use super::is_of_any_type;
use super::tests::{ALL, parse};

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
}

#[test]
fn a_type_does_not_fit_when_a_value_would_not_arrive_as_it_was() {
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
fn every_type_with_values_of_one_type_holds_itself_and_a_key_is_comparable_and_limited() {
    for name in ALL {
        let sql_type = parse(name);
        let is_of_any_type = is_of_any_type(&sql_type.name());
        assert_eq!(sql_type.holds(sql_type), !is_of_any_type, "{name}");
        let is_unlimited =
            is_of_any_type || name.ends_with("(max)") || matches!(name, "text" | "ntext" | "image" | "xml");
        let is_clr = matches!(name, "hierarchyid" | "geometry" | "geography");
        assert_eq!(sql_type.can_be_key(), !is_unlimited && !is_clr, "{name}");
    }
}

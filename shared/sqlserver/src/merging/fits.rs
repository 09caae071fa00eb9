//! Which types hold every value of which others, and what a key may be.

use crate::types::SqlType;

/// Whether a column of type `sink` holds every value of type `source` as it is, without rounding, cutting or padding, when the
/// server converts it implicitly
/// (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/data-type-conversion-database-engine>).
#[must_use]
pub fn fits(source: SqlType, sink: SqlType) -> bool {
    use SqlType as T;
    if source == sink {
        return true;
    }
    match (source, sink) {
        // A number of `integers` digits before and `scale` after the point.
        (_, T::Decimal { precision, scale }) => {
            digits(source).is_some_and(|(integers, fraction)| fraction <= scale && integers <= precision - scale)
        }
        (T::Bit, T::TinyInt | T::SmallInt | T::Int | T::BigInt)
        | (T::TinyInt, T::SmallInt | T::Int | T::BigInt | T::Real | T::Float)
        | (T::SmallInt, T::Int | T::BigInt | T::Real | T::Float)
        | (T::Int, T::BigInt | T::Float)
        | (T::SmallMoney, T::Money)
        | (T::Real, T::Float) => true,
        (T::Char(_) | T::VarChar(_) | T::Text, T::VarChar(_) | T::Text | T::NVarChar(_) | T::NText)
        | (T::NChar(_) | T::NVarChar(_) | T::NText, T::NVarChar(_) | T::NText)
        | (T::Binary(_) | T::VarBinary(_) | T::Image, T::VarBinary(_) | T::Image) => {
            length(sink).is_none_or(|limit| length(source).is_some_and(|needed| needed <= limit))
        }
        // As the bytes that a window reads of them.
        (T::HierarchyId | T::Geometry | T::Geography, T::VarBinary(None)) => true,
        (T::RowVersion, T::Binary(8)) | (T::Xml, T::NVarChar(None) | T::NText) => true,
        (T::RowVersion, T::VarBinary(limit)) => limit.is_none_or(|limit| limit >= 8),
        (T::Date, T::DateTime2(_)) | (T::SmallDateTime, T::DateTime | T::DateTime2(_)) => true,
        // 1/300 s, which three digits tell apart.
        (T::DateTime, T::DateTime2(scale)) => scale >= 3,
        (T::Time(from), T::Time(to))
        | (T::DateTime2(from), T::DateTime2(to))
        | (T::DateTimeOffset(from), T::DateTimeOffset(to)) => from <= to,
        _ => false,
    }
}

/// Whether values of this type are compared by a collation.
pub(super) const fn is_text(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::Text
            | SqlType::NText
    )
}

/// Whether a key may be of this type: its values can be compared and are of a limited length.
pub(super) const fn is_comparable(sql_type: SqlType) -> bool {
    !matches!(
        sql_type,
        SqlType::VarChar(None)
            | SqlType::NVarChar(None)
            | SqlType::VarBinary(None)
            | SqlType::Text
            | SqlType::NText
            | SqlType::Image
            | SqlType::Xml
            | SqlType::HierarchyId
            | SqlType::Geometry
            | SqlType::Geography
    )
}

/// Digits before and after the point of an exact number.
const fn digits(sql_type: SqlType) -> Option<(u8, u8)> {
    Some(match sql_type {
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::SmallMoney => (6, 4),
        SqlType::Money => (15, 4),
        SqlType::Decimal { precision, scale } => (precision - scale, scale),
        _ => return None,
    })
}

/// The length of a text or of bytes; none for `(max)`.
const fn length(sql_type: SqlType) -> Option<u16> {
    match sql_type {
        SqlType::Char(length) | SqlType::NChar(length) | SqlType::Binary(length) => Some(length),
        SqlType::VarChar(length) | SqlType::NVarChar(length) | SqlType::VarBinary(length) => length,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(sql_type: &str) -> SqlType {
        sql_type.parse().unwrap()
    }

    #[test]
    fn a_type_fits_when_every_value_arrives_as_it_was() {
        let fitting = [
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
        ];
        for (source, sink) in fitting {
            assert!(fits(parse(source), parse(sink)), "{source} into {sink}");
        }
        let narrower = [
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
            ("char(3)", "char(4)"),
            ("varchar(3)", "char(3)"),
            ("varchar(3)", "varbinary(3)"),
            ("binary(8)", "binary(9)"),
            ("image", "varbinary(8000)"),
            ("rowversion", "varbinary(7)"),
            ("rowversion", "bigint"),
            ("xml", "varchar(max)"),
            ("nvarchar(max)", "xml"),
            ("date", "datetime"),
            ("datetime", "smalldatetime"),
            ("datetime", "datetime2(2)"),
            ("datetime2(7)", "datetime2(6)"),
            ("datetime2(0)", "datetime"),
            ("datetimeoffset(0)", "datetime2(0)"),
            ("time(2)", "time(1)"),
            ("uniqueidentifier", "varchar(36)"),
        ];
        for (source, sink) in narrower {
            assert!(!fits(parse(source), parse(sink)), "{source} into {sink}");
        }
    }
}

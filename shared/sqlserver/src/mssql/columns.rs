//! Whether a result has the columns it should have.

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;

use crate::error::{Error, ErrorCode, Result};
use crate::shape::Shape;
use crate::types::SqlType;

/// Compares the result's columns with the shape's: number, names, and types as far as they show on the wire.
///
/// # Errors
///
/// `SchemaMismatch`, naming the column and both types.
pub fn check(shape: &Shape, result: &[ColumnMetadata]) -> Result<()> {
    let expected = shape.columns();
    if expected.len() != result.len() {
        return Err(Error::new(
            ErrorCode::SchemaMismatch,
            format!("the plan has {} columns, the result {}", expected.len(), result.len()),
        ));
    }
    for (column, sent) in expected.iter().zip(result) {
        if column.name != sent.column_name {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!(
                    "the plan has a column '{}' where the result has '{}'",
                    column.name, sent.column_name
                ),
            ));
        }
        if sent.is_encrypted() || !carries(sent, column.sql_type) {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!(
                    "column '{}' is {} in the plan but arrives as {}",
                    column.name,
                    column.sql_type,
                    described(sent)
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a wire type carries the values of a column type exactly. Character types carry each other, as do binary
/// types; `money` may come as the decimal it is cast to, a CLR type as its bytes.
fn carries(sent: &ColumnMetadata, expected: SqlType) -> bool {
    let wire = sent.data_type;
    let length = sent.type_info.length;
    let has_scale = |scale| sent.get_scale() == Some(scale);
    let decimal = |precision: u8, scale: u8| {
        matches!(wire, Wire::Decimal | Wire::Numeric | Wire::DecimalN | Wire::NumericN)
            && has_scale(scale)
            && sent.get_precision().is_some_and(|sent| sent <= precision)
    };
    match expected {
        SqlType::Bit => matches!(wire, Wire::Bit | Wire::BitN),
        SqlType::TinyInt => wire == Wire::Int1 || (wire == Wire::IntN && length == 1),
        SqlType::SmallInt => wire == Wire::Int2 || (wire == Wire::IntN && length == 2),
        SqlType::Int => wire == Wire::Int4 || (wire == Wire::IntN && length == 4),
        SqlType::BigInt => wire == Wire::Int8 || (wire == Wire::IntN && length == 8),
        SqlType::Decimal { precision, scale } => decimal(precision, scale),
        SqlType::Money => wire == Wire::Money || (wire == Wire::MoneyN && length == 8) || decimal(19, 4),
        SqlType::SmallMoney => wire == Wire::Money4 || (wire == Wire::MoneyN && length == 4) || decimal(10, 4),
        SqlType::Real => wire == Wire::Flt4 || (wire == Wire::FltN && length == 4),
        SqlType::Float => wire == Wire::Flt8 || (wire == Wire::FltN && length == 8),
        // The lookup's driver is told that json and vector are text of any length, this one what they are.
        SqlType::VarChar(None) | SqlType::NVarChar(None) => is_text(wire) || matches!(wire, Wire::Json | Wire::Vector),
        SqlType::Char(_)
        | SqlType::VarChar(_)
        | SqlType::NChar(_)
        | SqlType::NVarChar(_)
        | SqlType::Text
        | SqlType::NText => is_text(wire),
        SqlType::Xml => wire == Wire::Xml || is_text(wire),
        SqlType::Binary(_)
        | SqlType::VarBinary(_)
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::HierarchyId
        | SqlType::Geometry
        | SqlType::Geography => matches!(
            wire,
            Wire::BigBinary | Wire::BigVarBinary | Wire::Binary | Wire::VarBinary | Wire::Image
        ),
        SqlType::Date => wire == Wire::DateN,
        SqlType::Time(scale) => wire == Wire::TimeN && has_scale(scale),
        SqlType::SmallDateTime => wire == Wire::DateTim4 || (wire == Wire::DateTimeN && length == 4),
        SqlType::DateTime => wire == Wire::DateTime || (wire == Wire::DateTimeN && length == 8),
        SqlType::DateTime2(scale) => wire == Wire::DateTime2N && has_scale(scale),
        SqlType::DateTimeOffset(scale) => wire == Wire::DateTimeOffsetN && has_scale(scale),
        SqlType::UniqueIdentifier => wire == Wire::Guid,
    }
}

const fn is_text(wire: Wire) -> bool {
    matches!(
        wire,
        Wire::BigVarChar
            | Wire::BigChar
            | Wire::VarChar
            | Wire::Char
            | Wire::Text
            | Wire::NVarChar
            | Wire::NChar
            | Wire::NText
    )
}

/// The wire type in SQL Server's words, for messages.
fn described(sent: &ColumnMetadata) -> String {
    let length = sent.type_info.length;
    if sent.is_encrypted() {
        return "an Always Encrypted value".to_owned();
    }
    let name = match (sent.data_type, length) {
        (Wire::IntN, 1) => "tinyint",
        (Wire::IntN, 2) => "smallint",
        (Wire::IntN, 4) => "int",
        (Wire::IntN, _) => "bigint",
        (Wire::BitN, _) => "bit",
        (Wire::FltN, 4) => "real",
        (Wire::FltN, _) => "float",
        (Wire::MoneyN, 4) => "smallmoney",
        (Wire::MoneyN, _) => "money",
        (Wire::DateTimeN, 4) => "smalldatetime",
        (Wire::DateTimeN, _) => "datetime",
        (wire, _) => wire.get_meta_type_name().unwrap_or("an unknown type"),
    };
    match (sent.data_type, sent.get_precision(), sent.get_scale()) {
        (Wire::MoneyN | Wire::Money | Wire::Money4, _, _) | (_, _, None) => name.to_owned(),
        (_, Some(precision), Some(scale)) => format!("{name}({precision},{scale})"),
        (_, None, Some(scale)) => format!("{name}({scale})"),
    }
}

//! Column descriptions of the wire as declared types.

use tiberius::{FixedLenType, MetaDataColumn, TypeInfo, VarLenType};

use crate::ports::source::DeclaredColumn;
use crate::types::SqlType;

/// The length that stands for `(max)` (MS-TDS 2.2.5.4.2, USHORTMAXLEN).
const MAX: usize = 0xFFFF;

pub(super) fn declared(column: &MetaDataColumn<'_>) -> DeclaredColumn {
    DeclaredColumn {
        name: column.col_name().to_owned(),
        sql_type: sql_type(column.base().ty()),
        nullable: column.base().is_nullable(),
    }
}

/// Whether the column is perhaps a rowversion: the wire says it by a user type, which the driver does not show.
pub(super) fn may_be_rowversion(column: &DeclaredColumn) -> bool {
    matches!(column.sql_type, Ok(SqlType::Binary(8) | SqlType::VarBinary(Some(8))))
}

/// The declared type, or the server's name of a type without an exact form.
fn sql_type(info: &TypeInfo) -> Result<SqlType, String> {
    match info {
        TypeInfo::FixedLen(fixed) => fixed_length(fixed),
        TypeInfo::VarLenSized(context) => variable_length(context.r#type(), context.len()),
        TypeInfo::VarLenSizedPrecision { precision, scale, .. } => Ok(SqlType::Decimal {
            precision: *precision,
            scale: *scale,
        }),
        TypeInfo::Xml { .. } => Ok(SqlType::Xml),
        TypeInfo::Udt(udt) => clr(&udt.schema_name, &udt.type_name),
    }
}

/// The server's own CLR types; those of a user have no documented form.
fn clr(schema: &str, name: &str) -> Result<SqlType, String> {
    match (schema, name) {
        ("sys" | "", "hierarchyid") => Ok(SqlType::HierarchyId),
        ("sys" | "", "geometry") => Ok(SqlType::Geometry),
        ("sys" | "", "geography") => Ok(SqlType::Geography),
        _ => Err(format!("{schema}.{name}")),
    }
}

fn fixed_length(fixed: &FixedLenType) -> Result<SqlType, String> {
    Ok(match fixed {
        FixedLenType::Int1 => SqlType::TinyInt,
        FixedLenType::Bit => SqlType::Bit,
        FixedLenType::Int2 => SqlType::SmallInt,
        FixedLenType::Int4 => SqlType::Int,
        FixedLenType::Int8 => SqlType::BigInt,
        FixedLenType::Datetime4 => SqlType::SmallDateTime,
        FixedLenType::Datetime => SqlType::DateTime,
        FixedLenType::Float4 => SqlType::Real,
        FixedLenType::Float8 => SqlType::Float,
        FixedLenType::Money => SqlType::Money,
        FixedLenType::Money4 => SqlType::SmallMoney,
        FixedLenType::Null => return Err("untyped NULL".into()),
    })
}

fn variable_length(kind: VarLenType, len: usize) -> Result<SqlType, String> {
    match kind {
        VarLenType::Text => return Ok(SqlType::Text),
        VarLenType::NText => return Ok(SqlType::NText),
        VarLenType::Image => return Ok(SqlType::Image),
        _ => {}
    }
    let unknown = || Err(format!("{kind:?} of length {len}"));
    let Ok(length) = u16::try_from(len) else {
        return unknown();
    };
    let Ok(scale) = u8::try_from(len.min(255)) else {
        return unknown();
    };
    let or_max = |length| (len != MAX).then_some(length);
    Ok(match (kind, len) {
        (VarLenType::Guid, _) => SqlType::UniqueIdentifier,
        (VarLenType::Intn, 1) => SqlType::TinyInt,
        (VarLenType::Intn, 2) => SqlType::SmallInt,
        (VarLenType::Intn, 4) => SqlType::Int,
        (VarLenType::Intn, 8) => SqlType::BigInt,
        (VarLenType::Bitn, _) => SqlType::Bit,
        (VarLenType::Floatn, 4) => SqlType::Real,
        (VarLenType::Floatn, 8) => SqlType::Float,
        (VarLenType::Money, 4) => SqlType::SmallMoney,
        (VarLenType::Money, 8) => SqlType::Money,
        (VarLenType::Datetimen, 4) => SqlType::SmallDateTime,
        (VarLenType::Datetimen, 8) => SqlType::DateTime,
        (VarLenType::Daten, _) => SqlType::Date,
        (VarLenType::Timen, 0..=7) => SqlType::Time(scale),
        (VarLenType::Datetime2, 0..=7) => SqlType::DateTime2(scale),
        (VarLenType::DatetimeOffsetn, 0..=7) => SqlType::DateTimeOffset(scale),
        (VarLenType::BigVarBin, _) => SqlType::VarBinary(or_max(length)),
        (VarLenType::BigBinary, _) => SqlType::Binary(length),
        (VarLenType::BigVarChar, _) => SqlType::VarChar(or_max(length)),
        (VarLenType::BigChar, _) => SqlType::Char(length),
        (VarLenType::NVarchar, _) => SqlType::NVarChar(or_max(length / 2)),
        (VarLenType::NChar, _) => SqlType::NChar(length / 2),
        (VarLenType::Xml, _) => SqlType::Xml,
        (VarLenType::SSVariant, _) => return Err("sql_variant".into()),
        _ => return unknown(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_clr_types_are_known_and_a_users_are_named() {
        assert_eq!(clr("sys", "geometry"), Ok(SqlType::Geometry));
        assert_eq!(clr("dbo", "geometry"), Err("dbo.geometry".to_owned()));
    }

    #[test]
    fn lengths_and_scales_become_declared_types() {
        let cases = [
            (VarLenType::NVarchar, 8000, Some("nvarchar(4000)")),
            (VarLenType::NVarchar, MAX, Some("nvarchar(max)")),
            (VarLenType::BigVarChar, 255, Some("varchar(255)")),
            (VarLenType::Datetime2, 7, Some("datetime2(7)")),
            (VarLenType::Datetimen, 4, Some("smalldatetime")),
            (VarLenType::Intn, 1, Some("tinyint")),
            (VarLenType::Intn, 3, None),
            (VarLenType::SSVariant, 8009, None),
            (VarLenType::NText, 0x7FFF_FFFE, Some("ntext")),
        ];
        for (kind, len, expected) in cases {
            let declared = variable_length(kind, len);
            assert_eq!(
                declared.ok().map(|sql_type| sql_type.to_string()).as_deref(),
                expected,
                "{kind:?} {len}"
            );
        }
    }
}

//! The family of `real` and `float`.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{FixedLenType, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};

use super::SqlType;
use super::bit_and_integers::Integer;
use super::family::{Arguments, Family, InTiberius, Recognised};

/// A type of binary floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Float {
    /// `real`, of 32 bits.
    Real,
    /// `float`, of 64 bits.
    Float,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: None,
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius { described, read: None };

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    arguments.none()?;
    match name {
        "real" => Some(SqlType::Float(Float::Real)),
        "float" => Some(SqlType::Float(Float::Float)),
        _ => None,
    }
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    let float = match info {
        TypeInfo::FixedLen(FixedLenType::Float4) => Float::Real,
        TypeInfo::FixedLen(FixedLenType::Float8) => Float::Float,
        TypeInfo::VarLenSized(context) => match (context.r#type(), context.len()) {
            (VarLenType::Floatn, 4) => Float::Real,
            (VarLenType::Floatn, 8) => Float::Float,
            _ => return None,
        },
        _ => return None,
    };
    Some(SqlType::Float(float))
}

pub(super) fn wire_name(wire: Wire, length: usize) -> Option<&'static str> {
    Some(match (wire, length) {
        (Wire::FltN, 4) => "real",
        (Wire::FltN, _) => "float",
        _ => return None,
    })
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Float => "float",
        })
    }
}

impl Family for Float {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(match self {
            Self::Real => Form::Float32,
            Self::Float => Form::Float64,
        })
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        let (wire, length) = (sent.data_type, sent.type_info.length);
        match self {
            Self::Real => wire == Wire::Flt4 || (wire == Wire::FltN && length == 4),
            Self::Float => wire == Wire::Flt8 || (wire == Wire::FltN && length == 8),
        }
    }

    /// Compares by exact bits: a `real` has 24 and a `float` has 53.
    fn holds(&self, source: SqlType) -> bool {
        match (source, self) {
            (SqlType::Integer(Integer::TinyInt | Integer::SmallInt), _) => true,
            (SqlType::Integer(Integer::Int), Self::Float) => true,
            (SqlType::Float(Self::Real), Self::Float) => true,
            (SqlType::Float(source), _) => source == *self,
            _ => false,
        }
    }
}

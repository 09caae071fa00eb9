//! The family of `bit`, `tinyint`, `smallint`, `int` and `bigint`.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, FixedLenType, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;
use super::family::{Arguments, Family, InTiberius, Precision, Recognised, ValueText, read_as_is};

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integer {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: None,
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius {
    described,
    read: Some(read),
};

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    arguments.none()?;
    let integer = match name {
        "bit" => Integer::Bit,
        "tinyint" => Integer::TinyInt,
        "smallint" => Integer::SmallInt,
        "int" => Integer::Int,
        "bigint" => Integer::BigInt,
        _ => return None,
    };
    Some(SqlType::Integer(integer))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    let integer = match info {
        TypeInfo::FixedLen(FixedLenType::Bit) => Integer::Bit,
        TypeInfo::FixedLen(FixedLenType::Int1) => Integer::TinyInt,
        TypeInfo::FixedLen(FixedLenType::Int2) => Integer::SmallInt,
        TypeInfo::FixedLen(FixedLenType::Int4) => Integer::Int,
        TypeInfo::FixedLen(FixedLenType::Int8) => Integer::BigInt,
        TypeInfo::VarLenSized(context) => match (context.r#type(), context.len()) {
            (VarLenType::Bitn, _) => Integer::Bit,
            (VarLenType::Intn, 1) => Integer::TinyInt,
            (VarLenType::Intn, 2) => Integer::SmallInt,
            (VarLenType::Intn, 4) => Integer::Int,
            (VarLenType::Intn, 8) => Integer::BigInt,
            _ => return None,
        },
        _ => return None,
    };
    Some(SqlType::Integer(integer))
}

pub(super) fn wire_name(wire: Wire, length: usize) -> Option<&'static str> {
    Some(match (wire, length) {
        (Wire::BitN, _) => "bit",
        (Wire::IntN, 1) => "tinyint",
        (Wire::IntN, 2) => "smallint",
        (Wire::IntN, 4) => "int",
        (Wire::IntN, _) => "bigint",
        _ => return None,
    })
}

fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    match data {
        ColumnData::U8(value) => read_as_is(*value),
        ColumnData::I16(value) => read_as_is(*value),
        ColumnData::I32(value) => read_as_is(*value),
        ColumnData::I64(value) => read_as_is(*value),
        _ => None,
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bit => "bit",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
        })
    }
}

impl Family for Integer {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(match self {
            Self::Bit => Form::Bool,
            Self::TinyInt | Self::SmallInt => Form::Int16,
            Self::Int => Form::Int32,
            Self::BigInt => Form::Int64,
        })
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        let (wire, length) = (sent.data_type, sent.type_info.length);
        match self {
            Self::Bit => matches!(wire, Wire::Bit | Wire::BitN),
            Self::TinyInt => wire == Wire::Int1 || (wire == Wire::IntN && length == 1),
            Self::SmallInt => wire == Wire::Int2 || (wire == Wire::IntN && length == 2),
            Self::Int => wire == Wire::Int4 || (wire == Wire::IntN && length == 4),
            Self::BigInt => wire == Wire::Int8 || (wire == Wire::IntN && length == 8),
        }
    }

    fn watermark(&self) -> Option<WatermarkKind> {
        (*self != Self::Bit).then_some(WatermarkKind::Number)
    }

    /// Accepts a whole number, also with zeros after the point, as a `decimal` column of a control table returns it
    /// (`42.00`).
    fn canonical(&self, text: &str) -> Option<String> {
        let (least, greatest) = match self {
            Self::Bit => return None,
            Self::TinyInt => (0, u8::MAX.into()),
            Self::SmallInt => (i16::MIN.into(), i16::MAX.into()),
            Self::Int => (i32::MIN.into(), i32::MAX.into()),
            Self::BigInt => (i64::MIN, i64::MAX),
        };
        let whole = text
            .split_once('.')
            .filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'));
        let number: i64 = whole.map_or(text, |(whole, _)| whole).parse().ok()?;
        (least..=greatest).contains(&number).then(|| number.to_string())
    }

    fn precision(&self) -> Option<Precision> {
        let precision = match self {
            Self::Bit => 1,
            Self::TinyInt => 3,
            Self::SmallInt => 5,
            Self::Int => 10,
            Self::BigInt => 19,
        };
        Some(Precision { precision, scale: 0 })
    }

    fn holds(&self, source: SqlType) -> bool {
        let SqlType::Integer(source) = source else {
            return false;
        };
        // The types are in the order of their sizes.
        source <= *self
    }
}

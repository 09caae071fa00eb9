//! SQL Server's column types, as text and as values of the domain.
//!
//! What becomes of a type in a file is decided in `encode`; whether it can be a watermark, in `watermark`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

/// A column type of SQL Server. `None` as a length means `(max)`; character lengths are in characters for the
/// `n` types and in bytes for the others, as SQL Server declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "each variant is the SQL Server type of the same name")]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    /// `decimal(precision, scale)`; `numeric` is the same type.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Real,
    Float,
    Char(u16),
    VarChar(Option<u16>),
    NChar(u16),
    NVarChar(Option<u16>),
    Text,
    NText,
    Binary(u16),
    VarBinary(Option<u16>),
    Image,
    Date,
    /// `time(fraction digits)`
    Time(u8),
    SmallDateTime,
    DateTime,
    /// `datetime2(fraction digits)`
    DateTime2(u8),
    /// `datetimeoffset(fraction digits)`
    DateTimeOffset(u8),
    UniqueIdentifier,
    Xml,
    RowVersion,
    HierarchyId,
    Geometry,
    Geography,
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bit => f.write_str("bit"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Money => f.write_str("money"),
            Self::SmallMoney => f.write_str("smallmoney"),
            Self::Real => f.write_str("real"),
            Self::Float => f.write_str("float"),
            Self::Char(n) => write!(f, "char({n})"),
            Self::VarChar(Some(n)) => write!(f, "varchar({n})"),
            Self::VarChar(None) => f.write_str("varchar(max)"),
            Self::NChar(n) => write!(f, "nchar({n})"),
            Self::NVarChar(Some(n)) => write!(f, "nvarchar({n})"),
            Self::NVarChar(None) => f.write_str("nvarchar(max)"),
            Self::Text => f.write_str("text"),
            Self::NText => f.write_str("ntext"),
            Self::Binary(n) => write!(f, "binary({n})"),
            Self::VarBinary(Some(n)) => write!(f, "varbinary({n})"),
            Self::VarBinary(None) => f.write_str("varbinary(max)"),
            Self::Image => f.write_str("image"),
            Self::Date => f.write_str("date"),
            Self::Time(scale) => write!(f, "time({scale})"),
            Self::SmallDateTime => f.write_str("smalldatetime"),
            Self::DateTime => f.write_str("datetime"),
            Self::DateTime2(scale) => write!(f, "datetime2({scale})"),
            Self::DateTimeOffset(scale) => write!(f, "datetimeoffset({scale})"),
            Self::UniqueIdentifier => f.write_str("uniqueidentifier"),
            Self::Xml => f.write_str("xml"),
            Self::RowVersion => f.write_str("rowversion"),
            Self::HierarchyId => f.write_str("hierarchyid"),
            Self::Geometry => f.write_str("geometry"),
            Self::Geography => f.write_str("geography"),
        }
    }
}

impl FromStr for SqlType {
    type Err = Error;

    /// Reads the text [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            Error::new(
                ErrorCode::UnsupportedType,
                format!("'{text}' is not a column type of SQL Server"),
            )
        })
    }
}

impl TryFrom<String> for SqlType {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SqlType> for String {
    fn from(sql_type: SqlType) -> Self {
        sql_type.to_string()
    }
}

fn parse(text: &str) -> Option<SqlType> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let length = || arguments?.parse::<u16>().ok().filter(|n| (1..=8000).contains(n));
    let length_or_max = || {
        if arguments? == "max" {
            Some(None)
        } else {
            length().map(Some)
        }
    };
    let scale = || arguments?.parse::<u8>().ok().filter(|n| *n <= 7);
    let parsed = match name {
        "decimal" => {
            let (precision, scale) = arguments?.split_once(',')?;
            let (precision, scale) = (precision.parse::<u8>().ok()?, scale.parse::<u8>().ok()?);
            ((1..=38).contains(&precision) && scale <= precision).then_some(SqlType::Decimal { precision, scale })?
        }
        "char" => SqlType::Char(length()?),
        "varchar" => SqlType::VarChar(length_or_max()?),
        "nchar" => SqlType::NChar(length()?),
        "nvarchar" => SqlType::NVarChar(length_or_max()?),
        "binary" => SqlType::Binary(length()?),
        "varbinary" => SqlType::VarBinary(length_or_max()?),
        "time" => SqlType::Time(scale()?),
        "datetime2" => SqlType::DateTime2(scale()?),
        "datetimeoffset" => SqlType::DateTimeOffset(scale()?),
        _ if arguments.is_some() => return None,
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "money" => SqlType::Money,
        "smallmoney" => SqlType::SmallMoney,
        "real" => SqlType::Real,
        "float" => SqlType::Float,
        "text" => SqlType::Text,
        "ntext" => SqlType::NText,
        "image" => SqlType::Image,
        "date" => SqlType::Date,
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime" => SqlType::DateTime,
        "uniqueidentifier" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "rowversion" => SqlType::RowVersion,
        "hierarchyid" => SqlType::HierarchyId,
        "geometry" => SqlType::Geometry,
        "geography" => SqlType::Geography,
        _ => return None,
    };
    Some(parsed)
}

/// A column as the source declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name as the server spells it.
    pub name: String,
    /// The declared type.
    pub sql_type: SqlType,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_text() {
        let all = [
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
            "date",
            "time(0)",
            "smalldatetime",
            "datetime",
            "datetime2(7)",
            "datetimeoffset(3)",
            "uniqueidentifier",
            "xml",
            "rowversion",
            "hierarchyid",
            "geometry",
            "geography",
        ];
        for text in all {
            assert_eq!(text.parse::<SqlType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in [
            "",
            "decimal(39,0)",
            "decimal(5,6)",
            "datetime2(8)",
            "int(4)",
            "varchar(0)",
            "sql_variant",
            "char(max)",
        ] {
            let error = text.parse::<SqlType>().unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedType);
            assert!(error.to_string().contains(text));
        }
    }
}

//! The family of `binary`, `varbinary`, the legacy type `image`, and `rowversion`, whose old name is `timestamp`.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};
use tidemark::model::value_text;
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;
use super::family::{Arguments, Catalogued, Conversion, Family, InTiberius, Recognised, ValueText, is_long_enough};
use super::texts::MAX;

/// The longest length in bytes, except for `(max)`.
const MOST_BYTES: u16 = 8_000;
/// The length of a rowversion in bytes.
const ROWVERSION_BYTES: u16 = 8;

/// A type of byte strings. `None` as the length is `(max)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bytes {
    Binary(u16),
    VarBinary(Option<u16>),
    Image,
    RowVersion,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: Some(catalogued),
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius {
    described,
    read: Some(read),
};

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    let bytes = match name {
        "binary" => Bytes::Binary(arguments.length(MOST_BYTES)?),
        "varbinary" => Bytes::VarBinary(arguments.length_or_max(MOST_BYTES)?),
        _ => {
            arguments.none()?;
            match name {
                "image" => Bytes::Image,
                "rowversion" => Bytes::RowVersion,
                _ => return None,
            }
        }
    };
    Some(SqlType::Bytes(bytes))
}

fn catalogued(described: &Catalogued<'_>) -> Option<SqlType> {
    let length = || u16::try_from(described.length).ok();
    let bytes = match described.name {
        "binary" => Bytes::Binary(length()?),
        "varbinary" if described.length == -1 => Bytes::VarBinary(None),
        "varbinary" => Bytes::VarBinary(Some(length()?)),
        "timestamp" => Bytes::RowVersion,
        name => return declared(name, Arguments(None)),
    };
    Some(SqlType::Bytes(bytes))
}

/// Recognises a column of a result. A rowversion is described as bytes, so only the catalog tells the two apart.
fn described(info: &TypeInfo) -> Option<SqlType> {
    let TypeInfo::VarLenSized(context) = info else {
        return None;
    };
    let length = || u16::try_from(context.len()).ok();
    let bytes = match context.r#type() {
        VarLenType::Image => Bytes::Image,
        VarLenType::BigVarBin if context.len() == MAX => Bytes::VarBinary(None),
        VarLenType::BigVarBin => Bytes::VarBinary(Some(length()?)),
        VarLenType::BigBinary => Bytes::Binary(length()?),
        _ => return None,
    };
    Some(SqlType::Bytes(bytes))
}

/// Reads a rowversion, which the wire sends as `binary(8)`.
fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    let ColumnData::Binary(value) = data else {
        return None;
    };
    let text = value.as_ref().map(|bytes| {
        let mut text = Vec::new();
        value_text::hex(&mut text, bytes);
        String::from_utf8_lossy(&text).into_owned()
    });
    Some(Ok(text))
}

/// Returns whether the wire type carries bytes.
pub(super) const fn is_carried_as_bytes(wire: Wire) -> bool {
    matches!(
        wire,
        Wire::BigBinary | Wire::BigVarBinary | Wire::Binary | Wire::VarBinary | Wire::Image
    )
}

impl Bytes {
    /// Returns whether a column that a result describes so may be a rowversion. The wire tells by a user type, which
    /// the driver does not show.
    pub(super) const fn may_be_rowversion(self) -> bool {
        matches!(
            self,
            Self::Binary(ROWVERSION_BYTES) | Self::VarBinary(Some(ROWVERSION_BYTES))
        )
    }

    /// Returns the length, or `None` when there is no limit.
    const fn length(self) -> Option<u16> {
        match self {
            Self::Binary(length) => Some(length),
            Self::VarBinary(length) => length,
            Self::Image => None,
            Self::RowVersion => Some(ROWVERSION_BYTES),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(length) => write!(f, "binary({length})"),
            Self::VarBinary(Some(length)) => write!(f, "varbinary({length})"),
            Self::VarBinary(None) => f.write_str("varbinary(max)"),
            Self::Image => f.write_str("image"),
            Self::RowVersion => f.write_str("rowversion"),
        }
    }
}

impl Family for Bytes {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(match self {
            Self::RowVersion => Form::RowVersion,
            Self::Binary(_) | Self::VarBinary(_) | Self::Image => Form::Binary,
        })
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        is_carried_as_bytes(sent.data_type)
    }

    fn watermark(&self) -> Option<WatermarkKind> {
        (*self == Self::RowVersion).then_some(WatermarkKind::Exact)
    }

    fn canonical(&self, text: &str) -> Option<String> {
        let digits = text.strip_prefix("0x").filter(|_| *self == Self::RowVersion)?;
        let is_one = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| format!("0x{}", digits.to_ascii_uppercase()))
    }

    /// Returns `binary(8)` for a rowversion: text is not cast to a rowversion, and a variable cannot be one, but it can
    /// hold its bytes.
    fn of_variable(&self) -> Option<SqlType> {
        (*self == Self::RowVersion).then_some(SqlType::Bytes(Self::Binary(ROWVERSION_BYTES)))
    }

    fn of_text(&self) -> Conversion {
        Conversion::Style1
    }

    fn holds(&self, source: SqlType) -> bool {
        match (source, self) {
            (SqlType::Bytes(source), _) if source == *self => true,
            (SqlType::Bytes(Self::RowVersion), Self::Binary(ROWVERSION_BYTES)) => true,
            (SqlType::Bytes(Self::RowVersion), Self::Image) => false,
            // A type that pads values to its length holds only values of the same type.
            (SqlType::Bytes(source), Self::VarBinary(_) | Self::Image) => {
                is_long_enough(self.length(), source.length())
            }
            // A CLR value is read as bytes.
            (SqlType::Clr(_), Self::VarBinary(None)) => true,
            _ => false,
        }
    }

    fn can_be_key(&self) -> bool {
        self.length().is_some()
    }

    fn staged_for(&self, _: SqlType) -> Option<SqlType> {
        match self {
            Self::Image => Some(SqlType::Bytes(Self::VarBinary(None))),
            Self::RowVersion => Some(SqlType::Bytes(Self::Binary(ROWVERSION_BYTES))),
            Self::Binary(_) | Self::VarBinary(_) => None,
        }
    }

    fn assigned_as(&self) -> Option<SqlType> {
        (*self == Self::Image).then_some(SqlType::Bytes(Self::VarBinary(None)))
    }
}

//! The family of `char`, `varchar`, `nchar`, `nvarchar`, and the legacy types `text` and `ntext`.
//!
//! The driver of the lookups does not know `json` and `vector`. It takes them for `varchar(max)` or `nvarchar(max)`,
//! and so do plans.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};

use super::SqlType;
use super::family::{Arguments, Catalogued, Family, InTiberius, Recognised, ValueText, is_long_enough};

/// The longest length in bytes of text in a code page, except for `(max)`.
const MOST_BYTES: u16 = 8_000;
/// The longest length in characters of UTF-16 text, except for `(max)`.
const MOST_CHARACTERS: u16 = 4_000;
/// The length that stands for `(max)` on the wire (MS-TDS 2.2.5.4.2, USHORTMAXLEN).
pub(super) const MAX: usize = 0xFFFF;

/// A text type. As SQL Server declares them, lengths are in characters for the `n` types and in bytes for the others;
/// `None` is `(max)`.
#[allow(clippy::enum_variant_names, reason = "the variants are the names of the types")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Text {
    Char(u16),
    VarChar(Option<u16>),
    NChar(u16),
    NVarChar(Option<u16>),
    Text,
    NText,
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
    let text = match name {
        "char" => Text::Char(arguments.length(MOST_BYTES)?),
        "varchar" => Text::VarChar(arguments.length_or_max(MOST_BYTES)?),
        "nchar" => Text::NChar(arguments.length(MOST_CHARACTERS)?),
        "nvarchar" => Text::NVarChar(arguments.length_or_max(MOST_CHARACTERS)?),
        _ => {
            arguments.none()?;
            match name {
                "text" => Text::Text,
                "ntext" => Text::NText,
                _ => return None,
            }
        }
    };
    Some(SqlType::Text(text))
}

fn catalogued(described: &Catalogued<'_>) -> Option<SqlType> {
    let bytes = || u16::try_from(described.length).ok();
    let or_max = |length: fn(u16) -> u16| match described.length {
        -1 => Some(None),
        _ => bytes().map(|bytes| Some(length(bytes))),
    };
    let text = match described.name {
        "char" => Text::Char(bytes()?),
        "varchar" => Text::VarChar(or_max(|bytes| bytes)?),
        "nchar" => Text::NChar(bytes()? / 2),
        "nvarchar" => Text::NVarChar(or_max(|bytes| bytes / 2)?),
        "sysname" => Text::NVarChar(Some(128)),
        name => return declared(name, Arguments(None)),
    };
    Some(SqlType::Text(text))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    let TypeInfo::VarLenSized(context) = info else {
        return None;
    };
    let length = || u16::try_from(context.len()).ok();
    let or_max = |length: u16| (usize::from(length) != MAX).then_some(length);
    let text = match context.r#type() {
        VarLenType::Text => Text::Text,
        VarLenType::NText => Text::NText,
        VarLenType::BigVarChar => Text::VarChar(or_max(length()?)),
        VarLenType::BigChar => Text::Char(length()?),
        VarLenType::NVarchar => Text::NVarChar(or_max(length()?).map(|bytes| bytes / 2)),
        VarLenType::NChar => Text::NChar(length()? / 2),
        _ => return None,
    };
    Some(SqlType::Text(text))
}

/// Reads text without the blanks at its end, which a control table's `char` column adds.
fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    let ColumnData::String(value) = data else {
        return None;
    };
    Some(Ok(value.as_ref().map(|value| value.trim_end().to_owned())))
}

/// Returns whether the wire type carries text that a client without collations can read.
pub(super) const fn is_carried_as_text(wire: Wire) -> bool {
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

impl Text {
    /// Returns whether the values are in a code page.
    pub(super) const fn is_in_code_page(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_) | Self::Text)
    }

    /// Returns the length, or `None` when there is no limit.
    pub(super) const fn length(self) -> Option<u16> {
        match self {
            Self::Char(length) | Self::NChar(length) => Some(length),
            Self::VarChar(length) | Self::NVarChar(length) => length,
            Self::Text | Self::NText => None,
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(length) => write!(f, "char({length})"),
            Self::VarChar(Some(length)) => write!(f, "varchar({length})"),
            Self::VarChar(None) => f.write_str("varchar(max)"),
            Self::NChar(length) => write!(f, "nchar({length})"),
            Self::NVarChar(Some(length)) => write!(f, "nvarchar({length})"),
            Self::NVarChar(None) => f.write_str("nvarchar(max)"),
            Self::Text => f.write_str("text"),
            Self::NText => f.write_str("ntext"),
        }
    }
}

impl Family for Text {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(Form::Text)
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        let wire = sent.data_type;
        is_carried_as_text(wire)
            || (matches!(self, Self::VarChar(None) | Self::NVarChar(None)) && matches!(wire, Wire::Json | Wire::Vector))
    }

    fn holds(&self, source: SqlType) -> bool {
        // A type that pads values with blanks holds only values of the same type.
        let is_varying = !matches!(self, Self::Char(_) | Self::NChar(_));
        match source {
            SqlType::Text(source) => {
                source == *self
                    || (is_varying
                        && is_long_enough(self.length(), source.length())
                        && (source.is_in_code_page() || !self.is_in_code_page()))
            }
            SqlType::Document(_) => !self.is_in_code_page() && self.length().is_none(),
            _ => false,
        }
    }

    fn can_be_key(&self) -> bool {
        self.length().is_some()
    }

    /// Returns an `n` type as long as the sink's column, because a bulk load does not say which code page its bytes are
    /// in.
    fn staged_for(&self, sink: SqlType) -> Option<SqlType> {
        let sink = match sink {
            SqlType::Text(sink) => sink,
            _ => *self,
        };
        let length = sink.length().filter(|length| *length <= MOST_CHARACTERS);
        Some(SqlType::Text(Self::NVarChar(length)))
    }

    fn assigned_as(&self) -> Option<SqlType> {
        match self {
            Self::Text => Some(SqlType::Text(Self::VarChar(None))),
            Self::NText => Some(SqlType::Text(Self::NVarChar(None))),
            _ => None,
        }
    }
}

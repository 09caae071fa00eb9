//! The type `xml`, a family of its own.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};

use super::SqlType;
use super::family::{Arguments, Conversion, Family, InTiberius, Recognised};
use super::texts::{Text, is_carried_as_text};

/// A type of documents that the server parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// `xml`.
    Xml,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: None,
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius { described, read: None };

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    arguments.none()?;
    (name == "xml").then_some(SqlType::Document(Document::Xml))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    match info {
        TypeInfo::Xml { .. } => Some(SqlType::Document(Document::Xml)),
        TypeInfo::VarLenSized(context) if context.r#type() == VarLenType::Xml => Some(SqlType::Document(Document::Xml)),
        _ => None,
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml => f.write_str("xml"),
        }
    }
}

impl Family for Document {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(Form::Text)
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        sent.data_type == Wire::Xml || is_carried_as_text(sent.data_type)
    }

    fn holds(&self, source: SqlType) -> bool {
        source == SqlType::Document(*self)
    }

    fn can_be_key(&self) -> bool {
        false
    }

    fn staged_for(&self, _: SqlType) -> Option<SqlType> {
        Some(SqlType::Text(Text::NVarChar(None)))
    }

    /// Uses conversion style 1, which keeps the white space of the source.
    fn of_text(&self) -> Conversion {
        Conversion::Style1
    }
}

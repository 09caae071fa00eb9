//! The family of `sql_variant`, in which each value has a type of its own.
//!
//! A value is copied as text with every digit that its type has; the type is not copied. The driver of rows passes each
//! value on as one of its own type, so the statement casts nothing.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{TypeInfo, VarLenType};
use tidemark::model::types::{Form, VariantColumns, WantedForms};

use super::SqlType;
use super::family::{Arguments, Family, InTiberius, Recognised};

/// The type whose values can be of most other types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant;

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: None,
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius { described, read: None };

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    arguments.none()?;
    (name == "sql_variant").then_some(SqlType::Variant(Variant))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    match info {
        TypeInfo::VarLenSized(context) if context.r#type() == VarLenType::SSVariant => Some(SqlType::Variant(Variant)),
        _ => None,
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sql_variant")
    }
}

impl Family for Variant {
    fn form(&self, wanted: WantedForms) -> Result<Form, String> {
        let (WantedForms::Typed { variants, .. } | WantedForms::Exact { variants }) = wanted;
        match variants {
            VariantColumns::Text => Ok(Form::Text),
            VariantColumns::Refuse => Err(format!(
                "is a {self}, whose values have types of their own, and variant_columns refuses it"
            )),
        }
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        sent.data_type == Wire::SsVariant
    }

    fn is_of_any_type(&self) -> bool {
        true
    }

    /// Returns `false`, because a text does not become a value of its former type again.
    fn holds(&self, _: SqlType) -> bool {
        false
    }

    fn can_be_key(&self) -> bool {
        false
    }
}

//! The type `uniqueidentifier`, a family of its own.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};

use super::SqlType;
use super::family::{Arguments, Family, InTiberius, Recognised, ValueText};

/// The type of identifiers of sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UniqueIdentifier;

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
    (name == "uniqueidentifier").then_some(SqlType::UniqueIdentifier(UniqueIdentifier))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    match info {
        TypeInfo::VarLenSized(context) if context.r#type() == VarLenType::Guid => {
            Some(SqlType::UniqueIdentifier(UniqueIdentifier))
        }
        _ => None,
    }
}

fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    let ColumnData::Guid(value) = data else {
        return None;
    };
    Some(Ok(value.map(|value| value.to_string())))
}

impl fmt::Display for UniqueIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uniqueidentifier")
    }
}

impl Family for UniqueIdentifier {
    /// Chooses text for typed files, because one column of Parquet's UUID makes a file unreadable for Spark up to 4.0.
    fn form(&self, wanted: WantedForms) -> Result<Form, String> {
        Ok(match wanted {
            WantedForms::Typed { .. } => Form::Text,
            WantedForms::Exact { .. } => Form::Uuid,
        })
    }

    fn native(&self, wanted: WantedForms) -> Option<Form> {
        matches!(wanted, WantedForms::Typed { .. }).then_some(Form::Uuid)
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        sent.data_type == Wire::Guid
    }

    /// Returns `true`: the values do not grow over time, but the server has an order for them
    /// (<https://learn.microsoft.com/en-us/sql/connect/ado-net/sql/compare-guid-uniqueidentifier-values>).
    fn cuts(&self) -> bool {
        true
    }

    fn canonical(&self, text: &str) -> Option<String> {
        let groups: Vec<&str> = text.split('-').collect();
        let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        (lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex)).then(|| text.to_ascii_uppercase())
    }

    fn holds(&self, source: SqlType) -> bool {
        source == SqlType::UniqueIdentifier(Self)
    }
}

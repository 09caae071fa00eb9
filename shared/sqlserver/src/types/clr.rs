//! The family of the server's own CLR types: `hierarchyid`, `geometry` and `geography`. CLR types of a user have no
//! documented form and are not copied.
//!
//! Values are copied as their serialised bytes, which are complete
//! (<https://learn.microsoft.com/en-us/openspecs/sql_server_protocols/ms-ssclrt>).

use std::fmt;

use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::TypeInfo;
use tidemark::model::types::{Form, WantedForms};

use super::SqlType;
use super::binaries::{Bytes, is_carried_as_bytes};
use super::family::{Arguments, Family, InTiberius, Recognised};

/// A CLR type that belongs to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clr {
    HierarchyId,
    Geometry,
    Geography,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: None,
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius { described, read: None };

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    arguments.none()?;
    let clr = match name {
        "hierarchyid" => Clr::HierarchyId,
        "geometry" => Clr::Geometry,
        "geography" => Clr::Geography,
        _ => return None,
    };
    Some(SqlType::Clr(clr))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    match info {
        TypeInfo::Udt(udt) => of_schema(&udt.schema_name, &udt.type_name),
        _ => None,
    }
}

fn of_schema(schema: &str, name: &str) -> Option<SqlType> {
    matches!(schema, "sys" | "").then(|| declared(name, Arguments(None)))?
}

impl fmt::Display for Clr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HierarchyId => "hierarchyid",
            Self::Geometry => "geometry",
            Self::Geography => "geography",
        })
    }
}

impl Family for Clr {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        Ok(Form::Binary)
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        is_carried_as_bytes(sent.data_type)
    }

    fn selected(&self) -> Option<SqlType> {
        Some(SqlType::Bytes(Bytes::VarBinary(None)))
    }

    fn holds(&self, source: SqlType) -> bool {
        source == SqlType::Clr(*self)
    }

    fn can_be_key(&self) -> bool {
        false
    }

    fn staged_for(&self, _: SqlType) -> Option<SqlType> {
        Some(SqlType::Bytes(Bytes::VarBinary(None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_types_are_known_and_a_users_are_not() {
        assert_eq!(of_schema("sys", "geometry"), Some(SqlType::Clr(Clr::Geometry)));
        assert_eq!(of_schema("dbo", "geometry"), None);
        assert_eq!(of_schema("sys", "int"), None);
    }
}

//! The columns of a sink table, or of a table type, as the sink's catalog describes them, and the checks of what may be
//! written into them.

use mssql_tds::datatypes::column_values::ColumnValues;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::{Identifier, is_alike};
use tidemark::model::types::Column;

use crate::statements::staging::{Collation, MappedColumn};
use crate::types::SqlType;

/// The most columns that an error lists, because errors travel in the state machine's payload.
const NAMES_SHOWN: usize = 20;

/// A column of a sink table, or of a table type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SinkColumn {
    /// The name as the server spells it.
    pub name: String,
    /// The type, or the server's name of a type that Tidemark does not know.
    pub sql_type: std::result::Result<SqlType, String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether it is an identity column.
    pub identity: bool,
    /// Whether the server computes the value.
    pub computed: bool,
    /// Whether the column has a default.
    pub defaulted: bool,
    /// The collation, for text.
    pub collation: Option<Collation>,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
    /// Whether clients encrypt its values (Always Encrypted).
    pub encrypted: bool,
}

impl SinkColumn {
    /// Reads a row of [`sink_columns`](crate::statements::sink_table::sink_columns). `None` when the row has another form.
    pub(super) fn read(row: &[ColumnValues]) -> Option<Result<Self>> {
        let [
            name,
            type_name,
            length,
            precision,
            scale,
            nullable,
            identity,
            computed,
            defaulted,
            collation,
            primary_key,
            encrypted,
        ] = row
        else {
            return None;
        };
        let type_name = text(type_name)?.unwrap_or_else(|| "a type of its own".to_owned());
        let sql_type = SqlType::from_catalog(&type_name, number(length)?, number(precision)?, number(scale)?);
        let collation = text(collation)?.map(|name| name.parse()).transpose();
        let column = Self {
            name: text(name)?.unwrap_or_default(),
            sql_type: sql_type.ok_or(type_name),
            nullable: flag(nullable)?,
            identity: flag(identity)?,
            computed: flag(computed)?,
            defaulted: flag(defaulted)?,
            collation: None,
            primary_key: flag(primary_key)?,
            encrypted: flag(encrypted)?,
        };
        Some(collation.map(|collation| Self { collation, ..column }))
    }

    /// Returns the column together with the staged column that fills it.
    pub(super) fn filled(&self, sql_type: SqlType, staged: usize) -> Result<MappedColumn> {
        Ok(MappedColumn {
            name: Identifier::new(self.name.as_str())?,
            staged,
            sql_type,
            collation: self.collation.clone(),
            nullable: self.nullable,
            identity: self.identity,
        })
    }
}

/// Reads a text of the catalog, or NULL.
fn text(value: &ColumnValues) -> Option<Option<String>> {
    match value {
        ColumnValues::Null => Some(None),
        ColumnValues::String(text) => {
            let units = text
                .bytes
                .chunks_exact(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let text: String = char::decode_utf16(units)
                .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            Some(Some(text))
        }
        _ => None,
    }
}

fn number(value: &ColumnValues) -> Option<i32> {
    match value {
        ColumnValues::Null => Some(0),
        ColumnValues::Int(number) => Some(*number),
        _ => None,
    }
}

fn flag(value: &ColumnValues) -> Option<bool> {
    match value {
        ColumnValues::Null => Some(false),
        ColumnValues::Bit(flag) => Some(*flag),
        _ => None,
    }
}

/// The sink table, or the table type of a procedure.
pub(super) struct SinkTable<'a> {
    /// The name in messages.
    pub(super) what: String,
    /// The columns.
    pub(super) columns: &'a [SinkColumn],
}

impl SinkTable<'_> {
    pub(super) fn mismatch(&self, what: &str) -> Error {
        Error::new(ErrorCode::SchemaMismatch, format!("{} {what}", self.what))
    }

    /// Finds the column with this name, spelled exactly or else, because most collations ignore the case, in another
    /// case.
    pub(super) fn find(&self, name: &str) -> Result<&SinkColumn> {
        let mut alike = self.columns.iter().filter(|column| is_alike(&column.name, name));
        let exact = self.columns.iter().find(|column| column.name == name);
        match (exact, alike.next(), alike.next()) {
            (Some(column), ..) | (None, Some(column), None) => Ok(column),
            _ => {
                let names: Vec<_> = self
                    .columns
                    .iter()
                    .take(NAMES_SHOWN)
                    .map(|column| column.name.as_str())
                    .collect();
                Err(self.mismatch(&format!(
                    "has no column '{name}', its columns are {}: add it, or leave it out by naming the others in columns",
                    names.join(", ")
                )))
            }
        }
    }

    /// Checks that a column holds every value of `source` exactly, and returns its type.
    pub(super) fn holds(&self, column: &SinkColumn, source: &Column) -> Result<SqlType> {
        let name = &column.name;
        if column.computed {
            return Err(self.mismatch(&format!(
                "computes its column {name}: leave it out by naming the others in columns"
            )));
        }
        if column.encrypted {
            return Err(self.mismatch(&format!(
                "has {name} encrypted by its clients (Always Encrypted), which Tidemark is none of: leave it out by naming the others \
                 in columns, or merge into a column that is not encrypted"
            )));
        }
        let sql_type = match &column.sql_type {
            Ok(SqlType::ROWVERSION) => {
                return Err(self.mismatch(&format!(
                    "has {name} as a rowversion, which only the server writes: make it binary(8) to keep the source's, or leave \
                     it out"
                )));
            }
            Ok(sql_type) => *sql_type,
            Err(unknown) => return Err(self.mismatch(&format!("has {name} as {unknown}, which Tidemark cannot write"))),
        };
        let copied = SqlType::of_copied(source)?;
        if sql_type.holds(copied) {
            return Ok(sql_type);
        }
        Err(self.mismatch(&format!(
            "has {name} as {sql_type}, which does not hold every {copied} of the source exactly: widen it, or leave it out"
        )))
    }

    /// Returns the column into which `column` goes, filled by the staged column with this number.
    pub(super) fn map(&self, column: &Column, index: usize) -> Result<MappedColumn> {
        let counterpart = self.find(&column.name)?;
        let sql_type = self.holds(counterpart, column)?;
        counterpart.filled(sql_type, index)
    }

    /// Refuses a table with a column that needs a value and gets none.
    pub(super) fn check_required(&self, mapped: &[MappedColumn]) -> Result<()> {
        let missing = self.columns.iter().find(|column| {
            let filled = column.nullable || column.identity || column.computed || column.defaulted;
            let server = column.sql_type == Ok(SqlType::ROWVERSION);
            !filled && !server && !mapped.iter().any(|mapped| mapped.name.as_str() == column.name)
        });
        missing.map_or(Ok(()), |column| {
            Err(self.mismatch(&format!(
                "needs a value in {}, which is not among the copied columns: copy it, give it a default or let it be NULL",
                column.name
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use mssql_tds::datatypes::sql_string::SqlString;

    use super::*;

    #[test]
    fn a_row_of_the_catalog_is_read() {
        let text = |text: &str| ColumnValues::String(SqlString::from_utf8_string(text.to_owned()));
        let bit = ColumnValues::Bit;
        let mut row = vec![
            text("n]ämé"),
            text("nvarchar"),
            ColumnValues::Int(40),
            ColumnValues::Int(0),
            ColumnValues::Int(0),
            bit(true),
            bit(false),
            bit(true),
            ColumnValues::Null,
            text("Latin1_General_CI_AS"),
            bit(false),
            bit(true),
        ];
        let column = SinkColumn::read(&row).unwrap().unwrap();
        assert_eq!(column.name, "n]ämé");
        assert_eq!(column.sql_type.unwrap().to_string(), "nvarchar(20)");
        assert!(
            column.encrypted
                && column.nullable
                && column.computed
                && !column.identity
                && !column.defaulted
                && !column.primary_key
        );
        assert_eq!(column.collation.unwrap().to_string(), "Latin1_General_CI_AS");
        row[9] = text("x COLLATE y");
        assert!(SinkColumn::read(&row).unwrap().is_err());
        row[9] = ColumnValues::Null;
        row[2] = text("40");
        assert!(SinkColumn::read(&row).is_none());
        assert!(SinkColumn::read(&row[1..]).is_none());
    }
}

//! The sink's side of a merge: which of its columns a column goes into, whether it may, and by which keys.

use super::fits::{fits, is_comparable};
use super::{MappedColumn, SinkColumn, position};
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::sink::SqlServerSink;
use crate::types::{Column, SqlType};

/// How many columns an error lists: errors travel in the state machine's payload.
const NAMES_SHOWN: usize = 20;
/// The sink table, or the table type.
pub(super) struct Side<'a> {
    /// Its name in messages.
    pub(super) what: String,
    /// Its columns.
    pub(super) columns: &'a [SinkColumn],
}

impl Side<'_> {
    pub(super) fn mismatch(&self, what: &str) -> Error {
        Error::new(ErrorCode::SchemaMismatch, format!("{} {what}", self.what))
    }

    /// The column of this name: spelled exactly, or, as most collations do not mind, in another case.
    pub(super) fn find(&self, name: &str) -> Result<&SinkColumn> {
        let lower = name.to_lowercase();
        let mut alike = self.columns.iter().filter(|column| column.name.to_lowercase() == lower);
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

    /// The type of a column that holds every value of `source` exactly.
    pub(super) fn holds(&self, column: &SinkColumn, source: &Column) -> Result<SqlType> {
        let name = &column.name;
        if column.computed {
            return Err(self.mismatch(&format!(
                "computes its column {name}: leave it out by naming the others in columns"
            )));
        }
        let sql_type = match &column.sql_type {
            Ok(SqlType::RowVersion) => {
                return Err(self.mismatch(&format!(
                    "has {name} as a rowversion, which only the server writes: make it binary(8) to keep the source's, or leave \
                     it out"
                )));
            }
            Ok(sql_type) => *sql_type,
            Err(unknown) => return Err(self.mismatch(&format!("has {name} as {unknown}, which Tidemark cannot write"))),
        };
        if fits(source.sql_type, sql_type) {
            return Ok(sql_type);
        }
        Err(self.mismatch(&format!(
            "has {name} as {sql_type}, which does not hold every {} of the source exactly: widen it, or leave it out",
            source.sql_type
        )))
    }

    pub(super) fn map(&self, column: &Column, index: usize) -> Result<MappedColumn> {
        let counterpart = self.find(&column.name)?;
        let sql_type = self.holds(counterpart, column)?;
        mapped_column(counterpart, sql_type, index)
    }

    /// Columns that must have a value and get none.
    pub(super) fn check_required(&self, mapped: &[MappedColumn]) -> Result<()> {
        let missing = self.columns.iter().find(|column| {
            let filled = column.nullable || column.identity || column.computed || column.defaulted;
            let server = column.sql_type == Ok(SqlType::RowVersion);
            !filled && !server && !mapped.iter().any(|mapped| mapped.name.as_str() == column.name)
        });
        missing.map_or(Ok(()), |column| {
            Err(self.mismatch(&format!(
                "needs a value in {}, which is not among the copied columns: copy it, give it a default or let it be NULL",
                column.name
            )))
        })
    }

    pub(super) fn keys(&self, sink: &SqlServerSink, columns: &[Column], optional: bool) -> Result<Vec<MappedColumn>> {
        let primary: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.as_str())
            .collect();
        let names: Vec<&str> = if sink.keys.is_empty() {
            primary
        } else {
            sink.keys.iter().map(Identifier::as_str).collect()
        };
        if names.is_empty() && !optional {
            let message = format!(
                "{} has no primary key: name the columns that identify a row in the sink's keys",
                self.what
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let mut keys = Vec::new();
        for name in names {
            let spelled = &self.find(name)?.name;
            let index = position(columns, spelled).ok_or_else(|| {
                self.mismatch(&format!(
                    "has the key column {spelled}, which is not among the copied columns: copy it, or name other keys"
                ))
            })?;
            let key = self.map(&columns[index], index)?;
            if !is_comparable(key.sql_type) {
                return Err(self.mismatch(&format!(
                    "has the key column {spelled} as {}, which cannot be compared",
                    key.sql_type
                )));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Refuses keys that are not the source's primary key, `of_source`: a deletion has values there and nowhere else, so by
    /// more columns it would delete nothing, and by fewer the rows of other keys.
    pub(super) fn check_tracked(
        &self,
        source: &ObjectName,
        columns: &[Column],
        of_source: &[usize],
        keys: &[MappedColumn],
    ) -> Result<()> {
        let same = of_source
            .iter()
            .all(|index| keys.iter().any(|key| key.staged == *index))
            && keys.iter().all(|key| of_source.contains(&key.staged));
        if same {
            return Ok(());
        }
        let of_source: Vec<_> = of_source.iter().map(|index| columns[*index].name.as_str()).collect();
        let keys: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let message = format!(
            "{} has the keys ({}), and change tracking names deleted rows by the primary key of {source}, ({}): name these in \
             the sink's keys",
            self.what,
            keys.join(", "),
            of_source.join(", ")
        );
        Err(Error::new(ErrorCode::InvalidInput, message))
    }
}

pub(super) fn mapped_column(column: &SinkColumn, sql_type: SqlType, staged: usize) -> Result<MappedColumn> {
    Ok(MappedColumn {
        name: Identifier::new(column.name.as_str())?,
        staged,
        sql_type,
        collation: column.collation.clone(),
        nullable: column.nullable,
        identity: column.identity,
    })
}

//! How the columns of a slice go into a table of another database: which column into which, found again by which keys, and
//! whether every value arrives as it was.
//!
//! Everything that cannot work is refused here, by name, before any row is written.

mod fits;
mod side;
mod sink_column;
mod staged_column;
#[cfg(test)]
mod tests;

pub use fits::fits;
pub use sink_column::{Collation, SinkColumn};
pub use staged_column::StagedColumn;

use fits::is_text;
use side::{Side, mapped_column};

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::query::change_tracking::{OPERATION_COLUMN, VERSION_COLUMN};
use crate::sink::SqlServerSink;
use crate::types::{Column, SqlType};

/// What the sink's database has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkTables {
    /// The columns of the table.
    pub table: Vec<SinkColumn>,
    /// The columns of the table type, when the merge is a procedure's.
    pub table_type: Vec<SinkColumn>,
}

/// Which of two rows with the same keys is the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest<'a> {
    /// That with the greater watermark, in this column; it is among the table's columns.
    Watermark(&'a Identifier),
    /// That with the greater version of change tracking; rows may be deletions.
    Version,
}

/// A column of the sink table, or of the table type, and the staged column that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedColumn {
    /// Its name as the server spells it.
    pub name: Identifier,
    /// The number of the staged column.
    pub staged: usize,
    /// Its type.
    pub sql_type: SqlType,
    /// The collation of text.
    pub collation: Option<Collation>,
    /// Whether it holds NULL.
    pub nullable: bool,
    /// Whether it is the identity column.
    pub identity: bool,
}

/// The merge of staged rows into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The sink table.
    pub table: ObjectName,
    /// The staging table's columns.
    pub staged: Vec<StagedColumn>,
    /// The columns that are written: of the sink table or, for a procedure, of its table type.
    pub columns: Vec<MappedColumn>,
    /// The sink table's columns by which a row is found again; empty only for a procedure.
    pub keys: Vec<MappedColumn>,
    /// The sink table's watermark column: what is there already and greater stays.
    pub watermark: Option<MappedColumn>,
    /// The staged column by which the newest of several rows wins.
    pub newest: usize,
    /// The staged column that says whether a row is a deletion.
    pub operation: Option<usize>,
    /// The procedure that does the merge, and its table type.
    pub procedure: Option<(ObjectName, ObjectName)>,
}

impl Merge {
    /// Maps the columns of a slice.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the column and the types, when a column has no counterpart, when the counterpart cannot hold
    /// every value exactly or is the server's to write, when a column that must have a value gets none; `InvalidInput`, naming
    /// the cure, without usable keys: with change tracking those of the source are the only ones.
    pub fn new(
        source: &ObjectName,
        sink: &SqlServerSink,
        columns: &[Column],
        newest: Newest<'_>,
        tables: &SinkTables,
    ) -> Result<Self> {
        let table = sink.table(source).clone();
        let side = Side {
            what: format!("the sink table {table}"),
            columns: &tables.table,
        };
        let procedure = sink.procedure.clone().zip(sink.table_type.clone());
        if newest == Newest::Version && procedure.is_some() {
            let message = format!("a procedure cannot be told of deletions: merge {table} by keys, without procedure");
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let written = match &procedure {
            None => Side {
                what: side.what.clone(),
                columns: side.columns,
            },
            Some((_, table_type)) => Side {
                what: format!("the table type {table_type}"),
                columns: &tables.table_type,
            },
        };
        let (order, operation) = match newest {
            Newest::Watermark(column) => (position(columns, column.as_str()), None),
            Newest::Version => (
                position(columns, VERSION_COLUMN),
                Some(position(columns, OPERATION_COLUMN).ok_or_else(|| no_order(&table, OPERATION_COLUMN))?),
            ),
        };
        let order_name = match newest {
            Newest::Watermark(column) => column.as_str(),
            Newest::Version => VERSION_COLUMN,
        };
        let order = order.ok_or_else(|| no_order(&table, order_name))?;
        let tracked = |index: usize| operation.is_some() && (Some(index) == operation || index == order);

        let mut mapped = Vec::new();
        let mut staged = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let counterpart = match written.find(&column.name) {
                Ok(counterpart) => counterpart,
                // The columns of change tracking are for the merge, not for the table, unless it has them.
                Err(_) if tracked(index) => {
                    staged.push(StagedColumn::of(column.sql_type, column.sql_type, None));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let sql_type = written.holds(counterpart, column)?;
            staged.push(StagedColumn::of(
                column.sql_type,
                sql_type,
                counterpart.collation.clone(),
            ));
            mapped.push(mapped_column(counterpart, sql_type, index)?);
        }
        written.check_required(&mapped)?;

        let keys = side.keys(sink, columns, procedure.is_some())?;
        if operation.is_some() {
            let of_source: Vec<_> = (0..columns.len())
                .filter(|index| !columns[*index].nullable && !tracked(*index))
                .collect();
            side.check_tracked(source, columns, &of_source, &keys)?;
        }
        let watermark = match newest {
            Newest::Watermark(_) if !keys.is_empty() => Some(side.map(&columns[order], order)?),
            _ => None,
        };
        if procedure.is_none() {
            let unkeyed = mapped
                .iter()
                .find(|column| column.identity && !keys.iter().any(|key| key.name == column.name));
            if let Some(column) = unkeyed {
                return Err(side.mismatch(&format!(
                    "has the identity column {}, which cannot be updated: leave it out by naming the others in columns, or make \
                     it the key",
                    column.name.as_str()
                )));
            }
        }
        Ok(Self {
            table,
            staged,
            columns: mapped,
            keys,
            watermark,
            newest: order,
            operation,
            procedure,
        })
    }

    /// The columns that an update writes: all but the keys.
    pub fn updated(&self) -> impl Iterator<Item = &MappedColumn> {
        self.columns
            .iter()
            .filter(|column| !self.keys.iter().any(|key| key.name == column.name))
    }

    /// The columns that hold text in a code page, which need not have every character of the source's; for a procedure also
    /// the keys, which are the table's and not the table type's.
    #[must_use]
    pub fn in_code_pages(&self) -> Vec<&MappedColumn> {
        let in_code_page =
            |column: &&MappedColumn| matches!(column.sql_type, SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text);
        let keys = self.keys.iter().filter(|_| self.procedure.is_some());
        self.columns.iter().chain(keys).filter(in_code_page).collect()
    }

    /// The keys that are text: their collation may take different texts for one.
    pub(crate) fn collated_keys(&self) -> impl Iterator<Item = &MappedColumn> {
        self.keys.iter().filter(|key| is_text(key.sql_type))
    }

    /// Whether rows are inserted with the identity column's value.
    #[must_use]
    pub fn inserts_identity(&self) -> bool {
        self.columns.iter().any(|column| column.identity)
    }
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| column.name.to_lowercase() == lower))
}

fn no_order(table: &ObjectName, column: &str) -> Error {
    let message = format!(
        "{column} is not among the copied columns: the sink table {table} needs it to tell a newer row from an older one"
    );
    Error::new(ErrorCode::SchemaMismatch, message)
}

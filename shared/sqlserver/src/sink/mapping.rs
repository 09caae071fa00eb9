//! Maps the columns of a slice to those of a table in another database: which column goes into which, by which keys a
//! row is found again, and whether every value arrives unchanged.
//!
//! Everything that cannot work is refused here, by name, before any row is written.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::sink::MergeProcedure;
use tidemark::model::types::{Column, TrackedColumns, of_source};
use tidemark::ports::sink_table::{Newest, SliceToMerge};

use super::keys::position;
use super::sink_columns::{SinkColumn, SinkTable};
use crate::statements::staging::{MappedColumn, Merge, StagedColumn};
use crate::types::SqlType;

/// The catalog's description of the sink table and of the table type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SinkTables {
    /// The columns of the table.
    pub table: Vec<SinkColumn>,
    /// The columns of the table type, if a procedure does the merge.
    pub table_type: Vec<SinkColumn>,
}

impl Merge {
    /// Maps the columns of a slice.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the column and the types, when a column has no counterpart, when the counterpart cannot
    /// hold every value exactly or only the server writes it, or when a column that needs a value gets none.
    /// `InvalidInput`, naming the remedy, without usable keys. With change tracking only the source's keys are usable.
    pub(crate) fn new(slice: &SliceToMerge<'_>, tables: &SinkTables) -> Result<Self> {
        let SliceToMerge {
            source, sink, columns, ..
        } = *slice;
        let table = sink.table(source).clone();
        let procedure = sink.procedure.clone();
        if slice.newest == Newest::Version && procedure.is_some() {
            let message = format!("a procedure cannot be told of deletions: merge {table} by keys, without procedure");
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let sink_table = SinkTable {
            what: format!("the sink table {table}"),
            columns: &tables.table,
        };
        let written = match &procedure {
            None => SinkTable {
                what: sink_table.what.clone(),
                columns: sink_table.columns,
            },
            Some(MergeProcedure { table_type, .. }) => SinkTable {
                what: format!("the table type {table_type}"),
                columns: &tables.table_type,
            },
        };
        let order = Order::of(slice, &table)?;
        let Staging { staged, mapped } = stage_columns(columns, &order, &written)?;
        written.check_required(&mapped)?;

        let keys = sink_table.keys(sink, columns, procedure.is_some())?;
        if order.operation.is_some() {
            let of_source: Vec<_> = (0..of_source(columns).len())
                .filter(|index| !columns[*index].nullable && !order.is_tracked(*index))
                .collect();
            sink_table.check_tracked(source, columns, &of_source, &keys)?;
        }
        let watermark = match slice.newest {
            Newest::Watermark(_) if !keys.is_empty() => Some(sink_table.map(&columns[order.newest], order.newest)?),
            _ => None,
        };
        match &procedure {
            None => check_identity(&sink_table, &mapped, &keys)?,
            Some(_) => check_numbered(&written, &mapped)?,
        }
        Ok(Self {
            table,
            staged,
            columns: mapped,
            keys,
            watermark,
            newest: order.newest,
            operation: order.operation,
            procedure,
        })
    }
}

/// The numbers of the staged columns that show which of several rows is the newest, and which are deletions.
struct Order {
    newest: usize,
    operation: Option<usize>,
}

impl Order {
    fn of(slice: &SliceToMerge<'_>, table: &ObjectName) -> Result<Self> {
        let (newest, operation, name) = match slice.newest {
            Newest::Watermark(column) => (position(slice.columns, column.as_str()), None, column.as_str()),
            Newest::Version => {
                let copied = TrackedColumns::of(slice.columns).map(|columns| columns.copied.len());
                (copied, copied.map(|copied| copied + 1), "the version of a change")
            }
        };
        let newest = newest.ok_or_else(|| no_order(table, name))?;
        Ok(Self { newest, operation })
    }

    /// Returns whether a column is the version or the operation of change tracking.
    fn is_tracked(&self, index: usize) -> bool {
        self.operation.is_some() && (Some(index) == self.operation || index == self.newest)
    }
}

/// The columns of the staging table, and the columns that they fill.
#[derive(Default)]
struct Staging {
    staged: Vec<StagedColumn>,
    mapped: Vec<MappedColumn>,
}

fn stage_columns(columns: &[Column], order: &Order, written: &SinkTable<'_>) -> Result<Staging> {
    let Staging { mut staged, mut mapped } = Staging::default();
    for (index, column) in columns.iter().enumerate() {
        let source = SqlType::of_copied(column)?;
        match written.find(&column.name) {
            Ok(counterpart) => {
                let sql_type = written.holds(counterpart, column)?;
                staged.push(StagedColumn::new(source, sql_type, counterpart.collation.clone()));
                mapped.push(counterpart.filled(sql_type, index)?);
            }
            // The merge needs the columns of change tracking; the table gets them only if it has such columns.
            Err(_) if order.is_tracked(index) => staged.push(StagedColumn::new(source, source, None)),
            Err(error) => return Err(error),
        }
    }
    Ok(Staging { staged, mapped })
}

/// Refuses an identity column that is not a key, because it cannot be updated.
fn check_identity(table: &SinkTable<'_>, mapped: &[MappedColumn], keys: &[MappedColumn]) -> Result<()> {
    let unkeyed = mapped
        .iter()
        .find(|column| column.identity && !keys.iter().any(|key| key.name == column.name));
    unkeyed.map_or(Ok(()), |column| {
        Err(table.mismatch(&format!(
            "has the identity column {}, which cannot be updated: leave it out by naming the others in columns, or make it the \
             key",
            column.name.as_str()
        )))
    })
}

/// Refuses a table type with an identity column among those that are filled, because nobody can give it a value.
fn check_numbered(table_type: &SinkTable<'_>, mapped: &[MappedColumn]) -> Result<()> {
    let numbered = mapped.iter().find(|column| column.identity);
    numbered.map_or(Ok(()), |column| {
        Err(table_type.mismatch(&format!(
            "has the identity column {}, into which no value can be written: declare it without IDENTITY, or leave it out by naming \
             the others in columns",
            column.name.as_str()
        )))
    })
}

fn no_order(table: &ObjectName, column: &str) -> Error {
    let message = format!(
        "{column} is not among the copied columns: the sink table {table} needs it to tell a newer row from an older one"
    );
    Error::new(ErrorCode::SchemaMismatch, message)
}

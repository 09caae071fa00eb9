//! How the columns of a slice go into a table of another database: which column into which, found again by which keys, and
//! whether every value arrives as it was.
//!
//! Everything that cannot work is refused here, by name, before any row is written.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::types::{Column, of_source};
use tidemark::ports::merge::{Newest, SliceToMerge};

use super::keys::position;
use super::sink_columns::{MappedColumn, SinkColumn, SinkTable};
use super::staging::StagedColumn;
use crate::types::SqlType;

/// This says what the sink's database has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SinkTables {
    /// These are the columns of the table.
    pub table: Vec<SinkColumn>,
    /// These are the columns of the table type, when the merge is a procedure's.
    pub table_type: Vec<SinkColumn>,
}

/// This is the merge of staged rows into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    /// This is the sink table.
    pub table: ObjectName,
    /// These are the staging table's columns.
    pub staged: Vec<StagedColumn>,
    /// These are the columns that are written: of the sink table or, for a procedure, of its table type.
    pub columns: Vec<MappedColumn>,
    /// These are the sink table's columns by which a row is found again; empty only for a procedure.
    pub keys: Vec<MappedColumn>,
    /// This is the sink table's watermark column: what is there already and greater stays.
    pub watermark: Option<MappedColumn>,
    /// This is the staged column by which the newest of several rows wins.
    pub newest: usize,
    /// This is the staged column that says whether a row is a deletion.
    pub operation: Option<usize>,
    /// This is the procedure that does the merge, and its table type.
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
    pub(crate) fn new(slice: &SliceToMerge<'_>, tables: &SinkTables) -> Result<Self> {
        let SliceToMerge {
            source, sink, columns, ..
        } = *slice;
        let table = sink.table(source).clone();
        let procedure = sink.procedure.clone().zip(sink.table_type.clone());
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
            Some((_, table_type)) => SinkTable {
                what: format!("the table type {table_type}"),
                columns: &tables.table_type,
            },
        };
        let order = Order::of(slice, &table)?;
        let (staged, mapped) = stage_columns(columns, &order, &written)?;
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
        if procedure.is_none() {
            check_identity(&sink_table, &mapped, &keys)?;
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

    /// Returns the columns that an update writes: all but the keys.
    pub(crate) fn updated(&self) -> impl Iterator<Item = &MappedColumn> {
        self.columns
            .iter()
            .filter(|column| !self.keys.iter().any(|key| key.name == column.name))
    }

    /// Returns the columns that hold text in a code page, which need not have every character of the source's; for a
    /// procedure also the keys, which are the table's and not the table type's.
    #[must_use]
    pub(crate) fn in_code_pages(&self) -> Vec<&MappedColumn> {
        let in_code_page = |column: &&MappedColumn| column.sql_type.is_in_code_page();
        let keys = self.keys.iter().filter(|_| self.procedure.is_some());
        self.columns.iter().chain(keys).filter(in_code_page).collect()
    }

    /// Returns the keys that are text: their collation may take different texts for one.
    pub(crate) fn collated_keys(&self) -> impl Iterator<Item = &MappedColumn> {
        self.keys.iter().filter(|key| key.sql_type.is_text())
    }

    /// Returns whether rows are inserted with the identity column's value.
    #[must_use]
    pub(crate) fn inserts_identity(&self) -> bool {
        self.columns.iter().any(|column| column.identity)
    }
}

/// These are the staged columns by which the newest of several rows is found.
struct Order {
    newest: usize,
    operation: Option<usize>,
}

impl Order {
    fn of(slice: &SliceToMerge<'_>, table: &ObjectName) -> Result<Self> {
        let (newest, operation, name) = match slice.newest {
            Newest::Watermark(column) => (position(slice.columns, column.as_str()), None, column.as_str()),
            // The version and the operation are the last two that come from the source.
            Newest::Version => {
                let own = of_source(slice.columns).len();
                (own.checked_sub(2), own.checked_sub(1), "the version of a change")
            }
        };
        let newest = newest.ok_or_else(|| no_order(table, name))?;
        Ok(Self { newest, operation })
    }

    /// Returns whether a column is one of the two of change tracking.
    fn is_tracked(&self, index: usize) -> bool {
        self.operation.is_some() && (Some(index) == self.operation || index == self.newest)
    }
}

/// Returns the columns of the staging table, and those that they fill.
fn stage_columns(
    columns: &[Column],
    order: &Order,
    written: &SinkTable<'_>,
) -> Result<(Vec<StagedColumn>, Vec<MappedColumn>)> {
    let (mut staged, mut mapped) = (Vec::new(), Vec::new());
    for (index, column) in columns.iter().enumerate() {
        let source = SqlType::of_copied(column)?;
        match written.find(&column.name) {
            Ok(counterpart) => {
                let sql_type = written.holds(counterpart, column)?;
                staged.push(StagedColumn::new(source, sql_type, counterpart.collation.clone()));
                mapped.push(counterpart.filled(sql_type, index)?);
            }
            // The columns of change tracking are for the merge, not for the table, unless it has them.
            Err(_) if order.is_tracked(index) => staged.push(StagedColumn::new(source, source, None)),
            Err(error) => return Err(error),
        }
    }
    Ok((staged, mapped))
}

/// Refuses an identity column that is no key: it cannot be updated.
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

fn no_order(table: &ObjectName, column: &str) -> Error {
    let message = format!(
        "{column} is not among the copied columns: the sink table {table} needs it to tell a newer row from an older one"
    );
    Error::new(ErrorCode::SchemaMismatch, message)
}

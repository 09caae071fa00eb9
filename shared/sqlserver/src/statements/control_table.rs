//! The statements of the control table and of its procedure.

use tidemark::error::Result;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::watermark::{StoreType, Watermark};

use super::conversions::of_text;
use super::statement::{Quoted, Statement};
use crate::types::SqlType;

/// The column of the control table that names the source, in both tutorials.
pub(crate) const NAME_COLUMN: &str = "TableName";

/// The control table, and its columns that count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlColumns<'a> {
    /// The control table.
    pub(crate) table: &'a ObjectName,
    /// The column with the names of the sources, as the server spells it.
    pub(crate) name: &'a Identifier,
    /// The column with the watermarks, as the server spells it.
    pub(crate) column: &'a Identifier,
    /// The type of the watermarks.
    pub(crate) store_type: &'a StoreType,
}

impl ControlColumns<'_> {
    /// Selects the watermark. No other column is selected, because the driver fails at text in a code page that it does
    /// not know, even if it is ASCII, as every `varchar` is in a database with code page 437 or 850. Text is selected as
    /// `nvarchar` for the same reason.
    fn selected(&self, alias: &str) -> String {
        let column = self.column.quoted();
        match self.store_type {
            StoreType::Text => format!("CAST({alias}{column} AS nvarchar(max)) AS {column}"),
            StoreType::Typed(_) => format!("{alias}{column}"),
        }
    }
}

/// Asks for the watermarks of a name, normally one.
pub(crate) fn stored_watermark(control: &ControlColumns<'_>, table_name: &str) -> Statement {
    let (watermark, table, name) = (control.selected(""), control.table.quoted(), control.name.quoted());
    Statement::with(
        format!("SELECT {watermark} FROM {table} WHERE {name} = @P1"),
        &[table_name],
    )
}

/// The most names that are asked for in one statement.
pub(crate) const NAMES_AT_ONCE: usize = 500;

/// Asks for the watermarks of any of these names. Before each comes the place of its name in `names`, from 0.
pub(crate) fn stored_watermarks(control: &ControlColumns<'_>, names: &[String]) -> Statement {
    let names_at = (0..names.len()).map(|place| format!("({place}, @P{})", place + 1));
    let sql = format!(
        "SELECT [n].[place], {} FROM (VALUES {}) AS [n] ([place], [name]) JOIN {} AS [w] ON [w].{} = [n].[name]",
        control.selected("[w]."),
        names_at.collect::<Vec<_>>().join(", "),
        control.table.quoted(),
        control.name.quoted(),
    );
    Statement {
        sql,
        parameters: names.to_vec(),
    }
}

/// Asks for one row, or none: the collation of a column of the control table.
pub(crate) fn collation(table: &ObjectName, column: &Identifier) -> Statement {
    Statement::with(
        "SELECT [collation_name] FROM sys.columns WHERE [object_id] = OBJECT_ID(@P1) AND [name] = @P2",
        &[&table.quoted(), column.as_str()],
    )
}

/// Asks for one row: the number of third parameters called `@Expected` of a procedure, which is 1 or 0.
pub(crate) fn expected_parameter(procedure: &ObjectName) -> Statement {
    let sql = "SELECT COUNT_BIG(*) AS [parameters] FROM sys.parameters \
               WHERE [object_id] = OBJECT_ID(@P1) AND [parameter_id] = 3 AND [name] = N'@Expected'";
    Statement::with(sql, &[&procedure.quoted()])
}

/// Calls a procedure that compares the stored value itself, with positional arguments `(value, table name, expected
/// value)`. NULL means that no value is expected.
pub(crate) fn move_watermark(
    procedure: &ObjectName,
    new: &Watermark,
    table_name: &str,
    expected: Option<&str>,
) -> Statement {
    let procedure = procedure.quoted();
    match expected {
        None => Statement::with(format!("EXEC {procedure} @P1, @P2, NULL"), &[new.value(), table_name]),
        Some(expected) => Statement::with(
            format!("EXEC {procedure} @P1, @P2, @P3"),
            &[new.value(), table_name, expected],
        ),
    }
}

/// Removes the watermark of a name. Where the column may be NULL it is set to NULL, because procedures like those of
/// the tutorials update a row and insert none. Otherwise the row is deleted.
pub(crate) fn clear_watermark(control: &ControlColumns<'_>, nullable: bool, table_name: &str) -> Statement {
    let (table, column, name) = (control.table.quoted(), control.column.quoted(), control.name.quoted());
    let sql = if nullable {
        format!("UPDATE {table} SET {column} = NULL WHERE {name} = @P1")
    } else {
        format!("DELETE FROM {table} WHERE {name} = @P1")
    };
    Statement::with(sql, &[table_name])
}

/// Calls a procedure that does not compare, with the positional arguments `(value, table name)` of the tutorials'
/// procedures, if the control table still holds the expected value. SQL Server converts the text to the type that the
/// parameter declares.
///
/// One transaction locks the row from the comparison to the move (`UPDLOCK, HOLDLOCK`,
/// <https://learn.microsoft.com/en-us/sql/t-sql/queries/hints-transact-sql-table>).
pub(crate) fn move_watermark_if(
    control: &ControlColumns<'_>,
    procedure: &ObjectName,
    new: &Watermark,
    table_name: &str,
    expected: Option<&str>,
) -> Result<Statement> {
    let (table, column, name) = (control.table.quoted(), control.column.quoted(), control.name.quoted());
    let row = format!("SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE {name} = @P2");
    let (condition, parameters) = match (expected, control.store_type) {
        (None, _) => (
            format!("NOT EXISTS ({row} AND {column} IS NOT NULL)"),
            vec![new.value(), table_name],
        ),
        (Some(expected), StoreType::Text) => (
            format!("EXISTS ({row} AND {column} = @P3)"),
            vec![new.value(), table_name, expected],
        ),
        (Some(expected), StoreType::Typed(sql_type)) => (
            format!(
                "EXISTS ({row} AND {column} = {})",
                of_text("@P3", SqlType::of(sql_type)?)
            ),
            vec![new.value(), table_name, expected],
        ),
    };
    let procedure = procedure.quoted();
    let sql =
        format!("SET XACT_ABORT ON; BEGIN TRANSACTION; IF {condition} EXEC {procedure} @P1, @P2; COMMIT TRANSACTION;");
    Ok(Statement::with(sql, &parameters))
}

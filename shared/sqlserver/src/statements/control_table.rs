//! The statements of the control table and of its procedure.

use tidemark::error::Result;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::watermark::{StoreType, Watermark};

use super::{Quoted, Statement};
use crate::types::SqlType;

/// The column of the control table that names the source, in both tutorials.
pub(crate) const NAME_COLUMN: &str = "TableName";

/// Asks for the rows of the control table with a name, normally one.
pub(crate) fn stored_watermark(control_table: &ObjectName, table_name: &str) -> Statement {
    Statement::with(
        format!("SELECT * FROM {} WHERE [{NAME_COLUMN}] = @P1", control_table.quoted()),
        &[table_name],
    )
}

/// The most names that are asked for in one statement.
pub(crate) const NAMES_AT_ONCE: usize = 500;

/// Asks for the rows of the control table with any of these names. Before each row comes the place of its name in
/// `names`, from 0.
pub(crate) fn stored_watermarks(control_table: &ObjectName, names: &[String]) -> Statement {
    let names_at = (0..names.len()).map(|place| format!("({place}, @P{})", place + 1));
    let sql = format!(
        "SELECT [n].[place], [w].* FROM (VALUES {}) AS [n] ([place], [name]) JOIN {} AS [w] ON [w].[{NAME_COLUMN}] = [n].[name]",
        names_at.collect::<Vec<_>>().join(", "),
        control_table.quoted()
    );
    Statement {
        sql,
        parameters: names.to_vec(),
    }
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
pub(crate) fn clear_watermark(
    control_table: &ObjectName,
    column: &Identifier,
    nullable: bool,
    name: &str,
) -> Statement {
    let table = control_table.quoted();
    let sql = if nullable {
        format!(
            "UPDATE {table} SET {} = NULL WHERE [{NAME_COLUMN}] = @P1",
            column.quoted()
        )
    } else {
        format!("DELETE FROM {table} WHERE [{NAME_COLUMN}] = @P1")
    };
    Statement::with(sql, &[name])
}

/// The column of a control table that holds the watermarks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlColumn<'a> {
    /// The control table.
    pub(crate) table: &'a ObjectName,
    /// The name of the column.
    pub(crate) column: &'a Identifier,
    /// The type of the column.
    pub(crate) store_type: &'a StoreType,
}

/// Calls a procedure that does not compare, with the positional arguments `(value, table name)` of the tutorials'
/// procedures, if the control table still holds the expected value. SQL Server converts the text to the type that the
/// parameter declares.
///
/// One transaction locks the row from the comparison to the move (`UPDLOCK, HOLDLOCK`,
/// <https://learn.microsoft.com/en-us/sql/t-sql/queries/hints-transact-sql-table>).
pub(crate) fn move_watermark_if(
    control: &ControlColumn<'_>,
    procedure: &ObjectName,
    new: &Watermark,
    table_name: &str,
    expected: Option<&str>,
) -> Result<Statement> {
    let (table, column) = (control.table.quoted(), control.column.quoted());
    let row = format!("SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE [{NAME_COLUMN}] = @P2");
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
                SqlType::of(sql_type)?.of_parameter("@P3")
            ),
            vec![new.value(), table_name, expected],
        ),
    };
    let procedure = procedure.quoted();
    let sql =
        format!("SET XACT_ABORT ON; BEGIN TRANSACTION; IF {condition} EXEC {procedure} @P1, @P2; COMMIT TRANSACTION;");
    Ok(Statement::with(sql, &parameters))
}

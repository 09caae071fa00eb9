//! The statements that ask for the columns of a sink table and of a table type.

use tidemark::model::names::ObjectName;

use super::statement::{Quoted, Statement};

/// Asks for the columns of a table in its order, one row each: name, type, length, precision, scale, whether it is
/// nullable, an identity, computed or has a default, its collation, whether it is in the primary key, and whether
/// clients encrypt it (Always Encrypted). There is no row when there is no such table. The period columns of a temporal table count as computed, because only the server
/// writes them.
///
/// An alias type is shown as its base type. CLR types, whose system type is 240, have no base type and keep their name.
pub(crate) fn sink_columns(table: &ObjectName) -> Statement {
    Statement::with(described("OBJECT_ID(@P1)"), &[&table.quoted()])
}

/// Asks for the columns of a table type, in the form of [`sink_columns`].
pub(crate) fn table_type_columns(table_type: &ObjectName) -> Statement {
    let id = "(SELECT [y].[type_table_object_id] FROM sys.table_types AS [y] JOIN sys.schemas AS [h] \
              ON [h].[schema_id] = [y].[schema_id] WHERE [h].[name] = @P1 AND [y].[name] = @P2)";
    let (schema, name) = (table_type.schema().as_str(), table_type.name().as_str());
    Statement::with(described(id), &[schema, name])
}

fn described(object_id: &str) -> String {
    format!(
        "SELECT [c].[name], [y].[name], CAST([c].[max_length] AS int), CAST([c].[precision] AS int), \
         CAST([c].[scale] AS int), [c].[is_nullable], [c].[is_identity], \
         CAST(CASE WHEN [c].[is_computed] = 1 OR [c].[generated_always_type] <> 0 THEN 1 ELSE 0 END AS bit), \
         CAST(CASE WHEN [c].[default_object_id] = 0 THEN 0 ELSE 1 END AS bit), [c].[collation_name], \
         CAST(CASE WHEN [k].[column_id] IS NULL THEN 0 ELSE 1 END AS bit), \
         CAST(CASE WHEN [c].[encryption_type] IS NULL THEN 0 ELSE 1 END AS bit) \
         FROM sys.columns AS [c] \
         LEFT JOIN sys.types AS [y] ON [y].[user_type_id] = \
         CASE WHEN [c].[system_type_id] = 240 THEN [c].[user_type_id] ELSE [c].[system_type_id] END \
         LEFT JOIN (SELECT [n].[object_id], [n].[column_id] FROM sys.indexes AS [i] JOIN sys.index_columns AS [n] \
         ON [n].[object_id] = [i].[object_id] AND [n].[index_id] = [i].[index_id] WHERE [i].[is_primary_key] = 1) AS [k] \
         ON [k].[object_id] = [c].[object_id] AND [k].[column_id] = [c].[column_id] \
         WHERE [c].[object_id] = {object_id} ORDER BY [c].[column_id]"
    )
}

//! The statements that ask a server for its version and its tables.

use super::statement::Statement;

/// Asks for one row: the server's version and edition, as a text of several lines, and the numbers of its engine and of its
/// major version. The last is NULL for a version that is too old to know of it
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/serverproperty-transact-sql>).
pub(crate) fn version() -> Statement {
    Statement::new(
        "SELECT @@VERSION AS [version], CAST(SERVERPROPERTY(N'EngineEdition') AS int) AS [engine], \
         CAST(SERVERPROPERTY(N'ProductMajorVersion') AS int) AS [major]",
    )
}

/// The condition that holds when the login sees every security policy of the database
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-security-policies-transact-sql>).
pub(super) const SEES_POLICIES: &str = "HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'VIEW DEFINITION') = 1 \
     OR HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'ALTER ANY SECURITY POLICY') = 1";

/// Asks for one row: 1 when the login sees every security policy of the database, else 0.
pub(crate) fn sees_policies() -> Statement {
    Statement::new(format!(
        "SELECT CASE WHEN {SEES_POLICIES} THEN 1 ELSE 0 END AS [answer]"
    ))
}

/// Asks for a row for each column of each table of the database: names, type, whether it may be NULL and is an
/// identity, its place in the primary key, whether an index begins with it, whether the table's changes are tracked,
/// and the table's rows, which are those of its first index, because a memory-optimized table has neither a heap (0) nor a
/// clustered index (1). The bytes are those of the pages with its rows, and NULL for a table without pages. They come from
/// `sys.allocation_units`, because `sys.dm_db_partition_stats` takes the right VIEW DATABASE STATE. One statement asks for all tables, because a database may have thousands. The last value is
/// the expression of the column's default, or NULL without `with_defaults`.
pub(crate) fn columns_of_all_tables(with_defaults: bool) -> Statement {
    let (definition, defaults) = if with_defaults {
        (
            "CAST([d].[definition] AS nvarchar(400))",
            "LEFT JOIN sys.default_constraints AS [d] \
             ON [d].[parent_object_id] = [c].[object_id] AND [d].[parent_column_id] = [c].[column_id] ",
        )
    } else {
        ("CAST(NULL AS nvarchar(400))", "")
    };
    Statement::new(format!(
        "SELECT [s].[name] AS [schema_name], [t].[name] AS [table_name], [c].[name] AS [column_name], \
         [y].[name] AS [type_name], CAST([c].[is_nullable] AS int) AS [is_nullable], \
         CAST([c].[is_identity] AS int) AS [is_identity], [k].[place] AS [key_place], [i].[leads] AS [leads], \
         [g].[tracked] AS [tracked], [p].[all_rows] AS [all_rows], [z].[all_bytes] AS [all_bytes], \
         {definition} AS [definition] \
         FROM sys.tables AS [t] \
         JOIN sys.schemas AS [s] ON [s].[schema_id] = [t].[schema_id] \
         JOIN sys.columns AS [c] ON [c].[object_id] = [t].[object_id] \
         JOIN sys.types AS [y] ON [y].[user_type_id] = \
         CASE WHEN [c].[system_type_id] = 240 THEN [c].[user_type_id] ELSE [c].[system_type_id] END \
         LEFT JOIN (SELECT [x].[object_id], [e].[column_id], CAST([e].[key_ordinal] AS int) AS [place] \
         FROM sys.indexes AS [x] JOIN sys.index_columns AS [e] \
         ON [e].[object_id] = [x].[object_id] AND [e].[index_id] = [x].[index_id] WHERE [x].[is_primary_key] = 1) AS [k] \
         ON [k].[object_id] = [c].[object_id] AND [k].[column_id] = [c].[column_id] \
         LEFT JOIN (SELECT [x].[object_id], [e].[column_id], MAX(1) AS [leads] \
         FROM sys.indexes AS [x] JOIN sys.index_columns AS [e] \
         ON [e].[object_id] = [x].[object_id] AND [e].[index_id] = [x].[index_id] AND [e].[key_ordinal] = 1 \
         WHERE [x].[type] IN (1, 2) AND [x].[is_disabled] = 0 AND [x].[has_filter] = 0 \
         GROUP BY [x].[object_id], [e].[column_id]) AS [i] \
         ON [i].[object_id] = [c].[object_id] AND [i].[column_id] = [c].[column_id] \
         LEFT JOIN (SELECT [object_id], MAX(1) AS [tracked] FROM sys.change_tracking_tables GROUP BY [object_id]) AS [g] \
         ON [g].[object_id] = [t].[object_id] \
         LEFT JOIN (SELECT [b].[object_id], SUM([b].[rows]) AS [all_rows] FROM sys.partitions AS [b] \
         JOIN (SELECT [object_id], MIN([index_id]) AS [index_id] FROM sys.partitions GROUP BY [object_id]) AS [f] \
         ON [f].[object_id] = [b].[object_id] AND [f].[index_id] = [b].[index_id] \
         GROUP BY [b].[object_id]) AS [p] ON [p].[object_id] = [t].[object_id] \
         LEFT JOIN (SELECT [b].[object_id], SUM([u].[used_pages]) * 8192 AS [all_bytes] FROM sys.partitions AS [b] \
         JOIN sys.allocation_units AS [u] \
         ON [u].[container_id] = CASE WHEN [u].[type] = 2 THEN [b].[partition_id] ELSE [b].[hobt_id] END \
         WHERE [b].[index_id] IN (0, 1) GROUP BY [b].[object_id]) AS [z] ON [z].[object_id] = [t].[object_id] \
         {defaults}\
         WHERE [t].[is_ms_shipped] = 0 AND [c].[name] NOT LIKE N'MSSQL[_]DroppedLedgerColumn[_]%' ORDER BY [s].[name], [t].[name], [c].[column_id]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alias type has a name of its own, which says nothing of its values. CLR types have no other.
    #[test]
    fn an_alias_type_is_shown_as_its_base_type() {
        let sql = columns_of_all_tables(true).sql;
        assert!(
            sql.contains("WHEN [c].[system_type_id] = 240 THEN [c].[user_type_id] ELSE [c].[system_type_id] END"),
            "{sql}"
        );
    }
}

//! The statements that ask the catalog about the columns of tables.

use tidemark::model::names::ObjectName;

use super::{Quoted, Statement};

/// The most tables whose columns are asked for in one request.
pub(crate) const TABLES_AT_ONCE: usize = 50;

/// Asks for the columns of tables: for each table one result, in it a row for each column, in the table's order. A
/// synonym, and a table of which the login sees nothing, have no rows. The values of a row are:
///
/// - the name (`name`), and whether `SELECT *` includes the column (`in_star`);
/// - whether this login may not read it (`denied`), reads its ciphertext (`encrypted`), or reads a mask in place of its
///   values (`masked`);
/// - whether it is a rowversion (`row_version`), which the wire describes as `binary(8)`;
/// - whether a security policy filters the table (`filtered`);
/// - its type without an alias: name, length, precision, scale, and whether it may be NULL. For a view the name of the
///   type is NULL, because until the view is refreshed the catalog has the type that the view's table had before
///   (<https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-refreshview-transact-sql>);
/// - schema and name of the table, as they were declared;
/// - whether it is a view that may show masks that this login cannot know of (`veiled`). Which columns of a view come
///   from masked ones is in no catalog that everybody may read. It is certain that none does when the login may read
///   the stored values of the whole database, or sees all of its catalog and no mask in it.
///
/// A computed column counts as masked when its table has a masked column, because the server masks what depends on one
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/security/dynamic-data-masking>), and not everybody may
/// read of what the column is computed.
///
/// Each table has a statement of its own, because a server keeps the plan of a statement and uses it again for the next
/// tables.
///
/// Policies are visible to a login that may see their definition, for example with `VIEW DEFINITION`
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-security-predicates-transact-sql>).
///
/// A column set is not `in_star`, because the sparse columns that it repeats are
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/tables/use-column-sets>). `UNMASK` is a permission on a
/// column from SQL Server 2022 on, and before that one on the database; an older server answers the first question with
/// NULL (<https://learn.microsoft.com/en-us/sql/t-sql/functions/has-perms-by-name-transact-sql>).
pub(crate) fn columns(tables: &[&ObjectName]) -> Statement {
    let sql = "SELECT [c].[name], \
               CASE WHEN [c].[is_hidden] = 1 OR [c].[is_column_set] = 1 THEN 0 ELSE 1 END AS [in_star], \
               CASE WHEN HAS_PERMS_BY_NAME(@P1, N'OBJECT', N'SELECT', [c].[name], N'COLUMN') = 0 THEN 1 ELSE 0 END AS [denied], \
               CASE WHEN [c].[encryption_type] IS NULL THEN 0 ELSE 1 END AS [encrypted], \
               CASE WHEN EXISTS (SELECT 1 FROM sys.columns AS [m] WHERE [m].[object_id] = [c].[object_id] \
               AND [m].[is_masked] = 1 AND ([m].[column_id] = [c].[column_id] OR [c].[is_computed] = 1) \
               AND ISNULL(HAS_PERMS_BY_NAME(@P1, N'OBJECT', N'UNMASK', [m].[name], N'COLUMN'), 0) = 0) \
               AND ISNULL(HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'UNMASK'), 0) = 0 THEN 1 ELSE 0 END AS [masked], \
               CASE WHEN [c].[system_type_id] = 189 THEN 1 ELSE 0 END AS [row_version], \
               CASE WHEN EXISTS (SELECT 1 FROM sys.security_predicates AS [f] JOIN sys.security_policies AS [y] \
               ON [y].[object_id] = [f].[object_id] WHERE [f].[target_object_id] = OBJECT_ID(@P1) AND [f].[predicate_type] = 0 \
               AND [y].[is_enabled] = 1) THEN 1 ELSE 0 END AS [filtered], \
               [t].[name] AS [type_name], CAST([c].[max_length] AS int) AS [max_length], CAST([c].[precision] AS int) AS [precision], \
               CAST([c].[scale] AS int) AS [scale], CASE WHEN [c].[is_nullable] = 0 THEN 0 ELSE 1 END AS [nullable], \
               OBJECT_SCHEMA_NAME([c].[object_id]) AS [schema_name], OBJECT_NAME([c].[object_id]) AS [object_name], \
               CASE WHEN NOT EXISTS (SELECT 1 FROM sys.objects AS [o] WHERE [o].[object_id] = [c].[object_id] AND [o].[type] = 'V') \
               OR HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'UNMASK') = 1 THEN 0 \
               WHEN HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'VIEW DEFINITION') = 1 \
               AND NOT EXISTS (SELECT 1 FROM sys.columns AS [n] WHERE [n].[is_masked] = 1) THEN 0 ELSE 1 END AS [veiled] \
               FROM sys.columns AS [c] LEFT JOIN sys.types AS [t] ON [t].[user_type_id] = [c].[system_type_id] \
               AND EXISTS (SELECT 1 FROM sys.tables AS [u] WHERE [u].[object_id] = [c].[object_id]) \
               WHERE [c].[object_id] = OBJECT_ID(@P1) ORDER BY [c].[column_id]";
    let one_each = (1..=tables.len()).map(|number| sql.replace("@P1", &format!("@P{number}")));
    Statement {
        sql: one_each.collect::<Vec<_>>().join("; "),
        parameters: tables.iter().map(|table| table.quoted()).collect(),
    }
}

/// Asks for what a synonym stands for, and for its own schema and name as they were declared. No row if there is no such
/// synonym.
pub(crate) fn synonym(name: &ObjectName) -> Statement {
    let sql = "SELECT [base_object_name], OBJECT_SCHEMA_NAME([object_id]) AS [schema_name], OBJECT_NAME([object_id]) AS [object_name] \
               FROM sys.synonyms WHERE [object_id] = OBJECT_ID(@P1)";
    Statement::with(sql, &[&name.quoted()])
}

/// Asks for the names of the rowversion columns of a table, when [`columns`] was not asked.
pub(crate) fn row_version_columns(table: &ObjectName) -> Statement {
    let sql = "SELECT [name] FROM sys.columns WHERE [object_id] = OBJECT_ID(@P1) AND [system_type_id] = 189";
    Statement::with(sql, &[&table.quoted()])
}

/// Asks for the schema and the name of every table, view and synonym that the login may see.
pub(crate) fn names() -> Statement {
    let sql = "SELECT [s].[name] AS [schema], [o].[name] AS [table] FROM sys.objects AS [o] JOIN sys.schemas AS [s] \
               ON [s].[schema_id] = [o].[schema_id] WHERE [o].[type] IN ('U', 'V', 'SN')";
    Statement::with(sql, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a view that was not refreshed, the catalog has the types that the view's table had before.
    #[test]
    fn the_types_of_tables_alone_are_taken_from_the_catalog() {
        let table: ObjectName = "t".parse().unwrap();
        let sql = columns(&[&table]).sql;
        let types = sql.split("LEFT JOIN sys.types AS [t] ON ").nth(1).unwrap();
        let types = types.split(" WHERE [c].[object_id]").next().unwrap();
        assert!(types.contains("EXISTS (SELECT 1 FROM sys.tables AS [u] "), "{types}");
    }
}

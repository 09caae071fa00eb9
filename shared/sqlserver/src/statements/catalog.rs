//! The statements that ask the catalog about the columns of tables.

use tidemark::model::names::ObjectName;

use super::inventory::SEES_POLICIES;
use super::statement::{Quoted, Statement};

/// The most tables whose columns are asked for in one request.
pub(crate) const TABLES_AT_ONCE: usize = 50;

/// Asks for the columns of tables: for each table one result, in it a row for each column, in the table's order. A
/// synonym, and a table of which the login sees nothing, have no rows. The values of a row are:
///
/// - the name (`name`), and whether `SELECT *` includes the column (`in_star`);
/// - whether this login may not read it (`denied`), reads its ciphertext (`encrypted`), or reads a mask in place of its
///   values (`masked`): 1 when it does, and 2 when it is computed in a table with a masked column, of which it may be;
/// - whether it is a rowversion (`row_version`), which the wire describes as `binary(8)`, and whether it is the start of a
///   period (`period_start`), which is the time at which the transaction began
///   (<https://learn.microsoft.com/en-us/sql/relational-databases/tables/temporal-tables>);
/// - whether a security policy filters the table (`filtered`): 1 when one does, and 2 for a view when one filters
///   something in the database; and whether there may be one that this login does not see (`policies_unseen`);
/// - whether it is a view (`is_view`);
/// - its type without an alias: name, length, precision, scale, and whether it may be NULL. For a view the name of the
///   type is NULL, because until the view is refreshed the catalog has the type that the view's table had before
///   (<https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-refreshview-transact-sql>);
/// - schema and name of the table, as they were declared, and its number (`object_id`);
/// - whether it is a view that may show masks that this login cannot know of (`veiled`), because which columns of a view
///   come from masked ones is in no catalog that everybody may read: 2 when the login sees a masked column in the
///   database, 1 when it may be that it does not see them all, and 0 when it sees all of the catalog and no mask in it,
///   or may read the stored values of the whole database. It is 1 for an external table, whose masks are in the catalog of
///   another database.
///
/// The server masks what is computed of a masked column
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/security/dynamic-data-masking>). NULL is the name of the
/// current database
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/has-perms-by-name-transact-sql>).
///
/// Each table has a statement of its own, because a server keeps the plan of a statement and uses it again for the next
/// tables.
///
/// Policies are visible to a login that may see their definition, for example with `VIEW DEFINITION`
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-security-predicates-transact-sql>).
///
/// A column set is not `in_star`, because the sparse columns that it repeats are
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/tables/use-column-sets>). Nor is a column that was dropped from a
/// ledger table, which keeps it under a name that begins so
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/security/ledger/ledger-limits>). `UNMASK` is a permission on a
/// column from SQL Server 2022 on, and before that one on the database; an older server answers the first question with
/// NULL (<https://learn.microsoft.com/en-us/sql/t-sql/functions/has-perms-by-name-transact-sql>).
pub(crate) fn columns(tables: &[&ObjectName]) -> Statement {
    let sql = "SELECT [c].[name], \
               CASE WHEN [c].[is_hidden] = 1 OR [c].[is_column_set] = 1 OR [c].[name] LIKE N'MSSQL[_]DroppedLedgerColumn[_]%' \
               THEN 0 ELSE 1 END AS [in_star], \
               CASE WHEN HAS_PERMS_BY_NAME(@P1, N'OBJECT', N'SELECT', [c].[name], N'COLUMN') = 0 THEN 1 ELSE 0 END AS [denied], \
               CASE WHEN [c].[encryption_type] IS NULL THEN 0 ELSE 1 END AS [encrypted], \
               CASE WHEN EXISTS (SELECT 1 FROM sys.columns AS [m] WHERE [m].[object_id] = [c].[object_id] \
               AND [m].[is_masked] = 1 AND ([m].[column_id] = [c].[column_id] OR [c].[is_computed] = 1) \
               AND ISNULL(HAS_PERMS_BY_NAME(@P1, N'OBJECT', N'UNMASK', [m].[name], N'COLUMN'), 0) = 0) \
               AND ISNULL(HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'UNMASK'), 0) = 0 \
               THEN CASE WHEN [c].[is_masked] = 1 THEN 1 ELSE 2 END ELSE 0 END AS [masked], \
               CASE WHEN [c].[system_type_id] = 189 THEN 1 ELSE 0 END AS [row_version], \
               CASE WHEN [c].[generated_always_type] = 1 THEN 1 ELSE 0 END AS [period_start], \
               CASE WHEN EXISTS (SELECT 1 FROM sys.security_predicates AS [f] JOIN sys.security_policies AS [y] \
               ON [y].[object_id] = [f].[object_id] WHERE [f].[target_object_id] = OBJECT_ID(@P1) AND [f].[predicate_type] = 0 \
               AND [y].[is_enabled] = 1) THEN 1 \
               WHEN OBJECTPROPERTY([c].[object_id], N'IsView') = 1 AND EXISTS (SELECT 1 FROM sys.security_predicates AS [f] \
               JOIN sys.security_policies AS [y] ON [y].[object_id] = [f].[object_id] \
               WHERE [f].[predicate_type] = 0 AND [y].[is_enabled] = 1) THEN 2 ELSE 0 END AS [filtered], \
               CASE WHEN NOT EXISTS (SELECT 1 FROM sys.external_tables AS [e] WHERE [e].[object_id] = [c].[object_id]) \
               AND ({sees_policies}) THEN 0 ELSE 1 END AS [policies_unseen], \
               CASE WHEN OBJECTPROPERTY([c].[object_id], N'IsView') = 1 THEN 1 ELSE 0 END AS [is_view], \
               [t].[name] AS [type_name], CAST([c].[max_length] AS int) AS [max_length], CAST([c].[precision] AS int) AS [precision], \
               CAST([c].[scale] AS int) AS [scale], CASE WHEN [c].[is_nullable] = 0 THEN 0 ELSE 1 END AS [nullable], \
               OBJECT_SCHEMA_NAME([c].[object_id]) AS [schema_name], OBJECT_NAME([c].[object_id]) AS [object_name], [c].[object_id], \
               CASE WHEN EXISTS (SELECT 1 FROM sys.external_tables AS [x] WHERE [x].[object_id] = [c].[object_id]) THEN 1 \
               WHEN NOT EXISTS (SELECT 1 FROM sys.objects AS [o] WHERE [o].[object_id] = [c].[object_id] AND [o].[type] = 'V') \
               OR HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'UNMASK') = 1 THEN 0 \
               WHEN EXISTS (SELECT 1 FROM sys.columns AS [n] WHERE [n].[is_masked] = 1) THEN 2 \
               WHEN HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'VIEW DEFINITION') = 1 THEN 0 ELSE 1 END AS [veiled] \
               FROM sys.columns AS [c] LEFT JOIN sys.types AS [t] ON [t].[user_type_id] = [c].[system_type_id] \
               AND EXISTS (SELECT 1 FROM sys.tables AS [u] WHERE [u].[object_id] = [c].[object_id]) \
               WHERE [c].[object_id] = OBJECT_ID(@P1) ORDER BY [c].[column_id]";
    let sql = sql.replace("{sees_policies}", SEES_POLICIES);
    let one_each = (1..=tables.len()).map(|number| sql.replace("@P1", &format!("@P{number}")));
    Statement {
        sql: one_each.collect::<Vec<_>>().join("; "),
        parameters: tables.iter().map(|table| table.quoted()).collect(),
    }
}

/// Asks for what a synonym stands for: its schema and its name, and whether it is in this database, which a name of three
/// parts may also say; and for the synonym's own schema and name as they were declared. No row if there is no such
/// synonym.
pub(crate) fn synonym(name: &ObjectName) -> Statement {
    let sql = format!(
        "SELECT PARSENAME([s].[base_object_name], 2) AS [base_schema], PARSENAME([s].[base_object_name], 1) AS [base_name], \
         {} AS [is_outside], OBJECT_SCHEMA_NAME([s].[object_id]) AS [schema_name], OBJECT_NAME([s].[object_id]) AS [object_name] \
         FROM sys.synonyms AS [s] WHERE [s].[object_id] = OBJECT_ID(@P1)",
        outside(
            "PARSENAME([s].[base_object_name], 4)",
            "PARSENAME([s].[base_object_name], 3)"
        )
    );
    Statement::with(sql, &[&name.quoted()])
}

/// Returns the expression that is 1 when a name of more than two parts names another database or server. The server
/// compares the names of databases by its own rules.
fn outside(server: &str, database: &str) -> String {
    format!(
        "CASE WHEN {server} IS NOT NULL OR ({database} IS NOT NULL AND ISNULL(DB_ID({database}), 0) <> DB_ID()) THEN 1 ELSE 0 END"
    )
}

/// Asks for one row: whether an object is a table whose rows are in this database, or a view that can only name objects of it,
/// as those that are bound to the schema do
/// (<https://learn.microsoft.com/en-us/sql/t-sql/statements/create-view-transact-sql>, `SCHEMABINDING`). The rows of an external
/// table are elsewhere.
pub(crate) fn stays_here(object: &ObjectName) -> Statement {
    Statement::with(
        format!("SELECT {} AS [stays_here]", is_here("@P1")),
        &[&object.quoted()],
    )
}

/// Returns the expression of [`stays_here`] for the name in a parameter.
pub(super) fn is_here(parameter: &str) -> String {
    format!(
        "CASE WHEN OBJECTPROPERTY(OBJECT_ID({parameter}), N'IsTable') = 1 \
         AND NOT EXISTS (SELECT 1 FROM sys.external_tables WHERE [object_id] = OBJECT_ID({parameter})) \
         OR OBJECTPROPERTY(OBJECT_ID({parameter}), N'IsSchemaBound') = 1 THEN 1 ELSE 0 END"
    )
}

/// Asks for what a view or a function reads, a row for each object:
///
/// - the object as the definition names it (`server_name`, `database_name`, `entity_name`), and whether it is in another database
///   (`is_outside`), as the rows of an external table are;
/// - its schema and its name, and its kind: 1 for a view or a function of T-SQL, 2 for a synonym, 3 for a table, and 0 for what
///   the login may not see, or nobody can see through, as a function of the CLR;
/// - whether it has masked columns (`masked`), and whether a security policy filters it (`filtered`).
///
/// Before that comes a result with one row, the text of the view or the function (`definition`): the functions that send a
/// query to another server are in no catalog. It is NULL when nobody may see it, or the login may not. One whose text is
/// seen, and which has no other row, reads nothing.
///
/// There is no row when the login lacks `VIEW DEFINITION` on the view
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-sql-referenced-entities-transact-sql>).
/// `sys.sql_expression_dependencies` would tell the same, but only to owners of the database, and others get an error.
pub(crate) fn references(view: &ObjectName) -> Statement {
    let outside = outside("[r].[referenced_server_name]", "[r].[referenced_database_name]");
    let sql = format!(
        "SELECT OBJECT_DEFINITION(OBJECT_ID(@P1)) AS [definition]; \
         SELECT DISTINCT [r].[referenced_server_name] AS [server_name], [r].[referenced_database_name] AS [database_name], \
         [r].[referenced_entity_name] AS [entity_name], \
         CASE WHEN EXISTS (SELECT 1 FROM sys.external_tables AS [e] WHERE [e].[object_id] = [o].[object_id]) THEN 1 \
         ELSE {outside} END AS [is_outside], \
         OBJECT_SCHEMA_NAME([o].[object_id]) AS [schema_name], OBJECT_NAME([o].[object_id]) AS [object_name], \
         CASE WHEN [o].[object_id] IS NULL THEN 0 WHEN [o].[type] IN ('V', 'IF', 'TF', 'FN') THEN 1 WHEN [o].[type] = 'SN' THEN 2 \
         WHEN [o].[type] = 'U' THEN 3 ELSE 0 END AS [kind], \
         CASE WHEN EXISTS (SELECT 1 FROM sys.columns AS [m] WHERE [m].[object_id] = [o].[object_id] AND [m].[is_masked] = 1) \
         THEN 1 ELSE 0 END AS [masked], \
         CASE WHEN EXISTS (SELECT 1 FROM sys.security_predicates AS [f] JOIN sys.security_policies AS [y] \
         ON [y].[object_id] = [f].[object_id] WHERE [f].[target_object_id] = [o].[object_id] AND [f].[predicate_type] = 0 \
         AND [y].[is_enabled] = 1) THEN 1 ELSE 0 END AS [filtered] \
         FROM sys.dm_sql_referenced_entities(@P1, N'OBJECT') AS [r] \
         LEFT JOIN sys.objects AS [o] ON [o].[object_id] = [r].[referenced_id] AND {outside} = 0 \
         WHERE [r].[referenced_class] = 1"
    );
    Statement::with(sql, &[&view.quoted()])
}

/// Asks for one row: 1 when the login may read the stored values of every column of another database of this server, else 0.
pub(crate) fn is_unmasked(database: &str) -> Statement {
    Statement::with(
        "SELECT CASE WHEN HAS_PERMS_BY_NAME(@P1, N'DATABASE', N'UNMASK') = 1 THEN 1 ELSE 0 END AS [answer]",
        &[&database.quoted()],
    )
}

/// Asks for one row: 1 when an object is an external table, else 0.
pub(crate) fn is_external(table: &ObjectName) -> Statement {
    Statement::with(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.external_tables WHERE [object_id] = OBJECT_ID(@P1)) THEN 1 ELSE 0 END AS [answer]",
        &[&table.quoted()],
    )
}

/// Asks for the names of a table's columns that are computed of its own unmasked columns and of nothing else. There is
/// none when the login lacks `VIEW DEFINITION` on the table.
pub(crate) fn computed_of_unmasked(table: &ObjectName) -> Statement {
    let sql = "SELECT [c].[name] FROM sys.dm_sql_referenced_entities(@P1, N'OBJECT') AS [r] \
               JOIN sys.columns AS [c] ON [c].[object_id] = OBJECT_ID(@P1) AND [c].[column_id] = [r].[referencing_minor_id] \
               LEFT JOIN sys.columns AS [u] ON [u].[object_id] = [c].[object_id] AND [u].[object_id] = [r].[referenced_id] \
               AND [u].[column_id] = [r].[referenced_minor_id] AND [u].[is_masked] = 0 \
               WHERE [c].[is_computed] = 1 AND [r].[referenced_class] = 1 \
               GROUP BY [c].[name] HAVING COUNT(*) = COUNT([u].[column_id])";
    Statement::with(sql, &[&table.quoted()])
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

    /// The stand-in has no functions of the CLR (`FS`, `FT`, `AF`), whose code reads what it likes.
    #[test]
    fn only_what_is_written_in_the_language_is_seen_through() {
        let sql = references(&"v".parse().unwrap()).sql;
        assert!(
            sql.contains("FROM sys.external_tables AS [e] WHERE [e].[object_id] = [o].[object_id]"),
            "{sql}"
        );
        let kind = sql
            .split("AS [is_outside], ")
            .nth(1)
            .unwrap()
            .split(" AS [kind]")
            .next()
            .unwrap();
        assert!(kind.contains("IN ('V', 'IF', 'TF', 'FN') THEN 1 "), "{kind}");
        assert!(kind.ends_with("WHEN [o].[type] = 'U' THEN 3 ELSE 0 END"), "{kind}");
    }
}

//! The statements of change tracking: for versions, keys, full loads, and the changes of a window.
//!
//! Keys come from `CHANGETABLE` and other columns from the table, as in Microsoft's own examples
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/track-changes/work-with-change-tracking-sql-server>).
//! `CHANGETABLE` takes a bigint or a variable, but no expression and no text, so the statements begin with a `DECLARE`.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::rows::{Changes, Load};
use tidemark::model::types::{Column, TrackedColumns};

use super::query::{Query, Values, key_conditions, selected, where_key};
use super::statement::{IS_REPLICA, Quoted, Statement};
use crate::types::SqlType;

/// The column with the version at which a row was last changed, in every file.
pub const VERSION_COLUMN: &str = "SYS_CHANGE_VERSION";
/// The column with the operation of a row's change, `I`, `U` or `D`, in every file.
pub const OPERATION_COLUMN: &str = "SYS_CHANGE_OPERATION";

/// Asks for one row: the version of the database, the least valid version of the table, the version at which its tracking
/// began, and whether the database is a replica ([`IS_REPLICA`]). A version is NULL when the table is not tracked.
pub(crate) fn versions(table: &ObjectName) -> Statement {
    Statement::with(
        format!(
            "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current_version], \
             CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@P1)) AS [min_valid_version], \
             (SELECT [begin_version] FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(@P1)) AS [begin_version], \
             {IS_REPLICA} AS [is_replica]"
        ),
        &[&table.quoted()],
    )
}

/// Asks for one row that explains why a table has no versions. It counts what the login can see: tables of this name,
/// this database among the tracked ones, this table among the tracked ones, primary keys of the table, and views and
/// synonyms of this name.
pub(crate) fn diagnosis(table: &ObjectName) -> Statement {
    Statement::with(
        "SELECT (SELECT COUNT_BIG(*) FROM sys.tables WHERE [object_id] = OBJECT_ID(@P1)) AS [tables], \
         (SELECT COUNT_BIG(*) FROM sys.change_tracking_databases WHERE [database_id] = DB_ID()) AS [tracked_databases], \
         (SELECT COUNT_BIG(*) FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(@P1)) AS [tracked_tables], \
         (SELECT COUNT_BIG(*) FROM sys.indexes WHERE [object_id] = OBJECT_ID(@P1) AND [is_primary_key] = 1) \
         AS [primary_keys], \
         (SELECT COUNT_BIG(*) FROM sys.objects WHERE [object_id] = OBJECT_ID(@P1) AND [type] = 'V') AS [views], \
         (SELECT COUNT_BIG(*) FROM sys.synonyms WHERE [object_id] = OBJECT_ID(@P1)) AS [synonyms]",
        &[&table.quoted()],
    )
}

/// Asks for one row, or none: whether changes are ever removed, and the period and its unit (1 minutes, 2 hours, 3
/// days) for which they are kept.
pub(crate) fn retention() -> Statement {
    Statement::with(
        "SELECT CAST([is_auto_cleanup_on] AS bigint) AS [is_auto_cleanup_on], \
         CAST([retention_period] AS bigint) AS [retention_period], \
         CAST([retention_period_units] AS bigint) AS [retention_period_units] \
         FROM sys.change_tracking_databases WHERE [database_id] = DB_ID()",
        &[],
    )
}

/// Asks for the names of the primary key's columns, in the order of the key.
pub(crate) fn primary_key(table: &ObjectName) -> Statement {
    Statement::with(
        "SELECT [c].[name] FROM sys.indexes AS [i] \
         JOIN sys.index_columns AS [k] ON [k].[object_id] = [i].[object_id] AND [k].[index_id] = [i].[index_id] \
         JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
         WHERE [i].[object_id] = OBJECT_ID(@P1) AND [i].[is_primary_key] = 1 ORDER BY [k].[key_ordinal]",
        &[&table.quoted()],
    )
}

/// Asks for one row: 1 when the last change of some row is in (`after`, `up_to`], else 0.
pub(crate) fn has_changes(table: &ObjectName, after: i64, up_to: i64) -> Statement {
    let table = table.quoted();
    Statement::with(
        format!(
            "DECLARE @from bigint = CAST(@P1 AS bigint); \
             SELECT CASE WHEN EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, @from) AS [ct] \
             WHERE [ct].[{VERSION_COLUMN}] <= CAST(@P2 AS bigint)) THEN 1 ELSE 0 END AS [answer]"
        ),
        &[&after.to_string(), &up_to.to_string()],
    )
}

/// Returns the columns of the table, which in a plan come before the two that describe the change.
///
/// # Errors
///
/// `LedgerInvalid` when the plan does not end with these two.
fn of_table(columns: &[Column]) -> Result<&[Column]> {
    match TrackedColumns::of(columns) {
        Some(tracked) if tracked.version.name == VERSION_COLUMN && tracked.operation.name == OPERATION_COLUMN => {
            Ok(tracked.copied)
        }
        _ => {
            let message = format!("the plan of a tracked table does not end with {VERSION_COLUMN}, {OPERATION_COLUMN}");
            Err(Error::new(ErrorCode::LedgerInvalid, message))
        }
    }
}

/// Selects the rows of a table, or those in a range of its key, as if they had been inserted at a version that was read
/// before.
pub(super) fn load(load: &Load<'_>, columns: &[Column]) -> Result<Statement> {
    let items = of_table(columns)?.iter().map(|column| selected(Some("t"), column));
    let items = items.collect::<Result<Vec<_>>>()?;
    let mut values = Values::default();
    let version = values.bound_of(SqlType::BIGINT, load.version)?;
    let filter = where_key(load.key, &mut values)?;
    let sql = format!(
        "SELECT {}, {version} AS [{VERSION_COLUMN}], CAST(N'I' AS nchar(1)) AS [{OPERATION_COLUMN}] \
         FROM {} AS [t]{filter}",
        items.join(", "),
        load.table.quoted()
    );
    Ok(values.statement(&sql))
}

/// Selects the changed rows of a window: the columns of the table, then the version and the operation.
///
/// A row that was changed again after the window has a higher version and belongs to a later window. A deleted row has
/// only its key, even if it exists again by now. A row that was inserted or updated, and no longer exists when the
/// table is read, is left out, because its deletion has a version of its own.
pub(super) fn rows(changes: &Changes<'_>, columns: &[Column]) -> Result<Statement> {
    let items = of_table(columns)?.iter().map(|column| {
        let is_key = changes.key_columns.contains(&column.name);
        selected(Some(if is_key { "ct" } else { "t" }), column)
    });
    let items = items.collect::<Result<Vec<_>>>()?;
    let keys = changes.key_columns.iter().map(|name| name.quoted());
    let same_key: Vec<_> = keys.map(|name| format!("[t].{name} = [ct].{name}")).collect();
    let is_there = changes
        .key_columns
        .first()
        .map_or_else(String::new, |name| format!(" OR [t].{} IS NOT NULL", name.quoted()));
    let table = changes.table.quoted();
    let Bounds {
        from,
        up_to,
        in_range,
        values,
    } = bounds(changes)?;
    let sql = format!(
        "SELECT {}, [ct].[{VERSION_COLUMN}], [ct].[{OPERATION_COLUMN}] \
         FROM CHANGETABLE(CHANGES {table}, {from}) AS [ct] \
         LEFT OUTER JOIN {table} AS [t] ON {} AND [ct].[{OPERATION_COLUMN}] <> N'D' \
         WHERE [ct].[{VERSION_COLUMN}] <= {up_to} AND ([ct].[{OPERATION_COLUMN}] = N'D'{is_there}){in_range}",
        items.join(", "),
        same_key.join(" AND "),
    );
    Ok(values.statement(&sql))
}

/// Selects `what` from the changes of a window.
pub(super) fn select(changes: &Changes<'_>, what: &str) -> Result<Query> {
    let Bounds {
        from,
        up_to,
        in_range,
        values,
    } = bounds(changes)?;
    let sql = format!(
        "SELECT {what} FROM CHANGETABLE(CHANGES {}, {from}) AS [ct] \
         WHERE [ct].[{VERSION_COLUMN}] <= {up_to}{in_range}",
        changes.table.quoted()
    );
    Ok(Query { sql, values })
}

/// The bounds of a window of changes, as SQL text, and their values.
struct Bounds {
    /// The version before the first change.
    from: String,
    /// The version of the last change.
    up_to: String,
    /// The conditions of a range of the key, each after an `AND`.
    in_range: String,
    /// The values of the window, then those of the range.
    values: Values,
}

fn bounds(changes: &Changes<'_>) -> Result<Bounds> {
    let mut values = Values::default();
    let from = values.bound_of(SqlType::BIGINT, changes.old)?;
    let up_to = values.bound_of(SqlType::BIGINT, changes.new)?;
    let mut in_range = String::new();
    if let Some(range) = changes.key {
        let column = format!("[ct].{}", range.column.quoted());
        for condition in key_conditions(&column, range, &mut values)? {
            in_range.push_str(" AND ");
            in_range.push_str(&condition);
        }
    }
    Ok(Bounds {
        from,
        up_to,
        in_range,
        values,
    })
}

/// Asks for one row: 1 as long as all changes since the window's start are kept and the database has reached the
/// window's end, else 0.
pub(crate) fn are_complete(changes: &Changes<'_>) -> Statement {
    Statement::with(
        "SELECT CASE WHEN CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@P1)) <= CAST(@P2 AS bigint) \
         AND CHANGE_TRACKING_CURRENT_VERSION() >= CAST(@P3 AS bigint) THEN 1 ELSE 0 END AS [answer]",
        &[&changes.table.quoted(), changes.old.value(), changes.new.value()],
    )
}

/// Asks for one row: 1 when the database allows `SNAPSHOT` transactions, else 0. The database is found by its name, as for
/// [`IS_REPLICA`].
pub(crate) fn snapshot_allowed() -> Statement {
    Statement::new(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.databases WHERE [name] = DB_NAME() \
         AND [snapshot_isolation_state] = 1) THEN 1 ELSE 0 END AS [answer]",
    )
}

/// The statement that begins a `SNAPSHOT` transaction. It must be sent as a request of its own.
pub(crate) const BEGIN_SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION;";
/// The statement that ends the transaction of [`BEGIN_SNAPSHOT`]. It also restores the isolation level, which belongs
/// to the session and outlives the transaction.
pub(crate) const COMMIT_SNAPSHOT: &str = "COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;";

#[cfg(test)]
mod tests {
    use tidemark::model::names::Identifier;
    use tidemark::model::slice::KeyBounds;
    use tidemark::model::types::{Form, TypeName};
    use tidemark::model::values::Values;
    use tidemark::model::watermark::Watermark;

    use super::*;

    fn column(name: &str, sql_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            sql_type: TypeName::new(sql_type).unwrap(),
            form: Form::Text,
            nullable: true,
            values: Values::OfSource,
        }
    }

    fn columns(own: Vec<Column>) -> Vec<Column> {
        let described = [column(VERSION_COLUMN, "bigint"), column(OPERATION_COLUMN, "nchar(1)")];
        own.into_iter().chain(described).collect()
    }

    fn version(value: i64) -> Watermark {
        Watermark::new(TypeName::new("bigint").unwrap(), value.to_string()).unwrap()
    }

    fn whole<'a>(table: &'a ObjectName, version: &'a Watermark) -> Load<'a> {
        Load {
            table,
            version,
            key: None,
        }
    }

    fn range(column: &str, above: Option<Watermark>, up_to: Option<Watermark>) -> KeyBounds {
        KeyBounds {
            column: Identifier::new(column).unwrap(),
            above,
            up_to,
        }
    }

    #[test]
    fn keys_come_from_the_changes_and_the_rest_from_the_table() {
        let table: ObjectName = "sales.[o]]rders]".parse().unwrap();
        let (old, new) = (version(3), version(9));
        let key = ["a".to_owned(), "b]".to_owned()];
        let changes = Changes {
            table: &table,
            key_columns: &key,
            old: &old,
            new: &new,
            key: None,
        };
        let columns = columns(vec![column("b]", "int"), column("cost", "money"), column("a", "int")]);
        let statement = rows(&changes, &columns).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @B1 bigint = CAST(@P1 AS bigint), @B2 bigint = CAST(@P2 AS bigint); \
             SELECT [ct].[b]]], CAST([t].[cost] AS decimal(19,4)) AS [cost], [ct].[a], \
             [ct].[SYS_CHANGE_VERSION], [ct].[SYS_CHANGE_OPERATION] \
             FROM CHANGETABLE(CHANGES [sales].[o]]rders], @B1) AS [ct] \
             LEFT OUTER JOIN [sales].[o]]rders] AS [t] ON [t].[a] = [ct].[a] AND [t].[b]]] = [ct].[b]]] \
             AND [ct].[SYS_CHANGE_OPERATION] <> N'D' \
             WHERE [ct].[SYS_CHANGE_VERSION] <= @B2 \
             AND ([ct].[SYS_CHANGE_OPERATION] = N'D' OR [t].[a] IS NOT NULL) OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["3", "9"]);
        let bounds = range("a", Some(version(4)), None);
        let part = Changes {
            key: Some(&bounds),
            ..changes
        };
        let of_range = rows(&part, &columns).unwrap();
        let ends = "OR [t].[a] IS NOT NULL) AND [ct].[a] > @B3 OPTION (RECOMPILE)";
        assert!(of_range.sql.ends_with(ends), "{}", of_range.sql);
        assert_eq!(of_range.parameters, ["3", "9", "4"]);
        assert_eq!(
            select(&part, "[a]").unwrap().sql,
            "SELECT [a] FROM CHANGETABLE(CHANGES [sales].[o]]rders], @B1) AS [ct] \
             WHERE [ct].[SYS_CHANGE_VERSION] <= @B2 AND [ct].[a] > @B3"
        );
        assert_eq!(are_complete(&changes).parameters, ["[sales].[o]]rders]", "3", "9"]);
    }

    #[test]
    fn a_load_has_the_columns_of_a_window() {
        let table: ObjectName = "orders".parse().unwrap();
        let columns = columns(vec![column("id", "int"), column("cost", "smallmoney")]);
        let seven = version(7);
        let whole = whole(&table, &seven);
        let statement = load(&whole, &columns).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @B1 bigint = CAST(@P1 AS bigint); \
             SELECT [t].[id], CAST([t].[cost] AS decimal(10,4)) AS [cost], @B1 AS [SYS_CHANGE_VERSION], \
             CAST(N'I' AS nchar(1)) AS [SYS_CHANGE_OPERATION] FROM [dbo].[orders] AS [t] OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["7"]);
        let bounds = range("id", Some(version(3)), Some(version(6)));
        let part = Load {
            key: Some(&bounds),
            ..whole
        };
        let statement = load(&part, &columns).unwrap();
        let filter = " WHERE [id] > @B2 AND [id] <= @B3 OPTION (RECOMPILE)";
        assert!(statement.sql.ends_with(filter), "{}", statement.sql);
        assert_eq!(statement.parameters, ["7", "3", "6"]);
    }

    #[test]
    fn a_plan_without_the_columns_of_a_change_is_refused() {
        let (table, seven): (ObjectName, _) = ("orders".parse().unwrap(), version(7));
        let whole = whole(&table, &seven);
        assert_eq!(
            load(&whole, &[column("id", "int")]).unwrap_err().code(),
            ErrorCode::LedgerInvalid
        );
    }
}

//! The statements of change tracking: versions, keys, full loads, and the changes of a window.
//!
//! Keys come from `CHANGETABLE` and other columns from the table, as in Microsoft's own examples
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/track-changes/work-with-change-tracking-sql-server>).
//! `CHANGETABLE` takes a bigint or a variable, no expression and no text, hence the `DECLARE`.

use super::slices::KeyRange;
use super::{Query, quoted, select_value};
use crate::identifier::ObjectName;
use crate::types::{Column, SqlType};
use crate::watermark::Watermark;

/// The column that says at which version a row was changed last, in every file.
pub const VERSION_COLUMN: &str = "SYS_CHANGE_VERSION";
/// The column that says how: `I`, `U` or `D`.
pub const OPERATION_COLUMN: &str = "SYS_CHANGE_OPERATION";

/// The two columns that follow those of the table.
#[must_use]
pub fn columns() -> [Column; 2] {
    let column = |name: &str, sql_type| Column {
        name: name.to_owned(),
        sql_type,
        nullable: false,
    };
    [
        column(VERSION_COLUMN, SqlType::BigInt),
        column(OPERATION_COLUMN, SqlType::NChar(1)),
    ]
}

/// One row: the version of the database, the least valid one of the table, and that at which its tracking began; NULL
/// when it is not tracked.
#[must_use]
pub fn versions(table: &ObjectName) -> Query {
    Query::with(
        "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current_version], \
         CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@P1)) AS [min_valid_version], \
         (SELECT [begin_version] FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(@P1)) AS [begin_version]",
        &[&table.quoted()],
    )
}

/// One row, why there are no versions: how many tables of this name, tracked databases of this connection's, tracked
/// tables and primary keys of the table the login can see.
#[must_use]
pub fn diagnosis(table: &ObjectName) -> Query {
    Query::with(
        "SELECT (SELECT COUNT_BIG(*) FROM sys.tables WHERE [object_id] = OBJECT_ID(@P1)) AS [tables], \
         (SELECT COUNT_BIG(*) FROM sys.change_tracking_databases WHERE [database_id] = DB_ID()) AS [tracked_databases], \
         (SELECT COUNT_BIG(*) FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(@P1)) AS [tracked_tables], \
         (SELECT COUNT_BIG(*) FROM sys.indexes WHERE [object_id] = OBJECT_ID(@P1) AND [is_primary_key] = 1) \
         AS [primary_keys]",
        &[&table.quoted()],
    )
}

/// The names of the columns of the primary key, in its order.
#[must_use]
pub fn primary_key(table: &ObjectName) -> Query {
    Query::with(
        "SELECT [c].[name] FROM sys.indexes AS [i] \
         JOIN sys.index_columns AS [k] ON [k].[object_id] = [i].[object_id] AND [k].[index_id] = [i].[index_id] \
         JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
         WHERE [i].[object_id] = OBJECT_ID(@P1) AND [i].[is_primary_key] = 1 ORDER BY [k].[key_ordinal]",
        &[&table.quoted()],
    )
}

/// One row: 1 when a row has its last change in (`after`, `up_to`], else 0.
#[must_use]
pub fn has_changes(table: &ObjectName, after: i64, up_to: i64) -> Query {
    let table = table.quoted();
    Query::with(
        format!(
            "DECLARE @from bigint = CAST(@P1 AS bigint); \
             SELECT CASE WHEN EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, @from) AS [ct] \
             WHERE [ct].[{VERSION_COLUMN}] <= CAST(@P2 AS bigint)) THEN 1 ELSE 0 END AS [answer]"
        ),
        &[&after.to_string(), &up_to.to_string()],
    )
}

/// The rows of the table, of a range of its key if one is given, as if they had been inserted at `version`, which was read
/// before.
#[must_use]
pub fn load(table: &ObjectName, columns: &[Column], version: &Watermark, range: Option<&KeyRange<'_>>) -> Query {
    let columns: Vec<_> = columns.iter().map(|column| item("t", column)).collect();
    let mut parameters = vec![version.value().to_owned()];
    let filter = range.map_or_else(String::new, |range| range.filter(&mut parameters));
    let sql = format!(
        "SELECT {}, CAST(@P1 AS bigint) AS [{VERSION_COLUMN}], CAST(N'I' AS nchar(1)) AS [{OPERATION_COLUMN}] \
         FROM {} AS [t]{filter}",
        columns.join(", "),
        table.quoted()
    );
    Query { sql, parameters }
}

/// The window (old, new] of a tracked table.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The columns of its primary key, of which there is at least one.
    pub key: &'a [String],
    /// The version since which changes are asked for.
    pub old: &'a Watermark,
    /// The last version that belongs to the window.
    pub new: &'a Watermark,
}

impl Changes<'_> {
    /// Selects the changed rows with these columns of the table, then the version and the operation.
    ///
    /// A row that was changed again after `new` has a higher version and belongs to a later window. A deleted row has its
    /// key alone, even if it is back by now. A row that was inserted or updated and is gone when the table is read is
    /// left out: its deletion has a version of its own.
    ///
    /// With a range, only the rows whose key is in it.
    #[must_use]
    pub fn rows(&self, columns: &[Column], range: Option<&KeyRange<'_>>) -> Query {
        let columns: Vec<_> = columns
            .iter()
            .map(|column| item(if self.key.contains(&column.name) { "ct" } else { "t" }, column))
            .collect();
        let same_key: Vec<_> = self
            .key
            .iter()
            .map(|name| format!("[t].{0} = [ct].{0}", quoted(name)))
            .collect();
        let is_there = self
            .key
            .first()
            .map_or_else(String::new, |name| format!(" OR [t].{} IS NOT NULL", quoted(name)));
        let table = self.table.quoted();
        let (in_range, parameters) = self.parameters(range);
        let sql = format!(
            "DECLARE @from bigint = CAST(@P1 AS bigint); \
             SELECT {}, [ct].[{VERSION_COLUMN}], [ct].[{OPERATION_COLUMN}] \
             FROM CHANGETABLE(CHANGES {table}, @from) AS [ct] \
             LEFT OUTER JOIN {table} AS [t] ON {} AND [ct].[{OPERATION_COLUMN}] <> N'D' \
             WHERE [ct].[{VERSION_COLUMN}] <= CAST(@P2 AS bigint) AND ([ct].[{OPERATION_COLUMN}] = N'D'{is_there}){in_range}",
            columns.join(", "),
            same_key.join(" AND "),
        );
        Query { sql, parameters }
    }

    /// Selects `what` of the changes whose key is in the range.
    pub(super) fn select(&self, what: &str, range: &KeyRange<'_>) -> Query {
        let (in_range, parameters) = self.parameters(Some(range));
        let sql = format!(
            "DECLARE @from bigint = CAST(@P1 AS bigint); SELECT {what} FROM CHANGETABLE(CHANGES {}, @from) AS [ct] \
             WHERE [ct].[{VERSION_COLUMN}] <= CAST(@P2 AS bigint){in_range}",
            self.table.quoted()
        );
        Query { sql, parameters }
    }

    /// The window's bounds as the first two parameters, and the conditions of a range with the others.
    fn parameters(&self, range: Option<&KeyRange<'_>>) -> (String, Vec<String>) {
        let mut parameters = vec![self.old.value().to_owned(), self.new.value().to_owned()];
        let Some(range) = range else {
            return (String::new(), parameters);
        };
        let column = format!("[ct].{}", range.column.quoted());
        let conditions = range.conditions_on(&column, &mut parameters);
        let and = conditions.iter().map(|condition| format!(" AND {condition}"));
        (and.collect(), parameters)
    }

    /// One row: 1 as long as all changes since `old` are there and the database has reached `new`.
    #[must_use]
    pub fn guard(&self) -> Query {
        Query::with(
            "SELECT CASE WHEN CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(@P1)) <= CAST(@P2 AS bigint) \
             AND CHANGE_TRACKING_CURRENT_VERSION() >= CAST(@P3 AS bigint) THEN 1 ELSE 0 END AS [answer]",
            &[&self.table.quoted(), self.old.value(), self.new.value()],
        )
    }
}

/// One row: 1 when the database allows `SNAPSHOT` transactions.
#[must_use]
pub fn snapshot_allowed() -> Query {
    Query::new(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.databases WHERE [database_id] = DB_ID() \
         AND [snapshot_isolation_state] = 1) THEN 1 ELSE 0 END AS [answer]",
    )
}

/// The statements around a `SNAPSHOT` transaction; they are batches of their own.
pub const BEGIN_SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION;";
/// See [`BEGIN_SNAPSHOT`]. The level is the session's and outlives the transaction.
pub const COMMIT_SNAPSHOT: &str = "COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;";

/// A column of `alias` as it is selected.
fn item(alias: &str, column: &Column) -> String {
    select_value(&format!("[{alias}].{}", quoted(&column.name)), column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::Identifier;

    fn column(name: &str, sql_type: SqlType) -> Column {
        Column {
            name: name.to_owned(),
            sql_type,
            nullable: true,
        }
    }

    fn version(value: i64) -> Watermark {
        Watermark::new(SqlType::BigInt, &value.to_string()).unwrap()
    }

    #[test]
    fn keys_come_from_the_changes_and_the_rest_from_the_table() {
        let table: ObjectName = "sales.[o]]rders]".parse().unwrap();
        let (old, new) = (version(3), version(9));
        let key = ["a".to_owned(), "b]".to_owned()];
        let changes = Changes {
            table: &table,
            key: &key,
            old: &old,
            new: &new,
        };
        let columns = [
            column("b]", SqlType::Int),
            column("cost", SqlType::Money),
            column("a", SqlType::Int),
        ];
        let query = changes.rows(&columns, None);
        assert_eq!(
            query.sql,
            "DECLARE @from bigint = CAST(@P1 AS bigint); \
             SELECT [ct].[b]]], CAST([t].[cost] AS decimal(19,4)) AS [cost], [ct].[a], \
             [ct].[SYS_CHANGE_VERSION], [ct].[SYS_CHANGE_OPERATION] \
             FROM CHANGETABLE(CHANGES [sales].[o]]rders], @from) AS [ct] \
             LEFT OUTER JOIN [sales].[o]]rders] AS [t] ON [t].[a] = [ct].[a] AND [t].[b]]] = [ct].[b]]] \
             AND [ct].[SYS_CHANGE_OPERATION] <> N'D' \
             WHERE [ct].[SYS_CHANGE_VERSION] <= CAST(@P2 AS bigint) \
             AND ([ct].[SYS_CHANGE_OPERATION] = N'D' OR [t].[a] IS NOT NULL)"
        );
        assert_eq!(query.parameters, ["3", "9"]);
        let (a, above) = (Identifier::new("a").unwrap(), version(4));
        let range = KeyRange {
            column: &a,
            above: Some(&above),
            up_to: None,
        };
        let part = changes.rows(&columns, Some(&range));
        assert_eq!(part.sql, format!("{} AND [ct].[a] > CAST(@P3 AS bigint)", query.sql));
        assert_eq!(part.parameters, ["3", "9", "4"]);
        assert_eq!(
            changes.select("[a]", &range).sql,
            "DECLARE @from bigint = CAST(@P1 AS bigint); \
             SELECT [a] FROM CHANGETABLE(CHANGES [sales].[o]]rders], @from) AS [ct] \
             WHERE [ct].[SYS_CHANGE_VERSION] <= CAST(@P2 AS bigint) AND [ct].[a] > CAST(@P3 AS bigint)"
        );
        assert_eq!(changes.guard().parameters, ["[sales].[o]]rders]", "3", "9"]);
    }

    #[test]
    fn a_load_has_the_columns_of_a_window() {
        let table: ObjectName = "orders".parse().unwrap();
        let columns = [column("id", SqlType::Int), column("cost", SqlType::SmallMoney)];
        let query = load(&table, &columns, &version(7), None);
        assert_eq!(
            query.sql,
            "SELECT [t].[id], CAST([t].[cost] AS decimal(10,4)) AS [cost], CAST(@P1 AS bigint) AS [SYS_CHANGE_VERSION], \
             CAST(N'I' AS nchar(1)) AS [SYS_CHANGE_OPERATION] FROM [dbo].[orders] AS [t]"
        );
        assert_eq!(query.parameters, ["7"]);
        let (id, above, up_to) = (Identifier::new("id").unwrap(), version(3), version(6));
        let range = KeyRange {
            column: &id,
            above: Some(&above),
            up_to: Some(&up_to),
        };
        let query = load(&table, &columns, &version(7), Some(&range));
        let filter = " WHERE [id] > CAST(@P2 AS bigint) AND [id] <= CAST(@P3 AS bigint)";
        assert!(query.sql.ends_with(filter), "{}", query.sql);
        assert_eq!(query.parameters, ["7", "3", "6"]);
        assert_eq!(
            super::columns().map(|column| column.name),
            [VERSION_COLUMN, OPERATION_COLUMN]
        );
    }
}

//! The text of every statement Tidemark sends. No query text is built anywhere else, whichever driver runs it.
//!
//! Values are always parameters; identifiers are always in brackets. Bounds are cast to the column's own type
//! (`[c] > CAST(@P1 AS datetime)`), because a comparison in a wider type re-sends or loses the boundary row
//! (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/datetime-transact-sql>, compatibility level 130). A rowversion
//! is compared as the `binary(8)` it is: text is not converted to it.

pub mod change_tracking;
pub mod slices;

pub mod merge;

use serde::{Deserialize, Serialize};

use self::slices::KeyRange;
use crate::identifier::{Identifier, ObjectName};
use crate::ports::source::WatermarkColumn;
use crate::predicate::Predicate;
use crate::table::Clock;
use crate::types::{Column, SqlType};
use crate::watermark::{self, StoreType, Watermark};

/// A statement and its parameters.
///
/// Parameters are text, bound as `nvarchar` to `@P1`, `@P2`, … in order; the statement casts each to the type it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The statement.
    pub sql: String,
    /// The values of `@P1`, `@P2`, ….
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

impl Query {
    fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
        }
    }

    fn with(sql: impl Into<String>, parameters: &[&str]) -> Self {
        Self {
            sql: sql.into(),
            parameters: parameters.iter().map(|&value| value.to_owned()).collect(),
        }
    }
}

/// One row: 1 if the session has no transaction open, else 0. Asked of a connection before it is used again.
pub const NO_TRANSACTION: &str = "SELECT CASE WHEN @@TRANCOUNT = 0 THEN 1 ELSE 0 END AS [answer]";

/// One row: the greatest watermark of the whole table, whatever rows are copied: so the window also passes over those that
/// are not, and a row that stops being copied is no regression. For time columns not above the server's clock (`new_watermark`), and how it
/// compares with `old`: 1, 0 or -1 (`ordering`).
#[must_use]
pub fn growth(column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Query {
    let sql_type = column.column.sql_type;
    let name = column.name.quoted();
    let table = column.table.quoted();
    let below_clock = upper_clock(column).map_or_else(String::new, |bound| format!(" WHERE {name} {bound}"));
    let maximum = format!("(SELECT MAX({name}) AS [new_watermark] FROM {table}{below_clock}) AS [m]");
    match old {
        None => Query::new(format!("SELECT [m].[new_watermark], 1 AS [ordering] FROM {maximum}")),
        Some(old) => Query::with(
            format!(
                "SELECT [m].[new_watermark], CASE WHEN [m].[new_watermark] > CAST(@P1 AS {sql_type}) THEN 1 \
                 WHEN [m].[new_watermark] < CAST(@P1 AS {sql_type}) THEN -1 ELSE 0 END AS [ordering] FROM {maximum}"
            ),
            &[old.value()],
        ),
    }
}

/// One row: the lowest rowversion that a transaction not yet committed uses, or the next one (`new_watermark`), and the
/// last one used (`last_used`). To be read in a statement of its own, before anything it bounds
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/min-active-rowversion-transact-sql>).
#[must_use]
pub fn active_rowversion() -> Query {
    Query::new("SELECT MIN_ACTIVE_ROWVERSION() AS [new_watermark], @@DBTS AS [last_used]")
}

/// One row: whether the table has rows from `old` to below `new` (1), none (0), or `new` is below `old` (-1); and 1 if
/// `last_used` is not below `new`, else 0.
#[must_use]
pub fn rowversion_growth(
    column: &WatermarkColumn<'_>,
    old: Option<&Watermark>,
    new: &Watermark,
    last_used: &Watermark,
) -> Query {
    let (name, table) = (column.name.quoted(), column.table.quoted());
    let [new_bound, last_bound, old_bound] = ["@P1", "@P2", "@P3"].map(|text| typed(text, SqlType::RowVersion));
    let (regressed, above, mut parameters) = match old {
        None => (String::new(), String::new(), Vec::new()),
        Some(old) => (
            format!("WHEN {new_bound} < {old_bound} THEN -1 "),
            format!("{name} >= {old_bound} AND "),
            vec![old.value()],
        ),
    };
    let mut all = vec![new.value(), last_used.value()];
    all.append(&mut parameters);
    Query::with(
        format!(
            "SELECT CASE {regressed}WHEN EXISTS (SELECT 1 FROM {table} WHERE {above}{name} < {new_bound}) THEN 1 ELSE 0 END \
             AS [ordering], CASE WHEN {last_bound} >= {new_bound} THEN 1 ELSE 0 END AS [held_back]"
        ),
        &all,
    )
}

/// The names of the rowversion columns of a table, which the wire describes as `binary(8)`.
#[must_use]
pub fn rowversion_columns(table: &ObjectName) -> Query {
    let sql = "SELECT [name] FROM sys.columns WHERE [object_id] = OBJECT_ID(@P1) AND [system_type_id] = 189";
    Query::with(sql, &[&table.quoted()])
}

/// The value of a text parameter in a column's type.
fn typed(parameter: &str, sql_type: SqlType) -> String {
    match sql_type {
        SqlType::RowVersion => format!("CONVERT(binary(8), {parameter}, 1)"),
        _ => format!("CAST({parameter} AS {sql_type})"),
    }
}

/// One row: rows stamped later than the server's clock. `None` for columns that are no time.
#[must_use]
pub fn future_rows(column: &WatermarkColumn<'_>) -> Option<Query> {
    let name = column.name.quoted();
    let clock = clock(column)?;
    Some(Query::new(format!(
        "SELECT COUNT_BIG(*) AS [rows] FROM {} WHERE {name} > {clock}{}",
        column.table.quoted(),
        and(column.filter)
    )))
}

/// One row: rows whose watermark is NULL. `None` for columns that cannot be.
#[must_use]
pub fn null_rows(column: &WatermarkColumn<'_>) -> Option<Query> {
    let name = column.name.quoted();
    let table = column.table.quoted();
    column.column.nullable.then(|| {
        Query::new(format!(
            "SELECT COUNT_BIG(*) AS [rows] FROM {table} WHERE {name} IS NULL{}",
            and(column.filter)
        ))
    })
}

/// The user's condition as a further one.
fn and(filter: Option<&Predicate>) -> String {
    filter.map_or_else(String::new, |filter| format!(" AND {}", filter.in_parentheses()))
}

/// The condition that keeps a window below the server's clock.
///
/// A day or a minute that is still running is not taken: rows to come could carry the same value, and the next window
/// begins after it. `smalldatetime` rounds to the nearest minute, so half a minute is taken off first.
fn upper_clock(column: &WatermarkColumn<'_>) -> Option<String> {
    let function = clock_function(column)?;
    Some(match column.column.sql_type {
        SqlType::Date => format!("< CAST({function} AS date)"),
        SqlType::SmallDateTime => format!("< CAST(DATEADD(second, -30, {function}) AS smalldatetime)"),
        sql_type => format!("<= CAST({function} AS {sql_type})"),
    })
}

/// The server's clock in the type of the column, so that the comparison is made in that type.
fn clock(column: &WatermarkColumn<'_>) -> Option<String> {
    Some(format!(
        "CAST({} AS {})",
        clock_function(column)?,
        column.column.sql_type
    ))
}

fn clock_function(column: &WatermarkColumn<'_>) -> Option<&'static str> {
    match (column.column.sql_type, column.clock) {
        (sql_type, _) if !watermark::is_time(sql_type) => None,
        (SqlType::DateTimeOffset(_), _) => Some("SYSDATETIMEOFFSET()"),
        (_, Clock::Utc) => Some("SYSUTCDATETIME()"),
        (_, Clock::Local) => Some("SYSDATETIME()"),
    }
}

/// The interval (old, new] of a watermark column; of a rowversion [old, new).
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The watermark column.
    pub column: &'a Identifier,
    /// The lower bound; without one, everything up to `new`.
    pub old: Option<&'a Watermark>,
    /// The upper bound.
    pub new: &'a Watermark,
    /// Whether rows without a watermark belong to it.
    pub with_nulls: bool,
    /// The part of a key it is limited to, if it is.
    pub key: Option<KeyRange<'a>>,
    /// Which of its rows are copied.
    pub filter: Option<&'a Predicate>,
}

impl Interval<'_> {
    /// Selects the rows of the interval with these columns.
    #[must_use]
    pub fn rows(&self, columns: &[Column]) -> Query {
        let columns: Vec<_> = columns.iter().map(select_item).collect();
        self.select(&columns.join(", "))
    }

    /// Counts the rows of the interval.
    #[must_use]
    pub fn count(&self) -> Query {
        self.select("COUNT_BIG(*) AS [rows]")
    }

    fn select(&self, what: &str) -> Query {
        let column = self.column.quoted();
        let sql_type = self.new.sql_type();
        let (above, below) = if watermark::is_exact(sql_type) {
            (">=", "<")
        } else {
            (">", "<=")
        };
        let [first, second] = ["@P1", "@P2"].map(|text| typed(text, sql_type));
        let (condition, mut parameters) = match self.old {
            Some(old) => (
                format!("{column} {above} {first} AND {column} {below} {second}"),
                vec![old.value().to_owned(), self.new.value().to_owned()],
            ),
            None => (format!("{column} {below} {first}"), vec![self.new.value().to_owned()]),
        };
        let condition = if self.with_nulls {
            format!("({condition} OR {column} IS NULL)")
        } else {
            condition
        };
        let mut conditions = vec![condition];
        conditions.extend(self.key.iter().flat_map(|range| range.conditions(&mut parameters)));
        conditions.extend(self.filter.map(Predicate::in_parentheses));
        let sql = format!(
            "SELECT {what} FROM {} WHERE {}",
            self.table.quoted(),
            conditions.join(" AND ")
        );
        Query { sql, parameters }
    }
}

/// A column as it is selected. `money` is cast, because drivers decode it through a float; a CLR type, to its
/// serialised bytes, which are the whole value (<https://learn.microsoft.com/en-us/openspecs/sql_server_protocols/ms-ssclrt>).
fn select_item(column: &Column) -> String {
    select_value(&quoted(&column.name), column)
}

/// The same for `value`, which is the column of some table of a join.
fn select_value(value: &str, column: &Column) -> String {
    let name = quoted(&column.name);
    match column.sql_type {
        SqlType::Money => format!("CAST({value} AS decimal(19,4)) AS {name}"),
        SqlType::SmallMoney => format!("CAST({value} AS decimal(10,4)) AS {name}"),
        SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography => {
            format!("CAST({value} AS varbinary(max)) AS {name}")
        }
        _ => value.to_owned(),
    }
}

/// A name as the server gave it, in brackets.
fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// The rows of the control table for a name: normally one.
#[must_use]
pub fn stored_watermark(control_table: &ObjectName, table_name: &str) -> Query {
    Query::with(
        format!("SELECT * FROM {} WHERE [TableName] = @P1", control_table.quoted()),
        &[table_name],
    )
}

/// One row: whether a procedure takes the expected value as its third parameter, `@Expected`.
#[must_use]
pub fn expected_parameter(procedure: &ObjectName) -> Query {
    let sql = "SELECT COUNT_BIG(*) AS [parameters] FROM sys.parameters \
               WHERE [object_id] = OBJECT_ID(@P1) AND [parameter_id] = 3 AND [name] = N'@Expected'";
    Query::with(sql, &[&procedure.quoted()])
}

/// Calls a procedure that compares, positionally `(value, table name, expected value)`; NULL expects none.
#[must_use]
pub fn move_watermark(procedure: &ObjectName, new: &Watermark, table_name: &str, expected: Option<&str>) -> Query {
    let procedure = procedure.quoted();
    match expected {
        None => Query::with(format!("EXEC {procedure} @P1, @P2, NULL"), &[new.value(), table_name]),
        Some(expected) => Query::with(
            format!("EXEC {procedure} @P1, @P2, @P3"),
            &[new.value(), table_name, expected],
        ),
    }
}

/// The column of a control table that holds the watermarks.
#[derive(Debug, Clone, Copy)]
pub struct ControlColumn<'a> {
    /// The control table.
    pub table: &'a ObjectName,
    /// Its column.
    pub column: &'a Identifier,
    /// What the column holds.
    pub store_type: StoreType,
}

/// Calls a procedure that does not compare, positionally `(value, table name)` as the tutorials' procedures take it, if
/// the control table still holds the expected value; SQL Server converts the text to the type the parameter declares.
///
/// One transaction holds the row from the comparison to the move (`UPDLOCK, HOLDLOCK`,
/// <https://learn.microsoft.com/en-us/sql/t-sql/queries/hints-transact-sql-table>).
#[must_use]
pub fn move_watermark_if(
    control: &ControlColumn<'_>,
    procedure: &ObjectName,
    new: &Watermark,
    table_name: &str,
    expected: Option<&str>,
) -> Query {
    let (table, column) = (control.table.quoted(), control.column.quoted());
    let row = format!("SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE [TableName] = @P2");
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
            format!("EXISTS ({row} AND {column} = CAST(@P3 AS {sql_type}))"),
            vec![new.value(), table_name, expected],
        ),
    };
    let procedure = procedure.quoted();
    let sql =
        format!("SET XACT_ABORT ON; BEGIN TRANSACTION; IF {condition} EXEC {procedure} @P1, @P2; COMMIT TRANSACTION;");
    Query::with(sql, &parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(sql_type: &str, nullable: bool) -> Column {
        Column {
            name: "m".into(),
            sql_type: sql_type.parse().unwrap(),
            nullable,
        }
    }

    fn probe<'a>(table: &'a ObjectName, name: &'a Identifier, column: &'a Column) -> WatermarkColumn<'a> {
        WatermarkColumn {
            table,
            name,
            column,
            clock: Clock::Utc,
            filter: None,
        }
    }

    #[test]
    fn growth_is_bounded_by_the_clock_for_time_and_compared_in_the_columns_type() {
        let (table, name) = ("sales.o]x".parse::<ObjectName>(), Identifier::new("m]").unwrap());
        assert!(table.is_err(), "a stray bracket is refused");
        let table: ObjectName = "[sales].[o]]x]".parse().unwrap();
        let declared = column("datetime", true);
        let old = Watermark::new(SqlType::DateTime, "2010-01-01T00:00:00").unwrap();
        let query = growth(&probe(&table, &name, &declared), Some(&old));
        assert_eq!(
            query.sql,
            "SELECT [m].[new_watermark], CASE WHEN [m].[new_watermark] > CAST(@P1 AS datetime) THEN 1 \
             WHEN [m].[new_watermark] < CAST(@P1 AS datetime) THEN -1 ELSE 0 END AS [ordering] FROM \
             (SELECT MAX([m]]]) AS [new_watermark] FROM [sales].[o]]x] \
             WHERE [m]]] <= CAST(SYSUTCDATETIME() AS datetime)) AS [m]"
        );
        assert_eq!(query.parameters, ["2010-01-01T00:00:00.000"]);

        let declared = column("bigint", false);
        let probe = probe(&table, &name, &declared);
        assert_eq!(
            growth(&probe, None).sql,
            "SELECT [m].[new_watermark], 1 AS [ordering] FROM \
             (SELECT MAX([m]]]) AS [new_watermark] FROM [sales].[o]]x]) AS [m]"
        );
        assert_eq!((future_rows(&probe), null_rows(&probe)), (None, None));
    }

    #[test]
    fn a_rowversion_is_bounded_by_what_is_still_in_use() {
        let (table, name): (ObjectName, _) = ("orders".parse().unwrap(), Identifier::new("rv").unwrap());
        let declared = column("rowversion", false);
        let watermark = |text: &str| Watermark::new(SqlType::RowVersion, text).unwrap();
        let (old, new) = (watermark("0x00000000000007D1"), watermark("0x80000000000007E4"));
        let probe = probe(&table, &name, &declared);
        let query = rowversion_growth(&probe, Some(&old), &new, &new);
        assert_eq!(
            query.sql,
            "SELECT CASE WHEN CONVERT(binary(8), @P1, 1) < CONVERT(binary(8), @P3, 1) THEN -1 WHEN EXISTS (SELECT 1 FROM \
             [dbo].[orders] WHERE [rv] >= CONVERT(binary(8), @P3, 1) AND [rv] < CONVERT(binary(8), @P1, 1)) THEN 1 ELSE 0 END \
             AS [ordering], CASE WHEN CONVERT(binary(8), @P2, 1) >= CONVERT(binary(8), @P1, 1) THEN 1 ELSE 0 END AS [held_back]"
        );
        assert_eq!(query.parameters, [new.value(), new.value(), old.value()]);
        let interval = Interval {
            table: &table,
            column: &name,
            old: Some(&old),
            new: &new,
            with_nulls: false,
            key: None,
            filter: None,
        };
        assert_eq!(
            interval.count().sql,
            "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[orders] \
             WHERE [rv] >= CONVERT(binary(8), @P1, 1) AND [rv] < CONVERT(binary(8), @P2, 1)"
        );
        assert_eq!(interval.count().parameters, [old.value(), new.value()]);
    }

    #[test]
    fn a_day_or_minute_that_still_runs_is_left_for_later() {
        let (table, name): (ObjectName, _) = ("orders".parse().unwrap(), Identifier::new("m").unwrap());
        let bound = |sql_type: &str| {
            let declared = column(sql_type, false);
            growth(&probe(&table, &name, &declared), None)
                .sql
                .split(" WHERE [m] ")
                .nth(1)
                .unwrap()
                .to_owned()
        };
        assert_eq!(bound("date"), "< CAST(SYSUTCDATETIME() AS date)) AS [m]");
        assert_eq!(
            bound("smalldatetime"),
            "< CAST(DATEADD(second, -30, SYSUTCDATETIME()) AS smalldatetime)) AS [m]"
        );
        assert_eq!(
            bound("datetimeoffset(3)"),
            "<= CAST(SYSDATETIMEOFFSET() AS datetimeoffset(3))) AS [m]"
        );
    }

    #[test]
    fn a_window_is_open_below_and_closed_above() {
        let (table, name): (ObjectName, _) = ("orders".parse().unwrap(), Identifier::new("m").unwrap());
        let old = Watermark::new(SqlType::Int, "5").unwrap();
        let new = Watermark::new(SqlType::Int, "9").unwrap();
        let mut interval = Interval {
            table: &table,
            column: &name,
            old: Some(&old),
            new: &new,
            with_nulls: false,
            key: None,
            filter: None,
        };
        let columns = [
            column("int", false),
            Column {
                name: "cost".into(),
                ..column("money", true)
            },
        ];
        let query = interval.rows(&columns);
        assert_eq!(
            query.sql,
            "SELECT [m], CAST([cost] AS decimal(19,4)) AS [cost] FROM [dbo].[orders] \
             WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)"
        );
        assert_eq!(query.parameters, ["5", "9"]);
        interval.old = None;
        interval.with_nulls = true;
        assert_eq!(
            interval.count().sql,
            "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[orders] WHERE ([m] <= CAST(@P1 AS int) OR [m] IS NULL)"
        );
    }
}

//! Statements that cut a large window into slices.

use super::change_tracking::Changes;
use super::{Interval, Query, typed};
use crate::identifier::{Identifier, ObjectName};
use crate::types::SqlType;
use crate::watermark::Watermark;

/// A range of a key, above one value and up to another; open where there is none.
#[derive(Debug, Clone, Copy)]
pub struct KeyRange<'a> {
    /// The key's first column.
    pub column: &'a Identifier,
    /// The exclusive lower bound.
    pub above: Option<&'a Watermark>,
    /// The inclusive upper bound.
    pub up_to: Option<&'a Watermark>,
}

impl KeyRange<'_> {
    /// The bounds as conditions, with the numbers of their parameters counted on from `parameters`.
    pub(super) fn conditions(&self, parameters: &mut Vec<String>) -> Vec<String> {
        self.conditions_on(&self.column.quoted(), parameters)
    }

    /// The same for `column`, which is the key of some table of a join.
    pub(super) fn conditions_on(&self, column: &str, parameters: &mut Vec<String>) -> Vec<String> {
        let mut bound = |operator: &str, value: Option<&Watermark>| {
            let value = value?;
            parameters.push(value.value().to_owned());
            let text = format!("@P{}", parameters.len());
            Some(format!("{column} {operator} {}", typed(&text, value.sql_type())))
        };
        [bound(">", self.above), bound("<=", self.up_to)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The bounds as a ` WHERE` of their own; nothing when the range is open on both sides.
    pub(super) fn filter(&self, parameters: &mut Vec<String>) -> String {
        let conditions = self.conditions(parameters);
        if conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

/// Rows that are cut by a key.
#[derive(Debug, Clone, Copy)]
pub enum KeyedRows<'a> {
    /// All of a table.
    Table(&'a ObjectName),
    /// Those of an interval.
    Interval(&'a Interval<'a>),
    /// The changes of a window.
    Changes(&'a Changes<'a>),
}

impl KeyedRows<'_> {
    /// Selects `what` of those in the range.
    fn select(&self, what: &str, range: &KeyRange<'_>) -> Query {
        match self {
            Self::Table(table) => {
                let mut parameters = Vec::new();
                let filter = range.filter(&mut parameters);
                let sql = format!("SELECT {what} FROM {}{filter}", table.quoted());
                Query { sql, parameters }
            }
            Self::Interval(interval) => {
                let key = Some(*range);
                Interval { key, ..**interval }.select(what)
            }
            Self::Changes(changes) => changes.select(what, range),
        }
    }

    /// One row: how many there are in the range.
    #[must_use]
    pub fn count(&self, range: &KeyRange<'_>) -> Query {
        self.select("COUNT_BIG(*) AS [rows]", range)
    }
}

/// One row or none: the watermark of the `number`th row of the interval, from 1, in the watermark's order.
#[must_use]
pub fn nth_watermark(interval: &Interval<'_>, number: u64) -> Query {
    let column = interval.column.quoted();
    ordered(interval.select(&column), &column, number)
}

/// One row or none: the key of the `number`th of the rows in the range, from 1, in the key's order.
#[must_use]
pub fn nth_key(rows: &KeyedRows<'_>, range: &KeyRange<'_>, number: u64) -> Query {
    let column = range.column.quoted();
    ordered(rows.select(&column, range), &column, number)
}

fn ordered(query: Query, column: &str, number: u64) -> Query {
    let skipped = number.saturating_sub(1);
    let sql = query.sql;
    Query {
        sql: format!("{sql} ORDER BY {column} OFFSET {skipped} ROWS FETCH NEXT 1 ROWS ONLY"),
        ..query
    }
}

/// One row: the rows of a table and the bytes of its pages, roughly, as the server keeps count of them
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-partitions-transact-sql>).
/// NULL for a view.
#[must_use]
pub fn extent(table: &ObjectName) -> Query {
    let sql = "SELECT SUM(CASE WHEN [a].[type] = 1 THEN [p].[rows] END) AS [rows], \
               SUM([a].[used_pages]) * 8192 AS [bytes] FROM sys.partitions AS [p] JOIN sys.allocation_units AS [a] \
               ON [a].[container_id] = CASE WHEN [a].[type] = 2 THEN [p].[partition_id] ELSE [p].[hobt_id] END \
               WHERE [p].[object_id] = OBJECT_ID(@P1) AND [p].[index_id] IN (0, 1)";
    Query::with(sql, &[&table.quoted()])
}

/// The ids of the statistics of all rows of a table whose first column is `column`.
#[must_use]
pub fn statistics(table: &ObjectName, column: &Identifier) -> Query {
    let sql = "SELECT [s].[stats_id] FROM sys.stats AS [s] JOIN sys.stats_columns AS [k] \
               ON [k].[object_id] = [s].[object_id] AND [k].[stats_id] = [s].[stats_id] AND [k].[stats_column_id] = 1 \
               JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
               WHERE [s].[object_id] = OBJECT_ID(@P1) AND [c].[name] = @P2 AND [s].[has_filter] = 0 ORDER BY [s].[stats_id]";
    Query::with(sql, &[&table.quoted(), column.as_str()])
}

/// The steps of a histogram, but for that of NULL, whose values are below `below`, if it is given: the value a step ends with,
/// its rows, and the rows of all steps
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-db-stats-histogram-transact-sql>).
#[must_use]
pub fn histogram(table: &ObjectName, statistics: i32, sql_type: SqlType, below: Option<&Watermark>) -> Query {
    // A sql_variant is only compared after it is cast.
    let key = match sql_type {
        SqlType::RowVersion => "CAST([h].[range_high_key] AS binary(8))".to_owned(),
        _ => format!("CAST([h].[range_high_key] AS {sql_type})"),
    };
    let source = "sys.dm_db_stats_histogram(OBJECT_ID(@P1), CAST(@P2 AS int))";
    let mut parameters = vec![table.quoted(), statistics.to_string()];
    let mut filter = "[h].[range_high_key] IS NOT NULL".to_owned();
    if let Some(below) = below {
        parameters.push(below.value().to_owned());
        filter.push_str(&format!(" AND {key} < {}", typed("@P3", sql_type)));
    }
    let sql = format!(
        "SELECT {key} AS [up_to], CAST([h].[range_rows] + [h].[equal_rows] AS bigint) AS [rows], \
         (SELECT CAST(SUM([a].[range_rows] + [a].[equal_rows]) AS bigint) FROM {source} AS [a]) AS [all_rows] \
         FROM {source} AS [h] WHERE {filter} ORDER BY [h].[step_number]"
    );
    Query { sql, parameters }
}

/// The columns with which an index of the table begins, and whether it is the clustered index or the primary key.
#[must_use]
pub fn leading_columns(table: &ObjectName) -> Query {
    let sql = "SELECT [c].[name], MAX(CASE WHEN [i].[type] = 1 OR [i].[is_primary_key] = 1 THEN 1 ELSE 0 END) AS [is_key] \
               FROM sys.indexes AS [i] JOIN sys.index_columns AS [k] \
               ON [k].[object_id] = [i].[object_id] AND [k].[index_id] = [i].[index_id] AND [k].[key_ordinal] = 1 \
               JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
               WHERE [i].[object_id] = OBJECT_ID(@P1) AND [i].[type] IN (1, 2) AND [i].[is_disabled] = 0 \
               AND [i].[has_filter] = 0 GROUP BY [c].[name] ORDER BY [is_key] DESC, [c].[name]";
    Query::with(sql, &[&table.quoted()])
}

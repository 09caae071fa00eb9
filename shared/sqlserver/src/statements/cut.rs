//! The statements that cut a large window into slices.

use tidemark::error::Result;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::slice::KeyBounds;
use tidemark::model::watermark::Watermark;
use tidemark::ports::source::{CutColumn, RowsToCut};

use super::conversions::of_variant;
use super::query::{Query, Values, where_key};
use super::select;
use super::statement::{Quoted, Statement};
use crate::types::SqlType;

/// Asks for one row or none: the watermark of the `number`th row of the interval, from 1, in the watermark's order.
pub(crate) fn nth_watermark(interval: &Interval<'_>, number: u64) -> Result<Statement> {
    let column = interval.column.quoted();
    let query = super::watermark::select(interval, &column)?;
    Ok(ordered(query, &column, number))
}

/// Asks for the watermarks of `count` rows of the interval, chosen at random, in their order. To take the first of rows
/// in an order that does not last, the server keeps the first hundred at hand and sorts no other row.
pub(crate) fn sample_watermarks(interval: &Interval<'_>, count: u64) -> Result<Statement> {
    let what = format!("TOP ({count}) {} AS [watermark]", interval.column.quoted());
    let mut query = super::watermark::select(interval, &what)?;
    query.sql = format!(
        "SELECT [s].[watermark] FROM ({} ORDER BY NEWID()) AS [s] ORDER BY [s].[watermark]",
        query.sql
    );
    Ok(query.finished())
}

/// Asks for one row or none: the key of the `number`th of the rows in the range, from 1, in the key's order.
pub(crate) fn nth_key(rows: &RowsToCut<'_>, range: &KeyBounds, number: u64) -> Result<Statement> {
    let column = range.column.quoted();
    let query = match rows {
        RowsToCut::Table(table) => {
            let mut values = Values::default();
            let filter = where_key(Some(range), &mut values)?;
            let sql = format!("SELECT {column} FROM {}{filter}", table.quoted());
            Query { sql, values }
        }
        RowsToCut::Rows(rows) => {
            let rows: Rows<'_> = rows.within(range);
            select(&rows, &column)?
        }
    };
    Ok(ordered(query, &column, number))
}

fn ordered(mut query: Query, column: &str, number: u64) -> Statement {
    let skipped = number.saturating_sub(1);
    query.sql.push_str(&format!(
        " ORDER BY {column} OFFSET {skipped} ROWS FETCH NEXT 1 ROWS ONLY"
    ));
    query.finished()
}

/// Asks for one row: the approximate rows of a table and the bytes of its pages, as the server keeps count of them
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-partitions-transact-sql>).
/// A memory-optimized table has no pages, so its bytes are the most that its rows can have. Both are NULL for a view, even
/// for one with an index: not every edition uses that without being told to
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/views/create-indexed-views>).
pub(crate) fn extent(table: &ObjectName) -> Statement {
    let sql = "SELECT [r].[rows], ISNULL((SELECT SUM([a].[used_pages]) * 8192 FROM sys.partitions AS [p] \
               JOIN sys.allocation_units AS [a] \
               ON [a].[container_id] = CASE WHEN [a].[type] = 2 THEN [p].[partition_id] ELSE [p].[hobt_id] END \
               WHERE [p].[object_id] = OBJECT_ID(@P1) AND [p].[index_id] IN (0, 1)), \
               [r].[rows] * (SELECT SUM(CASE WHEN [c].[max_length] < 0 THEN 8000 ELSE [c].[max_length] END) FROM sys.columns AS [c] \
               WHERE [c].[object_id] = OBJECT_ID(@P1))) AS [bytes] \
               FROM (SELECT MAX([x].[rows]) AS [rows] FROM (SELECT TOP 1 SUM([p].[rows]) AS [rows] FROM sys.partitions AS [p] \
               WHERE [p].[object_id] = OBJECT_ID(@P1) \
               AND EXISTS (SELECT 1 FROM sys.tables AS [t] WHERE [t].[object_id] = OBJECT_ID(@P1)) \
               GROUP BY [p].[index_id] ORDER BY [p].[index_id]) AS [x]) AS [r]";
    Statement::with(sql, &[&table.quoted()])
}

/// Asks for the ids of the statistics that cover all rows of a table and whose first column is `column`.
pub(crate) fn statistics(table: &ObjectName, column: &Identifier) -> Statement {
    let sql = "SELECT [s].[stats_id] FROM sys.stats AS [s] JOIN sys.stats_columns AS [k] \
               ON [k].[object_id] = [s].[object_id] AND [k].[stats_id] = [s].[stats_id] AND [k].[stats_column_id] = 1 \
               JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
               WHERE [s].[object_id] = OBJECT_ID(@P1) AND [c].[name] = @P2 AND [s].[has_filter] = 0 ORDER BY [s].[stats_id]";
    Statement::with(sql, &[&table.quoted(), column.as_str()])
}

/// Asks for the steps of a histogram without that of NULL, and only for those that end below `below`, if it is given:
/// the value at which a step ends, its rows, and the rows of all steps
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-db-stats-histogram-transact-sql>).
pub(crate) fn histogram(
    table: &ObjectName,
    statistics: i32,
    column: &CutColumn,
    below: Option<&Watermark>,
) -> Result<Statement> {
    let sql_type = SqlType::of(&column.sql_type)?;
    let key = of_variant("[h].[range_high_key]", sql_type);
    let mut values = Values::default();
    let (object, number) = (values.text(&table.quoted()), values.text(&statistics.to_string()));
    let source = format!("sys.dm_db_stats_histogram(OBJECT_ID({object}), CAST({number} AS int))");
    let mut filter = "[h].[range_high_key] IS NOT NULL".to_owned();
    if let Some(below) = below {
        filter.push_str(&format!(" AND {key} < {}", values.bound(below)?));
    }
    let sql = format!(
        "SELECT {key} AS [up_to], CAST([h].[range_rows] + [h].[equal_rows] AS bigint) AS [rows], \
         (SELECT CAST(SUM([a].[range_rows] + [a].[equal_rows]) AS bigint) FROM {source} AS [a]) AS [all_rows] \
         FROM {source} AS [h] WHERE {filter} ORDER BY [h].[step_number]"
    );
    Ok(values.statement(&sql))
}

/// Asks for the columns with which an index of the table begins, each with 1 when such an index is the clustered one or
/// the primary key, else 0 (`is_key`), and with 1 when each of these indexes is divided among partitions by another column,
/// so that none has the rows in the column's order, else 0 (`is_split`).
pub(crate) fn leading_columns(table: &ObjectName) -> Statement {
    let sql = "SELECT [c].[name], MAX(CASE WHEN [i].[type] = 1 OR [i].[is_primary_key] = 1 THEN 1 ELSE 0 END) AS [is_key], \
               MIN(CASE WHEN [d].[column_id] IS NULL THEN 0 ELSE 1 END) AS [is_split] \
               FROM sys.indexes AS [i] JOIN sys.index_columns AS [k] \
               ON [k].[object_id] = [i].[object_id] AND [k].[index_id] = [i].[index_id] AND [k].[key_ordinal] = 1 \
               JOIN sys.columns AS [c] ON [c].[object_id] = [k].[object_id] AND [c].[column_id] = [k].[column_id] \
               LEFT JOIN sys.index_columns AS [d] ON [d].[object_id] = [i].[object_id] AND [d].[index_id] = [i].[index_id] \
               AND [d].[partition_ordinal] = 1 AND [d].[column_id] <> [k].[column_id] \
               WHERE [i].[object_id] = OBJECT_ID(@P1) AND [i].[type] IN (1, 2) AND [i].[is_disabled] = 0 \
               AND [i].[has_filter] = 0 \
               AND EXISTS (SELECT 1 FROM sys.tables AS [t] WHERE [t].[object_id] = [i].[object_id]) GROUP BY [c].[name] ORDER BY [is_key] DESC, [is_split], [c].[name]";
    Statement::with(sql, &[&table.quoted()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of a view is not used by every edition, and a memory-optimized table has no allocation units.
    #[test]
    fn only_tables_have_an_extent_and_leading_columns_and_those_in_memory_do() {
        let table: ObjectName = "t".parse().unwrap();
        for sql in [extent(&table).sql, leading_columns(&table).sql] {
            assert!(sql.contains("EXISTS (SELECT 1 FROM sys.tables AS [t] "), "{sql}");
        }
        let sql = extent(&table).sql;
        let rows = sql.split("TOP 1 SUM([p].[rows])").nth(1).unwrap();
        assert!(!rows.contains("allocation_units"), "{rows}");
    }
}

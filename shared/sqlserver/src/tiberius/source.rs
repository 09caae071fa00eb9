//! Probing and counting tables.

use std::cmp::Ordering;

use tiberius::Row;

use super::{Server, metadata, watermark_text};
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::ports::source::{CountSource, DeclaredColumn, Growth, Maximum, ProbeSource, WatermarkColumn};
use crate::query::{self, Query};
use crate::types::SqlType;
use crate::watermark::Watermark;

impl ProbeSource for Server {
    async fn columns(&self, table: &ObjectName, only: Option<&[&Identifier]>) -> Result<Vec<DeclaredColumn>> {
        let name = table.quoted();
        let columns: Vec<String> = match only {
            Some(names) => names.iter().map(|name| name.quoted()).collect(),
            None => vec!["*".to_owned()],
        };
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let columns = self
            .with_connection(async |connection| connection.column_metadata(&name, &columns).await)
            .await?;
        let mut columns: Vec<_> = columns.iter().map(metadata::declared).collect();
        if columns.iter().any(metadata::may_be_rowversion) {
            let rowversions = self.rowversion_columns(table).await?;
            for column in columns.iter_mut().filter(|column| rowversions.contains(&column.name)) {
                column.sql_type = Ok(SqlType::RowVersion);
            }
        }
        Ok(columns)
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Growth> {
        let (maximum, held_back) = if column.column.sql_type == SqlType::RowVersion {
            self.rowversion_growth(column, old).await?
        } else {
            (self.maximum(column, old).await?, false)
        };
        let count = async |query: Option<Query>| match query {
            Some(query) => self.count(&query).await,
            None => Ok(0),
        };
        let future_rows = count(query::future_rows(column)).await?;
        let null_rows = count(query::null_rows(column)).await?;
        Ok(Growth {
            maximum,
            future_rows,
            null_rows,
            held_back,
        })
    }
}

impl Server {
    /// The names of the table's rowversion columns. A server that has no `sys.columns` has none that we could know.
    async fn rowversion_columns(&self, table: &ObjectName) -> Result<Vec<String>> {
        let rows = self
            .catalog(&query::rowversion_columns(table))
            .await?
            .unwrap_or_default();
        let name = |row: &Row| row.try_get::<&str, _>(0).ok().flatten().map(str::to_owned);
        Ok(rows.iter().filter_map(name).collect())
    }

    /// The greatest value of the column.
    async fn maximum(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Option<Maximum>> {
        let rows = self.rows(&query::growth(column, old)).await?;
        let [maximum, ordering] = cells(single(&rows)?)?;
        let maximum = maximum.map_err(|what| not_a_watermark(column, what))?;
        let Some(text) = maximum else { return Ok(None) };
        let watermark = Watermark::new(column.column.sql_type, &text)?;
        let ordering = read_ordering(ordering)?;
        Ok(Some(Maximum { watermark, ordering }))
    }

    /// The lowest rowversion in use, and whether one above it is used already.
    async fn rowversion_growth(
        &self,
        column: &WatermarkColumn<'_>,
        old: Option<&Watermark>,
    ) -> Result<(Option<Maximum>, bool)> {
        let rows = self.rows(&query::active_rowversion()).await?;
        let [new, last_used] = cells(single(&rows)?)?.map(|cell| {
            let text = cell.ok().flatten().ok_or_else(unexpected_answer)?;
            Watermark::new(SqlType::RowVersion, &text)
        });
        let (watermark, last_used) = (new?, last_used?);
        let rows = self
            .rows(&query::rowversion_growth(column, old, &watermark, &last_used))
            .await?;
        let [ordering, held_back] = cells(single(&rows)?)?;
        let ordering = read_ordering(ordering)?;
        let held_back = held_back.is_ok_and(|text| text.as_deref() == Some("1"));
        Ok((Some(Maximum { watermark, ordering }), held_back))
    }
}

/// A value as text, `None` for NULL, or what it is instead.
type Cell = std::result::Result<Option<String>, &'static str>;

/// The two values of a row.
fn cells(row: &Row) -> Result<[Cell; 2]> {
    let cells: Vec<Cell> = row.cells().map(|(_, data)| watermark_text::read(data)).collect();
    cells.try_into().map_err(|_| unexpected_answer())
}

fn read_ordering(cell: Cell) -> Result<Ordering> {
    match cell.ok().flatten().as_deref() {
        Some("1") => Ok(Ordering::Greater),
        Some("0") => Ok(Ordering::Equal),
        Some("-1") => Ok(Ordering::Less),
        _ => Err(unexpected_answer()),
    }
}

impl CountSource for Server {
    async fn count(&self, query: &Query) -> Result<u64> {
        let rows = self.rows(query).await?;
        let count: Option<i64> = single(&rows)?.try_get(0).map_err(|_| unexpected_answer())?;
        count
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(unexpected_answer)
    }
}

pub(super) fn single(rows: &[Row]) -> Result<&Row> {
    match rows {
        [row] => Ok(row),
        _ => Err(unexpected_answer()),
    }
}

pub(super) fn unexpected_answer() -> Error {
    Error::new(
        ErrorCode::SourceRejected,
        "the server's answer to a lookup does not have the form that was asked for",
    )
}

fn not_a_watermark(column: &WatermarkColumn<'_>, what: &str) -> Error {
    Error::new(
        ErrorCode::UnsupportedType,
        format!("column {} of {} holds {what}", column.name.as_str(), column.table),
    )
}

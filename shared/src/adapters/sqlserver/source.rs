//! Probing and counting tables.

use std::cmp::Ordering;

use tiberius::Row;

use super::{Server, metadata, watermark_text};
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::ports::source::{CountSource, DeclaredColumn, Growth, Maximum, ProbeSource, WatermarkColumn};
use crate::query::{self, Query};
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
        Ok(columns.iter().map(metadata::declared).collect())
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Growth> {
        let rows = self.rows(&query::growth(column, old)).await?;
        let row = single(&rows)?;
        let mut cells = row.cells().map(|(_, data)| data);
        let (Some(maximum), Some(ordering)) = (cells.next(), cells.next()) else {
            return Err(unexpected_answer());
        };
        let maximum = watermark_text::read(maximum).map_err(|what| not_a_watermark(column, what))?;
        let maximum = match maximum {
            None => None,
            Some(text) => {
                let watermark = Watermark::new(column.column.sql_type, &text)?;
                let ordering = watermark_text::read(ordering).map_err(|_| unexpected_answer())?;
                let ordering = match ordering.as_deref() {
                    Some("1") => Ordering::Greater,
                    Some("0") => Ordering::Equal,
                    Some("-1") => Ordering::Less,
                    _ => return Err(unexpected_answer()),
                };
                Some(Maximum { watermark, ordering })
            }
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
        })
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

fn single(rows: &[Row]) -> Result<&Row> {
    match rows {
        [row] => Ok(row),
        _ => Err(unexpected_answer()),
    }
}

fn unexpected_answer() -> Error {
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

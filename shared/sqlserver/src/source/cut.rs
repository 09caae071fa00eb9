//! Asks for what is needed to cut a window: sizes, indexes, and the values between slices.

use tiberius::Row;
use tidemark::error::{Answer, Failure};
use tidemark::model::names::ObjectName;
use tidemark::model::rows::Interval;
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::Watermark;
use tidemark::ports::source::{CutColumn, CutSource, Extent, Histogram, LeadingColumn, RowsToCut, Step};

use crate::answers::{number, single, unexpected_answer};
use crate::session::Server;
use crate::statements::{Statement, cut};
use crate::types::{SqlType, value_text};

impl CutSource for Server {
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>> {
        let Some(rows) = self.catalog_rows(&cut::extent(table)).await? else {
            return Ok(None);
        };
        let row = single(&rows)?;
        let size = |column: &str| {
            let value = number(row, column)?.and_then(|value| u64::try_from(value).ok());
            Ok::<_, Failure>(value)
        };
        let (rows, bytes) = (size("rows")?, size("bytes")?);
        Ok(rows.zip(bytes).map(|(rows, bytes)| Extent { rows, bytes }))
    }

    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        let rows = self.catalog_rows(&cut::leading_columns(table)).await?;
        let column = |row: &Row| {
            Some(LeadingColumn {
                name: row.try_get::<&str, _>("name").ok()??.to_owned(),
                is_key: row.try_get::<i32, _>("is_key").ok()? == Some(1),
                is_split: row.try_get::<i32, _>("is_split").ok()? == Some(1),
            })
        };
        rows.unwrap_or_default()
            .iter()
            .map(|row| column(row).ok_or_else(unexpected_answer))
            .collect()
    }

    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram> {
        let sql_type = SqlType::of(&column.sql_type)?;
        let statistics = self.catalog_rows(&cut::statistics(table, &column.name)).await?;
        for row in statistics.iter().flatten() {
            let Ok(Some(id)) = row.try_get::<i32, _>(0) else {
                continue;
            };
            let statement = cut::histogram(table, id, column, below)?;
            let rows = self.catalog_rows(&statement).await?.unwrap_or_default();
            // A step that cannot be read as the column's type is left out, and is no reason to fail.
            let steps: Vec<Step> = rows.iter().filter_map(|row| step(row, sql_type)).collect();
            if let Some(first) = rows.first().filter(|_| !steps.is_empty()) {
                let rows = first.try_get::<i64, _>(2).ok().flatten();
                let rows = rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default();
                return Ok(Histogram { rows, steps });
            }
        }
        Ok(Histogram::default())
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>> {
        let statement = cut::nth_watermark(interval, number)?;
        self.one_value(&statement, interval.new.sql_type()).await
    }

    async fn sample_watermarks(&self, interval: &Interval<'_>, count: u64) -> Answer<Vec<Watermark>> {
        let rows = self.rows(&cut::sample_watermarks(interval, count)?).await?;
        let mut watermarks = Vec::with_capacity(rows.len());
        for row in &rows {
            watermarks.extend(first_value(row, interval.new.sql_type())?);
        }
        Ok(watermarks)
    }

    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>> {
        self.one_value(&cut::nth_key(rows, range, number)?, sql_type).await
    }
}

impl Server {
    /// Returns the single value of an answer with one row, or `None` without a row.
    async fn one_value(&self, statement: &Statement, sql_type: &TypeName) -> Answer<Option<Watermark>> {
        let rows = self.rows(statement).await?;
        match rows.first() {
            Some(row) => first_value(row, sql_type),
            None => Ok(None),
        }
    }
}

/// Returns the first value of a row, or `None` when it is NULL.
fn first_value(row: &Row, sql_type: &TypeName) -> Answer<Option<Watermark>> {
    let (_, data) = row.cells().next().ok_or_else(unexpected_answer)?;
    let Some(text) = value_text(data).map_err(|_| unexpected_answer())? else {
        return Ok(None);
    };
    Ok(Some(SqlType::of(sql_type)?.watermark(&text)?))
}

/// Reads a step of a histogram.
fn step(row: &Row, sql_type: SqlType) -> Option<Step> {
    let (_, up_to) = row.cells().next()?;
    let up_to = value_text(up_to).ok()??;
    let rows = row.try_get::<i64, _>(1).ok()??;
    Some(Step {
        up_to: sql_type.watermark(&up_to).ok()?,
        rows: u64::try_from(rows).ok()?,
    })
}

//! Cutting windows: sizes, indexes and the values between slices.

use tiberius::Row;

use super::source::{single, unexpected_answer};
use super::{Server, watermark_text};
use crate::error::Result;
use crate::identifier::{Identifier, ObjectName};
use crate::ports::source::{Extent, Histogram, LeadingColumn, SliceSource, Step};
use crate::query::slices::{self, KeyRange, KeyedRows};
use crate::query::{Interval, Query};
use crate::types::SqlType;
use crate::watermark::Watermark;

impl SliceSource for Server {
    async fn extent(&self, table: &ObjectName) -> Result<Option<Extent>> {
        let Some(rows) = self.catalog(&slices::extent(table)).await? else {
            return Ok(None);
        };
        let row = single(&rows)?;
        let number = |at: usize| {
            let value: Option<i64> = row.try_get(at).map_err(|_| unexpected_answer())?;
            Ok(value.and_then(|value| u64::try_from(value).ok()))
        };
        let (rows, bytes): (Option<u64>, Option<u64>) = (number(0)?, number(1)?);
        Ok(rows.zip(bytes).map(|(rows, bytes)| Extent { rows, bytes }))
    }

    async fn leading_columns(&self, table: &ObjectName) -> Result<Vec<LeadingColumn>> {
        let rows = self.catalog(&slices::leading_columns(table)).await?;
        let column = |row: &Row| {
            Some(LeadingColumn {
                name: row.try_get::<&str, _>(0).ok()??.to_owned(),
                is_key: row.try_get::<i32, _>(1).ok()? == Some(1),
            })
        };
        rows.unwrap_or_default()
            .iter()
            .map(|row| column(row).ok_or_else(unexpected_answer))
            .collect()
    }

    async fn histogram(
        &self,
        table: &ObjectName,
        column: &Identifier,
        sql_type: SqlType,
        below: Option<&Watermark>,
    ) -> Result<Histogram> {
        let statistics = self.catalog(&slices::statistics(table, column)).await?;
        for row in statistics.iter().flatten() {
            let Ok(Some(id)) = row.try_get::<i32, _>(0) else {
                continue;
            };
            let query = slices::histogram(table, id, sql_type, below);
            let rows = self.catalog(&query).await?.unwrap_or_default();
            // What cannot be read as the column's type is of no use, and no reason to fail.
            let steps: Vec<Step> = rows.iter().filter_map(|row| step(row, sql_type)).collect();
            if let Some(first) = rows.first().filter(|_| !steps.is_empty()) {
                let rows = first.try_get::<i64, _>(2).ok().flatten();
                let rows = rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default();
                return Ok(Histogram { rows, steps });
            }
        }
        Ok(Histogram::default())
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Result<Option<Watermark>> {
        self.value(&slices::nth_watermark(interval, number), interval.new.sql_type())
            .await
    }

    async fn nth_key(
        &self,
        rows: &KeyedRows<'_>,
        range: &KeyRange<'_>,
        sql_type: SqlType,
        number: u64,
    ) -> Result<Option<Watermark>> {
        self.value(&slices::nth_key(rows, range, number), sql_type).await
    }
}

impl Server {
    /// The rows of a question to the catalog. `None` from a server that does not have what it asks for: what is only
    /// there to be faster or clearer is no reason to fail.
    pub(super) async fn catalog(&self, query: &Query) -> Result<Option<Vec<Row>>> {
        match self.rows(query).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if error.code().is_retryable() => Err(error),
            Err(error) => {
                tracing::debug!("The catalog does not answer: {}.", error.report());
                Ok(None)
            }
        }
    }

    /// The one value of an answer that has a row or none.
    async fn value(&self, query: &Query, sql_type: SqlType) -> Result<Option<Watermark>> {
        let rows = self.rows(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (_, data) = row.cells().next().ok_or_else(unexpected_answer)?;
        let text = watermark_text::read(data).map_err(|_| unexpected_answer())?;
        text.map(|text| Watermark::new(sql_type, &text)).transpose()
    }
}

/// A step of a histogram, as the server describes it.
fn step(row: &Row, sql_type: SqlType) -> Option<Step> {
    let (_, up_to) = row.cells().next()?;
    let up_to = watermark_text::read(up_to).ok()??;
    let rows = row.try_get::<i64, _>(1).ok()??;
    Some(Step {
        up_to: Watermark::new(sql_type, &up_to).ok()?,
        rows: u64::try_from(rows).ok()?,
    })
}

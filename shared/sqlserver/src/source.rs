//! The source, asked by its lookups: how far a column has grown, how a window is cut, what has changed.

pub(crate) mod changes;
mod cut;

use std::cmp::Ordering;

use tiberius::Row;
use tidemark::error::{Answer, Error, ErrorCode, Failure, Result};
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::Rows;
use tidemark::model::types::{Column, TypeName, WantedForms};
use tidemark::model::watermark::Watermark;
use tidemark::ports::rows::{ExplainRows, Explained};
use tidemark::ports::source::{
    Catalog, CountRows, DeclaredColumn, Growth, KnowTypes, Maximum, ProbeSource, WatermarkColumn,
};

use crate::answers::{single, unexpected_answer};
use crate::session::Server;
pub use crate::statements::change_tracking::{OPERATION_COLUMN, VERSION_COLUMN};
use crate::statements::watermark::RowVersions;
use crate::statements::{self, Statement, watermark};
use crate::types::{HeldBack, SqlType, ValueText, value_text};

impl KnowTypes for Server {
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark> {
        SqlType::of(sql_type)?.watermark(text)
    }

    fn holds(&self, store: &TypeName, column: &TypeName) -> bool {
        let types = SqlType::of(store).and_then(|store| Ok((store, SqlType::of(column)?)));
        types.is_ok_and(|(store, column)| store.keeps_watermarks_of(column))
    }
}

impl ProbeSource for Server {
    async fn catalog(&self, table: &ObjectName) -> Answer<Option<Catalog>> {
        self.catalog_of(table).await
    }

    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        let columns = self.described_columns(table, only, catalog).await?;
        let declared = columns.into_iter().map(|column| column.declared(wanted));
        Ok(declared.collect::<Result<_>>()?)
    }

    fn has_mask_key(&self) -> bool {
        self.masks().is_some()
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        let (maximum, held_back) = if SqlType::of(column.sql_type)? == SqlType::ROWVERSION {
            let Reached { maximum, held_back } = self.row_version_reached(column, old).await?;
            (Some(maximum), held_back)
        } else {
            (self.maximum(column, old).await?, false)
        };
        let count = async |statement: Option<Statement>| match statement {
            Some(statement) => self.counted(&statement).await,
            None => Ok(0),
        };
        let future_rows = count(watermark::future_rows(column)?).await?;
        let null_rows = count(watermark::null_rows(column)).await?;
        Ok(Growth {
            maximum,
            future_rows,
            null_rows,
            held_back,
        })
    }
}

/// This says how far a column of row versions can be read.
struct Reached {
    maximum: Maximum,
    /// This says whether a version above it is used already.
    held_back: bool,
}

impl Server {
    /// Returns the greatest value of the column.
    async fn maximum(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Option<Maximum>> {
        let rows = self
            .rows(&watermark::growth(column, old, self.held_back(column).await?)?)
            .await?;
        let [maximum, ordering] = cells(single(&rows)?)?;
        let Some(text) = maximum.map_err(|what| not_a_watermark(column, what))? else {
            return Ok(None);
        };
        let watermark = SqlType::of(column.sql_type)?.watermark(&text)?;
        let ordering = read_ordering(ordering)?;
        Ok(Some(Maximum { watermark, ordering }))
    }

    /// Returns how far a window of the column stays behind the server's clock. A server that does not know time zones
    /// holds nothing back.
    async fn held_back(&self, column: &WatermarkColumn<'_>) -> Answer<HeldBack> {
        if !SqlType::of(column.sql_type)?.repeats_an_hour(column.clock) {
            return Ok(HeldBack::No);
        }
        let rows = self.catalog_rows(&watermark::clock_goes_back()).await?;
        let answer = rows.as_ref().and_then(|rows| rows.first()?.try_get::<i32, _>(0).ok()?);
        if answer != Some(1) {
            return Ok(HeldBack::No);
        }
        tracing::info!(table = %column.table, "The server's clock is about to go back: the window ends an hour earlier.");
        Ok(HeldBack::OneHour)
    }

    /// The lowest rowversion in use, and whether one above it is used already.
    async fn row_version_reached(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Reached> {
        // It answers with the versions it has replayed, below which transactions of the primary may still be open.
        self.refuse_replica(
            "a rowversion cannot be followed with read_intent, because a replica does not know which transactions are open on the \
             primary, and their rows would be left out",
        )?;
        let rows = self.rows(&watermark::active_row_version()).await?;
        let [new, last_used] = cells(single(&rows)?)?.map(|cell| {
            let text = cell.ok().flatten().ok_or_else(unexpected_answer)?;
            let version = SqlType::ROWVERSION.watermark(&text);
            version.map_err(Failure::from)
        });
        let (watermark, last_used) = (new?, last_used?);
        let versions = RowVersions {
            old,
            new: &watermark,
            last_used: &last_used,
        };
        let rows = self.rows(&watermark::row_version_growth(column, &versions)?).await?;
        let [ordering, held_back] = cells(single(&rows)?)?;
        let ordering = read_ordering(ordering)?;
        let held_back = held_back.is_ok_and(|text| text.as_deref() == Some("1"));
        let maximum = Maximum { watermark, ordering };
        Ok(Reached { maximum, held_back })
    }
}

/// Returns the two values of a row.
fn cells(row: &Row) -> Answer<[ValueText; 2]> {
    let cells: Vec<ValueText> = row.cells().map(|(_, data)| value_text(data)).collect();
    cells.try_into().map_err(|_| unexpected_answer())
}

fn read_ordering(cell: ValueText) -> Answer<Ordering> {
    match cell.ok().flatten().as_deref() {
        Some("1") => Ok(Ordering::Greater),
        Some("0") => Ok(Ordering::Equal),
        Some("-1") => Ok(Ordering::Less),
        _ => Err(unexpected_answer()),
    }
}

impl CountRows for Server {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        self.counted(&statements::count(rows)?).await
    }
}

impl ExplainRows for Server {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        let Statement { sql, parameters } = statements::rows(rows, columns)?;
        Ok(Explained { sql, parameters })
    }
}

fn not_a_watermark(column: &WatermarkColumn<'_>, what: &str) -> Error {
    Error::new(
        ErrorCode::UnsupportedType,
        format!("column {} of {} holds {what}", column.name.as_str(), column.table),
    )
}

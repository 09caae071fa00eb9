//! The source, as the lookups ask it: how far a column has grown, where a window can be cut, and what has changed.

pub(crate) mod changes;
mod cut;

use std::cmp::Ordering;

use tidemark::error::{Answer, Error, ErrorCode, Result};
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::predicate::Predicate;
use tidemark::model::rows::Rows;
use tidemark::model::types::{Column, TypeName, WantedForms};
use tidemark::model::watermark::Watermark;
use tidemark::ports::rows::{ExplainRows, Explained};
use tidemark::ports::source::{
    Catalog, CountRows, DeclaredColumn, Growth, KnowTypes, Maximum, ProbeSource, WatermarkColumn,
};

use crate::answers::{count, single, text, unexpected_answer};
use crate::catalog::number as named;
use crate::session::Server;
pub use crate::statements::change_tracking::{OPERATION_COLUMN, VERSION_COLUMN};
use crate::statements::watermark::HeldBack;
use crate::statements::{self, Statement, watermark};
use crate::types::{SqlType, ValueText};

/// The beginning of a message: why a row version cannot be a watermark on a replica.
const ROW_VERSIONS_OF_REPLICA: &str = "a rowversion cannot be followed on a replica, which does not know which transactions are \
     open on the primary, and their rows would be left out";

impl KnowTypes for Server {
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark> {
        SqlType::of(sql_type)?.watermark(text)
    }

    fn watermark_types(&self) -> &'static str {
        SqlType::WATERMARKS
    }

    fn holds(&self, store: &TypeName, column: &TypeName) -> bool {
        let types = SqlType::of(store).and_then(|store| Ok((store, SqlType::of(column)?)));
        types.is_ok_and(|(store, column)| store.keeps_watermarks_of(column))
    }
}

impl ProbeSource for Server {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        self.catalogs_of(tables).await
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

    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering> {
        let rows = self.rows(&watermark::ordering(one, other)?).await?;
        read_ordering(text(single(&rows)?, "ordering")?)
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        let sql_type = SqlType::of(column.sql_type)?;
        let statement = if sql_type == SqlType::ROWVERSION {
            // A replica answers with the row versions that it has replayed; transactions of the primary below them may
            // still be open.
            self.refuse_replica(ROW_VERSIONS_OF_REPLICA)?;
            watermark::row_version_growth(column, old)?
        } else {
            watermark::growth(column, old, self.held_back(column).await?)?
        };
        let rows = self.rows(&statement).await?;
        let row = single(&rows)?;
        let maximum = text(row, "new_watermark")?.map_err(|what| not_a_watermark(column, what))?;
        let maximum = match maximum {
            Some(maximum) => Some(Maximum {
                watermark: sql_type.watermark(&maximum)?,
                ordering: read_ordering(text(row, "ordering")?)?,
            }),
            None => None,
        };
        if sql_type == SqlType::ROWVERSION {
            if named(row, "is_replica")? == 1 {
                return Err(self.is_replica(ROW_VERSIONS_OF_REPLICA));
            }
            if named(row, "stays_here")? == 0 {
                self.refuse_outside(column.table).await?;
            }
        }
        Ok(Growth {
            maximum,
            future_rows: count(row, "future_rows")?,
            null_rows: count(row, "null_rows")?,
            held_back: count(row, "held_back")? == 1,
        })
    }

    async fn accepts(&self, table: &ObjectName, filter: &Predicate) -> Answer<()> {
        self.rows(&statements::no_row_of(table, filter)).await.map(drop)
    }
}

impl Server {
    /// Returns how far a window of the column stays behind the server's clock. A server without time zone names holds
    /// nothing back.
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
    Error::about(ErrorCode::UnsupportedType, column.table, |table| {
        format!("column {} of {table} holds {what}", column.name.as_str())
    })
}

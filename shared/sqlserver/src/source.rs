//! The source, as the lookups ask it: how far a column has grown, where a window can be cut, and what has changed.

pub(crate) mod changes;
mod cut;
#[cfg(test)]
mod log_tests;

use std::cmp::Ordering;

use tidemark::error::{Answer, Error, ErrorCode, Result};
use tidemark::model::audit::AuditTypes;
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
use crate::statements::watermark::BehindClock;
use crate::statements::{self, Statement, watermark};
use crate::types::{self, SqlType, ValueText};

/// The beginning of a message: why a row version cannot be a watermark on a replica.
const ROW_VERSIONS_OF_REPLICA: &str = "a rowversion cannot be followed on a replica or in a snapshot of a database, which do not \
     know which transactions are open in the original, and their rows would be left out";

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

    fn audit_types(&self) -> AuditTypes {
        types::audit_types()
    }
}

impl ProbeSource for Server {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        // A lookup begins with this question, or asks it for a table alone.
        self.forget_the_clock().await;
        let catalogs = self.catalogs_of(tables).await?;
        if catalogs.iter().flatten().any(|catalog| catalog.is_policy_unseen) && self.is_first_to_tell_of_policies() {
            tracing::info!(
                "Whether security policies hide rows from the login is not known: GRANT VIEW DEFINITION to it, if the database has some."
            );
        }
        Ok(catalogs)
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
            // still be open. A snapshot has rolled those back that were open when it was made.
            self.refuse_replica(ROW_VERSIONS_OF_REPLICA)?;
            watermark::row_version_growth(column, old)?
        } else {
            watermark::growth(column, old, self.behind_clock(column).await?)?
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
        let mut sources_unseen = false;
        if sql_type == SqlType::ROWVERSION {
            if named(row, "is_replica")? == 1 {
                return Err(self.is_replica(ROW_VERSIONS_OF_REPLICA));
            }
            if named(row, "stays_here")? == 0 {
                sources_unseen = !self.sees_that_it_stays(column.table).await?;
            }
        }
        Ok(Growth {
            maximum,
            future_rows: count(row, "future_rows")?,
            null_rows: count(row, "null_rows")?,
            held_back: count(row, "held_back")? == 1,
            sources_unseen,
        })
    }

    async fn accepts(&self, table: &ObjectName, filter: &Predicate) -> Answer<()> {
        self.rows(&statements::no_row_of(table, filter)).await.map(drop)
    }
}

impl Server {
    /// Returns how far a window of the column stays behind the server's wall clock. The server is asked once for all tables
    /// of a lookup; the three hours for which it looks ahead are longer than a lookup and the hour that comes twice.
    async fn behind_clock(&self, column: &WatermarkColumn<'_>) -> Answer<BehindClock> {
        if !SqlType::of(column.sql_type)?.may_repeat_an_hour() {
            return Ok(BehindClock::No);
        }
        let mut known = self.clock_goes_back().lock().await;
        if let Some(goes_back) = *known {
            return Ok(behind_if(goes_back));
        }
        let goes_back = self.asked_whether_the_clock_goes_back().await?;
        *known = Some(goes_back);
        Ok(behind_if(goes_back))
    }

    /// Asks the server whether its wall clock goes back. For one that does not know time zones, no window stays behind.
    async fn asked_whether_the_clock_goes_back(&self) -> Answer<bool> {
        let rows = match self.rows(&watermark::clock_goes_back()).await {
            Ok(rows) => rows,
            Err(failure) if failure.is_transient() => return Err(failure),
            Err(failure) => {
                tracing::warn!(
                    "The server does not say whether its clock goes back, so no window stays behind it then: rows that the clock stamps \
                     in the hour that comes twice may be left out: {failure}."
                );
                return Ok(false);
            }
        };
        let goes_back = named(single(&rows)?, "answer")? == 1;
        if goes_back {
            tracing::info!(
                "The server's clock goes back in this night: windows of times without a time zone end an hour behind it."
            );
        }
        Ok(goes_back)
    }

    /// Forgets whether the wall clock goes back, so that the next window asks anew.
    async fn forget_the_clock(&self) {
        *self.clock_goes_back().lock().await = None;
    }
}

const fn behind_if(clock_goes_back: bool) -> BehindClock {
    if clock_goes_back {
        BehindClock::OneHour
    } else {
        BehindClock::No
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

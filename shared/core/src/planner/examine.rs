//! What a run would copy of a table, asked of the source as a run asks, for whoever looks before there is a run.

use super::asked_columns::unreadable;
use super::bound::{self, Described};
use super::cut::leads;
use super::tracked_columns::{self, TableColumns};
use crate::error::{OfRole, Result, Role};
use crate::model::names::Identifier;
use crate::model::table::{NullWatermark, TableSpec, Tracking};
use crate::model::unseen::Unseen;
use crate::ports::changes::ProbeChanges;
use crate::ports::source::{Catalog, CatalogColumn, CutSource, DeclaredColumn, ProbeSource};
use crate::shared_connection::SharedConnection;

/// What a run would copy of a table.
#[derive(Debug)]
pub struct Examined {
    /// The number of the columns that are copied.
    pub columns: usize,
    /// What the table is tracked by.
    pub tracked_by: TrackedBy,
    /// What the login may not see of the table.
    pub unseen: Unseen,
}

/// What a table is tracked by.
#[derive(Debug)]
pub enum TrackedBy {
    /// A watermark column.
    Watermark {
        /// The column, as the server describes it.
        column: DeclaredColumn,
        /// Whether an index begins with it.
        is_indexed: bool,
        /// What becomes of rows without a watermark.
        nulls: NullWatermark,
        /// Whether it is the time at which a transaction began, and nobody said how long to wait for transactions.
        is_unsettled_period: bool,
    },
    /// Change tracking, by the columns of the key.
    Changes(Vec<String>),
}

/// Asks for everything that a run would copy of the table, and fails as the run would.
///
/// # Errors
///
/// Those of a run that plans the table: `SourceRejected`, `UnsupportedType`, `InvalidInput`, and those of the ports.
pub async fn examine<P>(source: &P, spec: &TableSpec) -> Result<Examined>
where
    P: ProbeSource + CutSource + ProbeChanges,
{
    let tracking = match &spec.tracking {
        Tracking::Watermark(tracking) => tracking,
        Tracking::ChangeTracking(_) => {
            let tracked = tracked_columns::ask(source, spec, &SharedConnection::default()).await?;
            let TableColumns {
                key, in_files, unseen, ..
            } = tracked;
            // Two columns of the files describe the change and are none of the table.
            let columns = in_files.len().saturating_sub(2);
            return Ok(Examined {
                columns,
                tracked_by: TrackedBy::Changes(key),
                unseen: unseen.told(spec.masked_columns),
            });
        }
    };
    let Described {
        columns,
        column,
        unseen,
        is_unsettled_period,
        ..
    } = bound::columns(source, spec, tracking).await?;
    bound::check_filter(source, spec).await?;
    let leading = source.leading_columns(&spec.table).await.of(Role::Source)?;
    let is_indexed = leads(&leading, &Identifier::new(column.name.as_str())?);
    Ok(Examined {
        columns: columns.len(),
        tracked_by: TrackedBy::Watermark {
            column,
            is_indexed,
            nulls: tracking.null_watermark,
            is_unsettled_period,
        },
        unseen: unseen.told(spec.masked_columns),
    })
}

/// Returns the columns that a run would read, and of which the login does not read the stored values. Those that only
/// the key of a tracked table asks for are not among them.
#[must_use]
pub fn not_readable<'a>(spec: &TableSpec, catalog: &'a Catalog) -> Vec<&'a CatalogColumn> {
    let watermark = match &spec.tracking {
        Tracking::Watermark(tracking) => Some(&tracking.column),
        Tracking::ChangeTracking(_) => None,
    };
    unreadable(spec, &catalog.columns, watermark).unwrap_or_default()
}

//! The next window of a table that is tracked by a watermark column: it is probed, and frozen or given up.

use super::bound::{self, Probed};
use super::freezing::{Fitted, Found, Freezer, Place, PlanWindows};
use super::schema;
use crate::error::Result;
use crate::ledger::Left;
use crate::model::plan::Plan;
use crate::model::table::{OnSchemaChange, WatermarkTracking};
use crate::model::window::WindowName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::{Catalog, CutSource, ProbeSource};
use crate::shared_connection::SharedConnection;

/// Plans the windows of one table.
pub(crate) struct Watermarked<'a, P, S> {
    /// The source.
    pub(crate) source: &'a P,
    /// What freezes its windows.
    pub(crate) freezer: &'a Freezer<'a, S>,
    /// How the table is tracked.
    pub(crate) tracking: &'a WatermarkTracking,
    /// The connection to the source.
    pub(crate) connection: &'a SharedConnection,
    /// What the catalog knows of the table, when that was asked for all tables together.
    pub(crate) catalog: Option<&'a Catalog>,
}

impl<P, S> PlanWindows for Watermarked<'_, P, S>
where
    P: ProbeSource + CutSource,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    async fn resume(&self, plan: Plan) -> Result<Found> {
        // A first load, and a load for an earlier change, are never given up, because nothing can take their place.
        if plan.old_watermark.is_none() || plan.supersedes().is_some() {
            return Ok(Found::Adopted(Box::new(plan)));
        }
        let is_reload = self.freezer.table.spec.on_schema_change == Some(OnSchemaChange::Reload);
        match self.freezer.ledger.left(&plan).await? {
            // This was decided for good, whatever is asked for since.
            Left::SupersededBy(by) => Ok(Found::GoOn(by)),
            Left::Slice(attempt) if is_reload && attempt.number == 0 && self.is_outdated(&plan).await? => {
                let by = WindowName::reinit(&plan.window);
                self.freezer.supersede(&plan, attempt, by).await
            }
            // What was uploaded before may still become visible.
            Left::Slice(_) | Left::Nothing => Ok(Found::Adopted(Box::new(plan))),
        }
    }

    async fn plan(&self, place: &Place) -> Result<Found> {
        let Probed { next, note } = self.probed(place.in_place_of.as_ref()).await?;
        match next {
            Some(plan) => self.freezer.fit_and_freeze(*plan, note).await,
            None => Ok(Found::Unchanged(note)),
        }
    }
}

impl<P, S> Watermarked<'_, P, S>
where
    P: ProbeSource + CutSource,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    /// Plans the next window, or a full load in place of that window.
    async fn probed(&self, in_place_of: Option<&WindowName>) -> Result<Probed> {
        let next = bound::Next {
            table: self.freezer.table,
            tracking: self.tracking,
            in_place_of,
            author: self.freezer.planning.author,
        };
        let probe = bound::probe(self.source, next, self.catalog);
        self.connection.take_turn(probe).await
    }

    /// Returns whether a frozen window has to be given up: a column of it is gone from the table or has another type
    /// there, so that what is left of it cannot be copied, and the table's policy is to load it anew for that.
    async fn is_outdated(&self, plan: &Plan) -> Result<bool> {
        match self.planned_anew().await {
            Ok(Some(Fitted::Reload(now))) => Ok(schema::is_outdated(&plan.columns, &now.columns)),
            Ok(Some(Fitted::GoesOn(..)) | None) => Ok(false),
            Err(error) if error.code().is_retryable() => Err(error),
            Err(error) => {
                tracing::warn!(
                    table = %plan.table, window = %plan.window, error_type = %error.code(),
                    "Whether the table still has the columns of its frozen window is not known, so the window is left to the runs that \
                     copy it: {}.",
                    error.report()
                );
                Ok(false)
            }
        }
    }

    /// Plans the window as it would be planned now.
    async fn planned_anew(&self) -> Result<Option<Fitted>> {
        match self.probed(None).await?.next {
            Some(now) => self.freezer.fitted(*now, None).await.map(Some),
            None => Ok(None),
        }
    }
}

//! The next window of a tracked table: a full load, the changes since the last version, or nothing but a later version.
//!
//! A version expires. What was planned from it is then given up for a full load. When every slice is already decided,
//! nothing is given up, because everything was read in time.

use std::fmt::Display;

use super::freezing::{Found, Freezer, Place, PlanWindows};
use super::schema::{self, Fit};
use super::tracked_columns::{self, TableColumns};
use super::{audit, cut};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::Left;
use crate::model::lookup::LookedUp;
use crate::model::names::printable;
use crate::model::plan::{Content, LoadReason, Plan, WindowBounds};
use crate::model::slice::SliceBounds;
use crate::model::table::{ChangeTracking, OnExpired, OnSchemaChange, TableSpec};
use crate::model::types::TypeName;
use crate::model::watermark::{StoreType, Watermark};
use crate::model::window::WindowName;
use crate::ports::changes::{ProbeChanges, Versions};
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::{CutSource, ProbeSource};
use crate::shared_connection::SharedConnection;

/// Plans the windows of one table.
pub(crate) struct Tracked<'a, P, S> {
    source: &'a P,
    freezer: &'a Freezer<'a, S>,
    tracking: ChangeTracking,
    connection: &'a SharedConnection,
    /// The type of versions.
    version_type: TypeName,
    /// The version that the next window starts after, or the stored one if the table has yet to be loaded.
    old: Option<i64>,
}

impl<P, S> PlanWindows for Tracked<'_, P, S>
where
    P: ProbeSource + CutSource + ProbeChanges,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    /// Goes on with a frozen plan, unless what it would read has expired.
    async fn resume(&self, plan: Plan) -> Result<Found> {
        let attempt = match self.freezer.ledger.left(&plan).await? {
            Left::SupersededBy(by) => return Ok(Found::GoOn(by)),
            Left::Slice(attempt) => attempt,
            Left::Nothing => return Ok(Found::Adopted(Box::new(plan))),
        };
        // A full load reads the rows that there are, whatever has expired.
        let (Content::Changes { .. }, Some(old)) = (&plan.content, &plan.old_watermark) else {
            return Ok(Found::Adopted(Box::new(plan)));
        };
        if attempt.number == 0 && self.is_outdated(&plan).await? {
            let by = WindowName::reinit(&plan.window);
            return self.freezer.supersede(&plan, attempt, by).await;
        }
        let old = number(old)?;
        let versions = self.versions().await?;
        let new = number(&plan.new_watermark)?;
        if versions.current < new {
            return Err(self.regression(new, versions));
        }
        if versions.min_valid <= old {
            return Ok(Found::Adopted(Box::new(plan)));
        }
        let by = self.expired(&plan.window, old, versions)?;
        self.freezer.supersede(&plan, attempt, by).await
    }

    async fn plan(&self, place: &Place) -> Result<Found> {
        let versions = self.versions().await?;
        if place.in_place_of.is_some() || place.window == WindowName::initial() {
            return self.load(&place.window, versions).await;
        }
        self.changes(&place.window, versions).await
    }
}

impl<'a, P, S> Tracked<'a, P, S>
where
    P: ProbeSource + CutSource + ProbeChanges,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    /// Makes the planner of the table.
    ///
    /// Errors: `InvalidConfig` when the watermark store cannot hold versions, or holds what is none.
    pub(crate) fn new(
        source: &'a P,
        freezer: &'a Freezer<'a, S>,
        tracking: ChangeTracking,
        connection: &'a SharedConnection,
    ) -> Result<Self> {
        let table = freezer.table;
        let version_type = source.change_columns(table.spec.wanted_forms()).version.sql_type;
        Ok(Self {
            old: old_version(source, table, &version_type)?,
            source,
            freezer,
            tracking,
            connection,
            version_type,
        })
    }

    fn spec(&self) -> &TableSpec {
        &self.freezer.table.spec
    }

    /// Returns whether a column of a frozen window is gone from the table or has another type there, and the table's
    /// policy is to load it anew for that. What is left of the window cannot be copied then.
    async fn is_outdated(&self, plan: &Plan) -> Result<bool> {
        if self.spec().on_schema_change != Some(OnSchemaChange::Reload) {
            return Ok(false);
        }
        let Some(previous) = self.freezer.ledger.previous(plan.begins()).await? else {
            return Ok(false);
        };
        let TableColumns { in_files, .. } = self.columns().await?;
        let now = audit::added(
            self.source,
            self.spec(),
            plan.clone().copying(in_files, plan.slices.clone()),
        )?;
        let is_outdated = schema::is_outdated(&plan.columns, &now.columns);
        Ok(is_outdated && matches!(schema::fit(self.spec(), previous, now)?, Fit::Reload(_)))
    }

    /// Plans the window after the old version.
    async fn changes(&self, window: &WindowName, versions: Versions) -> Result<Found> {
        let Some(old) = self.old else {
            return self.load(window, versions).await;
        };
        if versions.current < old {
            return Err(self.regression(old, versions));
        }
        if versions.min_valid > old || self.began_anew(old, versions).await? {
            let by = self.expired(window, old, versions)?;
            let plan = self.new_plan(window, old, old, Content::Unchanged)?;
            return self.freezer.give_up(plan, by).await;
        }
        if versions.current == old {
            return Ok(Found::Unchanged(None));
        }
        let changed = async {
            let changed = self.source.has_changes(&self.spec().table, old, versions.current).await;
            changed.of(Role::Source)
        };
        if self.connection.take_turn(changed).await? {
            let columns = self.columns().await?;
            let note = columns.note(self.spec());
            let TableColumns {
                key, in_files, unseen, ..
            } = columns;
            let content = Content::Changes { key_columns: key };
            let plan = self.new_plan(window, old, versions.current, content)?;
            let plan = audit::added(
                self.source,
                self.spec(),
                plan.copying(in_files, vec![SliceBounds::default()]),
            )?;
            return self.freezer.fit_and_freeze(Plan { unseen, ..plan }, note).await;
        }
        if self.versions().await?.min_valid > old {
            // No changes were found because they are gone.
            return Ok(Found::LookAgain);
        }
        let mut plan = self.new_plan(window, old, versions.current, Content::Unchanged)?;
        if let Some(previous) = self.freezer.ledger.previous(window).await? {
            // The columns are passed on, so that the next window with changes can be compared with them.
            plan = previous.passed_on(plan);
        }
        // A window without changes has the columns of the window before it, so they need no comparison.
        self.freezer.freeze(plan, None).await
    }

    fn new_plan(&self, window: &WindowName, old: i64, new: i64, content: Content) -> Result<Plan> {
        let bounds = WindowBounds {
            window: window.clone(),
            old: Some(self.version(old)?),
            new: self.version(new)?,
        };
        Ok(Plan::new(self.spec(), bounds, content, self.freezer.planning.author))
    }

    /// Plans a full load. The version is read before the rows, so a row that changes in between comes again with the
    /// next window.
    async fn load(&self, window: &WindowName, versions: Versions) -> Result<Found> {
        let columns = self.columns().await?;
        let note = columns.note(self.spec());
        let TableColumns {
            key,
            declared,
            in_files,
            unseen,
        } = columns;
        let cut = cut::cut_table(self.source, self.spec(), &declared);
        let slices = match self.connection.take_turn(cut).await? {
            None => vec![SliceBounds::default()],
            Some(keys) => keys.into_iter().map(SliceBounds::from).collect(),
        };
        let stored = self.old.map(|version| self.version(version)).transpose()?;
        let is_first = *window == WindowName::initial();
        match self.old {
            Some(seed) if is_first && versions.current < seed => return Err(self.regression(seed, versions)),
            Some(expired) if !is_first => self.has_moved(expired, versions)?,
            _ => {}
        }
        let (old, because) = match stored {
            Some(expired) if !is_first => {
                let reason = LoadReason::InPlaceOf(WindowName::after(&expired));
                (Some(expired), reason)
            }
            seed => (None, LoadReason::First { seed }),
        };
        let bounds = WindowBounds {
            window: window.clone(),
            old,
            new: self.version(versions.current)?,
        };
        let content = Content::Load {
            because,
            tracked_since: versions.begun.map(|version| self.version(version)).transpose()?,
            key_columns: key,
        };
        let plan = Plan::new(self.spec(), bounds, content, self.freezer.planning.author);
        let plan = audit::added(self.source, self.spec(), plan.copying(in_files, slices))?;
        self.freezer.fit_and_freeze(Plan { unseen, ..plan }, note).await
    }

    fn version(&self, number: i64) -> Result<Watermark> {
        Watermark::new(self.version_type.clone(), number.to_string())
    }

    async fn columns(&self) -> Result<TableColumns> {
        tracked_columns::ask(self.source, self.spec(), self.connection).await
    }

    async fn versions(&self) -> Result<Versions> {
        let versions = async { self.source.versions(&self.spec().table).await.of(Role::Source) };
        self.connection.take_turn(versions).await
    }

    /// Returns whether tracking began anew at `old` itself, after that version was read. `TRUNCATE TABLE`, and
    /// switching tracking off and on, set the least valid version to the present one, which is the stored one if
    /// nothing else has changed since.
    ///
    /// When a full load ends at `old` and found that tracking began there, that is no sign of a new beginning.
    async fn began_anew(&self, old: i64, versions: Versions) -> Result<bool> {
        if versions.begun != Some(old) {
            return Ok(false);
        }
        let old = self.version(old)?;
        let is_its_load = |plan: &Plan| match &plan.content {
            Content::Load { tracked_since, .. } => {
                plan.new_watermark == old && tracked_since.as_ref().is_none_or(|since| *since == old)
            }
            _ => false,
        };
        let initial = self.freezer.ledger.plan(&WindowName::initial()).await?;
        Ok(!initial.iter().any(is_its_load) && !self.freezer.ledger.reinits().await?.iter().any(is_its_load))
    }

    /// Returns the window that takes the place of one whose version has expired, if the table's policy allows it.
    fn expired(&self, window: &WindowName, old: i64, versions: Versions) -> Result<WindowName> {
        let Versions { min_valid, .. } = versions;
        let table = &self.spec().table;
        let since = if min_valid > old { "" } else { ", where they began anew" };
        let what = |table: &dyn Display| {
            format!(
                "version {old} of {table} has expired: its changes are complete since version {min_valid}{since} only"
            )
        };
        if self.tracking.on_expired == OnExpired::Fail {
            return Err(Error::about(ErrorCode::ChangeTrackingInvalid, table, |table| {
                format!(
                    "{} (retention passed, the table was truncated, or its tracking was switched off and on). Set on_expired to \
                     reinitialize to load it again in full, and raise CHANGE_RETENTION above the longest gap between runs",
                    what(table)
                )
            }));
        }
        self.has_moved(old, versions)?;
        tracing::warn!(%table, %window, "{}. The table is loaded again in full.", what(table));
        Ok(WindowName::reinit(window))
    }

    /// Checks that the present version is greater than `old`, so that a load in place of the window after `old` leads
    /// on from there.
    fn has_moved(&self, old: i64, versions: Versions) -> Result<()> {
        if versions.current < old {
            return Err(self.regression(old, versions));
        }
        if versions.current == old {
            return Err(Error::about(
                ErrorCode::ChangeTrackingInvalid,
                &self.spec().table,
                |table| {
                    format!(
                        "version {old} of {table} is both the present one and expired: the table is loaded again in full once anything \
                     tracked has changed"
                    )
                },
            ));
        }
        Ok(())
    }

    fn regression(&self, old: i64, versions: Versions) -> Error {
        Error::about(ErrorCode::WatermarkRegression, &self.spec().table, |table| {
            format!(
                "the stored version of {table} is {old}, above the database's current version {}: was the database restored or \
                 replaced, or its change tracking switched off and on? Start the table over (docs/how-to/repair.md)",
                versions.current
            )
        })
    }
}

/// Returns the version that the next window starts after: that of the last committed window, or the stored one.
fn old_version<P: ProbeSource>(source: &P, table: &LookedUp, version_type: &TypeName) -> Result<Option<i64>> {
    let LookedUp { spec, stored, .. } = table;
    if let StoreType::Typed(store) = &stored.store_type
        && !source.holds(store, version_type)
    {
        let message = format!(
            "the control table keeps watermarks as {store}, which cannot hold every version, a {version_type}, of {}: use a control \
             table of its own (WATERMARK_TABLE), that of infra/sql, or WATERMARK_STORE=s3",
            spec.table
        );
        return Err(Error::new(ErrorCode::InvalidConfig, message));
    }
    let version = table.old_text().map(|text| {
        // A decimal column of a control table gives the version back as `42.00`.
        let whole = text
            .split_once('.')
            .filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'));
        let whole = whole.map_or(text, |(whole, _)| whole);
        whole.parse().map_err(|_| {
            let message = format!(
                "'{}' is stored for {}, and is no version of change tracking: the table was tracked by a column before. Start it \
                 over (`tidemark reset`), or put that column back into tracking",
                printable(text),
                spec.table
            );
            Error::new(ErrorCode::InvalidConfig, message)
        })
    });
    version.transpose()
}

fn number(version: &Watermark) -> Result<i64> {
    version.value().parse().map_err(|error| {
        Error::with_source(
            ErrorCode::LedgerInvalid,
            format!(
                "{version} in the ledger is no version, which is a whole number: restore what Tidemark wrote there"
            ),
            error,
        )
    })
}

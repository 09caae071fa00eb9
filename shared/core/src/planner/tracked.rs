//! The next window of a tracked table: a full load, the changes since the last version, or nothing but a later version.
//!
//! A version expires. What was planned from it is then given up for a full load in a window of its own,
//! `reinit-{from}`, and the two never both become visible: the load takes the place of the expired window by being
//! first to create the next undecided document of it, which is its plan or the record of a slice (W1, W2). Everyone
//! else finds that document and goes on with the load. When every slice is already decided, nothing is given up,
//! because everything was read in time.

use super::schema::{self, Fit};
use super::single_flight::{self, Planning};
use super::tracked_columns::{self, TrackedColumns};
use super::{SharedConnection, TRIES, audit, cut};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Frozen, Ledger, Left};
use crate::model::lease::Keeper;
use crate::model::lookup::{LookedUp, Note, Start};
use crate::model::plan::{Content, LoadReason, Plan, WindowBounds};
use crate::model::record::{Attempt, Decision, Record};
use crate::model::slice::SliceBounds;
use crate::model::table::{ChangeTracking, OnExpired, OnSchemaChange, TableSpec};
use crate::model::types::TypeName;
use crate::model::watermark::{StoreType, Watermark};
use crate::model::window::WindowName;
use crate::ports::changes::{ProbeChanges, Versions};
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::{CutSource, ProbeSource};

/// What is to be done with a tracked table.
pub(crate) enum Next {
    /// Its next window, and a note when the source hides rows from this login.
    Window(Box<Frozen>, Option<Note>),
    /// Nothing, because its version has not moved.
    Unchanged,
    /// Nothing, because another run or a person keeps the table.
    KeptBy(Keeper),
}

/// Finds or freezes the next window of `table`.
pub(crate) async fn next<P, S>(
    source: &P,
    ledger: &Ledger<'_, S>,
    table: &LookedUp,
    tracking: ChangeTracking,
    planning: Planning<'_>,
    connection: &SharedConnection,
) -> Result<Next>
where
    P: ProbeSource + CutSource + ProbeChanges,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let tracked = Tracked {
        source,
        ledger,
        table,
        tracking,
        planning,
        connection,
        old: old_version(source, table)?,
    };
    let mut window = table.next_window();
    let is_superseded = matches!(&table.start, Start::Committed(window) if window.superseded_by.is_some());
    let mut is_load = window == WindowName::initial() || is_superseded;
    let mut may_be_frozen = table.may_be_frozen();
    for _ in 0..TRIES {
        let frozen = if std::mem::replace(&mut may_be_frozen, true) {
            ledger.plan(&window).await?
        } else {
            None
        };
        let step = match frozen {
            Some(plan) => tracked.resume(plan).await?,
            None if is_load => tracked.load(&window, tracked.versions().await?).await?,
            None => tracked.plan(&window).await?,
        };
        match step {
            // A run that has just frozen a plan has taken the lease for it already.
            Step::Frozen(frozen, note) if !frozen.adopted => return Ok(Next::Window(frozen, note)),
            Step::Frozen(frozen, note) => {
                let keeper = tracked.kept_by(&frozen.plan).await?;
                return Ok(keeper.map_or(Next::Window(frozen, note), Next::KeptBy));
            }
            Step::KeptBy(keeper) => return Ok(Next::KeptBy(keeper)),
            Step::Unchanged => return Ok(Next::Unchanged),
            Step::LookAgain => {}
            Step::GoOn(superseding) => (window, is_load) = (superseding, true),
        }
    }
    let message = format!(
        "other runs keep changing window {window} of {} while it is planned: run again",
        table.spec.table
    );
    Err(Error::new(ErrorCode::SinkUnavailable, message))
}

enum Step {
    /// The window's plan.
    Frozen(Box<Frozen>, Option<Note>),
    /// The version has not moved.
    Unchanged,
    /// Another run or a person keeps the table.
    KeptBy(Keeper),
    /// Another run was faster, so the window has to be looked at again.
    LookAgain,
    /// The window is superseded by this one, which is looked at next.
    GoOn(WindowName),
}

impl Step {
    fn frozen(plan: Plan, adopted: bool, note: Option<Note>) -> Self {
        Self::Frozen(Box::new(Frozen { plan, adopted }), note)
    }
}

struct Tracked<'a, P, S> {
    source: &'a P,
    ledger: &'a Ledger<'a, S>,
    table: &'a LookedUp,
    tracking: ChangeTracking,
    planning: Planning<'a>,
    connection: &'a SharedConnection,
    /// The version that the next window starts after, or the stored one if the table has yet to be loaded.
    old: Option<i64>,
}

impl<P, S> Tracked<'_, P, S>
where
    P: ProbeSource + CutSource + ProbeChanges,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    async fn kept_by(&self, plan: &Plan) -> Result<Option<Keeper>> {
        single_flight::kept_by(self.ledger, self.planning, plan).await
    }

    fn spec(&self) -> &TableSpec {
        &self.table.spec
    }

    /// Goes on with a frozen plan, unless what it would read has expired.
    async fn resume(&self, plan: Plan) -> Result<Step> {
        let reads_changes = match &plan.content {
            Content::Superseded { by } => return Ok(Step::GoOn(by.clone())),
            Content::Changes { .. } => true,
            // A full load reads the rows that there are, whatever has expired.
            Content::Interval { .. } | Content::Load { .. } | Content::Unchanged => false,
        };
        let undecided = match self.ledger.left(&plan).await? {
            Left::SupersededBy(by) => return Ok(Step::GoOn(by)),
            Left::Slice(attempt) => Some(attempt),
            Left::Nothing => None,
        };
        let (Some(attempt), Some(old)) = (undecided.filter(|_| reads_changes), &plan.old_watermark) else {
            return Ok(Step::frozen(plan, true, None));
        };
        if attempt.number == 0 && self.is_outdated(&plan).await? {
            let by = WindowName::reinit(&plan.window);
            return self.supersede(&plan, attempt, by).await;
        }
        let old = number(old)?;
        let versions = self.versions().await?;
        let new = number(&plan.new_watermark)?;
        if versions.current < new {
            return Err(self.regression(new, versions));
        }
        if versions.min_valid <= old {
            return Ok(Step::frozen(plan, true, None));
        }
        let by = self.expired(&plan.window, old, versions)?;
        self.supersede(&plan, attempt, by).await
    }

    /// Returns whether a column of a frozen window is gone from the table or has another type there, and the table's
    /// policy is to load it anew for that. What is left of the window cannot be copied then.
    async fn is_outdated(&self, plan: &Plan) -> Result<bool> {
        if self.spec().on_schema_change != Some(OnSchemaChange::Reload) {
            return Ok(false);
        }
        let Some(previous) = self.ledger.previous(plan.begins()).await? else {
            return Ok(false);
        };
        let TrackedColumns { in_files, .. } = self.columns().await?;
        let now = audit::added(self.spec(), plan.clone().copying(in_files, plan.slices.clone()))?;
        let is_outdated = schema::is_outdated(&plan.columns, &now.columns);
        Ok(is_outdated && matches!(schema::fit(self.spec(), previous, now)?, Fit::Reload(_)))
    }

    /// Gives a frozen window up for the full load `by`, by being the first to decide a slice of it (W2).
    async fn supersede(&self, plan: &Plan, attempt: Attempt, by: WindowName) -> Result<Step> {
        if self.planning.dry_run {
            return self.load(&by, self.versions().await?).await;
        }
        if let Some(keeper) = self.kept_by(plan).await? {
            return Ok(Step::KeptBy(keeper));
        }
        let run_id = self.planning.author.run_id.to_owned();
        self.ledger
            .decide(Record::new(attempt, Decision::Superseded { by }, run_id))
            .await?;
        Ok(Step::LookAgain)
    }

    /// Plans the window after the old version.
    async fn plan(&self, window: &WindowName) -> Result<Step> {
        let versions = self.versions().await?;
        let Some(old) = self.old else {
            return self.load(window, versions).await;
        };
        if versions.current < old {
            return Err(self.regression(old, versions));
        }
        if versions.min_valid > old || self.began_anew(old, versions).await? {
            let by = self.expired(window, old, versions)?;
            if self.planning.dry_run {
                return self.load(&by, versions).await;
            }
            let plan = self.new_plan(window, old, old, Content::Superseded { by })?;
            if let Some(keeper) = self.kept_by(&plan).await? {
                return Ok(Step::KeptBy(keeper));
            }
            self.ledger.freeze(plan).await?;
            return Ok(Step::LookAgain);
        }
        if versions.current == old {
            return Ok(Step::Unchanged);
        }
        let changed = async {
            let changed = self.source.has_changes(&self.spec().table, old, versions.current).await;
            changed.of(Role::Source)
        };
        if self.connection.take_turn(changed).await? {
            let columns = self.columns().await?;
            let note = columns.note(self.spec());
            let TrackedColumns { key, in_files, .. } = columns;
            let content = Content::Changes { key_columns: key };
            let plan = self.new_plan(window, old, versions.current, content)?;
            let plan = plan.copying(in_files, vec![SliceBounds::default()]);
            return self.freeze(audit::added(self.spec(), plan)?, note).await;
        }
        if self.versions().await?.min_valid > old {
            // No changes were found because they are gone.
            return Ok(Step::LookAgain);
        }
        let mut plan = self.new_plan(window, old, versions.current, Content::Unchanged)?;
        if let Some(previous) = self.ledger.previous(window).await? {
            // The columns are passed on, so that the next window with changes can be compared with them.
            plan = previous.passed_on(plan);
        }
        self.freeze(plan, None).await
    }

    fn new_plan(&self, window: &WindowName, old: i64, new: i64, content: Content) -> Result<Plan> {
        let bounds = WindowBounds {
            window: window.clone(),
            old: Some(version(old)?),
            new: version(new)?,
        };
        Ok(Plan::new(self.spec(), bounds, content, self.planning.author))
    }

    /// Plans a full load. The version is read before the rows, so a row that changes in between comes again with the
    /// next window.
    async fn load(&self, window: &WindowName, versions: Versions) -> Result<Step> {
        let columns = self.columns().await?;
        let note = columns.note(self.spec());
        let TrackedColumns {
            key,
            declared,
            in_files,
            ..
        } = columns;
        let cut = cut::cut_table(self.source, self.spec(), &declared);
        let slices = match self.connection.take_turn(cut).await? {
            None => vec![SliceBounds::default()],
            Some(keys) => keys.into_iter().map(SliceBounds::from).collect(),
        };
        let stored = self.old.map(version).transpose()?;
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
            new: version(versions.current)?,
        };
        let content = Content::Load {
            because,
            tracked_since: versions.begun.map(version).transpose()?,
            key_columns: key,
        };
        let plan = Plan::new(self.spec(), bounds, content, self.planning.author);
        let plan = audit::added(self.spec(), plan.copying(in_files, slices))?;
        self.freeze(plan, note).await
    }

    async fn freeze(&self, mut plan: Plan, mut note: Option<Note>) -> Result<Step> {
        // A window without changes has the columns of the window before it, so they need no comparison.
        if !plan.slices.is_empty() {
            let begins = plan.begins();
            if let Some(previous) = self.ledger.previous(begins).await? {
                plan = match schema::fit(self.spec(), previous, plan)? {
                    Fit::GoesOn(plan, changed) => {
                        note = Note::with_changes(note, &self.spec().table, changed);
                        *plan
                    }
                    Fit::Reload(plan) => return self.give_up(*plan).await,
                };
            }
        }
        if self.planning.dry_run {
            return Ok(Step::frozen(plan, false, note));
        }
        if let Some(keeper) = self.kept_by(&plan).await? {
            return Ok(Step::KeptBy(keeper));
        }
        let frozen = self.ledger.freeze(plan).await?;
        // A plan that another run froze is looked at again, like any plan that was there.
        Ok(if frozen.adopted {
            Step::LookAgain
        } else {
            Step::Frozen(Box::new(frozen), note)
        })
    }

    /// Gives the window of a plan up for a full load, because its files would not be like those before them.
    async fn give_up(&self, plan: Plan) -> Result<Step> {
        let by = WindowName::reinit(&plan.window);
        if self.planning.dry_run {
            return Box::pin(self.load(&by, self.versions().await?)).await;
        }
        if let Some(keeper) = self.kept_by(&plan).await? {
            return Ok(Step::KeptBy(keeper));
        }
        self.ledger.freeze(plan.superseded_by(by)?).await?;
        Ok(Step::LookAgain)
    }

    async fn columns(&self) -> Result<TrackedColumns> {
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
        let old = version(old)?;
        let is_its_load = |plan: &Plan| match &plan.content {
            Content::Load { tracked_since, .. } => {
                plan.new_watermark == old && tracked_since.as_ref().is_none_or(|since| *since == old)
            }
            _ => false,
        };
        let initial = self.ledger.plan(&WindowName::initial()).await?;
        Ok(!initial.iter().any(is_its_load) && !self.ledger.reinits().await?.iter().any(is_its_load))
    }

    /// Returns the window that takes the place of one whose version has expired, if the table's policy allows it.
    fn expired(&self, window: &WindowName, old: i64, versions: Versions) -> Result<WindowName> {
        let Versions { min_valid, .. } = versions;
        let table = &self.spec().table;
        let since = if min_valid > old { "" } else { ", where they began anew" };
        let what = format!(
            "version {old} of {table} has expired: its changes are complete since version {min_valid}{since} only"
        );
        if self.tracking.on_expired == OnExpired::Fail {
            let message = format!(
                "{what} (retention passed, the table was truncated, or its tracking was switched off and on). Set on_expired \
                 to reinitialize to load it again in full, and raise CHANGE_RETENTION above the longest gap between runs"
            );
            return Err(Error::new(ErrorCode::ChangeTrackingInvalid, message));
        }
        self.has_moved(old, versions)?;
        tracing::warn!(%table, %window, "{what}. The table is loaded again in full.");
        Ok(WindowName::reinit(window))
    }

    /// Checks that the present version is greater than `old`, so that a load in place of the window after `old` leads
    /// on from there.
    fn has_moved(&self, old: i64, versions: Versions) -> Result<()> {
        if versions.current < old {
            return Err(self.regression(old, versions));
        }
        if versions.current == old {
            let message = format!(
                "version {old} of {} is both the present one and expired: the table is loaded again in full once anything \
                 tracked has changed",
                self.spec().table
            );
            return Err(Error::new(ErrorCode::ChangeTrackingInvalid, message));
        }
        Ok(())
    }

    fn regression(&self, old: i64, versions: Versions) -> Error {
        Error::new(
            ErrorCode::WatermarkRegression,
            format!(
                "the stored version of {} is {old}, above the database's current version {}: was the database restored or \
                 replaced, or its change tracking switched off and on? Start the table over (docs/how-to/repair.md)",
                self.spec().table,
                versions.current
            ),
        )
    }
}

/// Returns the version that the next window starts after: that of the last committed window, or the stored one.
fn old_version<P: ProbeSource>(source: &P, table: &LookedUp) -> Result<Option<i64>> {
    let LookedUp { spec, stored, .. } = table;
    if let StoreType::Typed(store) = &stored.store_type
        && !source.holds(store, &version_type()?)
    {
        let message = format!(
            "the control table keeps watermarks as {store}, which cannot hold every version, a bigint, of {}: use a control \
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
                text.escape_default(),
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

fn version(number: i64) -> Result<Watermark> {
    Watermark::new(version_type()?, number.to_string())
}

/// Returns the type of versions.
fn version_type() -> Result<TypeName> {
    TypeName::new("bigint")
}

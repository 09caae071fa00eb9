//! The next window of a tracked table: a full load, the changes since the last version, or nothing but a later version.
//!
//! A version expires. What was planned from it then is given up for a full load in a window of its own, `reinit-{from}`,
//! without ever letting both become visible: the load takes the place of the expired window by being first to create
//! the next undecided document of it, its plan or the record of a slice (W1, W2). Everyone else finds that document and
//! goes on at the load. When every slice is already decided, nothing is given up: what was read, was read in time.

mod columns;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::ObjectName;
use tidemark::ledger::{KeyBounds, Ledger, PartRecord, Plan, Slice, SliceBounds, VERSION, WindowName};
use tidemark::ports::changes::{ProbeChanges, Versions};
use tidemark::ports::objects::{CreateObjects, ReadObjects};
use tidemark::ports::source::{ProbeSource, SliceSource};
use tidemark::query::Query;
use tidemark::query::change_tracking::{self, Changes};
use tidemark::schema::fingerprint;
use tidemark::steps::{CommittedWindow, LookedUp, Turns};
use tidemark::table::{ChangeTracking, OnExpired, TableSpec};
use tidemark::types::{Column, SqlType};
use tidemark::watermark::Watermark;

use self::columns::Columns;
use crate::planning::check_schema;
use crate::{Next, Run, frozen, slicing, unchanged};

/// More documents of a window than other runs can create while it is looked at.
const TRIES: u32 = 16;

/// Finds or freezes the next window of `table`.
pub(crate) async fn next<P, S>(
    source: &P,
    ledger: &Ledger<'_, S>,
    table: &LookedUp,
    tracking: ChangeTracking,
    run: Run<'_>,
    turns: &Turns,
) -> Result<Next>
where
    P: ProbeSource + SliceSource + ProbeChanges,
    S: ReadObjects + CreateObjects,
{
    let tracked = Tracked {
        source,
        ledger,
        table,
        tracking,
        run,
        turns,
        old: old_version(table)?,
    };
    let mut window = table.next_window();
    let superseded = |committed: &CommittedWindow| committed.superseded_by.is_some();
    let mut is_load = window == WindowName::initial() || table.committed.as_ref().is_some_and(superseded);
    for _ in 0..TRIES {
        let step = match ledger.plan(&window).await? {
            Some(plan) => tracked.resume(plan).await?,
            None if is_load => tracked.load(&window, tracked.versions().await?).await?,
            None => tracked.plan(&window).await?,
        };
        match step {
            Step::Frozen(plan, adopted) => return Ok(frozen(*plan, adopted, run.dry_run)),
            Step::Unchanged => return Ok(unchanged(table, run.dry_run)),
            Step::LookAgain => {}
            Step::GoOn(superseding) => (window, is_load) = (superseding, true),
        }
    }
    let message = format!(
        "window {window} of {} keeps changing while it is planned",
        table.spec.table
    );
    Err(Error::new(ErrorCode::SinkUnavailable, message))
}

enum Step {
    /// The window's plan and whether it was there before.
    Frozen(Box<Plan>, bool),
    /// The version has not moved.
    Unchanged,
    /// Another run was faster.
    LookAgain,
    /// That window is copied in place of this one.
    GoOn(WindowName),
}

struct Tracked<'a, P, S> {
    source: &'a P,
    ledger: &'a Ledger<'a, S>,
    table: &'a LookedUp,
    tracking: ChangeTracking,
    run: Run<'a>,
    turns: &'a Turns,
    /// The version the next window starts after; the stored one, if the table has yet to be loaded.
    old: Option<i64>,
}

impl<P, S> Tracked<'_, P, S>
where
    P: ProbeSource + SliceSource + ProbeChanges,
    S: ReadObjects + CreateObjects,
{
    fn spec(&self) -> &TableSpec {
        &self.table.spec
    }

    /// Goes on with a frozen plan, unless what it would read has expired.
    async fn resume(&self, plan: Plan) -> Result<Step> {
        if let Some(load) = plan.superseded_by {
            return Ok(Step::GoOn(load));
        }
        let mut undecided = None;
        for state in self.ledger.slices(&plan).await? {
            match state.record {
                Some(PartRecord {
                    superseded_by: Some(load),
                    ..
                }) => return Ok(Step::GoOn(load)),
                Some(_) => {}
                // A full load reads what there is.
                None if state.slice.guard.is_none() => {}
                None => undecided = undecided.or(Some((state.id, state.attempt))),
            }
        }
        let (Some((slice, attempt)), Some(old)) = (undecided, &plan.old_watermark) else {
            return Ok(Step::Frozen(Box::new(plan), true));
        };
        let old = number(old)?;
        let versions = self.versions().await?;
        let new = number(&plan.new_watermark)?;
        if versions.current < new {
            return Err(self.regression(new, versions));
        }
        if versions.min_valid <= old {
            return Ok(Step::Frozen(Box::new(plan), true));
        }
        let load = self.expired(&plan.window, old, versions)?;
        if self.run.dry_run {
            return self.load(&load, versions).await;
        }
        let record = PartRecord {
            superseded_by: Some(load),
            ..PartRecord::new(plan.window, slice, attempt, self.run.id.to_owned())
        };
        self.ledger.decide(record).await?;
        Ok(Step::LookAgain)
    }

    /// Plans the window after a version.
    async fn plan(&self, window: &WindowName) -> Result<Step> {
        let versions = self.versions().await?;
        let Some(old) = self.old else {
            return self.load(window, versions).await;
        };
        if versions.current < old {
            return Err(self.regression(old, versions));
        }
        if versions.min_valid > old || self.began_anew(old, versions).await? {
            let load = self.expired(window, old, versions)?;
            if self.run.dry_run {
                return self.load(&load, versions).await;
            }
            let plan = Plan {
                superseded_by: Some(load),
                ..self.empty(window, Some(version(old)?), version(old)?)
            };
            self.ledger.freeze(plan).await?;
            return Ok(Step::LookAgain);
        }
        if versions.current == old {
            return Ok(Step::Unchanged);
        }
        let new = version(versions.current)?;
        let changed = self.source.has_changes(&self.spec().table, old, versions.current);
        let mut plan = self.empty(window, Some(version(old)?), new.clone());
        if self.turns.take(changed).await? {
            let Columns { key, copied, .. } = self.columns().await?;
            let changes = Changes {
                table: &self.spec().table,
                key: &key,
                old: &version(old)?,
                new: &new,
            };
            plan.slices.push(Slice {
                query: changes.rows(&copied, None),
                guard: Some(changes.guard()),
                bounds: Some(SliceBounds::default()),
            });
            plan.columns = columns::in_files(copied);
            plan.schema = fingerprint(&plan.columns);
        } else if self.versions().await?.min_valid > old {
            // No changes were found because they are gone.
            return Ok(Step::LookAgain);
        } else if let Some(previous) = self.ledger.previous(window).await? {
            // Passed on, for the next window that has changes to be compared with.
            (plan.columns, plan.schema) = (previous.columns, previous.schema);
        }
        self.freeze(plan).await
    }

    /// Plans a full load. The version is read before the rows: a row that changes in between comes again.
    async fn load(&self, window: &WindowName, versions: Versions) -> Result<Step> {
        let new = version(versions.current)?;
        let stored = self.old.map(version).transpose()?;
        let Columns { declared, copied, .. } = self.columns().await?;
        let cut = slicing::cut_table(self.source, self.spec(), &declared);
        let cut = match self.turns.take(cut).await? {
            None => vec![SliceBounds::default()],
            Some(keys) => keys.into_iter().map(SliceBounds::from).collect(),
        };
        let slice = |bounds: SliceBounds| Slice {
            query: load_query(&self.spec().table, &copied, &new, &bounds),
            guard: None,
            bounds: Some(bounds),
        };
        let slices = cut.into_iter().map(slice).collect();
        let (old, seed) = if *window == WindowName::initial() {
            (None, stored)
        } else {
            (stored, None)
        };
        match self.old {
            Some(seed) if old.is_none() && versions.current < seed => return Err(self.regression(seed, versions)),
            Some(expired) if old.is_some() => self.has_moved(expired, versions)?,
            _ => {}
        }
        let supersedes = old.as_ref().map(WindowName::after);
        let columns = columns::in_files(copied);
        let plan = Plan {
            slices,
            schema: fingerprint(&columns),
            columns,
            seed,
            tracked_since: versions.begun.map(version).transpose()?,
            supersedes,
            ..self.empty(window, old, new)
        };
        self.freeze(plan).await
    }

    async fn freeze(&self, plan: Plan) -> Result<Step> {
        // A window without changes has those of the window before it.
        if !plan.slices.is_empty() {
            let begins = plan.supersedes.as_ref().unwrap_or(&plan.window);
            if let Some(previous) = self.ledger.previous(begins).await? {
                check_schema(self.spec(), &previous, &plan)?;
            }
        }
        if self.run.dry_run {
            return Ok(Step::Frozen(Box::new(plan), false));
        }
        let (plan, adopted) = self.ledger.freeze(plan).await?;
        // What another run froze is looked at as any plan that was there.
        Ok(if adopted {
            Step::LookAgain
        } else {
            Step::Frozen(Box::new(plan), false)
        })
    }

    fn empty(&self, window: &WindowName, old: Option<Watermark>, new: Watermark) -> Plan {
        let spec = self.spec();
        Plan {
            version: VERSION,
            table: spec.table.clone(),
            window: window.clone(),
            tracking: spec.tracking.clone(),
            old_watermark: old,
            new_watermark: new,
            schema: String::new(),
            columns: Vec::new(),
            format: spec.format.clone(),
            timestamps: spec.timestamps,
            filter: spec.filter.clone(),
            layout: spec.layout,
            slices: Vec::new(),
            count: None,
            seed: None,
            tracked_since: None,
            supersedes: None,
            superseded_by: None,
            watermark_name: spec.watermark_name.clone(),
            sink: spec.sink.clone(),
            run_id: self.run.id.to_owned(),
            created_at: self.run.created_at.to_owned(),
        }
    }

    async fn columns(&self) -> Result<Columns> {
        columns::ask(self.source, self.spec(), self.turns).await
    }

    async fn versions(&self) -> Result<Versions> {
        self.turns.take(self.source.versions(&self.spec().table)).await
    }

    /// Whether tracking began anew at `old` itself, after that version was read: `TRUNCATE TABLE`, and switching off and on,
    /// set the least valid version to the present one, which is the stored one if nothing else has changed since.
    ///
    /// Only of a load it is right that tracking began at the version it ends at.
    async fn began_anew(&self, old: i64, versions: Versions) -> Result<bool> {
        if versions.begun != Some(old) {
            return Ok(false);
        }
        let old = version(old)?;
        let is_its_load =
            |plan: &Plan| plan.new_watermark == old && plan.tracked_since.as_ref().is_none_or(|since| *since == old);
        let initial = self.ledger.plan(&WindowName::initial()).await?;
        Ok(!initial.iter().any(is_its_load) && !self.ledger.reinits().await?.iter().any(is_its_load))
    }

    /// The window that takes the place of one whose version has expired, if it may.
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

    /// A load in place of the window after `old` must lead on from there.
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
                 replaced, or its change tracking switched off and on? Start the table over (docs/operations.md)",
                self.spec().table,
                versions.current
            ),
        )
    }
}

/// The version the next window starts after: of the last committed window, or the stored one.
fn old_version(table: &LookedUp) -> Result<Option<i64>> {
    let LookedUp {
        spec,
        stored,
        committed,
        ..
    } = table;
    if !stored.store_type.holds(SqlType::BigInt) {
        let message = format!(
            "the control table keeps watermarks as {}, which cannot hold every version, a bigint, of {}: use a control \
             table of its own (WATERMARK_TABLE), that of infra/sql, or WATERMARK_STORE=s3",
            stored.store_type, spec.table
        );
        return Err(Error::new(ErrorCode::InvalidConfig, message));
    }
    let text = match committed {
        Some(committed) => Some(committed.new_watermark.value()),
        None => stored.value.as_deref(),
    };
    let watermark = text.map(|text| Watermark::new(SqlType::BigInt, text)).transpose();
    let watermark = watermark.map_err(|error| {
        error
            .recoded(ErrorCode::InvalidConfig)
            .context(format_args!("the stored version of {}", spec.table))
    })?;
    watermark.as_ref().map(number).transpose()
}

fn number(version: &Watermark) -> Result<i64> {
    version
        .value()
        .parse()
        .map_err(|error| Error::with_source(ErrorCode::LedgerInvalid, format!("{version} is not a version"), error))
}

fn version(number: i64) -> Result<Watermark> {
    Watermark::new(SqlType::BigInt, &number.to_string())
}

/// The statement of a slice of a full load at `version`.
pub(crate) fn load_query(table: &ObjectName, copied: &[Column], version: &Watermark, bounds: &SliceBounds) -> Query {
    let range = bounds.key.as_ref().map(KeyBounds::range);
    change_tracking::load(table, copied, version, range.as_ref())
}

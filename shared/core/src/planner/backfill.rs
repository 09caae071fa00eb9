//! The plan of a backfill: an interval that windows of the chain hold already, copied again beside them.

use std::cmp::Ordering;
use std::num::ParseIntError;

use super::audit;
use super::bound::{self, Described};
use super::cut;
use super::cut_points::Window;
use super::schema::{self, Fit};
use super::tracked_columns::{self, TableColumns};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::Ledger;
use crate::model::manifest::Manifest;
use crate::model::names::Identifier;
use crate::model::plan::{Author, Content, Plan, Replaces, WindowBounds};
use crate::model::rows::{Closed, Interval, Rows};
use crate::model::slice::SliceBounds;
use crate::model::table::{TableSpec, WatermarkTracking};
use crate::model::types::TypeName;
use crate::model::watermark::{Watermark, WatermarkKind};
use crate::model::window::WindowName;
use crate::ports::changes::ProbeChanges;
use crate::ports::objects::ReadObjects;
use crate::ports::source::{CutSource, ProbeSource};
use crate::shared_connection::SharedConnection;

/// An interval of a watermark column, as a person gives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between<'a> {
    /// The lower bound.
    pub(crate) from: &'a str,
    /// Whether the lower bound belongs to the interval.
    pub(crate) includes_from: bool,
    /// The upper bound, which belongs to the interval. When absent, the end of the last window.
    pub(crate) to: Option<&'a str>,
}

/// A planned backfill.
pub(crate) struct Again {
    /// Its plan.
    pub(crate) plan: Plan,
    /// Whether more of the interval is left, for a further backfill that begins at this one's end.
    pub(crate) goes_on: bool,
}

/// Plans backfills of one table.
pub(crate) struct BackfillPlanner<'a, P, S> {
    /// The source.
    pub(crate) source: &'a P,
    /// The table's ledger.
    pub(crate) ledger: &'a Ledger<'a, S>,
    /// The table.
    pub(crate) spec: &'a TableSpec,
    /// The last window of the chain.
    pub(crate) last: &'a Manifest,
    /// The name of the backfill.
    pub(crate) window: WindowName,
    /// The run that freezes it.
    pub(crate) author: Author<'a>,
}

impl<P, S> BackfillPlanner<'_, P, S>
where
    P: ProbeSource + CutSource + ProbeChanges,
    S: ReadObjects,
{
    /// Plans to copy the rows between two watermarks. A backfill that would need too many slices ends earlier than was
    /// asked for.
    ///
    /// Errors: `InvalidInput` when the interval reaches beyond the last window; `SchemaMismatch` when the columns are
    /// not those of the last window.
    pub(crate) async fn between(&self, tracking: &WatermarkTracking, between: Between<'_>) -> Result<Again> {
        let spec = self.spec;
        let Described {
            declared,
            columns,
            column,
            kind,
            unseen,
            ..
        } = bound::columns(self.source, spec, tracking).await?;
        let name = Identifier::new(column.name.as_str())?;
        let is_exact = kind == WatermarkKind::Exact;
        let from = self.given(&column.sql_type, between.from)?;
        let end = self
            .source
            .watermark(&column.sql_type, self.last.new_watermark.value())?;
        let to = match between.to {
            Some(to) => self.given(&column.sql_type, to)?,
            None => end.clone(),
        };
        if self.is_greater(&from, &end).await? {
            return Err(beyond(spec, "--from", &from, &end));
        }
        if to != end && self.is_greater(&from, &to).await? {
            let message = format!(
                "--from {from} is after --to {to}: there is nothing of {} between them",
                spec.table
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let to = self.within_copied(&name, &end, to).await?;
        bound::check_filter(self.source, spec).await?;
        let interval = Interval {
            table: &spec.table,
            column: &name,
            old: Some(&from),
            new: &to,
            closed: Closed {
                old_watermark: is_exact || between.includes_from,
                // The end of a window of row versions is the first version that is not in it.
                new_watermark: !is_exact || to != end,
            },
            with_nulls: false,
            key: None,
            filter: spec.filter.as_ref(),
        };
        let cut = cut::cut(self.source, spec, &declared, &Window { interval, is_exact }).await?;
        let goes_on = cut.new.is_some();
        let includes = Closed {
            new_watermark: if cut.new.is_some() {
                !is_exact
            } else {
                interval.closed.new_watermark
            },
            ..interval.closed
        };
        let bounds = WindowBounds {
            window: self.window.clone(),
            new: cut.new.unwrap_or_else(|| to.clone()),
            old: Some(from.clone()),
        };
        let content = Content::Interval {
            column: name.clone(),
            with_nulls: false,
            in_place_of: None,
        };
        let plan = Plan::new(spec, bounds, content, self.author).copying(columns, cut.slices);
        let plan = self.replacing(plan, name.as_str(), includes).await?;
        let plan = Plan { unseen, ..plan };
        Ok(Again { plan, goes_on })
    }

    /// Reads a watermark that a person wrote: a day stands for its midnight, and a blank for the `T`.
    fn given(&self, sql_type: &TypeName, text: &str) -> Result<Watermark> {
        let text = text.trim().replace(' ', "T");
        let whole = self.source.watermark(sql_type, &text);
        whole.or_else(|error| {
            let midnight = self.source.watermark(sql_type, &format!("{text}T00:00:00"));
            midnight.map_err(|_| error)
        })
    }

    /// Returns whether the first of two watermarks of one type is the greater one.
    async fn is_greater(&self, one: &Watermark, other: &Watermark) -> Result<bool> {
        let ordering = self.source.compare(one, other).await.of(Role::Source)?;
        Ok(ordering == Ordering::Greater)
    }

    /// Plans to copy the changes of a tracked table since a version, up to the end of its last window.
    ///
    /// Errors: `ChangeTrackingInvalid` when the changes since then are no longer complete; `InvalidInput` when the
    /// version is not before the last window's end, or one of the two is no version; `SchemaMismatch` when the columns
    /// are not those of the last window.
    pub(crate) async fn since(&self, version: &str) -> Result<Again> {
        let spec = self.spec;
        let end = &self.last.new_watermark;
        let from = self.source.watermark(end.sql_type(), version)?;
        let versions = self.source.versions(&spec.table).await.of(Role::Source)?;
        let number = |version: &Watermark| {
            let number: std::result::Result<i64, _> = version.value().parse();
            number.map_err(|error| no_version(spec, version, error))
        };
        let (first, last) = (number(&from)?, number(end)?);
        if first < versions.min_valid {
            let message = format!(
                "the changes of {} are complete since version {} only, not since {from}: SQL Server keeps them for \
                 CHANGE_RETENTION. `tidemark reset` loads the table again in full",
                spec.table, versions.min_valid
            );
            return Err(Error::new(ErrorCode::ChangeTrackingInvalid, message));
        }
        if first >= last {
            return Err(beyond(spec, "--since", &from, end));
        }
        let connection = SharedConnection::default();
        let columns = tracked_columns::ask(self.source, spec, &connection);
        let TableColumns {
            key, in_files, unseen, ..
        } = columns.await?;
        let bounds = WindowBounds {
            window: self.window.clone(),
            old: Some(from),
            new: end.clone(),
        };
        let version = self.source.change_columns(spec.wanted_forms()).version.name;
        let content = Content::Changes { key_columns: key };
        let plan = Plan::new(spec, bounds, content, self.author).copying(in_files, vec![SliceBounds::default()]);
        let includes = Closed {
            old_watermark: false,
            new_watermark: true,
        };
        let plan = self.replacing(plan, &version, includes).await?;
        let plan = Plan { unseen, ..plan };
        Ok(Again { plan, goes_on: false })
    }

    /// Returns the end of the interval, which is that of the last window at most. An interval that reaches beyond that is
    /// refused if the table has rows there, because the next run copies those.
    async fn within_copied(&self, column: &Identifier, end: &Watermark, to: Watermark) -> Result<Watermark> {
        if to == *end || !self.is_greater(&to, end).await? {
            return Ok(to);
        }
        let beyond_end = Rows::Interval(Interval {
            table: &self.spec.table,
            column,
            old: Some(end),
            new: &to,
            closed: Closed::default(),
            with_nulls: false,
            key: None,
            filter: None,
        });
        match self.source.count(&beyond_end).await.of(Role::Source)? {
            0 => Ok(end.clone()),
            _ => Err(beyond(self.spec, "--to", &to, end)),
        }
    }

    fn has_changed(&self) -> Error {
        let message = format!(
            "the columns of {} are not those of its last window: run it once, then backfill it",
            self.spec.table
        );
        Error::new(ErrorCode::SchemaMismatch, message)
    }

    /// Returns the plan with its columns as the last window had them, and with what it replaces.
    async fn replacing(&self, plan: Plan, column: &str, includes: Closed) -> Result<Plan> {
        let mut plan = audit::added(self.source, self.spec, plan)?;
        if let Some(previous) = self.ledger.previous(&self.last.next_window()).await? {
            let known = previous.field_ids.clone();
            plan = match schema::fit(self.spec, previous, plan)? {
                Fit::GoesOn(plan, _) => *plan,
                Fit::Reload(_) => return Err(self.has_changed()),
            };
            if plan.field_ids != known {
                return Err(self.has_changed());
            }
        }
        plan.replaces = Some(Replaces {
            column: column.to_owned(),
            includes,
            through: self.last.window.clone(),
        });
        Ok(plan)
    }
}

fn no_version(spec: &TableSpec, watermark: &Watermark, error: ParseIntError) -> Error {
    let message = format!(
        "{watermark} is no version of change tracking, which is a whole number: {} was tracked by a column in its last window, or \
         --since is wrong. `tidemark reset` loads the table again in full",
        spec.table
    );
    Error::with_source(ErrorCode::InvalidInput, message, error)
}

fn beyond(spec: &TableSpec, option: &str, given: &Watermark, end: &Watermark) -> Error {
    let message = format!(
        "{option} {given} lies beyond {end}, where the last window of {} ends: the next run copies what comes after that",
        spec.table
    );
    Error::new(ErrorCode::InvalidInput, message)
}

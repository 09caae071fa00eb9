//! Freezing the next window of a table, however the table is tracked.
//!
//! A window is looked at again and again until its plan is frozen, by this run or by another one, or until there is
//! nothing to freeze. A window that can no longer be copied is given up for a full load in a window of its own,
//! `reinit-{from}`, and the two never both become visible: the load takes the place of the window by being first to
//! create the next undecided document of it, which is its plan or the record of a slice (W1, W2). Everyone else finds
//! that document and goes on with the load.

use super::schema::{self, Fit};
use super::single_flight::{self, Planning};
use crate::error::{Error, ErrorCode, Result};
use crate::ledger::{Frozen, Ledger};
use crate::model::lease::Keeper;
use crate::model::lookup::{LookedUp, Note};
use crate::model::plan::{Content, Plan};
use crate::model::record::{Attempt, Decision, Record};
use crate::model::window::WindowName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};

/// How often a window is looked at again because other runs have created documents of it meanwhile. They create fewer
/// than this in that time.
pub(crate) const TRIES: u32 = 16;

/// What is to be done with a table.
pub(crate) enum Next {
    /// Its next window, and a note of what has to be reported of it.
    Window(Box<Frozen>, Option<Note>),
    /// Nothing, because nothing has grown or changed.
    Unchanged(Option<Note>),
    /// Nothing, because another run or a person keeps the table.
    KeptBy(Keeper),
}

/// The window that is looked at.
pub(crate) struct Place {
    /// Its name.
    pub(crate) window: WindowName,
    /// The window that it is copied in place of, as a full load.
    pub(crate) in_place_of: Option<WindowName>,
}

/// What was found of a window.
pub(crate) enum Found {
    /// Its plan, which this run has frozen or, in a dry run, would. This run has the table's lease.
    Frozen(Box<Plan>, Option<Note>),
    /// Its plan, which was there.
    Adopted(Box<Plan>),
    /// Nothing to freeze.
    Unchanged(Option<Note>),
    /// That another run or a person keeps the table.
    KeptBy(Keeper),
    /// That another run was faster, so that the window has to be looked at again.
    LookAgain,
    /// That this window is copied in its place, which is looked at next.
    GoOn(WindowName),
}

/// How a plan compares with the window before it.
pub(crate) enum Fitted {
    /// It goes on, as this, and with this note.
    GoesOn(Box<Plan>, Option<Note>),
    /// It does not go on, and the table is loaded in full in its place.
    Reload(Box<Plan>),
}

/// Plans the windows of one table, by its tracking.
pub(crate) trait PlanWindows {
    /// Goes on with a plan that is there, unless the window has to be given up.
    async fn resume(&self, plan: Plan) -> Result<Found>;
    /// Plans a window, and freezes it.
    async fn plan(&self, place: &Place) -> Result<Found>;
}

/// Freezes the windows of one table.
pub(crate) struct Freezer<'a, S> {
    /// The table's ledger.
    pub(crate) ledger: &'a Ledger<'a, S>,
    /// The table.
    pub(crate) table: &'a LookedUp,
    /// The run that plans.
    pub(crate) planning: Planning<'a>,
}

impl<S> Freezer<'_, S>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    /// Finds or freezes the next window of the table.
    pub(crate) async fn next(&self, planner: &impl PlanWindows) -> Result<Next> {
        let mut place = Place {
            window: self.table.next_window(),
            in_place_of: self.table.superseded().cloned(),
        };
        let mut may_be_frozen = self.table.may_be_frozen();
        for _ in 0..TRIES {
            let frozen = if std::mem::replace(&mut may_be_frozen, true) {
                self.ledger.plan(&place.window).await?
            } else {
                None
            };
            // Both are boxed, because they are much larger than what surrounds them.
            let found = match frozen {
                Some(Plan {
                    content: Content::Superseded { by },
                    ..
                }) => Found::GoOn(by),
                Some(plan) => Box::pin(planner.resume(plan)).await?,
                None => Box::pin(planner.plan(&place)).await?,
            };
            match found {
                Found::Frozen(plan, note) => {
                    let frozen = Frozen {
                        plan: *plan,
                        adopted: false,
                    };
                    return Ok(Next::Window(Box::new(frozen), note));
                }
                Found::Adopted(plan) => return self.adopted(*plan).await,
                Found::Unchanged(note) => return Ok(Next::Unchanged(note)),
                Found::KeptBy(keeper) => return Ok(Next::KeptBy(keeper)),
                Found::LookAgain => {}
                Found::GoOn(by) => place.in_place_of = Some(std::mem::replace(&mut place.window, by)),
            }
        }
        Err(Error::about(
            ErrorCode::SinkUnavailable,
            &self.table.spec.table,
            |table| {
                format!(
                    "other runs keep changing window {} of {table} while it is planned: run again",
                    place.window
                )
            },
        ))
    }

    /// Goes on with a plan that was there, if it is this run's turn.
    async fn adopted(&self, plan: Plan) -> Result<Next> {
        if let Some(keeper) = self.kept_by(&plan).await? {
            return Ok(Next::KeptBy(keeper));
        }
        let note = Note::with_unseen(None, &self.table.spec, plan.unseen);
        Ok(Next::Window(Box::new(Frozen { plan, adopted: true }), note))
    }

    async fn kept_by(&self, plan: &Plan) -> Result<Option<Keeper>> {
        single_flight::kept_by(self.ledger, self.planning, plan).await
    }

    /// Compares a plan with the window before it, and adds what has changed to its note.
    pub(crate) async fn fitted(&self, plan: Plan, note: Option<Note>) -> Result<Fitted> {
        let begins = plan.begins();
        let Some(previous) = self.ledger.previous(begins).await? else {
            return Ok(Fitted::GoesOn(Box::new(plan), note));
        };
        Ok(match schema::fit(&self.table.spec, previous, plan)? {
            Fit::GoesOn(plan, changed) => {
                let note = Note::with_changes(note, &self.table.spec.table, changed);
                Fitted::GoesOn(plan, note)
            }
            Fit::Reload(plan) => Fitted::Reload(plan),
        })
    }

    /// Freezes a plan, or gives its window up for a full load when its files would not be like those before them.
    pub(crate) async fn fit_and_freeze(&self, plan: Plan, note: Option<Note>) -> Result<Found> {
        match self.fitted(plan, note).await? {
            Fitted::GoesOn(plan, note) => self.freeze(*plan, note).await,
            Fitted::Reload(plan) => {
                let by = WindowName::reinit(&plan.window);
                self.give_up(*plan, by).await
            }
        }
    }

    /// Freezes a plan, if it is this run's turn. A plan that another run froze meanwhile is looked at again, like any
    /// plan that is there.
    pub(crate) async fn freeze(&self, plan: Plan, note: Option<Note>) -> Result<Found> {
        if self.planning.dry_run {
            return Ok(Found::Frozen(Box::new(plan), note));
        }
        if let Some(keeper) = self.kept_by(&plan).await? {
            return Ok(Found::KeptBy(keeper));
        }
        let Frozen { plan, adopted } = self.ledger.freeze(plan).await?;
        Ok(if adopted {
            Found::LookAgain
        } else {
            Found::Frozen(Box::new(plan), note)
        })
    }

    /// Gives the window of a plan up for the full load `by`, by being the first to freeze a plan that says so (W1). In a
    /// dry run no document says so, but what would be copied is known.
    pub(crate) async fn give_up(&self, plan: Plan, by: WindowName) -> Result<Found> {
        if self.planning.dry_run {
            return Ok(Found::GoOn(by));
        }
        if let Some(keeper) = self.kept_by(&plan).await? {
            return Ok(Found::KeptBy(keeper));
        }
        let there = self.ledger.freeze(plan.superseded_by(by)?).await?;
        Ok(match there.plan.content {
            Content::Superseded { by } => Found::GoOn(by),
            // Another run froze the window itself meanwhile.
            _ => Found::LookAgain,
        })
    }

    /// Gives a frozen window up for the full load `by`, by being the first to decide a slice of it (W2), which ends the
    /// window for every run.
    pub(crate) async fn supersede(&self, plan: &Plan, attempt: Attempt, by: WindowName) -> Result<Found> {
        if self.planning.dry_run {
            return Ok(Found::GoOn(by));
        }
        if let Some(keeper) = self.kept_by(plan).await? {
            return Ok(Found::KeptBy(keeper));
        }
        let run_id = self.planning.author.run_id.to_owned();
        let record = Record::new(attempt, Decision::Superseded { by }, run_id);
        Ok(match self.ledger.decide(record).await?.decision {
            Decision::Superseded { by } => Found::GoOn(by),
            // The slice was copied or split meanwhile.
            _ => Found::LookAgain,
        })
    }
}

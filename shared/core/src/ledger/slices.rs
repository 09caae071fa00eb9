//! The slices of a window, and what is decided of each.

use futures::stream::{self, StreamExt};

use super::limits::AT_ONCE;
use super::of_table::{Ledger, attempt_of};
use crate::error::{Error, ErrorCode, Result};
use crate::model::plan::Plan;
use crate::model::record::{Attempt, Decision, Record, SubSlice};
use crate::model::slice::SliceBounds;
use crate::model::slice_id::SliceId;
use crate::model::window::WindowName;
use crate::ports::objects::ReadObjects;

/// What is decided of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are records, and a window has some hundreds"
)]
pub enum Decided {
    /// This record decides it.
    Record(Record),
    /// Nothing is decided yet. The next attempt to make is this one.
    NotYet(Attempt),
}

/// A slice that is not split, and what is decided of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceState {
    /// The name of the slice.
    pub id: SliceId,
    /// Its bounds within the window.
    pub bounds: SliceBounds,
    /// What is decided of it.
    pub decided: Decided,
}

/// What is left to decide of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing is left. The window can be committed.
    Nothing,
    /// At least one slice is not decided. This is the attempt to make at the first of them.
    Slice(Attempt),
    /// Nothing is left, because this window is copied in its place.
    SupersededBy(WindowName),
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// Returns what is left to decide of the plan's window.
    pub async fn left(&self, plan: &Plan) -> Result<Left> {
        let mut left = Left::Nothing;
        for state in self.slices(plan).await? {
            match state.decided {
                Decided::Record(Record {
                    decision: Decision::Superseded { by },
                    ..
                }) => return Ok(Left::SupersededBy(by)),
                Decided::NotYet(attempt) if left == Left::Nothing => left = Left::Slice(attempt),
                _ => {}
            }
        }
        Ok(left)
    }

    /// Returns what is decided of a slice.
    ///
    /// Usually attempt 0 decides. A record whose upload expired is voided, and the next attempt decides anew. A record
    /// of another plan is passed over in the same way: a copy of a window that was given up or started over meanwhile
    /// may write one at any time.
    pub async fn decided(&self, plan: &Plan, slice: &SliceId) -> Result<Decided> {
        let mut attempt = Attempt {
            window: plan.window.clone(),
            slice: slice.clone(),
            number: 0,
            plan: plan.id(),
        };
        loop {
            let Some(record) = self.record(&attempt).await? else {
                return Ok(Decided::NotYet(attempt));
            };
            if record.plan == attempt.plan && self.store.get(&self.keys.void(&attempt)).await?.is_none() {
                return Ok(Decided::Record(record));
            }
            attempt.number += 1;
        }
    }

    /// Returns the bounds of a slice, from the plan or from the records of the slices that it was split from.
    ///
    /// Errors: `InvalidInput` when there is no such slice.
    pub async fn slice(&self, plan: &Plan, id: &SliceId) -> Result<SliceBounds> {
        let mut found = SliceId::planned(id.number());
        let mut bounds = plan.slices.get(id.number() as usize).cloned();
        for &number in id.within() {
            let Decided::Record(record) = self.decided(plan, &found).await? else {
                break;
            };
            let Some(sub_slice) = record.sub_slices()?.into_iter().nth(number as usize) else {
                break;
            };
            (found, bounds) = (sub_slice.id, Some(sub_slice.bounds));
        }
        bounds.filter(|_| found == *id).ok_or_else(|| {
            let message = format!(
                "window {} of {} has {} slices, numbered from 0; there is no slice {id}",
                plan.window,
                plan.table,
                plan.slices.len()
            );
            Error::new(ErrorCode::InvalidInput, message)
        })
    }

    /// Returns every slice of the plan's window in order. In place of a slice that was split are its sub-slices.
    pub async fn slices(&self, plan: &Plan) -> Result<Vec<SliceState>> {
        let planned = (0_u32..).map(SliceId::planned).zip(plan.slices.iter().cloned());
        let mut states_of_slices = stream::iter(planned)
            .map(|(id, bounds)| self.whole_or_split(plan, SubSlice { id, bounds }))
            .buffered(AT_ONCE);
        let mut states = Vec::with_capacity(plan.slices.len());
        while let Some(of_slice) = states_of_slices.next().await {
            states.extend(of_slice?);
        }
        Ok(states)
    }

    /// Returns the slice or, in its place, its sub-slices in order.
    async fn whole_or_split(&self, plan: &Plan, slice: SubSlice) -> Result<Vec<SliceState>> {
        let mut states = Vec::new();
        // A stack, with the next slice on top.
        let mut waiting = vec![slice];
        while let Some(SubSlice { id, bounds }) = waiting.pop() {
            match self.decided(plan, &id).await? {
                Decided::Record(record) if matches!(record.decision, Decision::Split { .. }) => {
                    waiting.extend(record.sub_slices()?.into_iter().rev());
                }
                decided => states.push(SliceState { id, bounds, decided }),
            }
        }
        Ok(states)
    }

    /// Returns the record of another attempt at `record`'s slice whose upload has this token. It may be an earlier
    /// attempt, which was voided but completed after all, or a later one, made and completed by a run that voided this
    /// one meanwhile. Records of another plan are passed over, because their rows are others.
    pub async fn decided_with(&self, record: &Record, token: &str) -> Result<Option<Record>> {
        let mut attempt = Attempt {
            number: 0,
            ..attempt_of(record)
        };
        while let Some(other) = self.record(&attempt).await? {
            if other.plan == record.plan && other.upload().is_some_and(|upload| upload.token == token) {
                return Ok(Some(other));
            }
            attempt.number += 1;
        }
        Ok(None)
    }

    /// Returns the record of an attempt, if there is one.
    ///
    /// Errors: `LedgerInvalid` when the record at its key is that of another slice or attempt, or splits the slice into
    /// what cannot hold its rows.
    async fn record(&self, attempt: &Attempt) -> Result<Option<Record>> {
        let key = self.keys.record(attempt);
        let record: Option<Record> = self.read(&key, &attempt.window).await?;
        let Some(record) = record else {
            return Ok(None);
        };
        if record.slice == attempt.slice && record.attempt == attempt.number {
            return record.sub_slices().map(|_| Some(record));
        }
        let message = format!("{key} is the record of another slice: restore what Tidemark wrote there");
        Err(Error::new(ErrorCode::LedgerInvalid, message))
    }
}

//! The lease of a run: until when it counts as alive, and what it has copied of its budget.
//!
//! It is one document for each run that takes long or has a budget. The copies of all its tables write it.

use std::time::Duration;

use time::OffsetDateTime;

use super::limits::TRIES;
use super::of_table::Ledger;
use super::replaced::{self, Found};
use crate::error::{Error, ErrorCode, Result};
use crate::model::budget::Spent;
use crate::model::lease::{Keeper, LEASE, RENEWED_EVERY, RunLeaseDocument};
use crate::model::moment::Moment;
use crate::model::plan::VERSION;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};

/// The longest pause before a copy tries again to write what another copy of the run has just written.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The lease of one run.
#[derive(Debug)]
pub struct RunLease<'a, S> {
    store: &'a S,
    key: String,
    run_id: &'a str,
}

impl<'a, S> RunLease<'a, S> {
    /// Makes the lease of the run `run_id` in the bucket of this ledger. It is the same for all tables.
    #[must_use]
    pub fn new(ledger: &Ledger<'a, S>, run_id: &'a str) -> Self {
        Self {
            store: ledger.store,
            key: ledger.keys.run_lease(run_id),
            run_id,
        }
    }
}

impl<S: ReadObjects> RunLease<'_, S> {
    /// Returns the run as the keeper of its tables, or `None` when it has no lease. It costs one read.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the document is not one of Tidemark's, and the errors of the store.
    pub async fn keeper(&self) -> Result<Option<Keeper>> {
        Ok(self.found().await?.map(|found| Keeper::Run {
            run_id: self.run_id.to_owned(),
            until: found.document.until,
        }))
    }

    /// Returns what the run has copied, as far as it was [counted](Self::try_to_count). It costs one read.
    ///
    /// # Errors
    ///
    /// As [`keeper`](Self::keeper).
    pub async fn spent(&self) -> Result<Spent> {
        Ok(self
            .found()
            .await?
            .map(|found| found.document.spent)
            .unwrap_or_default())
    }

    async fn found(&self) -> Result<Option<Found<RunLeaseDocument>>> {
        let found: Option<Found<RunLeaseDocument>> = replaced::find(self.store, &self.key).await?;
        let is_other = |document: &RunLeaseDocument| document.version != VERSION || document.run_id != self.run_id;
        if found.as_ref().is_some_and(|found| is_other(&found.document)) {
            let message = format!("{} is the lease of another run or version: delete it", self.key);
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(found)
    }
}

impl<S: ReadObjects + CreateObjects + ReplaceObjects> RunLease<'_, S> {
    /// Renews the lease, unless another copy of the run did so less than [`RENEWED_EVERY`] ago. A failure is logged
    /// only: then the tables that wait may be copied by another run.
    pub async fn try_to_renew(&self, now: OffsetDateTime) {
        if let Err(error) = self.write(now, None).await {
            tracing::warn!("The lease of the run could not be renewed: {}.", error.report());
        }
    }

    /// Adds to what the run has copied. A failure is logged only, and the slice stays copied.
    pub async fn try_to_count(&self, now: OffsetDateTime, copied: Spent) {
        if let Err(error) = self.write(now, Some(copied)).await {
            tracing::warn!(
                "What was copied could not be counted for the budget: {}.",
                error.report()
            );
        }
    }

    async fn write(&self, now: OffsetDateTime, copied: Option<Spent>) -> Result<()> {
        let until = now + LEASE;
        for attempt in 1..=TRIES {
            let found = self.found().await?;
            let is_recent = |found: &Found<RunLeaseDocument>| found.document.until.time() + RENEWED_EVERY > until;
            if copied.is_none() && found.as_ref().is_some_and(is_recent) {
                return Ok(());
            }
            if self.put(found, until, copied.unwrap_or_default()).await? {
                return Ok(());
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(Error::new(
            ErrorCode::SinkUnavailable,
            format!(
                "the slices that this run copies at once keep changing {}: run again",
                self.key
            ),
        ))
    }

    /// Puts what was found with `more` copied. Returns whether the document was still as it was found.
    async fn put(&self, found: Option<Found<RunLeaseDocument>>, until: OffsetDateTime, more: Spent) -> Result<bool> {
        let there = found.as_ref().map(|found| &found.document);
        let document = RunLeaseDocument {
            version: VERSION,
            run_id: self.run_id.to_owned(),
            until: Moment::of(there.map_or(until, |there| there.until.time().max(until))),
            spent: there.map(|there| there.spent).unwrap_or_default() + more,
        };
        let body = replaced::to_json(&self.key, &document)?;
        let etag = found.as_ref().map(|found| found.etag.as_str());
        replaced::put(self.store, &self.key, etag, body).await
    }
}

/// Returns how long to wait after a failed attempt: longer after each, and by the clock's fraction of a second, so that
/// copies that met once do not meet again.
fn pause(attempt: u32) -> Duration {
    let fraction = OffsetDateTime::now_utc().microsecond() % 1_000;
    (LONGEST_PAUSE * attempt / TRIES) * fraction / 1_000
}

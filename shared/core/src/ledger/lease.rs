//! Single flight: a table is copied by one run at a time, because a run takes the table's lease and other runs find it
//! taken.
//!
//! The lease is one document of the table's ledger that is replaced by conditional writes. It expires, so a holder that
//! died delays the table by no more than one lease. Nothing that is copied depends on it (W6): it only spares the
//! source from being read twice, and a run without it comes to the same outcome.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::conditions::check_conditions;
use super::limits::TRIES;
use super::of_table::Ledger;
use super::replaced::{self, Found};
use super::run_lease::RunLease;
use crate::error::{Error, ErrorCode, Result};
use crate::model::lease::{Keeper, LEASE, LeaseDocument, Leases, RENEWED_EVERY};
use crate::model::moment::Moment;
use crate::model::plan::VERSION;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};

/// Who may copy the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The run that asked may.
    Ours,
    /// The run that asked may not, because of this keeper.
    KeptBy(Keeper),
}

/// The lease of one table, as one run sees it.
#[derive(Debug)]
pub struct Lease<'a, S> {
    ledger: Ledger<'a, S>,
    key: String,
    run_id: &'a str,
    leases: Leases,
}

impl<'a, S> Lease<'a, S> {
    /// Makes the lease of the ledger's table for the run `run_id`. Whoever has the same id is the same holder.
    #[must_use]
    pub fn new(ledger: &Ledger<'a, S>, run_id: &'a str, leases: Leases) -> Self {
        Self {
            key: ledger.keys.lease(),
            ledger: ledger.clone(),
            run_id,
            leases,
        }
    }
}

impl<S: ReadObjects> Lease<'_, S> {
    /// Returns who keeps the table from this run at `now`. It costs one read and takes nothing.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the document is not one of Tidemark's, and the errors of the store.
    pub async fn keeper(&self, now: OffsetDateTime) -> Result<Option<Keeper>> {
        if self.leases == Leases::Ignored {
            return Ok(None);
        }
        let found = self.found().await?;
        self.keeper_of(found.as_ref(), now).await
    }

    /// Returns who keeps the table from this run by what was found: whoever has the lease, also when it has ended while
    /// the run that took it is alive and has not come to the table yet. Only the latter costs a read.
    async fn keeper_of(&self, found: Option<&Found<LeaseDocument>>, now: OffsetDateTime) -> Result<Option<Keeper>> {
        let Some(keeper) = keeper_in(found) else {
            return Ok(None);
        };
        if keeper.keeps_off(self.run_id, now) {
            return Ok(Some(keeper.clone()));
        }
        let Keeper::Run { run_id: holder, .. } = keeper else {
            return Ok(None);
        };
        if holder == self.run_id {
            return Ok(None);
        }
        let alive = RunLease::new(&self.ledger, holder).keeper().await?;
        Ok(alive.filter(|alive| alive.keeps_off(self.run_id, now)))
    }

    async fn found(&self) -> Result<Option<Found<LeaseDocument>>> {
        let found: Option<Found<LeaseDocument>> = replaced::find(self.ledger.store, &self.key).await?;
        let is_other = |document: &LeaseDocument| document.version != VERSION || document.table != *self.ledger.table;
        if found.as_ref().is_some_and(|found| is_other(&found.document)) {
            let message = format!("{} is the lease of another table or version: delete it", self.key);
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(found)
    }
}

impl<S: ReadObjects + CreateObjects + ReplaceObjects> Lease<'_, S> {
    /// Takes the lease, or renews it. It lasts for [`LEASE`] from `now` unless it is renewed.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the document is not one of Tidemark's, `SinkUnavailable` when other runs keep changing it,
    /// and the errors of the store.
    pub async fn take(&self, now: OffsetDateTime) -> Result<Taken> {
        self.take_for(now, Duration::ZERO).await
    }

    /// Takes the lease for `longer` than [`take`](Self::take) does, because the run will be silent for that long.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub async fn take_for(&self, now: OffsetDateTime, longer: Duration) -> Result<Taken> {
        if self.leases == Leases::Ignored {
            return Ok(Taken::Ours);
        }
        for _ in 0..TRIES {
            let found = self.found().await?;
            if let Some(keeper) = self.keeper_of(found.as_ref(), now).await? {
                return Ok(Taken::KeptBy(keeper));
            }
            if let Some(Keeper::Run { run_id, until }) = keeper_in(found.as_ref())
                && run_id != self.run_id
            {
                tracing::warn!(
                    table = %self.ledger.table, holder = run_id, %until,
                    "The run that was to copy this table has not been heard of; this one goes on."
                );
            }
            if self.put_ours(found, now, LEASE + longer).await? {
                return Ok(Taken::Ours);
            }
        }
        Err(self.keeps_changing())
    }

    /// Gives the lease back if it is this run's, and returns `None`. Otherwise returns its keeper, although that lease
    /// may have expired.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub async fn give_back(&self) -> Result<Option<Keeper>> {
        if self.leases == Leases::Ignored {
            return Ok(None);
        }
        for _ in 0..TRIES {
            match self.found().await? {
                found if is_of(keeper_in(found.as_ref()), self.run_id) => {
                    if self.put(found, None).await? {
                        return Ok(None);
                    }
                }
                found => return Ok(found.and_then(|found| found.document.keeper)),
            }
        }
        Err(self.keeps_changing())
    }

    /// Gives the lease back, and logs a failure instead of returning it: the caller has another result to report, and
    /// the lease expires by itself.
    pub async fn try_to_give_back(&self) {
        if let Err(error) = self.give_back().await {
            let table = self.ledger.table;
            tracing::warn!(%table, "The lease of the table could not be given back: {}.", error.report());
        }
    }

    /// Runs `work`, and renews the lease meanwhile. `now` is the time at which it begins.
    ///
    /// When the lease is lost because this process was held up for longer than it lasts, `work` goes on: it is nearer
    /// its end than that of a run that begins now.
    pub async fn renewed_during<T>(&self, now: OffsetDateTime, work: impl Future<Output = T>) -> T {
        let (began, table) = (Instant::now(), self.ledger.table);
        let renewals = async {
            loop {
                tokio::time::sleep(RENEWED_EVERY).await;
                match self.renew(now + began.elapsed()).await {
                    Ok(Some(Taken::Ours)) => {}
                    // The lease was given back, so another step of this run has ended the work on the table.
                    Ok(None) => return std::future::pending().await,
                    Ok(Some(Taken::KeptBy(keeper))) => {
                        tracing::warn!(%table, ?keeper, "The lease of the table is lost while it is copied.");
                    }
                    Err(error) => {
                        tracing::warn!(%table, "The lease of the table could not be renewed: {}.", error.report());
                    }
                }
            }
        };
        tokio::select! {
            done = work => done,
            never = renewals => never,
        }
    }

    /// Renews the lease if it is still this run's. Returns `None` when nobody has it.
    async fn renew(&self, now: OffsetDateTime) -> Result<Option<Taken>> {
        if self.leases == Leases::Ignored {
            return Ok(Some(Taken::Ours));
        }
        for _ in 0..TRIES {
            let found = self.found().await?;
            match keeper_in(found.as_ref()) {
                None => return Ok(None),
                keeper if is_of(keeper, self.run_id) => {
                    if self.put_ours(found, now, LEASE).await? {
                        return Ok(Some(Taken::Ours));
                    }
                }
                Some(keeper) => return Ok(Some(Taken::KeptBy(keeper.clone()))),
            }
        }
        Err(self.keeps_changing())
    }

    /// Makes this run the keeper for as long as `lasts`, in the place of what was found. Returns whether it is the keeper
    /// now.
    async fn put_ours(
        &self,
        found: Option<Found<LeaseDocument>>,
        now: OffsetDateTime,
        lasts: Duration,
    ) -> Result<bool> {
        let until = now + lasts;
        let is_renewal = match keeper_in(found.as_ref()) {
            // The slices of a window renew the same lease, so a renewal that is recent enough serves them all.
            Some(Keeper::Run { run_id, until: there }) if run_id == self.run_id => {
                if there.time() + RENEWED_EVERY > until {
                    return Ok(true);
                }
                true
            }
            _ => false,
        };
        let ours = Keeper::Run {
            run_id: self.run_id.to_owned(),
            until: Moment::of(until),
        };
        let is_put = self.put(found, Some(ours)).await?;
        if is_put && is_renewal {
            RunLease::new(&self.ledger, self.run_id).try_to_renew(now).await;
        }
        Ok(is_put)
    }

    /// Pauses the table in the name of this run id: no run copies it until it is [resumed](Self::resume). A run that is
    /// copying it may end its current slice, and goes no further.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub async fn pause(&self, now: OffsetDateTime, reason: Option<String>) -> Result<()> {
        let paused = Keeper::Paused {
            by: self.run_id.to_owned(),
            since: Moment::of(now),
            reason,
        };
        for _ in 0..TRIES {
            let found = self.found().await?;
            if self.put(found, Some(paused.clone())).await? {
                return Ok(());
            }
        }
        Err(self.keeps_changing())
    }

    /// Ends a pause, and returns whether there was one.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub async fn resume(&self) -> Result<bool> {
        for _ in 0..TRIES {
            let found = self.found().await?;
            let Some(Keeper::Paused { .. }) = keeper_in(found.as_ref()) else {
                return Ok(false);
            };
            if self.put(found, None).await? {
                return Ok(true);
            }
        }
        Err(self.keeps_changing())
    }

    /// Puts `keeper` in the place of what was found. Returns whether the document was still as it was found.
    async fn put(&self, found: Option<Found<LeaseDocument>>, keeper: Option<Keeper>) -> Result<bool> {
        let store = self.ledger.store;
        let document = LeaseDocument {
            version: VERSION,
            table: self.ledger.table.clone(),
            keeper,
        };
        let body = replaced::to_json(&self.key, &document)?;
        let etag = found.as_ref().map(|found| found.etag.as_str());
        let is_put = replaced::put(store, &self.key, etag, body.clone()).await?;
        if is_put && etag.is_none() {
            // The check is made once for each table, when its lease is first written, before anything is frozen.
            check_conditions(store, &self.key, body).await?;
        }
        Ok(is_put)
    }

    fn keeps_changing(&self) -> Error {
        Error::new(
            ErrorCode::SinkUnavailable,
            format!("other runs keep writing {}: run again", self.key),
        )
    }
}

fn keeper_in(found: Option<&Found<LeaseDocument>>) -> Option<&Keeper> {
    found.and_then(|found| found.document.keeper.as_ref())
}

fn is_of(keeper: Option<&Keeper>, holder: &str) -> bool {
    matches!(keeper, Some(Keeper::Run { run_id, .. }) if run_id == holder)
}

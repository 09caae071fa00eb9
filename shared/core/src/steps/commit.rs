//! Completing a window's uploads and writing its manifest.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use time::OffsetDateTime;

use super::upload_slice::other_key;
use crate::error::{Error, ErrorCode, Result, Role};
use crate::ledger::{AT_ONCE, Decided, Ledger, check_settings};
use crate::model::malformed::MalformedTexts;
use crate::model::manifest::{CopiedRows, Manifest, ManifestPart};
use crate::model::plan::{Author, Content, Plan};
use crate::model::record::{Decision, Record, UploadedObject};
use crate::model::slice_id::SliceId;
use crate::model::table::RunSettings;
use crate::model::window::WindowName;
use crate::ports::objects::{CompleteObjects, Completed, CreateObjects, ReadObjects};
use crate::ports::source::CountRows;

/// How long the source may take to count a window again.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// The result of a commit.
pub(super) enum Commit {
    /// The window is committed.
    Done(Box<Manifest>),
    /// The window waits for these slices, which have to be copied first.
    Waits(Missing),
}

impl Commit {
    fn done(manifest: Manifest) -> Self {
        Self::Done(Box::new(manifest))
    }
}

/// The slices that have no usable upload.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Their names, in order.
    pub(super) slices: Vec<SliceId>,
    /// Whether one of them has yet to be copied for the first time because another slice was split.
    pub(super) is_split: bool,
    /// Whether one of them was never copied.
    pub(super) is_new: bool,
}

/// The commit of one window.
pub(super) struct Committing<'a, C, S> {
    /// The source, to count the window's rows again.
    pub(super) source: &'a C,
    /// The bucket.
    pub(super) store: &'a S,
    /// The table's ledger.
    pub(super) ledger: &'a Ledger<'a, S>,
    /// The window's plan.
    pub(super) plan: &'a Plan,
    /// The settings that came with the event.
    pub(super) settings: &'a RunSettings,
    /// The run that commits.
    pub(super) author: Author<'a>,
    /// When the commit began.
    pub(super) now: OffsetDateTime,
}

/// What is decided of a window's slices.
enum AllDecided {
    /// Every slice is decided, by these records.
    Yes(Vec<Record>),
    /// These slices are not decided, and have yet to be copied.
    NotYet(Missing),
    /// The window named here is copied in place of this one.
    Superseded(WindowName),
}

/// The parts of a window, as far as they are visible.
#[derive(Default)]
struct Completion {
    /// The visible parts, in slice order.
    parts: Vec<ManifestPart>,
    /// The slices whose uploads had expired, or may have. Their decisions are voided.
    expired: Vec<SliceId>,
}

impl<C, S> Committing<'_, C, S>
where
    C: CountRows,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    /// Commits the window, if every slice is copied.
    pub(super) async fn commit(&self) -> Result<Commit> {
        let (ledger, plan) = (self.ledger, self.plan);
        if let Content::Superseded { by } = &plan.content {
            return self.supersede(plan, by).await.map(Commit::done);
        }
        if !plan.slices.is_empty() {
            check_settings(plan, self.settings)?;
        }
        // W3: nothing becomes visible before every slice is decided.
        let records = match self.decided().await? {
            AllDecided::Yes(records) => records,
            AllDecided::NotYet(missing) => return Ok(Commit::Waits(missing)),
            AllDecided::Superseded(load) => return self.supersede(plan, &load).await.map(Commit::done),
        };
        if let Some(expired) = plan.supersedes() {
            // The chain has to lead to this window before this window becomes its end.
            let expired = ledger.existing_plan(expired).await?;
            self.supersede(&expired, &plan.window).await?;
        }
        if !plan.is_backfill()
            && let Some(manifest) = self.committed_before().await?
        {
            return Ok(Commit::done(manifest));
        }
        let mask_key = self.mask_key(&records)?;
        let rows = records.iter().map(Record::rows).sum();
        // The rows are counted first, because that can take long or fail: from the first completed upload to the
        // manifest, parts are visible without a manifest.
        let late_rows = self.late_rows(rows).await;
        // A plan that was given up meanwhile must make nothing visible.
        self.check_current().await?;
        let Completion { parts, expired } = self.complete(&records).await?;
        if !expired.is_empty() {
            return Ok(Commit::Waits(Missing {
                slices: expired,
                ..Missing::default()
            }));
        }
        let copied = match plan.sink {
            Some(_) => CopiedRows::Merged {
                rows,
                malformed_texts: MalformedTexts::sum(records.iter().map(|record| &record.malformed_texts)),
            },
            // When a voided upload was completed after all, the rows of its part may not be those of the last record,
            // so the parts are counted.
            None => {
                ledger.leave_loader_manifests(plan, &parts).await?;
                CopiedRows::Parts(parts)
            }
        };
        // Completing takes time, so the plan is checked again.
        self.check_current().await?;
        if !plan.is_backfill() {
            ledger.leave_columns(plan, mask_key).await?;
        }
        let manifest = Manifest::committed(plan, copied, late_rows, self.author);
        let manifest = ledger.commit(manifest).await?;
        tracing::info!(
            table = %manifest.table, window = %manifest.window, rows = manifest.rows, bytes = manifest.bytes,
            objects = manifest.parts.len(), "Window committed."
        );
        Ok(Commit::done(manifest))
    }

    /// Returns the name of the key with which the window's columns are hashed.
    ///
    /// Errors: `SchemaMismatch` when two slices were hashed with different keys.
    fn mask_key<'r>(&'r self, records: &'r [Record]) -> Result<Option<&'r str>> {
        let mut keys = records.iter().filter_map(|record| record.mask_key.as_deref());
        let first = keys.next();
        match keys.find(|key| Some(*key) != first) {
            Some(_) => Err(other_key().context(&self.plan.window)),
            None => Ok(first.or(self.plan.mask_key.as_deref())),
        }
    }

    /// Commits the window of `plan` as one whose rows are in window `load`: it has no rows of its own and ends where it
    /// starts.
    ///
    /// A document of the window says that it is superseded, and by W1 and W2 that does not change. So no upload of the
    /// window will ever be completed, and no other manifest can have been written before.
    async fn supersede(&self, plan: &Plan, load: &WindowName) -> Result<Manifest> {
        let Some(start) = &plan.old_watermark else {
            let message = format!(
                "window {} of {} cannot be superseded: it has no start",
                plan.window, plan.table
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        };
        let manifest = Manifest::superseded(plan, start, load, self.author);
        let manifest = self.ledger.commit(manifest).await?;
        if manifest.superseded_by.as_ref() != Some(load) {
            let message = format!(
                "window {} of {} is committed, though {load} was planned in its place: two histories of the table share this \
                 ledger; start the table over (docs/how-to/repair.md)",
                plan.window, plan.table
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(manifest)
    }

    async fn decided(&self) -> Result<AllDecided> {
        let mut records = Vec::with_capacity(self.plan.slices.len());
        let mut missing = Missing::default();
        for state in self.ledger.slices(self.plan).await? {
            match state.decided {
                Decided::Record(Record {
                    decision: Decision::Superseded { by },
                    ..
                }) => return Ok(AllDecided::Superseded(by)),
                Decided::Record(record) => records.push(record),
                Decided::NotYet(attempt) => {
                    let is_new = attempt.number == 0;
                    missing.is_new |= is_new;
                    missing.is_split |= is_new && !state.id.within().is_empty();
                    missing.slices.push(state.id);
                }
            }
        }
        if missing.slices.is_empty() {
            Ok(AllDecided::Yes(records))
        } else {
            Ok(AllDecided::NotYet(missing))
        }
    }

    /// Counts the rows of the window on the source beyond those copied. Returns `None` when they cannot be counted,
    /// which is no reason to leave a copied window uncommitted. For a tracked table it is 0: versions are given at
    /// commit, so no row can be late.
    async fn late_rows(&self, copied: u64) -> Option<u64> {
        let (table, window) = (&self.plan.table, &self.plan.window);
        let Content::Interval { .. } = self.plan.content else {
            return Some(0);
        };
        let rows = self.plan.rows(self.settings)?;
        match tokio::time::timeout(COUNT_TIMEOUT, self.source.count(&rows)).await {
            Ok(Ok(count)) => {
                let late_rows = count.saturating_sub(copied);
                if late_rows > 0 {
                    tracing::warn!(
                        %table, %window, late_rows,
                        "Rows of this window were committed after it was copied and are not in its files: raise settle_seconds."
                    );
                }
                Some(late_rows)
            }
            Ok(Err(failure)) => {
                let error = failure.of(Role::Source);
                tracing::warn!(%table, %window, "Late rows could not be counted: {}.", error.report());
                None
            }
            Err(_) => {
                let seconds = COUNT_TIMEOUT.as_secs();
                tracing::warn!(%table, %window, seconds, "Counting late rows takes too long: index the watermark column.");
                None
            }
        }
    }

    /// Checks that the plan is still that of its window. A plan without slices makes nothing visible, and is not read
    /// again.
    async fn check_current(&self) -> Result<()> {
        if self.plan.slices.is_empty() {
            return Ok(());
        }
        self.ledger.check_current(self.plan).await
    }

    /// Returns the manifest that another run wrote meanwhile, if there is one.
    ///
    /// Errors: `LedgerInvalid` when there is none although the window after this one is committed: then this window
    /// cannot be part of the ledger's chain.
    async fn committed_before(&self) -> Result<Option<Manifest>> {
        let (ledger, plan) = (self.ledger, self.plan);
        let next = WindowName::after(&plan.new_watermark);
        if ledger.manifest(&next).await?.is_none() {
            return Ok(None);
        }
        if let Some(manifest) = ledger.manifest_of(plan).await? {
            return Ok(Some(manifest));
        }
        let message = format!(
            "window {} of {} would end where window {next} begins, which an earlier history of the table committed: the source \
             was restored or reseeded; start the table over (docs/how-to/repair.md)",
            plan.window, plan.table
        );
        Err(Error::new(ErrorCode::LedgerInvalid, message))
    }

    /// Voids the decisions whose uploads have waited for so long that the bucket may have removed them, unless their
    /// parts are visible. Returns their slices.
    ///
    /// An upload that turns out to be gone after others were completed leaves readers with half a window until its
    /// slice is copied again. The bucket is not asked which uploads are there: that takes another right and one request
    /// for each, and an upload may be removed between the answer and the completion. When only one upload is left to
    /// complete, its absence cannot leave half a window, so its completion is simply tried.
    async fn void_old(&self, records: &[Record]) -> Result<Vec<SliceId>> {
        if !records.iter().any(|record| record.may_be_gone(self.now)) {
            return Ok(Vec::new());
        }
        let invisible = self.invisible(records).await?;
        if invisible.len() <= 1 {
            return Ok(Vec::new());
        }
        let old = invisible.into_iter().filter(|record| record.may_be_gone(self.now));
        let mut voided = stream::iter(old)
            .map(|record| async move {
                let key = self.ledger.keys().part(self.plan, &record.slice);
                tracing::warn!(%key, "The upload is so old that it may be gone; its slice is copied again.");
                self.ledger.void(record, self.author.run_id).await?;
                Ok(record.slice.clone())
            })
            .buffered(AT_ONCE);
        let mut slices = Vec::new();
        while let Some(slice) = voided.next().await {
            let slice: Result<SliceId> = slice;
            slices.push(slice?);
        }
        Ok(slices)
    }

    /// Returns the records whose uploads are not visible yet.
    async fn invisible<'r>(&self, records: &'r [Record]) -> Result<Vec<&'r Record>> {
        let uploads = records.iter().filter(|record| record.upload().is_some());
        let mut sizes = stream::iter(uploads)
            .map(|record| async move {
                let key = self.ledger.keys().part(self.plan, &record.slice);
                Ok((record, self.store.size(&key).await?))
            })
            .buffered(AT_ONCE);
        let mut invisible = Vec::new();
        while let Some(found) = sizes.next().await {
            let found: Result<(&Record, Option<u64>)> = found;
            let (record, size) = found?;
            invisible.extend(size.is_none().then_some(record));
        }
        Ok(invisible)
    }

    /// Makes every part visible, or none of them while an upload may be gone (W3).
    async fn complete(&self, records: &[Record]) -> Result<Completion> {
        let expired = self.void_old(records).await?;
        if !expired.is_empty() {
            return Ok(Completion {
                expired,
                ..Completion::default()
            });
        }
        let uploads = records
            .iter()
            .filter_map(|record| record.upload().map(|upload| (record, upload)));
        let mut completed = stream::iter(uploads)
            .map(|(record, upload)| async move {
                let part = self.complete_part(record, upload).await;
                part.map(|part| part.ok_or_else(|| record.slice.clone()))
            })
            .buffered(AT_ONCE);
        let mut completion = Completion::default();
        while let Some(part) = completed.next().await {
            match part? {
                Ok(part) => completion.parts.push(part),
                Err(slice) => completion.expired.push(slice),
            }
        }
        Ok(completion)
    }

    /// Makes the part of `record` visible. Returns `None`, and voids the decision, when its upload has expired.
    async fn complete_part(&self, record: &Record, upload: &UploadedObject) -> Result<Option<ManifestPart>> {
        let key = self.ledger.keys().part(self.plan, &record.slice);
        if upload.key != key {
            let message = format!(
                "the record of slice {} of {key} names another object: restore it",
                record.slice
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        match self.store.complete(upload).await? {
            Completed::Visible(etag) => Ok(Some(part(record, upload, etag))),
            Completed::Expired => {
                tracing::warn!(%key, "The upload has expired; its slice is copied again.");
                self.ledger.void(record, self.author.run_id).await?;
                Ok(None)
            }
            Completed::Other { token, etag } => {
                let other = self.ledger.decided_with(record, &token.unwrap_or_default()).await?;
                let other = other.as_ref().and_then(|other| Some((other, other.upload()?)));
                let Some((other, upload)) = other else {
                    let message =
                        format!("the object at {key} was not written by this window: move it to another place");
                    return Err(Error::new(ErrorCode::LedgerInvalid, message));
                };
                Ok(Some(part(other, upload, etag)))
            }
        }
    }
}

fn part(record: &Record, upload: &UploadedObject, etag: String) -> ManifestPart {
    let UploadedObject {
        key, bytes, crc64nvme, ..
    } = upload.clone();
    ManifestPart {
        slice: record.slice.clone(),
        key,
        rows: record.rows(),
        bytes,
        etag,
        crc64nvme,
        malformed_texts: record.malformed_texts.clone(),
    }
}

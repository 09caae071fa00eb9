//! Completing a window's uploads and writing its manifest.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::{AT_ONCE, Ledger, Manifest, ManifestPart, PartRecord, Plan, SliceId, VERSION, WindowName};
use tidemark::ports::objects::{CompleteObjects, Completed, CreateObjects, ReadObjects, StagedObject};
use tidemark::ports::source::CountSource;
use tidemark::runner::RunContext;

/// How long the source may take to count a window again.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// What a commit came to.
pub(crate) enum Commit {
    /// The window is committed.
    Done(Box<Manifest>),
    /// These slices have to be copied first.
    Waits(Missing),
}

impl Commit {
    fn done(manifest: Manifest) -> Self {
        Self::Done(Box::new(manifest))
    }
}

/// Slices that have no usable upload.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Which, in order.
    pub(crate) slices: Vec<SliceId>,
    /// Whether one of them has yet to be copied for the first time because it came of a split.
    pub(crate) is_split: bool,
}

/// Commits the window of `plan`, if every slice is copied.
pub(crate) async fn commit<C, S>(
    source: &C,
    store: &S,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    run_id: &str,
    context: RunContext,
) -> Result<Commit>
where
    C: CountSource,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    if let Some(load) = &plan.superseded_by {
        return supersede(ledger, plan, load, run_id, context).await.map(Commit::done);
    }
    // W3: nothing becomes visible before every slice is decided.
    let records = match decided(ledger, plan).await? {
        Decided::All(records) => records,
        Decided::NotYet(missing) => return Ok(Commit::Waits(missing)),
        Decided::Superseded(load) => return supersede(ledger, plan, &load, run_id, context).await.map(Commit::done),
    };
    if let Some(expired) = &plan.supersedes {
        // The chain has to lead here before this window is its end.
        let expired = ledger.frozen_plan(expired).await?;
        supersede(ledger, &expired, &plan.window, run_id, context).await?;
    }

    if let Some(manifest) = committed_before(ledger, plan).await? {
        return Ok(Commit::done(manifest));
    }
    let copied = records.iter().map(|record| record.rows).sum();
    // Counted first, because it can take long or fail: from the first completed upload to the manifest, parts are
    // visible without one.
    let late_rows = late_rows(source, plan, copied).await;
    let (parts, expired) = complete(store, ledger, &records, run_id).await?;
    if !expired.is_empty() {
        return Ok(Commit::Waits(Missing {
            slices: expired,
            is_split: false,
        }));
    }
    let manifest = Manifest {
        version: VERSION,
        table: plan.table.clone(),
        window: plan.window.clone(),
        old_watermark: plan.old_watermark.clone(),
        new_watermark: plan.new_watermark.clone(),
        columns: plan.columns.clone(),
        schema: plan.schema.clone(),
        format: plan.format.clone(),
        sink: plan.sink.clone(),
        // Of a part whose voided upload was completed after all, the rows may not be those of the last record.
        rows: if plan.sink.is_some() {
            copied
        } else {
            parts.iter().map(|part| part.rows).sum()
        },
        bytes: parts.iter().map(|part| part.bytes).sum(),
        parts,
        late_rows,
        seed: plan.seed.clone(),
        superseded_by: None,
        run_id: run_id.to_owned(),
        committed_at: context.timestamp()?,
    };
    ledger.leave_columns(plan).await?;
    let manifest = ledger.commit(manifest).await?;
    tracing::info!(
        table = %manifest.table, window = %manifest.window, rows = manifest.rows, bytes = manifest.bytes,
        objects = manifest.parts.len(), "Window committed."
    );
    Ok(Commit::done(manifest))
}

/// Commits the window of `plan` as one whose rows are in window `load`: it has none of its own and ends where it starts.
///
/// A document of the window says so, and by W1 and W2 that does not change. So no upload of it will ever be completed,
/// and only such a manifest can have been written before.
async fn supersede<S: ReadObjects + CreateObjects>(
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    load: &WindowName,
    run_id: &str,
    context: RunContext,
) -> Result<Manifest> {
    let Some(end) = plan.old_watermark.clone() else {
        let message = format!(
            "window {} of {} cannot be superseded: it has no start",
            plan.window, plan.table
        );
        return Err(Error::new(ErrorCode::LedgerInvalid, message));
    };
    let manifest = Manifest {
        version: VERSION,
        table: plan.table.clone(),
        window: plan.window.clone(),
        old_watermark: Some(end.clone()),
        new_watermark: end,
        columns: Vec::new(),
        schema: String::new(),
        format: plan.format.clone(),
        sink: plan.sink.clone(),
        parts: Vec::new(),
        rows: 0,
        bytes: 0,
        late_rows: Some(0),
        seed: None,
        superseded_by: Some(load.clone()),
        run_id: run_id.to_owned(),
        committed_at: context.timestamp()?,
    };
    let manifest = ledger.commit(manifest).await?;
    if manifest.superseded_by.as_ref() != Some(load) {
        let message = format!(
            "window {} of {} is committed, though {load} was planned in its place: two histories of the table share this \
             ledger; start the table over (docs/operations.md)",
            plan.window, plan.table
        );
        return Err(Error::new(ErrorCode::LedgerInvalid, message));
    }
    Ok(manifest)
}

/// What is decided of a window's slices.
enum Decided {
    /// Every one of them.
    All(Vec<PartRecord>),
    /// These have yet to be copied.
    NotYet(Missing),
    /// That window is copied in place of this one.
    Superseded(WindowName),
}

async fn decided<S: ReadObjects>(ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Decided> {
    let mut records = Vec::with_capacity(plan.slices.len());
    let mut missing = Missing::default();
    for state in ledger.slices(plan).await? {
        match state.record {
            Some(PartRecord {
                superseded_by: Some(load),
                ..
            }) => return Ok(Decided::Superseded(load)),
            Some(record) => records.push(record),
            None => {
                missing.is_split |= state.attempt == 0 && !state.id.within().is_empty();
                missing.slices.push(state.id);
            }
        }
    }
    if missing.slices.is_empty() {
        Ok(Decided::All(records))
    } else {
        Ok(Decided::NotYet(missing))
    }
}

/// Rows of the window on the source beyond those copied. `None` when they cannot be counted: that is no reason to leave
/// a copied window uncommitted. Where there is nothing to count, none can be late.
async fn late_rows<C: CountSource>(source: &C, plan: &Plan, copied: u64) -> Option<u64> {
    let (table, window) = (&plan.table, &plan.window);
    let Some(count) = &plan.count else { return Some(0) };
    match tokio::time::timeout(COUNT_TIMEOUT, source.count(count)).await {
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
        Ok(Err(error)) => {
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

/// The manifest another run wrote meanwhile. When there is none but the window after this one is committed, the window
/// cannot be part of this ledger's chain.
async fn committed_before<S: ReadObjects>(ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Option<Manifest>> {
    let next = WindowName::after(&plan.new_watermark);
    if ledger.manifest(&next).await?.is_none() {
        return Ok(None);
    }
    if let Some(manifest) = ledger.manifest(&plan.window).await? {
        return Ok(Some(manifest));
    }
    let message = format!(
        "window {} of {} would end where window {next} begins, which an earlier history of the table committed: the source \
         was restored or reseeded; start the table over (docs/operations.md)",
        plan.window, plan.table
    );
    Err(Error::new(ErrorCode::LedgerInvalid, message))
}

/// Makes every part visible. Returns the parts in slice order, and the slices whose upload had expired: their decisions are
/// voided.
async fn complete<S: ReadObjects + CreateObjects + CompleteObjects>(
    store: &S,
    ledger: &Ledger<'_, S>,
    records: &[PartRecord],
    run_id: &str,
) -> Result<(Vec<ManifestPart>, Vec<SliceId>)> {
    let uploads = records
        .iter()
        .filter_map(|record| record.staged.as_ref().map(|staged| (record, staged)));
    let mut completed = stream::iter(uploads)
        .map(|(record, staged)| async move {
            let part = complete_part(store, ledger, record, staged, run_id).await;
            part.map(|part| part.ok_or_else(|| record.slice.clone()))
        })
        .buffered(AT_ONCE);
    let mut parts = Vec::new();
    let mut expired = Vec::new();
    while let Some(part) = completed.next().await {
        match part? {
            Ok(part) => parts.push(part),
            Err(slice) => expired.push(slice),
        }
    }
    Ok((parts, expired))
}

/// Makes the part of `record` visible. `None` when its upload has expired: the decision is voided.
async fn complete_part<S: ReadObjects + CreateObjects + CompleteObjects>(
    store: &S,
    ledger: &Ledger<'_, S>,
    record: &PartRecord,
    staged: &StagedObject,
    run_id: &str,
) -> Result<Option<ManifestPart>> {
    match store.complete(staged).await? {
        Completed::Visible(etag) => Ok(Some(part(record, staged, etag))),
        Completed::Expired => {
            tracing::warn!(key = %staged.key, "The upload has expired; its slice is copied again.");
            ledger.void(record, run_id).await?;
            Ok(None)
        }
        Completed::Other { token, etag } => {
            let other = ledger.decided_with(record, &token.unwrap_or_default()).await?;
            let other = other.as_ref().and_then(|other| Some((other, other.staged.as_ref()?)));
            let Some((other, staged)) = other else {
                let message = format!("the object at {} is none of this window's: move it away", staged.key);
                return Err(Error::new(ErrorCode::LedgerInvalid, message));
            };
            Ok(Some(part(other, staged, etag)))
        }
    }
}

fn part(record: &PartRecord, staged: &StagedObject, etag: String) -> ManifestPart {
    let StagedObject {
        key, bytes, crc64nvme, ..
    } = staged.clone();
    ManifestPart {
        slice: record.slice.clone(),
        key,
        rows: record.rows,
        bytes,
        etag,
        crc64nvme,
    }
}

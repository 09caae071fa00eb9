//! Completing a window's uploads and writing its manifest.

use tidemark::error::Result;
use tidemark::ledger::{Ledger, Manifest, ManifestPart, PartRecord, Plan};
use tidemark::ports::objects::{CompleteObjects, Completed, CreateObjects, ReadObjects, StagedObject};
use tidemark::ports::source::CountSource;
use tidemark::runner::RunContext;

/// Commits the window of `plan`. `None` when a slice has to be copied again first.
pub(crate) async fn commit<C, S>(
    source: &C,
    store: &S,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    run_id: &str,
    context: RunContext,
) -> Result<Option<Manifest>>
where
    C: CountSource,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    // W3: nothing becomes visible before every slice is decided.
    let Some(records) = decided(ledger, plan).await? else {
        return Ok(None);
    };

    let rows = records.iter().map(|record| record.rows).sum();
    // Counted first, because it can take long or fail: from the first completed upload to the manifest, parts are
    // visible without one.
    let late_rows = source.count(&plan.count).await?.saturating_sub(rows);
    let Some(parts) = complete(store, ledger, &records, run_id).await? else {
        return Ok(None);
    };
    if late_rows > 0 {
        tracing::warn!(
            table = %plan.table, window = %plan.window, late_rows,
            "Rows of this window were committed after it was copied and are not in its files: raise settle_seconds."
        );
    }
    let manifest = Manifest {
        version: 1,
        table: plan.table.clone(),
        window: plan.window.clone(),
        old_watermark: plan.old_watermark.clone(),
        new_watermark: plan.new_watermark.clone(),
        columns: plan.columns.clone(),
        format: plan.format.clone(),
        rows,
        bytes: parts.iter().map(|part| part.bytes).sum(),
        parts,
        late_rows,
        run_id: run_id.to_owned(),
        committed_at: context.timestamp()?,
    };
    let manifest = ledger.commit(manifest).await?;
    tracing::info!(
        table = %manifest.table, window = %manifest.window, rows = manifest.rows, bytes = manifest.bytes,
        objects = manifest.parts.len(), "Window committed."
    );
    Ok(Some(manifest))
}

/// The decision of every slice, or `None` when one is missing.
async fn decided<S: ReadObjects>(ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Option<Vec<PartRecord>>> {
    let mut records = Vec::with_capacity(plan.slices.len());
    for slice in (0_u32..).take(plan.slices.len()) {
        let (_, Some(record)) = ledger.decision(&plan.window, slice).await? else {
            return Ok(None);
        };
        records.push(record);
    }
    Ok(Some(records))
}

/// Makes every part visible. `None` when an upload had expired: its decision is voided.
async fn complete<S: ReadObjects + CreateObjects + CompleteObjects>(
    store: &S,
    ledger: &Ledger<'_, S>,
    records: &[PartRecord],
    run_id: &str,
) -> Result<Option<Vec<ManifestPart>>> {
    let mut parts = Vec::new();
    let mut expired = false;
    for record in records {
        let Some(staged) = &record.staged else { continue };
        match store.complete(staged).await? {
            Completed::Visible(etag) => parts.push(part(record, staged, etag)),
            Completed::Expired => {
                tracing::warn!(key = %staged.key, "The upload has expired; its slice is copied again.");
                ledger.void(record, run_id).await?;
                expired = true;
            }
        }
    }
    Ok((!expired).then_some(parts))
}

fn part(record: &PartRecord, staged: &StagedObject, etag: String) -> ManifestPart {
    let StagedObject {
        key, bytes, crc64nvme, ..
    } = staged.clone();
    ManifestPart {
        slice: record.slice,
        key,
        rows: record.rows,
        bytes,
        etag,
        crc64nvme,
    }
}

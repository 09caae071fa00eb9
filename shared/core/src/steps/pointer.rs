//! Moving the pointer to the end of a committed window, never past what the manifests say and never backwards.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::{Ledger, Manifest, Plan, WindowName};
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::watermarks::{MoveWatermarks, Moved, StoredWatermark, WatermarkKey};
use tidemark::watermark::Watermark;

/// How often a pointer that moves under our hands is looked at again.
const TRIES: u32 = 8;

/// Moves the watermark of the plan's table to the end of the window that `manifest` committed (W5).
pub(crate) async fn advance<W: MoveWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    manifest: &Manifest,
) -> Result<()> {
    let key = WatermarkKey {
        table: plan.table.clone(),
        name: plan.watermark_name.clone(),
    };
    let new = &manifest.new_watermark;
    for _ in 0..TRIES {
        let stored = watermarks.stored(&key).await?;
        match standing(ledger, &stored, manifest).await? {
            Standing::There | Standing::Ahead => return Ok(()),
            Standing::Behind => {
                if watermarks.advance(&key, &stored, new).await? == Moved::Moved {
                    tracing::info!(table = %plan.table, watermark = %new, "Watermark moved.");
                    return Ok(());
                }
            }
            Standing::Foreign => {
                let message = format!(
                    "the stored watermark of {} is {}, which is neither in nor reachable from this ledger, while window {} \
                     ends at {new}: somebody else moved it; set it to a value of the manifests, or give this pipeline a \
                     watermark of its own",
                    plan.table,
                    stored.value.as_deref().unwrap_or("none"),
                    plan.window
                );
                return Err(Error::new(ErrorCode::WatermarkConflict, message));
            }
        }
    }
    let message = format!(
        "the stored watermark of {} keeps moving while it is to be moved to {new}",
        plan.table
    );
    Err(Error::new(ErrorCode::WatermarkStoreUnavailable, message))
}

/// Where the stored watermark stands, seen from a committed window.
enum Standing {
    /// At its end.
    There,
    /// At its start or, along the manifests, before it; or nothing is stored, or still what a first load found.
    Behind,
    /// Along the manifests, after it: another run was faster.
    Ahead,
    /// Nowhere in this ledger.
    Foreign,
}

async fn standing<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    stored: &StoredWatermark,
    manifest: &Manifest,
) -> Result<Standing> {
    let new = &manifest.new_watermark;
    let stored_new = stored
        .value
        .as_deref()
        .and_then(|value| Watermark::new(new.sql_type(), value).ok());
    if stored_new.as_ref() == Some(new) {
        return Ok(Standing::There);
    }
    let at = match (&stored_new, stored.value.as_deref()) {
        (Some(watermark), _) => WindowName::after(watermark),
        (None, Some(text)) => WindowName::after_text(text),
        // Nothing is before every window: the pointer of a chain that began at a watermark set by hand was deleted.
        (None, None) => return Ok(Standing::Behind),
    };
    if at == manifest.window || ledger.leads_to(&at, &manifest.window).await? {
        return Ok(Standing::Behind);
    }
    if ledger.leads_to(&WindowName::after(new), &at).await? {
        return Ok(Standing::Ahead);
    }
    // What the first load found in the store is before it.
    let initial = WindowName::initial();
    let seed = ledger.manifest(&initial).await?.and_then(|first| first.seed);
    let is_seed = seed.is_some() && seed == stored_new;
    let behind = is_seed && (initial == manifest.window || ledger.leads_to(&initial, &manifest.window).await?);
    Ok(if behind { Standing::Behind } else { Standing::Foreign })
}

//! Moving the pointer to the end of a committed window, never past what the manifests say and never backwards.

use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Ledger, TRIES};
use crate::model::manifest::Manifest;
use crate::model::plan::Plan;
use crate::model::table::Tracking;
use crate::model::watermark::{StoredWatermark, Watermark};
use crate::model::window::WindowName;
use crate::ports::objects::ReadObjects;
use crate::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks};

/// Moves the watermark of the plan's table to the end of the window that `manifest` committed (W5).
pub(super) async fn advance<W: MoveWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    manifest: &Manifest,
) -> Result<()> {
    let key = plan.watermark_key();
    let new = &manifest.new_watermark;
    for _ in 0..TRIES {
        let stored = watermarks.stored(&key).await.of(Role::WatermarkStore)?;
        if stored.value.is_none() {
            // Nothing is stored for a table that was started over either. Starting over moves the plans away before the
            // watermark.
            ledger.check_current(plan).await?;
        }
        match standing(ledger, &stored, manifest).await? {
            Standing::There | Standing::Ahead => return Ok(()),
            Standing::Behind => {
                let moved = watermarks.advance(&key, &stored, new).await;
                if moved.of(Role::WatermarkStore)? == Moved::Moved {
                    if stored.value.is_none() {
                        check_stands(watermarks, ledger, plan, new).await?;
                    }
                    tracing::info!(table = %plan.table, watermark = %new, "Watermark moved.");
                    return Ok(());
                }
            }
            Standing::Foreign => {
                let (stored, window) = (stored.value.as_deref().unwrap_or("none"), &plan.window);
                return Err(Error::about(ErrorCode::WatermarkConflict, &plan.table, |table| {
                    format!(
                        "the stored watermark of {table} is {stored}, which is neither in nor reachable from this ledger, while window \
                         {window} ends at {new}: somebody else moved it; set it to a value of the manifests, or give this pipeline a \
                         watermark of its own"
                    )
                }));
            }
        }
    }
    Err(Error::about(
        ErrorCode::WatermarkStoreUnavailable,
        &plan.table,
        |table| format!("the stored watermark of {table} keeps changing while it is to be moved to {new}: run again"),
    ))
}

/// Checks, after a watermark was stored where nothing was stored before, that the table was not started over between
/// the reading and the storing.
///
/// Errors: when the table was started over, `WatermarkConflict` if the store holds the new watermark, and
/// `InvalidInput` if it does not.
async fn check_stands<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
    new: &Watermark,
) -> Result<()> {
    let Err(error) = ledger.check_current(plan).await else {
        return Ok(());
    };
    let stored = watermarks.stored(&plan.watermark_key()).await;
    let stored = stored.of(Role::WatermarkStore)?;
    if error.code() != ErrorCode::InvalidInput || stored.value.is_none_or(|text| !new.is(&text)) {
        return Err(error);
    }
    let table = &plan.table;
    let message = format!(
        "{table} was started over while its watermark was moved to {new}, and the store holds that now: the next run would begin \
         there; run `tidemark reset {table} --yes` again before it does"
    );
    Err(Error::with_source(ErrorCode::WatermarkConflict, message, error))
}

/// Checks that the lower bound of a window that is not committed yet is still known to the ledger or to the watermark
/// store.
///
/// A table may be started over after a run has looked up where its next window starts, and before the window is frozen.
/// Then neither of them knows that start any more, and the rows before it would be in no window.
///
/// Errors: `InvalidInput` when neither knows it.
pub(super) async fn check_start<W: ReadWatermarks, S: ReadObjects>(
    watermarks: &W,
    ledger: &Ledger<'_, S>,
    plan: &Plan,
) -> Result<()> {
    // A tracked table whose ledger has no first load is loaded in full, whatever is stored.
    let is_tracked = matches!(plan.tracking, Tracking::ChangeTracking(_));
    if is_tracked || plan.is_backfill() || plan.old_watermark.is_none() {
        return Ok(());
    }
    // Every committed window of a watermark leaves its columns where it ends.
    if ledger.previous(plan.begins()).await?.is_some() {
        return Ok(());
    }
    let stored = watermarks
        .stored(&plan.watermark_key())
        .await
        .of(Role::WatermarkStore)?;
    if WindowName::after_stored(stored.value.as_deref()) == *plan.begins() {
        return Ok(());
    }
    if ledger.manifest_of(plan).await?.is_some() {
        // Another run committed the window and moved the watermark meanwhile.
        return Ok(());
    }
    let message = format!(
        "window {} of {} starts where neither a committed window nor the stored watermark ends: the table was started over, or \
         the watermark was changed, after the start was looked up; the next run plans it anew",
        plan.window, plan.table
    );
    Err(Error::new(ErrorCode::InvalidInput, message))
}

/// Where the stored watermark stands in relation to a committed window.
enum Standing {
    /// At the end of the window.
    There,
    /// At its start or, along the manifests, before it. It is also behind when nothing is stored, or still what a first
    /// load found.
    Behind,
    /// After the window, along the manifests, because another run was faster.
    Ahead,
    /// At no place that this ledger knows.
    Foreign,
}

async fn standing<S: ReadObjects>(
    ledger: &Ledger<'_, S>,
    stored: &StoredWatermark,
    manifest: &Manifest,
) -> Result<Standing> {
    let new = &manifest.new_watermark;
    // No stored value is before every window: the pointer of a chain that began at a watermark set by hand was deleted.
    let Some(text) = stored.value.as_deref() else {
        return Ok(Standing::Behind);
    };
    if new.is(text) {
        return Ok(Standing::There);
    }
    let at = WindowName::after_text(text);
    if at == manifest.window || ledger.leads_to(&at, &manifest.window).await? {
        return Ok(Standing::Behind);
    }
    if ledger.leads_to(&WindowName::after(new), &at).await? {
        return Ok(Standing::Ahead);
    }
    // The value that the first load found in the store is before that load.
    let initial = WindowName::initial();
    let seed = ledger.manifest(&initial).await?.and_then(|first| first.seed);
    let is_seed = seed.is_some_and(|seed| seed.is(text));
    let behind = is_seed && (initial == manifest.window || ledger.leads_to(&initial, &manifest.window).await?);
    Ok(if behind { Standing::Behind } else { Standing::Foreign })
}

//! Setting the pointer of a table to the end of a committed window, when a person has decided that it belongs there.

use serde::Serialize;

use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::{Ledger, Place};
use crate::model::names::ObjectName;
use crate::model::watermark::{StoredWatermark, Watermark, WatermarkKey};
use crate::model::window::WindowName;
use crate::ports::objects::ReadObjects;
use crate::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks};

/// What the pointer of a table is and would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatermarkToSet {
    /// The table.
    pub table: ObjectName,
    /// The committed window at whose end the next one would start.
    pub window: WindowName,
    /// What is stored, if anything is.
    pub from: Option<String>,
    /// Where the window ends.
    pub to: Watermark,
    /// The place of the pointer.
    #[serde(skip)]
    key: WatermarkKey,
    /// All that is stored there.
    #[serde(skip)]
    stored: StoredWatermark,
}

impl WatermarkToSet {
    /// Returns whether the pointer is there already.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.from.as_deref().is_some_and(|from| self.to.is(from))
    }
}

/// Looks what the pointer of a table is, and what it would be at the end of a window.
///
/// # Errors
///
/// `InvalidInput` when no such window is committed, when it is a backfill or was superseded, and when something that was
/// begun with the table is not done; and the errors of the ports.
pub async fn watermark_to_set<W, S>(
    watermarks: &W,
    place: Place<'_, S>,
    table: &ObjectName,
    window: &WindowName,
) -> Result<WatermarkToSet>
where
    W: ReadWatermarks,
    S: ReadObjects,
{
    let ledger = Ledger::new(place, table);
    ledger.check_hold(|_| false).await?;
    let refused = |why: &str| {
        let message = format!("{table}: window {window} {why}: `tidemark history {table}` lists the windows");
        Error::new(ErrorCode::InvalidInput, message)
    };
    let manifest = ledger.manifest(window).await?;
    let manifest = manifest.ok_or_else(|| refused("is not committed"))?;
    if manifest.replaces.is_some() {
        return Err(refused("is a backfill, after which no window starts"));
    }
    if manifest.superseded_by.is_some() {
        return Err(refused("was given up for a full load, and holds nothing"));
    }
    let key = ledger.watermark_key().await?;
    let stored = watermarks.stored(&key).await.of(Role::WatermarkStore)?;
    Ok(WatermarkToSet {
        table: table.clone(),
        window: window.clone(),
        from: stored.value.clone(),
        to: manifest.new_watermark,
        key,
        stored,
    })
}

/// Sets the pointer, if it is still what it was when it was looked at. Runs follow the manifests from there, so a window
/// in the middle of the chain leads them to its end.
///
/// # Errors
///
/// `WatermarkStoreUnavailable` when somebody else has moved the pointer meanwhile, and the errors of the store.
pub async fn set_watermark<W: MoveWatermarks>(watermarks: &W, to_set: &WatermarkToSet) -> Result<()> {
    if to_set.is_set() {
        return Ok(());
    }
    let moved = watermarks.advance(&to_set.key, &to_set.stored, &to_set.to).await;
    if moved.of(Role::WatermarkStore)? == Moved::Moved {
        tracing::warn!(table = %to_set.table, window = %to_set.window, watermark = %to_set.to, "The watermark is set by hand.");
        return Ok(());
    }
    let message = format!(
        "the stored watermark of {} was changed meanwhile: look at it again before you set it",
        to_set.table
    );
    Err(Error::new(ErrorCode::WatermarkStoreUnavailable, message))
}

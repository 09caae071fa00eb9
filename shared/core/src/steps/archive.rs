//! Moving objects of a table into the archive.

use futures::stream::{self, StreamExt};

use crate::error::{Error, ErrorCode, Result};
use crate::ledger::{AT_ONCE, Decided, Ledger};
use crate::model::plan::Plan;
use crate::model::record::Record;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{ReadObjects, Upload, UploadObjects};
use crate::steps::context::RunContext;

/// The name of a new folder of the archive: the time, without what no key has.
pub(super) fn folder(context: RunContext) -> Result<String> {
    Ok(context.timestamp()?.replace(':', "-"))
}

/// Moves the objects at these keys into this folder of the archive. How many there were.
pub(super) async fn move_all<S: ArchiveObjects>(
    store: &S,
    ledger: &Ledger<'_, S>,
    keys: Vec<String>,
    folder: &str,
) -> Result<usize> {
    let count = keys.len();
    let mut moves = stream::iter(keys)
        .map(|key| async move {
            let to = ledger.keys().archived(&key, folder).ok_or_else(|| foreign(&key))?;
            store.archive(&key, &to).await
        })
        .buffered(AT_ONCE);
    while let Some(moved) = moves.next().await {
        moved?;
    }
    Ok(count)
}

/// Aborts the uploads of a window that is not committed, so that none of them can become visible any more. Returns the keys
/// that are visible already, because somebody began to commit the window.
pub(super) async fn abort_uploads<S>(store: &S, ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Vec<String>>
where
    S: ReadObjects + UploadObjects,
{
    let mut visible = Vec::new();
    for state in ledger.slices(plan).await? {
        let Decided::Record(record) = &state.decided else {
            continue;
        };
        let Some(upload) = upload_of(record) else { continue };
        store.abort(&upload).await?;
        // After the abort: now it is visible for good, or never will be.
        let key = ledger.keys().part(plan, &state.id);
        if upload.key == key && store.size(&key).await?.is_some() {
            visible.push(key);
        }
    }
    Ok(visible)
}

fn upload_of(record: &Record) -> Option<Upload> {
    let upload = record.upload()?;
    Some(Upload {
        key: upload.key.clone(),
        id: upload.upload_id.clone(),
        token: upload.token.clone(),
    })
}

fn foreign(key: &str) -> Error {
    Error::new(ErrorCode::Internal, format!("{key} is no object of the table"))
}

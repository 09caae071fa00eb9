//! Moving objects of a table into the archive while no run works on the table.

use futures::stream::{self, StreamExt};

use crate::error::{Error, ErrorCode, Result};
use crate::ledger::{AT_ONCE, Decided, Lease, Ledger, Place, Taken};
use crate::model::hold::{GIVE_UP, Hold, RESET};
use crate::model::lease::{Keeper, Leases};
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, Upload, UploadObjects};
use crate::steps::context::RunContext;

/// The commands that pause a table while they move something, and no longer. A pause by anybody else is a person's.
const VERBS: [&str; 2] = [RESET, GIVE_UP];

/// What moving a table's objects needs from the outside.
#[derive(Debug, Clone, Copy)]
pub struct ArchivePorts<'a, W, S> {
    /// The pointer.
    pub watermarks: &'a W,
    /// Where the table's files and its ledger are.
    pub place: Place<'a, S>,
}

/// The lease of a table that a person's command holds, as a pause that keeps every run off while something is moved.
///
/// The pause saves work, and nothing depends on it. A run may be at work nevertheless, because its lease ended or its
/// table was paused in the middle; its records and its commit then belong to a plan that is gone.
pub(super) struct Standing<'a, S> {
    ledger: &'a Ledger<'a, S>,
    table: &'a ObjectName,
    verb: &'static str,
    /// Whether a person had paused the table before.
    pub(super) was_paused: bool,
}

impl<'a, S: ReadObjects + CreateObjects + ReplaceObjects> Standing<'a, S> {
    /// Takes the lease of the table and pauses the table until [`end`](Self::end), whatever becomes of this process,
    /// because reading what is there may take longer than a lease lasts.
    ///
    /// Errors: `SinkUnavailable` while a run is copying the table.
    pub(super) async fn take(
        ledger: &'a Ledger<'a, S>,
        table: &'a ObjectName,
        verb: &'static str,
        context: RunContext,
    ) -> Result<Self> {
        let by = pause(ledger, table, verb, context).await?;
        let was_paused = by.is_some_and(|by| !VERBS.contains(&by.as_str()));
        Ok(Self {
            ledger,
            table,
            verb,
            was_paused,
        })
    }

    /// Checks that runs are still kept off, now that the hold is written and before anything is moved.
    ///
    /// Errors: `SinkUnavailable` when somebody resumed the table and a run has begun.
    pub(super) async fn keep(&self, hold: &Hold, context: RunContext) -> Result<()> {
        if !hold.stays_paused {
            pause(self.ledger, self.table, self.verb, context).await?;
        }
        Ok(())
    }

    /// Lets runs work on the table again, unless a person had paused it before.
    pub(super) async fn end(&self, stays_paused: bool) -> Result<()> {
        if !stays_paused {
            self.lease().resume().await?;
            self.lease().give_back().await?;
        }
        Ok(())
    }

    /// Ends the pause after an error, unless something was begun and not ended, which keeps its pause.
    pub(super) async fn end_unless_begun(&self, stays_paused: bool) -> Result<()> {
        if self.ledger.hold().await?.is_none() {
            self.end(stays_paused).await?;
        }
        Ok(())
    }

    fn lease(&self) -> Lease<'_, S> {
        Lease::new(self.ledger, self.verb, Leases::Taken)
    }
}

/// Pauses the table for this verb and returns `None`, or returns who has paused it already.
async fn pause<S>(ledger: &Ledger<'_, S>, table: &ObjectName, verb: &str, context: RunContext) -> Result<Option<String>>
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let lease = Lease::new(ledger, verb, Leases::Taken);
    match lease.take(context.now).await? {
        Taken::Ours => {
            let reason = format!("it is not done yet: `{verb} {table} --yes` finishes it");
            lease.pause(context.now, Some(reason)).await?;
            Ok(None)
        }
        Taken::KeptBy(Keeper::Paused { by, .. }) => Ok(Some(by)),
        Taken::KeptBy(Keeper::Run { run_id, until }) => {
            let message = format!(
                "run {run_id} is copying {table}, and its lease lasts until {until}: try again when that run has ended, or, if it has \
                 died, after that time"
            );
            Err(Error::new(ErrorCode::SinkUnavailable, message))
        }
    }
}

/// Moves a hold that is done into the archive.
pub(super) async fn end_hold<S: ArchiveObjects>(store: &S, ledger: &Ledger<'_, S>, hold: &Hold) -> Result<()> {
    let key = ledger.keys().hold();
    move_all(store, ledger, vec![key], &hold.archive).await.map(drop)
}

/// Returns the name of a new folder of the table's archive: the time, without the characters that keys do not have. If
/// there is a folder of this second already, a number follows.
pub(super) async fn folder<S: ReadObjects>(store: &S, ledger: &Ledger<'_, S>, context: RunContext) -> Result<String> {
    let time = context.moment().to_string().replace(':', "-");
    let there = store.folders(&ledger.keys().archive()).await?;
    let mut number = 1;
    let mut name = time.clone();
    while there.contains(&name) {
        number += 1;
        name = format!("{time}-{number}");
    }
    Ok(name)
}

/// Moves the objects at these keys into this folder of the archive. Returns how many there were.
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

/// Aborts the uploads of a window that is not committed, so that none of them can become visible any more. Returns the
/// keys of parts that are visible already, because somebody began to commit the window.
pub(super) async fn abort_uploads<S>(store: &S, ledger: &Ledger<'_, S>, plan: &Plan) -> Result<Vec<String>>
where
    S: ReadObjects + UploadObjects,
{
    let mut visible = Vec::new();
    for state in ledger.slices(plan).await? {
        let Decided::Record(record) = &state.decided else {
            continue;
        };
        let Some(upload) = record.upload() else { continue };
        store.abort(&Upload::from(upload)).await?;
        // After the abort the part is either visible for good or never will be.
        let key = ledger.keys().part(plan, &state.id);
        if upload.key == key && store.size(&key).await?.is_some() {
            visible.push(key);
        }
    }
    Ok(visible)
}

fn foreign(key: &str) -> Error {
    Error::new(
        ErrorCode::Internal,
        format!("{key} is to be archived, and is no object of the table"),
    )
}

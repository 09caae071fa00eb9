//! Reading what the ledger of a sink holds. Nothing here changes it.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::keys::{Keys, ledgers, table_segment};
use tidemark::ledger::{AT_ONCE, Lease, Ledger};
use tidemark::model::lease::{Keeper, LeaseDocument, Leases};
use tidemark::model::manifest::Manifest;
use tidemark::model::names::{ObjectName, nearest};
use tidemark::model::plan::Plan;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::ReadObjects;
use time::OffsetDateTime;

use crate::wiring::sink::Sink;
use crate::wiring::store::Store;

/// Returns the tables that a sink has a ledger of, in order.
pub(crate) async fn tables(sink: &Sink) -> Result<Vec<ObjectName>> {
    let (tables, unread) = found(sink).await?;
    match unread.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(tables),
    }
}

/// Returns the tables that a sink has a ledger of, in order, and the folders of ledgers whose tables no document tells,
/// with the reasons.
pub(crate) async fn found(sink: &Sink) -> Result<(Vec<ObjectName>, Vec<(String, Error)>)> {
    let folders = sink.store.folders(&ledgers(&sink.prefix)).await?;
    // A folder without a dot is no table's: the runs have one.
    let mut found = stream::iter(folders.into_iter().filter(|folder| folder.contains('.')))
        .map(|folder| async move { (folder.clone(), named(sink, folder).await) })
        .buffered(AT_ONCE);
    let (mut tables, mut unread) = (Vec::new(), Vec::new());
    while let Some((folder, table)) = found.next().await {
        match table {
            Ok(table) => tables.extend(table),
            Err(error) if error.code() == ErrorCode::LedgerInvalid => unread.push((folder, error)),
            Err(error) => return Err(error),
        }
    }
    tables.sort();
    Ok((tables, unread))
}

/// Returns the table of a folder: by its name, where that is the table's, or by a document in it.
async fn named(sink: &Sink, segment: String) -> Result<Option<ObjectName>> {
    let by_name = segment
        .parse::<ObjectName>()
        .ok()
        .filter(|table| table_segment(table) == segment);
    if by_name.is_some() {
        return Ok(by_name);
    }
    // For a table that was started over, the lease is the only document.
    let keys = Keys::of_segment(&sink.prefix, &segment);
    let key = keys.lease();
    let lease = sink.store.get(&key).await?;
    let lease = lease.map(|object| serde_json::from_slice::<LeaseDocument>(&object.body));
    let unreadable_lease = match lease {
        Some(Ok(lease)) => return Ok(Some(lease.table)),
        Some(Err(error)) => Some(unreadable(&key, "delete it", error)),
        None => None,
    };
    for window in sink.store.folders(&keys.windows()).await? {
        let Ok(window) = WindowName::try_from(window) else {
            continue;
        };
        let key = keys.plan(&window);
        if let Some(object) = sink.store.get(&key).await? {
            let plan = serde_json::from_slice::<Plan>(&object.body);
            return match plan {
                Ok(plan) => Ok(Some(plan.table)),
                Err(error) => Err(unreadable(&key, "restore it", error)),
            };
        }
    }
    unreadable_lease.map_or(Ok(None), Err)
}

fn unreadable(key: &str, remedy: &str, error: serde_json::Error) -> Error {
    let message = format!("{key} is not what Tidemark wrote there ({remedy})");
    Error::with_source(ErrorCode::LedgerInvalid, message, error)
}

/// Returns the given tables or, when none are given, all tables.
///
/// Errors: `InvalidInput` when the sink has no ledger of a given table, or none at all.
pub(crate) async fn chosen(sink: &Sink, given: &[ObjectName]) -> Result<Vec<ObjectName>> {
    let all = tables(sink).await?;
    for table in given {
        if !all.contains(table) {
            let message = match like(table, &all) {
                Some(like) => format!("{} has no ledger of {table}: did you mean {like}?", sink.name),
                None => format!(
                    "{} has no ledger of {table} yet: a run begins it when the table has rows to copy. `tidemark status` lists the \
                     tables that have one",
                    sink.name
                ),
            };
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
    }
    if all.is_empty() {
        return Err(Error::new(ErrorCode::InvalidInput, no_ledger(sink)));
    }
    if given.is_empty() {
        return Ok(all);
    }
    // A table that is given twice is one table.
    let mut chosen = given.to_vec();
    let mut seen = HashSet::new();
    chosen.retain(|table| seen.insert(table.clone()));
    Ok(chosen)
}

/// Returns the table whose name is most like that of one which is not there, if one is like it enough.
pub(crate) fn like<'a>(table: &ObjectName, known: &'a [ObjectName]) -> Option<&'a ObjectName> {
    let names = known.iter().map(|known| known.name().as_str());
    let like = nearest(table.name().as_str(), names)?;
    let of_same_schema = known
        .iter()
        .find(|known| known.name().as_str() == like && known.schema() == table.schema());
    of_same_schema.or_else(|| known.iter().find(|known| known.name().as_str() == like))
}

/// Returns what to say of a sink without any table.
pub(crate) fn no_ledger(sink: &Sink) -> String {
    format!(
        "{} has no ledger yet: a run begins one when a table has rows to copy. If runs have copied rows, --sink names another place \
         than theirs",
        sink.name
    )
}

/// Returns who keeps a table from being worked on: a run, or a person who paused it.
pub(crate) async fn keeper(sink: &Sink, table: &ObjectName) -> Result<Option<Keeper>> {
    let ledger = ledger(sink, table);
    let lease = Lease::new(&ledger, "look", Leases::Taken);
    lease.keeper(OffsetDateTime::now_utc()).await
}

/// Returns the place of a folder of a table's archive, for people.
pub(crate) fn archive(sink: &Sink, table: &ObjectName, folder: &str) -> String {
    let place = sink.name.trim_end_matches('/');
    format!("{place}/{}{folder}", Keys::new("", table).archive())
}

/// Returns the ledger of a table.
pub(crate) fn ledger<'a>(sink: &'a Sink, table: &'a ObjectName) -> Ledger<'a, Store> {
    Ledger::new(sink.place(), table)
}

/// Returns the plan of the last backfill of a table that is frozen and not committed, if there is one.
pub(crate) async fn open_backfill(ledger: &Ledger<'_, Store>) -> Result<Option<Plan>> {
    let mut backfills = ledger.windows().await?;
    backfills.retain(|window| window.backfill_number().is_some());
    backfills.sort_by_key(WindowName::backfill_number);
    for window in backfills.iter().rev() {
        if ledger.manifest(window).await?.is_none()
            && let Some(plan) = ledger.plan(window).await?
        {
            return Ok(Some(plan));
        }
    }
    Ok(None)
}

/// Returns the committed windows of a table, each after the one that it goes on from, and then its backfills.
pub(crate) async fn manifests(sink: &Sink, table: &ObjectName) -> Result<Vec<Manifest>> {
    let ledger = ledger(sink, table);
    let mut reads = stream::iter(ledger.windows().await?)
        .map(|window| {
            let ledger = &ledger;
            async move { ledger.manifest(&window).await }
        })
        .buffered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(manifest) = reads.next().await {
        found.extend(manifest?);
    }
    let is_backfill = |manifest: &Manifest| manifest.window.backfill_number().is_some();
    let (mut backfills, chain): (Vec<_>, Vec<_>) = found.into_iter().partition(is_backfill);
    backfills.sort_by_key(|manifest| manifest.window.backfill_number());
    let mut ordered = in_order(chain);
    ordered.extend(backfills);
    Ok(ordered)
}

/// Returns the window that describes the files that readers see now: the last one of the chain that has columns, in the
/// last generation. A backfill may lie in the folder of an older generation.
pub(crate) fn described(manifests: &[Manifest]) -> Option<&Manifest> {
    let chain = || manifests.iter().filter(|manifest| manifest.replaces.is_none());
    let generation = chain().map(|manifest| manifest.generation).max()?;
    chain().rfind(|manifest| manifest.generation == generation && !manifest.columns.is_empty())
}

fn in_order(found: Vec<Manifest>) -> Vec<Manifest> {
    let next: Vec<WindowName> = found.iter().map(Manifest::next_window).collect();
    let mut starts: Vec<&Manifest> = found
        .iter()
        .filter(|manifest| !next.contains(&manifest.window))
        .collect();
    starts.sort_by_key(|start| start.committed_at);
    let starts: Vec<WindowName> = starts.into_iter().map(|manifest| manifest.window.clone()).collect();
    let mut left: HashMap<WindowName, Manifest> = found
        .into_iter()
        .map(|manifest| (manifest.window.clone(), manifest))
        .collect();
    let mut ordered = Vec::with_capacity(left.len());
    for start in starts {
        let mut at = start;
        while let Some(manifest) = left.remove(&at) {
            at = manifest.next_window();
            ordered.push(manifest);
        }
    }
    ordered
}

//! The ledger: all state of a table, written once, under its prefix in the sink bucket.
//!
//! ```text
//! {prefix}/{schema}.{table}/window={from}/_previous.json        columns of the window before create-only
//! {prefix}/{schema}.{table}/window={from}/_plan.json            frozen bounds and slices     create-only
//! {prefix}/{schema}.{table}/window={from}/_parts/00000.json     a slice's decision record    create-only
//! {prefix}/{schema}.{table}/window={from}/part-00000.parquet    visible once completed
//! {prefix}/{schema}.{table}/window={from}/_manifest.json        the commit                   create-only, last
//! ```
//!
//! A window is named by where it starts, so every attempt at it, in any run, meets the same keys. The invariants:
//!
//! - **W1** a plan never changes once frozen;
//! - **W2** one upload per slice is decided, or the slices that are copied in its place, by a create-only record;
//! - **W3** no part is visible before its window commits;
//! - **W4** the manifest is written last and names only objects that exist;
//! - **W5** the watermark moves only after the manifest, by compare-and-set, never backwards, never to null;
//! - **W6** any step may be repeated by anyone, at any time, concurrently with itself: the outcome is the same.

mod bounds;
mod documents;
mod keys;
mod pointer;
mod slice_id;

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bounds::{KeyBounds, SliceBounds};
use documents::Versioned;
pub use documents::{Manifest, ManifestPart, PartRecord, Plan, Previous, Slice, VERSION};
pub use keys::{Keys, WindowName};
pub use pointer::Pointers;
pub use slice_id::SliceId;

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;
use crate::ports::objects::{CreateObjects, Created, ReadObjects};
use crate::schema::fingerprint;

/// Most windows the chain of manifests is followed for in one go: a guard against a ledger that leads in a circle.
const MAX_CHAIN: usize = 1_000_000;
/// Documents read, and uploads completed, at once: a window may have hundreds of them.
pub const AT_ONCE: usize = 16;

/// Typed access to the ledger of one table.
#[derive(Debug)]
pub struct Ledger<'a, S> {
    store: &'a S,
    keys: Keys,
}

impl<'a, S> Ledger<'a, S> {
    /// The ledger of `table` under `prefix` in the bucket behind `store`.
    pub fn new(store: &'a S, prefix: &str, table: &ObjectName) -> Self {
        Self {
            store,
            keys: Keys::new(prefix, table),
        }
    }

    /// The keys of this table.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// The end of the chain of committed windows that starts at some window.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// The last committed window.
    pub window: WindowName,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A slice that is copied as one, and what is decided of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceState {
    /// Which it is.
    pub id: SliceId,
    /// What it selects.
    pub slice: Slice,
    /// The attempt that is decided or, if none is, the one to make.
    pub attempt: u32,
    /// The decision; none when the slice has yet to be copied.
    pub record: Option<PartRecord>,
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// The plan of a window, if one is frozen.
    pub async fn plan(&self, window: &WindowName) -> Result<Option<Plan>> {
        self.read(&self.keys.plan(window)).await
    }

    /// The plan of a window that must have one.
    pub async fn frozen_plan(&self, window: &WindowName) -> Result<Plan> {
        self.plan(window).await?.ok_or_else(|| missing(&self.keys.plan(window)))
    }

    /// The plans of the full loads that took the place of other windows.
    pub async fn reinits(&self) -> Result<Vec<Plan>> {
        let folders = self.store.folders(&self.keys.reinits()).await?;
        let expired = folders.into_iter().filter_map(|name| WindowName::try_from(name).ok());
        let mut plans = stream::iter(expired)
            .map(|expired| async move { self.plan(&WindowName::reinit(&expired)).await })
            .buffered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(plan) = plans.next().await {
            found.extend(plan?);
        }
        Ok(found)
    }

    /// The manifest of a window, if it is committed.
    pub async fn manifest(&self, window: &WindowName) -> Result<Option<Manifest>> {
        self.read(&self.keys.manifest(window)).await
    }

    /// What the window that ends where `window` begins looked like. `None` when none does, or it was committed by a
    /// release that did not say.
    pub async fn previous(&self, window: &WindowName) -> Result<Option<Previous>> {
        self.read(&self.keys.previous(window)).await
    }

    /// Follows the manifests from `window` to the last committed window. `None` when `window` is not committed.
    pub async fn chain_end(&self, window: &WindowName) -> Result<Option<ChainEnd>> {
        self.follow(window, None).await.map(|(end, _)| end)
    }

    /// The end of the one chain of committed windows this ledger holds, wherever it starts; `None` without any.
    ///
    /// Reads every manifest: for when nothing says where the chain starts. Errors: `LedgerInvalid` when there are several
    /// chains, because no one but the user knows which is the table's present history.
    pub async fn only_chain_end(&self) -> Result<Option<ChainEnd>> {
        let folders = self.store.folders(&self.keys.windows()).await?;
        let names = folders
            .into_iter()
            .filter_map(|folder| WindowName::try_from(folder).ok());
        let mut manifests = stream::iter(names)
            .map(|window| async move { Ok(self.manifest(&window).await?.map(|manifest| (window, manifest))) })
            .buffered(AT_ONCE);
        let mut committed = HashMap::new();
        while let Some(read) = manifests.next().await {
            let read: Result<Option<(WindowName, Manifest)>> = read;
            committed.extend(read?);
        }
        let goes_on = |manifest: &Manifest| committed.contains_key(&manifest.next_window());
        let mut ends = committed.iter().filter(|(_, manifest)| !goes_on(manifest));
        let Some((window, manifest)) = ends.next() else {
            return Ok(None);
        };
        if let Some((_, other)) = ends.next() {
            let message = format!(
                "the watermark store holds nothing for {}, and its committed windows end in two places, at {} and at {}: \
                 set the watermark to the one that holds",
                manifest.table, manifest.new_watermark, other.new_watermark
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(Some(ChainEnd {
            window: window.clone(),
            manifest: manifest.clone(),
        }))
    }

    /// Checks that every object a manifest names is there with its size.
    ///
    /// Errors: `LedgerInvalid` naming the first that is not.
    pub async fn check_objects(&self, manifest: &Manifest) -> Result<()> {
        for part in &manifest.parts {
            let found = match self.store.size(&part.key).await? {
                Some(bytes) if bytes == part.bytes => continue,
                Some(bytes) => format!("has {bytes} bytes, not {}", part.bytes),
                None => "is missing".to_owned(),
            };
            let message = format!(
                "{} {found}, though {} names it: restore it, objects of a committed window are never changed",
                part.key,
                self.keys.manifest(&manifest.window)
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(())
    }

    /// Whether the manifests lead from window `from` to window `to`.
    pub async fn leads_to(&self, from: &WindowName, to: &WindowName) -> Result<bool> {
        self.follow(from, Some(to)).await.map(|(_, arrived)| arrived)
    }

    /// Follows the manifests from `from` to their end or, if they lead there, to `to`: the last committed window on the
    /// way, and whether it leads to `to`.
    async fn follow(&self, from: &WindowName, to: Option<&WindowName>) -> Result<(Option<ChainEnd>, bool)> {
        let mut end = None;
        let mut next = from.clone();
        for _ in 0..MAX_CHAIN {
            let Some(manifest) = self.manifest(&next).await? else {
                return Ok((end, false));
            };
            let window = std::mem::replace(&mut next, manifest.next_window());
            if window == next {
                let key = self.keys.manifest(&window);
                let message = format!("{key} leads to itself: its window is empty");
                return Err(Error::new(ErrorCode::LedgerInvalid, message));
            }
            end = Some(ChainEnd { window, manifest });
            if Some(&next) == to {
                return Ok((end, true));
            }
        }
        let message = format!("the manifests after {} do not end", self.keys.manifest(from));
        Err(Error::new(ErrorCode::LedgerInvalid, message))
    }

    /// The slice's decision, if one is made, and the attempt it is for or, if none, the attempt to make.
    ///
    /// Attempt 0 is the rule; a record whose upload expired is voided and the next attempt decides anew.
    pub async fn decision(&self, window: &WindowName, slice: &SliceId) -> Result<(u32, Option<PartRecord>)> {
        let mut attempt = 0;
        loop {
            let Some(record) = self
                .read::<PartRecord>(&self.keys.part_record(window, slice, attempt))
                .await?
            else {
                return Ok((attempt, None));
            };
            if self
                .store
                .get(&self.keys.part_void(window, slice, attempt))
                .await?
                .is_none()
            {
                return Ok((attempt, Some(record)));
            }
            attempt += 1;
        }
    }

    /// The slice of this name, of the plan or of the record of a slice that was split.
    ///
    /// Errors: `InvalidInput` when there is no such slice.
    pub async fn slice(&self, plan: &Plan, id: &SliceId) -> Result<Slice> {
        let mut found = SliceId::planned(id.number());
        let mut slice = plan.slices.get(id.number() as usize).cloned();
        for &number in id.within() {
            let (_, record) = self.decision(&plan.window, &found).await?;
            let split = record.map(|record| record.split).unwrap_or_default();
            slice = split.into_iter().nth(number as usize);
            match found.sub_slice(number) {
                Some(sub_slice) if slice.is_some() => found = sub_slice,
                _ => break,
            }
        }
        slice.filter(|_| found == *id).ok_or_else(|| {
            let message = format!(
                "window {} of {} has {} slices, numbered from 0; there is no slice {id}",
                plan.window,
                plan.table,
                plan.slices.len()
            );
            Error::new(ErrorCode::InvalidInput, message)
        })
    }

    /// Every slice of the plan's window in order; in place of one that was split, those it was split into.
    pub async fn slices(&self, plan: &Plan) -> Result<Vec<SliceState>> {
        let planned = (0_u32..).map(SliceId::planned).zip(plan.slices.iter().cloned());
        let mut decisions = stream::iter(planned)
            .map(|(id, slice)| self.whole_or_split(&plan.window, id, slice))
            .buffered(AT_ONCE);
        let mut states = Vec::with_capacity(plan.slices.len());
        while let Some(of_slice) = decisions.next().await {
            states.extend(of_slice?);
        }
        Ok(states)
    }

    /// The slice, or in its place those it was split into, in order.
    async fn whole_or_split(&self, window: &WindowName, id: SliceId, slice: Slice) -> Result<Vec<SliceState>> {
        let mut states = Vec::new();
        // The next one last.
        let mut waiting = vec![(id, slice)];
        while let Some((id, slice)) = waiting.pop() {
            let (attempt, record) = self.decision(window, &id).await?;
            match record {
                Some(record) if !record.split.is_empty() => {
                    let sub_slices: Vec<_> = record.sub_slices().zip(record.split.iter().cloned()).collect();
                    waiting.extend(sub_slices.into_iter().rev());
                }
                record => states.push(SliceState {
                    id,
                    slice,
                    attempt,
                    record,
                }),
            }
        }
        Ok(states)
    }

    /// The decision of another attempt at `record`'s slice whose upload has this token: of an earlier one, which was voided
    /// but completed after all, or of a later one, made and completed by a run that voided this one meanwhile.
    pub async fn decided_with(&self, record: &PartRecord, token: &str) -> Result<Option<PartRecord>> {
        for attempt in 0.. {
            let key = self.keys.part_record(&record.window, &record.slice, attempt);
            let Some(other) = self.read::<PartRecord>(&key).await? else {
                break;
            };
            if other.staged.as_ref().is_some_and(|staged| staged.token == token) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    async fn read<T: DeserializeOwned + Versioned>(&self, key: &str) -> Result<Option<T>> {
        let Some(object) = self.store.get(key).await? else {
            return Ok(None);
        };
        let mut deserializer = serde_json::Deserializer::from_slice(&object.body);
        let document: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let message = format!("{key} is not what Tidemark wrote there");
            Error::with_source(ErrorCode::LedgerInvalid, message, error)
        })?;
        if !(VERSION..=T::LATEST).contains(&document.version()) {
            let message = format!(
                "{key} has version {}, this Tidemark knows {}: deploy the later one",
                document.version(),
                T::LATEST
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(Some(document))
    }
}

impl<S: ReadObjects + CreateObjects> Ledger<'_, S> {
    /// Freezes `plan`, or returns the plan that was frozen before. The flag says that it was adopted.
    pub async fn freeze(&self, plan: Plan) -> Result<(Plan, bool)> {
        // W1
        let key = self.keys.plan(&plan.window);
        let frozen = self.create_or_read(&key, plan.clone()).await?;
        let adopted = frozen != plan;
        Ok((frozen, adopted))
    }

    /// Decides `record` for its slice, or returns the record that was decided before.
    pub async fn decide(&self, record: PartRecord) -> Result<PartRecord> {
        // W2
        let key = self.keys.part_record(&record.window, &record.slice, record.attempt);
        self.create_or_read(&key, record).await
    }

    /// Voids a decision whose upload has expired, so that the slice can be copied again.
    pub async fn void(&self, record: &PartRecord, run_id: &str) -> Result<()> {
        let key = self.keys.part_void(&record.window, &record.slice, record.attempt);
        self.create(&key, &serde_json::json!({ "run_id": run_id }))
            .await
            .map(drop)
    }

    /// Leaves in the window after `plan`'s what its columns are, for the comparison with that window's. Comes before the
    /// manifest, so that there is one wherever a committed window ends.
    ///
    /// A window without changes whose plan found no columns to pass on leaves none.
    pub async fn leave_columns(&self, plan: &Plan) -> Result<()> {
        if plan.columns.is_empty() {
            return Ok(());
        }
        let previous = Previous {
            version: VERSION,
            window: plan.window.clone(),
            columns: plan.columns.clone(),
            schema: fingerprint(&plan.columns),
        };
        let next = WindowName::after(&plan.new_watermark);
        self.create(&self.keys.previous(&next), &previous).await.map(drop)
    }

    /// Commits a window, or returns the manifest that committed it before.
    pub async fn commit(&self, manifest: Manifest) -> Result<Manifest> {
        // W4
        let key = self.keys.manifest(&manifest.window);
        self.create_or_read(&key, manifest).await
    }

    /// Writes `document` at `key`, or returns the one that was written there before.
    async fn create_or_read<T: Serialize + DeserializeOwned + Versioned>(&self, key: &str, document: T) -> Result<T> {
        match self.create(key, &document).await? {
            Created::Created => Ok(document),
            Created::AlreadyExists => self.read(key).await?.ok_or_else(|| missing(key)),
        }
    }

    async fn create<T: Serialize>(&self, key: &str, document: &T) -> Result<Created> {
        let body = serde_json::to_vec_pretty(document)
            .map_err(|error| Error::with_source(ErrorCode::Internal, format!("cannot write {key}"), error))?;
        self.store.create(key, Bytes::from(body)).await
    }
}

fn missing(key: &str) -> Error {
    Error::new(
        ErrorCode::LedgerInvalid,
        format!(
            "{key} is missing, though the ledger says it was written: restore it, objects of the ledger are never deleted"
        ),
    )
}

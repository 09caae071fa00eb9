//! The documents of one table: plans, records and manifests, read with their place checked, and written once.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::Keys;
use super::limits::AT_ONCE;
use super::place::Place;
use super::replaced;
use super::version::check_version;
use crate::error::{Error, ErrorCode, Result};
use crate::model::hold::Hold;
use crate::model::loaders::AddressedPart;
use crate::model::manifest::{Manifest, ManifestPart, Previous};
use crate::model::names::ObjectName;
use crate::model::plan::{Plan, PlanId};
use crate::model::record::{Attempt, Record};
use crate::model::table::RunSettings;
use crate::model::window::WindowName;
use crate::ports::objects::{CreateObjects, Created, ReadObjects};

/// A document of the ledger, which says of itself where it belongs.
pub(super) trait Document: DeserializeOwned {
    /// Returns the version of its form.
    fn version(&self) -> u32;
    /// Returns the table that it belongs to, where it says so.
    fn table(&self) -> Option<&ObjectName>;
    /// Returns the window that it belongs to, where it says so.
    fn window(&self) -> Option<&WindowName>;
}

macro_rules! document {
    ($document:ty, $table:expr, $window:expr) => {
        impl Document for $document {
            fn version(&self) -> u32 {
                self.version
            }

            fn table(&self) -> Option<&ObjectName> {
                let table: fn(&Self) -> Option<&ObjectName> = $table;
                table(self)
            }

            fn window(&self) -> Option<&WindowName> {
                let window: fn(&Self) -> Option<&WindowName> = $window;
                window(self)
            }
        }
    };
}

document!(Plan, |plan| Some(&plan.table), |plan| Some(&plan.window));
document!(Record, |_| None, |record| Some(&record.window));
document!(Manifest, |manifest| Some(&manifest.table), |manifest| Some(
    &manifest.window
));
// The window that it names is the one before the one in whose folder it lies, so it is not compared.
document!(Previous, |_| None, |_| None);
document!(Hold, |hold| Some(&hold.table), |_| None);

/// Typed access to the ledger of one table.
#[derive(Debug)]
pub struct Ledger<'a, S> {
    pub(super) store: &'a S,
    pub(super) table: &'a ObjectName,
    pub(super) keys: Keys,
}

impl<'a, S> Ledger<'a, S> {
    /// Makes the ledger of `table` in this place.
    pub fn new(place: Place<'a, S>, table: &'a ObjectName) -> Self {
        Self {
            store: place.store,
            table,
            keys: Keys::new(place.prefix, table),
        }
    }

    /// Returns the keys of this table.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }
}

impl<S> Clone for Ledger<'_, S> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            ..*self
        }
    }
}

/// A frozen plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The plan.
    pub plan: Plan,
    /// Whether another run froze it.
    pub adopted: bool,
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// Returns the plan of a window, if one is frozen.
    pub async fn plan(&self, window: &WindowName) -> Result<Option<Plan>> {
        self.read(&self.keys.plan(window), window).await
    }

    /// Returns the plan of a window that must have one, to copy its rows.
    ///
    /// Errors: those of [`existing_plan`](Self::existing_plan); `InvalidInput` when it was frozen with another condition or sink
    /// than `settings`, which came with the event. The plan's own condition and sink are never used.
    pub async fn frozen_plan(&self, window: &WindowName, settings: &RunSettings) -> Result<Plan> {
        let plan = self.existing_plan(window).await?;
        check_settings(&plan, settings)?;
        Ok(plan)
    }

    /// Returns the plan of a window that must have one, for a caller that copies nothing of it.
    ///
    /// Errors: `InvalidInput` when there is no plan yet; `LedgerInvalid` when the plan of a committed window is gone.
    pub async fn existing_plan(&self, window: &WindowName) -> Result<Plan> {
        if let Some(plan) = self.plan(window).await? {
            return Ok(plan);
        }
        // What is committed had a plan (W4).
        Err(match self.manifest(window).await? {
            Some(_) => missing(&self.keys.plan(window)),
            None => no_plan(self.table, window),
        })
    }

    /// Checks that `plan` is still the plan of its window.
    ///
    /// Errors: `InvalidInput` when the window was given up, or its table started over.
    pub async fn check_current(&self, plan: &Plan) -> Result<()> {
        if self.is_current(&plan.window, &plan.id()).await? {
            return Ok(());
        }
        Err(Error::about(ErrorCode::InvalidInput, &plan.table, |table| {
            format!(
                "window {} of {table} was given up, or the table was started over, while it was copied: the next run plans it anew",
                plan.window
            )
        }))
    }

    /// Returns whether the plan of `window` has this identity.
    pub(crate) async fn is_current(&self, window: &WindowName, id: &PlanId) -> Result<bool> {
        Ok(self.plan(window).await?.is_some_and(|plan| plan.id() == *id))
    }

    /// Returns the manifest of a window, if it is committed.
    ///
    /// A commit that is held up while its window is given up, or its table started over, may write a manifest at any
    /// time after that. Such a manifest belongs to a plan that is gone, and commits nothing.
    pub async fn manifest(&self, window: &WindowName) -> Result<Option<Manifest>> {
        match self.plan(window).await? {
            Some(plan) => self.commit_of(&plan).await,
            None => Ok(None),
        }
    }

    /// Returns the same for a caller that has just read the plan of the window.
    pub(crate) async fn commit_of(&self, plan: &Plan) -> Result<Option<Manifest>> {
        let manifest = self.any_manifest(&plan.window).await?;
        Ok(manifest.filter(|manifest| manifest.plan == plan.id()))
    }

    /// Returns the manifest that committed the window of `plan`, if it is committed.
    ///
    /// Errors: `LedgerInvalid` when the manifest of another plan is in its place.
    pub async fn manifest_of(&self, plan: &Plan) -> Result<Option<Manifest>> {
        match self.any_manifest(&plan.window).await? {
            Some(manifest) if manifest.plan != plan.id() => Err(self.occupied(&self.keys.manifest(&plan.window))),
            manifest => Ok(manifest),
        }
    }

    /// Returns the manifest that is in this window's folder, whichever plan it belongs to.
    pub(super) async fn any_manifest(&self, window: &WindowName) -> Result<Option<Manifest>> {
        self.read(&self.keys.manifest(window), window).await
    }

    /// Returns the document about the window that ends where `window` begins, or `None` when there is none.
    pub async fn previous(&self, window: &WindowName) -> Result<Option<Previous>> {
        let Some(previous) = self.any_previous(window).await? else {
            return Ok(None);
        };
        let is_its_own = self.is_current(&previous.window, &previous.plan).await?;
        Ok(is_its_own.then_some(previous))
    }

    /// Returns that document, whichever plan it belongs to.
    pub(crate) async fn any_previous(&self, window: &WindowName) -> Result<Option<Previous>> {
        self.read(&self.keys.previous(window), window).await
    }

    /// Makes the error for a document that belongs at `key` and cannot be written, because one of another plan is
    /// there.
    fn occupied(&self, key: &str) -> Error {
        let table = self.table;
        let message = format!(
            "{key} is of another plan of its window: a run that was held up wrote it after the window was given up, or the table \
             started over. Put it aside with `tidemark give-up {table} --yes`; the next run plans the window anew"
        );
        Error::new(ErrorCode::LedgerInvalid, message)
    }

    /// Checks that every object that a manifest names is there with its size.
    ///
    /// Errors: `LedgerInvalid` naming the first that is not.
    pub async fn check_objects(&self, manifest: &Manifest) -> Result<()> {
        let asked = manifest.parts.iter().map(|part| async move {
            let size = self.store.size(&part.key).await?;
            Ok((part, size))
        });
        let mut asked = stream::iter(asked).buffered(AT_ONCE);
        while let Some(answer) = asked.next().await {
            let answer: Result<(&ManifestPart, Option<u64>)> = answer;
            let (part, size) = answer?;
            let found = match size {
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

    /// Returns the document at `key`, which must belong to this table and to `window`, as far as it says so.
    pub(super) async fn read<T: Document>(&self, key: &str, window: &WindowName) -> Result<Option<T>> {
        let Some(object) = self.store.get(key).await? else {
            return Ok(None);
        };
        let document: T = match serde_json::from_slice(&object.body) {
            Ok(document) => document,
            Err(error) => return Err(unreadable(key, error)),
        };
        check_version(key, document.version())?;
        let is_of_place = document.table().is_none_or(|table| table == self.table)
            && document.window().is_none_or(|named| named == window);
        if !is_of_place {
            let message =
                format!("{key} is the document of another table or window: restore what Tidemark wrote there");
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(Some(document))
    }
}

impl<S: ReadObjects + CreateObjects> Ledger<'_, S> {
    /// Freezes `plan`, or returns the plan that was frozen before.
    pub async fn freeze(&self, plan: Plan) -> Result<Frozen> {
        // W1
        let (key, window) = (self.keys.plan(&plan.window), plan.window.clone());
        let frozen = self.create_or_read(&key, &window, plan.clone()).await?;
        let adopted = frozen != plan;
        Ok(Frozen { plan: frozen, adopted })
    }

    /// Decides `record` for its slice, or returns the record of the same plan that was decided before.
    pub async fn decide(&self, mut record: Record) -> Result<Record> {
        // W2
        let window = record.window.clone();
        loop {
            let key = self.keys.record(&attempt_of(&record));
            let decided = self.create_or_read(&key, &window, record.clone()).await?;
            if decided.plan == record.plan {
                return decided.sub_slices().map(|_| decided);
            }
            record.attempt += 1;
        }
    }

    /// Voids a decision whose upload has expired, so that the slice can be copied again.
    pub async fn void(&self, record: &Record, run_id: &str) -> Result<()> {
        let key = self.keys.void(&attempt_of(record));
        self.create(&key, &serde_json::json!({ "run_id": run_id }))
            .await
            .map(drop)
    }

    /// Writes what the columns of `plan`'s window are into the folder of the window after it, for comparison with that
    /// window's. It comes before the manifest, so that the document is there wherever a committed window ends.
    ///
    /// A window without changes whose plan found no columns to pass on writes nothing.
    ///
    /// Errors: `LedgerInvalid` when the document of another plan is in its place.
    pub async fn leave_columns(&self, plan: &Plan, mask_key: Option<&str>) -> Result<()> {
        if plan.columns.is_empty() {
            return Ok(());
        }
        let next = WindowName::after(&plan.new_watermark);
        let key = self.keys.previous(&next);
        let left = self.create_or_read(&key, &next, Previous::of(plan, mask_key)).await?;
        if left.plan == plan.id() {
            Ok(())
        } else {
            Err(self.occupied(&key))
        }
    }

    /// Writes what loaders of other systems read to find these parts, which are all visible. It comes before the
    /// window's own manifest, so that a window that is committed has them, and whoever repeats the commit finds them
    /// (W4, W6).
    ///
    /// Errors: `LedgerInvalid` when those of another plan are in their place.
    pub async fn leave_loader_manifests(&self, plan: &Plan, parts: &[ManifestPart]) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let parts = parts.iter().map(|part| AddressedPart {
            address: self.store.address(&part.key),
            bytes: part.bytes,
        });
        let parts: Vec<AddressedPart> = parts.collect();
        for loader in &plan.loader_manifests {
            // The parts of a window are decided, so everyone writes the same.
            let (key, body) = (self.keys.loader(plan, *loader), Bytes::from(loader.text(&parts)));
            if self.store.create(&key, body.clone()).await? == Created::AlreadyExists
                && self.store.get(&key).await?.is_none_or(|there| there.body != body)
            {
                return Err(self.occupied(&key));
            }
        }
        Ok(())
    }

    /// Commits a window, or returns the manifest that committed it before.
    ///
    /// Errors: `LedgerInvalid` when the manifest of another plan is in its place.
    pub async fn commit(&self, manifest: Manifest) -> Result<Manifest> {
        // W4
        let (key, window, plan) = (
            self.keys.manifest(&manifest.window),
            manifest.window.clone(),
            manifest.plan.clone(),
        );
        let there = self.create_or_read(&key, &window, manifest).await?;
        if there.plan == plan {
            Ok(there)
        } else {
            Err(self.occupied(&key))
        }
    }

    /// Writes `document` at `key`, or returns the one that was written there before.
    pub(super) async fn create_or_read<T: Serialize + Document>(
        &self,
        key: &str,
        window: &WindowName,
        document: T,
    ) -> Result<T> {
        match self.create(key, &document).await? {
            Created::Created => Ok(document),
            Created::AlreadyExists => self.read(key, window).await?.ok_or_else(|| missing(key)),
        }
    }

    async fn create<T: Serialize>(&self, key: &str, document: &T) -> Result<Created> {
        self.store.create(key, replaced::to_json(key, document)?).await
    }
}

/// Makes the error for a document at `key` that cannot be parsed. The cause names the line and column, which help
/// because documents are written for people to read.
fn unreadable(key: &str, error: serde_json::Error) -> Error {
    let message = format!("{key} is not what Tidemark wrote there (restore it)");
    Error::with_source(ErrorCode::LedgerInvalid, message, error)
}

/// Returns the attempt that a record decides.
pub(super) fn attempt_of(record: &Record) -> Attempt {
    Attempt {
        window: record.window.clone(),
        slice: record.slice.clone(),
        number: record.attempt,
        plan: record.plan.clone(),
    }
}

/// Checks that a plan was frozen with these settings.
///
/// Errors: `InvalidInput`, naming the setting that differs and what to do.
pub fn check_settings(plan: &Plan, settings: &RunSettings) -> Result<()> {
    let changed = if plan.filter != settings.filter {
        "where"
    } else if plan.sink != settings.sink {
        "sink"
    } else {
        return Ok(());
    };
    Err(Error::about(ErrorCode::InvalidInput, &plan.table, |table| {
        format!(
            "window {} of {table} was frozen with another {changed} than the one given now: put {changed} back until the window is \
             committed, or give the window up (`tidemark give-up`, docs/how-to/repair.md)",
            plan.window
        )
    }))
}

fn no_plan(table: &ObjectName, window: &WindowName) -> Error {
    Error::about(ErrorCode::InvalidInput, table, |table| {
        format!(
            "window {window} of {table} has no plan yet: run lookup-old-watermark and lookup-new-watermark first; the second freezes \
             the plan, and names the window in its answer"
        )
    })
}

fn missing(key: &str) -> Error {
    Error::new(
        ErrorCode::LedgerInvalid,
        format!(
            "{key} is missing, though the ledger says it was written: restore it, objects of the ledger are never deleted"
        ),
    )
}

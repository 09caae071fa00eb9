//! Ports that stop, fail or wait at a chosen call, in front of any others.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

use bytes::Bytes;

use crate::error::{Answer, Error, ErrorCode, Failure, Fault as Happened, Result};
use crate::model::audit::AuditTypes;
use crate::model::bucket::BucketSettings;
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::record::{UploadedObject, UploadedPiece};
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::types::{Column, TypeName, WantedForms};
use crate::model::watermark::{StoredWatermark, Watermark, WatermarkKey};
use crate::ports::archive::ArchiveObjects;
use crate::ports::changes::{ChangeColumns, ProbeChanges, Versions};
use crate::ports::objects::{
    AskBucket, CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced,
    Upload, UploadObjects,
};
use crate::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};
use crate::ports::sink_table::{MergeRows, Merged, SliceToMerge, StagedRows};
use crate::ports::source::{
    Catalog, CountRows, CutColumn, CutSource, DeclaredColumn, Extent, Growth, Histogram, KnowTypes, LeadingColumn,
    ProbeSource, RowsToCut, WatermarkColumn,
};
use crate::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};

/// The number of interleavings that a test tries at least.
const SEEDS: u64 = 200;

/// Returns how many interleavings a test tries: `SEEDS`, or more where somebody asks for more. Tests pass the content
/// of the environment variable `SOAK_SEEDS`.
#[must_use]
pub fn seeds(asked: Option<String>) -> u64 {
    let asked = asked.and_then(|seeds| seeds.parse().ok());
    asked.unwrap_or(0).max(SEEDS)
}

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the call, and every later call fails too.
    CrashBefore,
    /// The process dies after the call took effect.
    CrashAfter,
    /// The call fails once without effect, with a retryable error.
    FailsOnce,
    /// The call takes effect and its answer is lost, once.
    AnswerLost,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::CrashBefore, Self::CrashAfter, Self::FailsOnce, Self::AnswerLost];
}

/// Counts the calls of all ports of a run and disturbs them.
#[derive(Debug, Default)]
pub struct Gate {
    calls: Cell<usize>,
    fault: Option<(usize, Fault)>,
    dead: Cell<bool>,
    /// The calls made, by name, for the report of a failing case.
    log: RefCell<Vec<&'static str>>,
    /// A seed for waiting a few turns before and after each call, or 0 for no waiting.
    seed: Cell<u64>,
    /// The name of calls that wait for so many turns of other tasks.
    held_up: Option<(&'static str, usize)>,
    /// The name of calls that wait until they are released.
    held: Option<&'static str>,
    /// Whether they are released.
    released: Cell<bool>,
    /// The name of calls that never end.
    silent: Option<&'static str>,
}

impl Gate {
    /// Makes a gate at which `fault` happens at the call of this number, counted from 0.
    #[must_use]
    pub fn at(call: usize, fault: Fault) -> Self {
        Self {
            fault: Some((call, fault)),
            ..Self::default()
        }
    }

    /// Makes a gate whose calls wait for other tasks now and then, as the seed decides.
    #[must_use]
    pub fn waiting(seed: u64) -> Self {
        Self {
            seed: Cell::new(seed.max(1)),
            ..Self::default()
        }
    }

    /// Returns the same gate, at which every call of this name waits for so many turns of other tasks.
    #[must_use]
    pub fn held_up_at(self, name: &'static str, turns: usize) -> Self {
        Self {
            held_up: Some((name, turns)),
            ..self
        }
    }

    /// Makes a gate at which every call of this name waits until the calls are [released](Self::release).
    #[must_use]
    pub fn holding(name: &'static str) -> Self {
        Self {
            held: Some(name),
            ..Self::waiting(1)
        }
    }

    /// Lets the calls go on that are held.
    pub fn release(&self) {
        self.released.set(true);
    }

    /// Makes a gate at which calls of this name never end.
    #[must_use]
    pub fn silent_at(name: &'static str) -> Self {
        Self {
            silent: Some(name),
            ..Self::default()
        }
    }

    /// Returns whether the chosen call was reached.
    pub fn was_reached(&self) -> bool {
        self.fault.is_some_and(|(call, _)| self.calls.get() > call)
    }

    /// Returns the names of the calls made so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.log.borrow().clone()
    }

    /// Runs `work` as a call of this gate.
    async fn call<T, E: Disturb>(
        &self,
        name: &'static str,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        if self.dead.get() {
            return Err(E::final_one("the process is dead"));
        }
        let number = self.calls.get();
        self.calls.set(number + 1);
        self.log.borrow_mut().push(name);
        self.wait().await;
        if self.silent == Some(name) {
            return std::future::pending().await;
        }
        while self.held == Some(name) && !self.released.get() {
            tokio::task::yield_now().await;
        }
        let held_up = self.held_up.filter(|(held_up, _)| *held_up == name);
        for _ in 0..held_up.map_or(0, |(_, turns)| turns) {
            tokio::task::yield_now().await;
        }
        let fault = self.fault.filter(|(call, _)| *call == number).map(|(_, fault)| fault);
        match fault {
            Some(Fault::CrashBefore) => return self.die(),
            Some(Fault::FailsOnce) => return Err(E::passing_one("failed once")),
            _ => {}
        }
        let answer = work.await;
        self.wait().await;
        match fault {
            Some(Fault::CrashAfter) => self.die(),
            Some(Fault::AnswerLost) => Err(E::passing_one("the answer is lost")),
            _ => answer,
        }
    }

    fn die<T, E: Disturb>(&self) -> std::result::Result<T, E> {
        self.dead.set(true);
        Err(E::final_one("the process died"))
    }

    async fn wait(&self) {
        let seed = self.seed.get();
        if seed == 0 {
            return;
        }
        // Xorshift: any sequence will do, as long as the same seed gives it again.
        let mut next = seed;
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        self.seed.set(next);
        for _ in 0..next % 4 {
            tokio::task::yield_now().await;
        }
    }
}

/// The error of a disturbed port.
trait Disturb {
    /// Makes a failure after which the same call may succeed.
    fn passing_one(message: &str) -> Self;
    /// Makes a failure that lasts.
    fn final_one(message: &str) -> Self;
}

/// The errors of the bucket.
impl Disturb for Error {
    fn passing_one(message: &str) -> Self {
        Self::new(ErrorCode::SinkUnavailable, message)
    }

    fn final_one(message: &str) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

/// The failures of a database.
impl Disturb for Failure {
    fn passing_one(message: &str) -> Self {
        Self::new(Happened::Unreachable, message)
    }

    fn final_one(message: &str) -> Self {
        Error::final_one(message).into()
    }
}

/// Ports behind a gate.
#[derive(Debug)]
pub struct Gated<'a, T> {
    gate: &'a Gate,
    inner: T,
}

impl<'a, T> Gated<'a, T> {
    /// Puts `inner` behind `gate`.
    pub const fn new(gate: &'a Gate, inner: T) -> Self {
        Self { gate, inner }
    }
}

impl<T: ReadObjects> ReadObjects for Gated<'_, &T> {
    fn address(&self, key: &str) -> String {
        self.inner.address(key)
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        self.gate.call("get", self.inner.get(key)).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        self.gate.call("size", self.inner.size(key)).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        self.gate.call("folders", self.inner.folders(prefix)).await
    }
}

impl<T: AskBucket> AskBucket for Gated<'_, &T> {
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>> {
        self.gate.call("settings", self.inner.settings(prefix)).await
    }
}

impl<T: CreateObjects> CreateObjects for Gated<'_, &T> {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        self.gate.call("create", self.inner.create(key, body)).await
    }
}

impl<T: ReplaceObjects> ReplaceObjects for Gated<'_, &T> {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        self.gate.call("replace", self.inner.replace(key, body, expected)).await
    }
}

impl<T: ArchiveObjects> ArchiveObjects for Gated<'_, &T> {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.gate.call("list", self.inner.list(prefix)).await
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        self.gate.call("archive", self.inner.archive(from, to)).await
    }
}

impl<T: UploadObjects> UploadObjects for Gated<'_, &T> {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        self.gate.call("begin", self.inner.begin(key, content_type)).await
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        let uploaded = self.inner.upload(upload, number, body);
        self.gate.call("upload", uploaded).await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.gate.call("abort", self.inner.abort(upload)).await
    }
}

impl<T: CompleteObjects> CompleteObjects for Gated<'_, &T> {
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed> {
        self.gate.call("complete", self.inner.complete(upload)).await
    }
}

/// It asks nobody, so there is nothing to disturb.
impl<T: KnowTypes> KnowTypes for Gated<'_, &T> {
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark> {
        self.inner.watermark(sql_type, text)
    }

    fn watermark_types(&self) -> &'static str {
        self.inner.watermark_types()
    }

    fn holds(&self, store: &TypeName, column: &TypeName) -> bool {
        self.inner.holds(store, column)
    }

    fn audit_types(&self) -> AuditTypes {
        self.inner.audit_types()
    }
}

impl<T: ProbeSource> ProbeSource for Gated<'_, &T> {
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        self.gate.call("catalogs", self.inner.catalogs(tables)).await
    }

    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>> {
        let columns = self.inner.columns(table, only, catalog, wanted);
        self.gate.call("columns", columns).await
    }

    fn has_mask_key(&self) -> bool {
        self.inner.has_mask_key()
    }

    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering> {
        self.gate.call("compare", self.inner.compare(one, other)).await
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth> {
        self.gate.call("growth", self.inner.growth(column, old)).await
    }

    async fn accepts(&self, table: &ObjectName, filter: &Predicate) -> Answer<()> {
        self.gate.call("accepts", self.inner.accepts(table, filter)).await
    }
}

impl<T: ProbeChanges> ProbeChanges for Gated<'_, &T> {
    fn change_columns(&self, wanted: WantedForms) -> ChangeColumns {
        self.inner.change_columns(wanted)
    }

    async fn versions(&self, table: &ObjectName) -> Answer<Versions> {
        self.gate.call("versions", self.inner.versions(table)).await
    }

    async fn primary_key(&self, table: &ObjectName) -> Answer<Vec<String>> {
        self.gate.call("primary_key", self.inner.primary_key(table)).await
    }

    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Answer<bool> {
        let has_changes = self.inner.has_changes(table, after, up_to);
        self.gate.call("has_changes", has_changes).await
    }
}

impl<T: CutSource> CutSource for Gated<'_, &T> {
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>> {
        self.gate.call("extent", self.inner.extent(table)).await
    }

    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>> {
        let columns = self.inner.leading_columns(table);
        self.gate.call("leading_columns", columns).await
    }

    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram> {
        let histogram = self.inner.histogram(table, column, below);
        self.gate.call("histogram", histogram).await
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>> {
        let nth = self.inner.nth_watermark(interval, number);
        self.gate.call("nth_watermark", nth).await
    }

    async fn sample_watermarks(&self, interval: &Interval<'_>, count: u64) -> Answer<Vec<Watermark>> {
        let sample = self.inner.sample_watermarks(interval, count);
        self.gate.call("sample_watermarks", sample).await
    }

    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>> {
        let nth = self.inner.nth_key(rows, range, sql_type, number);
        self.gate.call("nth_key", nth).await
    }
}

impl<T: CountRows> CountRows for Gated<'_, &T> {
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
        self.gate.call("count", self.inner.count(rows)).await
    }
}

/// It asks nobody, so there is nothing to disturb.
impl<T: ExplainRows> ExplainRows for Gated<'_, T> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.inner.explain(rows, columns)
    }
}

impl<T: ReadRows> ReadRows for Gated<'_, T> {
    type Batch = T::Batch;

    async fn read<B: TakeBatches<T::Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut B,
    ) -> Answer<RowsRead> {
        let read = self.inner.read(rows, columns, batches);
        self.gate.call("read", read).await
    }
}

impl<'a, T: MergeRows> MergeRows for Gated<'a, &T> {
    type Batch = T::Batch;
    type Staged = Gated<'a, T::Staged>;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<Self::Staged> {
        let inner = self.gate.call("stage", self.inner.stage(slice)).await?;
        Ok(Gated::new(self.gate, inner))
    }
}

impl<B, T: StagedRows<B>> StagedRows<B> for Gated<'_, T> {
    async fn load(&mut self, batch: B) -> Answer<u64> {
        self.gate.call("load", self.inner.load(batch)).await
    }

    async fn lock(&mut self) -> Answer<()> {
        self.gate.call("lock", self.inner.lock()).await
    }

    async fn merge(&mut self) -> Answer<Merged> {
        self.gate.call("merge", self.inner.merge()).await
    }

    async fn release(self) {
        let release = async {
            self.inner.release().await;
            Ok::<_, Failure>(())
        };
        // A process that stops here leaves nothing undone.
        let _ = self.gate.call("release", release).await;
    }
}

impl<T: ReadWatermarks> ReadWatermarks for Gated<'_, &T> {
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark> {
        self.gate.call("stored", self.inner.stored(key)).await
    }

    async fn all_stored(&self, keys: &[WatermarkKey]) -> Answer<Vec<Option<StoredWatermark>>> {
        self.gate.call("all_stored", self.inner.all_stored(keys)).await
    }

    fn takes_turns(&self) -> bool {
        self.inner.takes_turns()
    }
}

impl<T: MoveWatermarks> MoveWatermarks for Gated<'_, &T> {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved> {
        let moved = self.inner.advance(key, expected, new);
        self.gate.call("advance", moved).await
    }
}

impl<T: ClearWatermarks> ClearWatermarks for Gated<'_, &T> {
    async fn clear(&self, key: &WatermarkKey, reset: &str) -> Answer<()> {
        self.gate.call("clear", self.inner.clear(key, reset)).await
    }
}

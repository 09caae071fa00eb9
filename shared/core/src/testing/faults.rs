//! Ports that stop, fail or wait at a chosen call, in front of any others.

use std::cell::{Cell, RefCell};

use arrow_array::RecordBatch;
use bytes::Bytes;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ports::changes::{ProbeChanges, Versions};
use tidemark::ports::merge::{MergeRows, Merged, SliceToMerge, StagedRows};
use tidemark::ports::objects::{
    CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced, StageObjects,
    StagedObject, StagedPiece, Upload,
};
use tidemark::ports::rows::{BatchSink, RowSource};
use tidemark::ports::source::{
    CountSource, DeclaredColumn, Extent, Growth, Histogram, LeadingColumn, ProbeSource, SliceSource, WatermarkColumn,
};
use tidemark::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks, StoredWatermark, WatermarkKey};
use tidemark::query::slices::{KeyRange, KeyedRows};
use tidemark::query::{Interval, Query};
use tidemark::shape::Shape;
use tidemark::types::SqlType;
use tidemark::watermark::Watermark;

/// Interleavings that a test tries at least.
const SEEDS: u64 = 200;

/// How many interleavings a test tries: 200, or more where `SOAK_SEEDS` says so.
#[must_use]
pub fn seeds() -> u64 {
    let asked = std::env::var("SOAK_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
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
    /// All of them.
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
    /// A seed for waiting a few turns before and after each call, 0 for none.
    seed: Cell<u64>,
    /// A call that waits for as many turns of others.
    held_up: Option<(&'static str, usize)>,
}

impl Gate {
    /// `fault` happens at the call of this number, from 0.
    #[must_use]
    pub fn at(call: usize, fault: Fault) -> Self {
        Self {
            fault: Some((call, fault)),
            ..Self::default()
        }
    }

    /// Calls wait for other tasks now and then, as the seed says.
    #[must_use]
    pub fn waiting(seed: u64) -> Self {
        Self {
            seed: Cell::new(seed.max(1)),
            ..Self::default()
        }
    }

    /// The same, and every call of this name waits for as many turns of others.
    #[must_use]
    pub fn held_up_at(self, name: &'static str, turns: usize) -> Self {
        Self {
            held_up: Some((name, turns)),
            ..self
        }
    }

    /// Whether the chosen call was reached.
    pub fn was_reached(&self) -> bool {
        self.fault.is_some_and(|(call, _)| self.calls.get() > call)
    }

    /// The names of the calls made so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.log.borrow().clone()
    }

    /// Runs `work` as a call of this gate. `code` is the retryable error of its port.
    async fn call<T>(&self, name: &'static str, code: ErrorCode, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.dead.get() {
            return Err(Error::new(ErrorCode::Internal, "the process is dead"));
        }
        let number = self.calls.get();
        self.calls.set(number + 1);
        self.log.borrow_mut().push(name);
        self.wait().await;
        for _ in 0..self
            .held_up
            .filter(|(held_up, _)| *held_up == name)
            .map_or(0, |(_, turns)| turns)
        {
            tokio::task::yield_now().await;
        }
        let fault = self.fault.filter(|(call, _)| *call == number).map(|(_, fault)| fault);
        match fault {
            Some(Fault::CrashBefore) => return self.die(),
            Some(Fault::FailsOnce) => return Err(Error::new(code, "failed once")),
            _ => {}
        }
        let answer = work.await;
        self.wait().await;
        match fault {
            Some(Fault::CrashAfter) => self.die(),
            Some(Fault::AnswerLost) => Err(Error::new(code, "the answer is lost")),
            _ => answer,
        }
    }

    fn die<T>(&self) -> Result<T> {
        self.dead.set(true);
        Err(Error::new(ErrorCode::Internal, "the process died"))
    }

    async fn wait(&self) {
        let seed = self.seed.get();
        if seed == 0 {
            return;
        }
        // Xorshift: any sequence will do, as long as the seed gives it again.
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

/// Ports behind a gate.
#[derive(Debug)]
pub struct Gated<'a, T> {
    gate: &'a Gate,
    inner: T,
}

impl<'a, T> Gated<'a, T> {
    /// `inner` behind `gate`.
    pub const fn new(gate: &'a Gate, inner: T) -> Self {
        Self { gate, inner }
    }
}

const SINK: ErrorCode = ErrorCode::SinkUnavailable;
const SOURCE: ErrorCode = ErrorCode::SourceUnavailable;
const STORE: ErrorCode = ErrorCode::WatermarkStoreUnavailable;

impl<T: ReadObjects> ReadObjects for Gated<'_, &T> {
    async fn get(&self, key: &str) -> Result<Option<Object>> {
        self.gate.call("get", SINK, self.inner.get(key)).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        self.gate.call("size", SINK, self.inner.size(key)).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        self.gate.call("folders", SINK, self.inner.folders(prefix)).await
    }
}

impl<T: CreateObjects> CreateObjects for Gated<'_, &T> {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        self.gate.call("create", SINK, self.inner.create(key, body)).await
    }
}

impl<T: ReplaceObjects> ReplaceObjects for Gated<'_, &T> {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        self.gate
            .call("replace", SINK, self.inner.replace(key, body, expected))
            .await
    }
}

impl<T: StageObjects> StageObjects for Gated<'_, &T> {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        self.gate.call("begin", SINK, self.inner.begin(key, content_type)).await
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<StagedPiece> {
        self.gate
            .call("upload", SINK, self.inner.upload(upload, number, body))
            .await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.gate.call("abort", SINK, self.inner.abort(upload)).await
    }
}

impl<T: CompleteObjects> CompleteObjects for Gated<'_, &T> {
    async fn complete(&self, staged: &StagedObject) -> Result<Completed> {
        self.gate.call("complete", SINK, self.inner.complete(staged)).await
    }
}

impl<T: ProbeSource> ProbeSource for Gated<'_, &T> {
    async fn columns(&self, table: &ObjectName, only: Option<&[&Identifier]>) -> Result<Vec<DeclaredColumn>> {
        self.gate.call("columns", SOURCE, self.inner.columns(table, only)).await
    }

    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Growth> {
        self.gate.call("growth", SOURCE, self.inner.growth(column, old)).await
    }
}

impl<T: ProbeChanges> ProbeChanges for Gated<'_, &T> {
    async fn versions(&self, table: &ObjectName) -> Result<Versions> {
        self.gate.call("versions", SOURCE, self.inner.versions(table)).await
    }

    async fn primary_key(&self, table: &ObjectName) -> Result<Vec<String>> {
        self.gate
            .call("primary_key", SOURCE, self.inner.primary_key(table))
            .await
    }

    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Result<bool> {
        self.gate
            .call("has_changes", SOURCE, self.inner.has_changes(table, after, up_to))
            .await
    }
}

impl<T: SliceSource> SliceSource for Gated<'_, &T> {
    async fn extent(&self, table: &ObjectName) -> Result<Option<Extent>> {
        self.gate.call("extent", SOURCE, self.inner.extent(table)).await
    }

    async fn leading_columns(&self, table: &ObjectName) -> Result<Vec<LeadingColumn>> {
        self.gate
            .call("leading_columns", SOURCE, self.inner.leading_columns(table))
            .await
    }

    async fn histogram(
        &self,
        table: &ObjectName,
        column: &Identifier,
        sql_type: SqlType,
        below: Option<&Watermark>,
    ) -> Result<Histogram> {
        let answer = self.inner.histogram(table, column, sql_type, below);
        self.gate.call("histogram", SOURCE, answer).await
    }

    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Result<Option<Watermark>> {
        self.gate
            .call("nth_watermark", SOURCE, self.inner.nth_watermark(interval, number))
            .await
    }

    async fn nth_key(
        &self,
        rows: &KeyedRows<'_>,
        range: &KeyRange<'_>,
        sql_type: SqlType,
        number: u64,
    ) -> Result<Option<Watermark>> {
        self.gate
            .call("nth_key", SOURCE, self.inner.nth_key(rows, range, sql_type, number))
            .await
    }
}

impl<T: CountSource> CountSource for Gated<'_, &T> {
    async fn count(&self, query: &Query) -> Result<u64> {
        self.gate.call("count", SOURCE, self.inner.count(query)).await
    }
}

impl<T: RowSource> RowSource for Gated<'_, T> {
    async fn read<S: BatchSink>(&mut self, query: &Query, shape: &Shape, sink: &mut S) -> Result<u64> {
        self.gate
            .call("read", SOURCE, self.inner.read(query, shape, sink))
            .await
    }

    async fn read_guarded<S: BatchSink>(
        &mut self,
        guard: &Query,
        query: &Query,
        shape: &Shape,
        sink: &mut S,
    ) -> Result<u64> {
        self.gate
            .call(
                "read_guarded",
                SOURCE,
                self.inner.read_guarded(guard, query, shape, sink),
            )
            .await
    }
}

impl<'a, T: MergeRows> MergeRows for Gated<'a, &T> {
    type Staged = Gated<'a, T::Staged>;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<Self::Staged> {
        let inner = self.gate.call("stage", SINK, self.inner.stage(slice)).await?;
        Ok(Gated::new(self.gate, inner))
    }
}

impl<T: StagedRows> StagedRows for Gated<'_, T> {
    async fn load(&mut self, batch: &RecordBatch) -> Result<()> {
        self.gate.call("load", SINK, self.inner.load(batch)).await
    }

    async fn lock(&mut self) -> Result<()> {
        self.gate.call("lock", SINK, self.inner.lock()).await
    }

    async fn merge(&mut self) -> Result<Merged> {
        self.gate.call("merge", SINK, self.inner.merge()).await
    }

    async fn release(self) {
        let release = async {
            self.inner.release().await;
            Ok(())
        };
        // Whoever stops here leaves nothing undone.
        let _ = self.gate.call("release", SINK, release).await;
    }
}

impl<T: ReadWatermarks> ReadWatermarks for Gated<'_, &T> {
    async fn stored(&self, key: &WatermarkKey) -> Result<StoredWatermark> {
        self.gate.call("stored", STORE, self.inner.stored(key)).await
    }
}

impl<T: MoveWatermarks> MoveWatermarks for Gated<'_, &T> {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Result<Moved> {
        self.gate
            .call("advance", STORE, self.inner.advance(key, expected, new))
            .await
    }
}

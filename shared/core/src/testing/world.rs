//! A world in memory for tests of the steps: a table of numbers, a bucket and a watermark store.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "only tests use it, and they fail by panicking"
)]

use std::cell::Cell;
use std::time::Duration;

use super::files::{MemoryBatch, MemoryFiles};
use super::objects::{MemoryStore, TestStore};
use super::pipeline::{Pipeline, RunOutcome};
use super::table::MemoryTable;
use super::types::bigint;
use super::watermarks::MemoryWatermarks;
use crate::error::Result;
use crate::ledger::{Lease, Ledger, Place};
use crate::model::lease::Leases;
use crate::model::names::ObjectName;
use crate::model::table::{RunSettings, TableSpec};
use crate::model::watermark::StoreType;
use crate::model::window::WindowName;
use crate::ports::changes::ProbeChanges;
use crate::ports::rows::ExplainRows;
use crate::ports::sink_table::NoSinks;
use crate::ports::source::{CutSource, ProbeSource};
use crate::steps::backfill::{Backfill, BackfillPorts, BackfillRequest, Range, plan_backfill};
use crate::steps::context::RunContext;
use crate::steps::window_of_run::WindowOfRun;

/// The prefix in the bucket.
pub const PREFIX: &str = "p";
/// The table's name as text.
pub const TABLE: &str = "dbo.t";
/// The size of an upload's pieces, which no test fills.
pub const PART_BYTES: usize = 1 << 20;

/// The four steps over a world in memory, without a table to merge into.
pub type MemoryPipeline<'a, T, S = MemoryStore> =
    Pipeline<'a, T, &'a T, MemoryWatermarks, S, MemoryFiles, NoSinks<MemoryBatch>>;

/// The table `dbo.t (v bigint)`, its bucket and its watermark store, whose values are of the type bigint.
#[derive(Debug)]
pub struct World<S = MemoryStore> {
    /// The source.
    pub table: MemoryTable,
    /// The bucket.
    pub store: S,
    /// The pointer.
    pub watermarks: MemoryWatermarks,
    /// The table's name.
    pub name: ObjectName,
    /// When the next steps run, and whether they take leases. At first they do not.
    pub context: Cell<RunContext>,
}

impl World {
    /// Makes a world whose table has these rows, and nothing else.
    pub fn new(rows: impl IntoIterator<Item = i64>) -> Self {
        Self::over(MemoryStore::default(), rows)
    }
}

impl<S: TestStore> World<S> {
    /// Makes a world over this bucket, whose table has these rows.
    pub fn over(store: S, rows: impl IntoIterator<Item = i64>) -> Self {
        Self {
            table: MemoryTable::new(rows),
            store,
            watermarks: MemoryWatermarks::new(StoreType::Typed(bigint())),
            name: name(),
            context: Cell::new(RunContext::without_leases()),
        }
    }

    /// From now on takes leases, or ignores them.
    #[must_use]
    pub fn taking(self, leases: Leases) -> Self {
        let context = self.context.get();
        self.context.set(RunContext { leases, ..context });
        self
    }

    /// Lets so much time pass.
    pub fn pass(&self, time: Duration) {
        let context = self.context.get();
        let now = context.now + time;
        self.context.set(RunContext { now, ..context });
    }

    /// Returns a world of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            table: self.table.copied(),
            store: self.store.copied(),
            watermarks: self.watermarks.copied(),
            name: self.name.clone(),
            context: self.context.clone(),
        }
    }

    /// Returns the four steps over this world.
    pub fn pipeline(&self) -> MemoryPipeline<'_, MemoryTable, S> {
        Pipeline {
            context: self.context.get(),
            ..pipeline(&self.table, &self.store, &self.watermarks)
        }
    }

    /// Runs one execution, in which no table may fail.
    pub async fn run(&self, run_id: &str) -> RunOutcome {
        let outcome = self.pipeline().run(run_id, &[spec()]).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// Returns the stored watermark.
    pub fn watermark(&self) -> Option<String> {
        self.watermarks.value(&self.name)
    }

    /// Returns the lines of every visible part, sorted.
    pub fn lines(&self) -> Vec<i64> {
        let mut lines = Vec::new();
        for key in self.parts() {
            let body = self.store.body(&key).unwrap();
            let text = std::str::from_utf8(&body).unwrap();
            lines.extend(text.lines().map(|line| line.parse::<i64>().unwrap()));
        }
        lines.sort_unstable();
        lines
    }

    /// Returns the keys of the visible parts.
    pub fn parts(&self) -> Vec<String> {
        let keys = self.store.keys().into_iter();
        keys.filter(|key| key.contains("/part-")).collect()
    }

    /// Returns where the table's files and its ledger are.
    pub const fn place(&self) -> Place<'_, S> {
        Place::new(&self.store, PREFIX)
    }

    /// Returns the ledger of the table.
    pub fn ledger(&self) -> Ledger<'_, S> {
        Ledger::new(self.place(), &self.name)
    }

    /// Returns the table's lease as this run sees it.
    pub fn lease<'a>(&'a self, run_id: &'a str) -> Lease<'a, S> {
        Lease::new(&self.ledger(), run_id, self.context.get().leases)
    }
}

/// Makes the four steps over these ports in memory.
pub fn pipeline<'a, T, S>(table: &'a T, store: &'a S, watermarks: &'a MemoryWatermarks) -> MemoryPipeline<'a, T, S> {
    pipeline_behind(table, table, watermarks, store)
}

/// Makes the four steps over ports behind something: a gate, a fault or a slow reader.
pub fn pipeline_behind<'a, P, R, W, S>(
    source: &'a P,
    reader: R,
    watermarks: &'a W,
    store: &'a S,
) -> Pipeline<'a, P, R, W, S, MemoryFiles, NoSinks<MemoryBatch>> {
    Pipeline {
        part_bytes: PART_BYTES,
        ..Pipeline::new(
            source,
            reader,
            watermarks,
            Place::new(store, PREFIX),
            MemoryFiles,
            NoSinks::default(),
        )
    }
}

/// Plans the backfill of a range of the table. A dry run writes nothing.
pub async fn backfill<P, S>(
    source: &P,
    watermarks: &MemoryWatermarks,
    store: &S,
    spec: TableSpec,
    range: Range,
    dry_run: bool,
) -> Result<Backfill>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    S: TestStore,
{
    let ports = BackfillPorts {
        source,
        watermarks,
        place: Place::new(store, PREFIX),
    };
    let request = BackfillRequest {
        run_id: "again".into(),
        spec,
        range,
        dry_run,
    };
    plan_backfill(ports, request, RunContext::without_leases()).await
}

/// Returns the table's name.
#[must_use]
pub fn name() -> ObjectName {
    TABLE.parse().unwrap()
}

/// Returns the table's settings as a run has them, with its column in another case.
#[must_use]
pub fn spec() -> TableSpec {
    spec_with(serde_json::json!({}))
}

/// Returns the same settings with these fields.
#[must_use]
pub fn spec_with(fields: serde_json::Value) -> TableSpec {
    let mut spec = serde_json::json!({
        "table": TABLE,
        "tracking": { "watermark": { "column": "V", "settle_seconds": 0 } },
        "format": { "csv": { "header": false } },
    });
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

/// Returns the window's name with this text.
#[must_use]
pub fn window(text: &str) -> WindowName {
    WindowName::try_from(text.to_owned()).unwrap()
}

/// Returns that window of the table, without settings.
#[must_use]
pub fn of_run(text: &str) -> WindowOfRun {
    WindowOfRun {
        table: name(),
        window: window(text),
        settings: RunSettings::default(),
    }
}

//! A tracked table with its bucket and its pointer, and what readers find in its windows.

use std::collections::{BTreeMap, BTreeSet};

use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::{Ledger, Place};
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::model::watermark::StoreType;
use tidemark::model::window::WindowName;
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::pipeline::RunOutcome;
use tidemark::testing::slow_reader::Slow;
use tidemark::testing::world::{MemoryPipeline, PREFIX, TABLE, name, pipeline, pipeline_behind};
use tidemark::testing::{MemoryStore, MemoryTracked, MemoryWatermarks, bigint};

/// More executions than any single fault, with an expiry after it, can need.
const RUNS: usize = 6;

/// The table `dbo.t (id bigint primary key, v bigint)`, its bucket and its watermark store.
pub struct World {
    /// The source.
    pub table: MemoryTracked,
    /// The bucket.
    pub store: MemoryStore,
    /// The pointer.
    pub watermarks: MemoryWatermarks,
    /// The table's name.
    pub name: ObjectName,
}

/// Returns the table's settings as a run has them.
pub fn spec() -> TableSpec {
    spec_with(serde_json::json!({}))
}

/// Returns the same settings with these of change tracking.
pub fn spec_with(settings: serde_json::Value) -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": TABLE,
        "tracking": { "change_tracking": settings },
        "slice_rows": 2,
        "format": { "csv": { "header": false } },
    }))
    .unwrap()
}

impl World {
    /// Makes a world with three rows, tracked and never copied.
    pub fn new() -> Self {
        Self {
            table: MemoryTracked::new([(1, 10), (2, 20), (3, 30)]),
            store: MemoryStore::default(),
            name: name(),
            watermarks: MemoryWatermarks::new(StoreType::Typed(bigint())),
        }
    }

    /// Makes the same world, loaded at version 0.
    pub async fn loaded() -> Self {
        let world = Self::new();
        world.run("load").await;
        world
    }

    /// Returns a world of its own with the present content of this one.
    pub fn copied(&self) -> Self {
        Self {
            table: self.table.copied(),
            store: self.store.copied(),
            watermarks: self.watermarks.copied(),
            name: self.name.clone(),
        }
    }

    /// Returns the four steps over this world.
    pub fn pipeline(&self) -> MemoryPipeline<'_, MemoryTracked> {
        pipeline(&self.table, &self.store, &self.watermarks)
    }

    /// Runs one execution, in which no table may fail.
    pub async fn run(&self, run_id: &str) -> RunOutcome {
        let outcome = self.pipeline().run(run_id, &[spec()]).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// Runs one execution, and returns the code and the cause of its one failure.
    pub async fn failure(&self, spec: TableSpec) -> (ErrorCode, String) {
        let outcome = self.pipeline().run("failing", &[spec]).await.unwrap();
        let [failure] = outcome.failed.as_slice() else {
            panic!("{outcome:?}")
        };
        (failure.error, failure.cause.clone())
    }

    /// Runs one execution behind `gate`, with time for so many rows per invocation.
    pub async fn gated(&self, gate: &Gate, run_id: &str, rows_in_time: u64) -> Result<RunOutcome> {
        let (source, store) = (Gated::new(gate, &self.table), Gated::new(gate, &self.store));
        let (inner, watermarks) = (Gated::new(gate, &self.table), Gated::new(gate, &self.watermarks));
        let mut pipeline = pipeline_behind(&source, Slow::in_memory(inner, rows_in_time), &watermarks, &store);
        pipeline.run(run_id, &[spec()]).await
    }

    /// Returns where the table's files and its ledger are.
    pub fn place(&self) -> Place<'_, MemoryStore> {
        Place::new(&self.store, PREFIX)
    }

    /// Returns the ledger of the table.
    pub fn ledger(&self) -> Ledger<'_, MemoryStore> {
        Ledger::new(self.place(), &self.name)
    }

    /// Returns the stored version.
    pub fn stored(&self) -> Option<String> {
        self.watermarks.value(&self.name)
    }

    /// Returns the committed windows in their order.
    pub async fn chain(&self) -> Vec<Manifest> {
        let mut chain: Vec<Manifest> = Vec::new();
        let mut at = WindowName::initial();
        while let Some(manifest) = self.ledger().manifest(&at).await.unwrap() {
            at = manifest.next_window();
            chain.push(manifest);
        }
        chain
    }

    /// Returns the names of the committed windows.
    pub async fn windows(&self) -> Vec<String> {
        let chain = self.chain().await;
        chain.into_iter().map(|manifest| manifest.window.to_string()).collect()
    }

    /// Returns the lines of a window.
    pub fn lines(&self, manifest: &Manifest) -> BTreeSet<String> {
        let bodies = manifest.parts.iter().map(|part| self.store.body(&part.key).unwrap());
        bodies
            .flat_map(|body| {
                let text = String::from_utf8(body.to_vec()).unwrap();
                text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Returns the lines of the last committed window.
    pub async fn last_lines(&self) -> Vec<String> {
        let chain = self.chain().await;
        self.lines(chain.last().unwrap()).into_iter().collect()
    }

    /// Returns the table as a reader of the windows finds it.
    pub async fn folded(&self) -> BTreeMap<i64, i64> {
        let mut rows = BTreeMap::new();
        for manifest in self.chain().await {
            let name = manifest.window.as_str();
            if name == "initial" || name.starts_with("reinit-") {
                rows.clear();
            }
            for line in self.lines(&manifest) {
                let fields: Vec<&str> = line.split('\t').collect();
                let id = fields[0].parse().unwrap();
                match fields[3] {
                    "D" => rows.remove(&id),
                    _ => rows.insert(id, fields[1].parse().unwrap()),
                };
            }
        }
        rows
    }

    /// Checks W3 and W4, for readers that list and for readers that follow manifests, and W5 for the pointer.
    pub async fn check(&self, case: &str) {
        let chain = self.chain().await;
        let named: BTreeSet<String> = chain
            .iter()
            .flat_map(|manifest| manifest.parts.iter().map(|part| part.key.clone()))
            .collect();
        let keys = self.store.keys().into_iter();
        let visible: BTreeSet<String> = keys.filter(|key| key.contains("/part-")).collect();
        assert_eq!(visible, named, "{case}: what is visible is what manifests name");
        let ends: Vec<&str> = chain.iter().map(|manifest| manifest.new_watermark.value()).collect();
        let stored = self.stored();
        assert!(
            stored
                .as_deref()
                .is_none_or(|stored| stored == "0" || ends.contains(&stored)),
            "{case}: {stored:?} is not among {ends:?}"
        );
    }

    /// Runs until a run has nothing to do. Then what a reader finds must be the table.
    pub async fn settle(&self, case: &str) {
        let mut runs = 0;
        loop {
            let keys = self.store.keys();
            let outcome = self.pipeline().run("settle", &[spec()]).await;
            if outcome.as_ref().is_ok_and(|outcome| outcome.unchanged == [name()]) && self.store.keys() == keys {
                break;
            }
            runs += 1;
            assert!(runs < RUNS, "{case}: the next runs do not get through: {outcome:?}");
        }
        assert_eq!(
            self.folded().await,
            self.table.rows(),
            "{case}: {:?}",
            self.windows().await
        );
        let version = Some(self.table.version().to_string());
        assert_eq!(self.stored(), version, "{case}");
    }
}

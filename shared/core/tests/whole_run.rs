//! A whole run in one process over several tables of one database, some of which fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::error::{ErrorCode, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::model::watermark::StoreType;
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::pipeline::RunOutcome;
use tidemark::testing::world::{PREFIX, pipeline, pipeline_behind, spec_with};
use tidemark::testing::{MemoryDatabase, MemoryStore, MemoryTable, MemoryWatermarks, bigint};

struct World {
    database: MemoryDatabase<MemoryTable>,
    store: MemoryStore,
    watermarks: MemoryWatermarks,
}

fn name(table: &str) -> ObjectName {
    table.parse().unwrap()
}

fn spec(table: &str) -> TableSpec {
    spec_with(json!({ "table": table }))
}

impl World {
    /// Makes the tables `dbo.t` with 1 and 2, and `sales.u` with 10, 20 and 30.
    fn new() -> Self {
        let tables = [
            (name("dbo.t"), MemoryTable::new([1, 2])),
            (name("sales.u"), MemoryTable::new([10, 20, 30])),
        ];
        Self {
            database: MemoryDatabase::new(tables),
            store: MemoryStore::default(),
            watermarks: MemoryWatermarks::new(StoreType::Typed(bigint())),
        }
    }

    async fn run(&self, run_id: &str, tables: &[TableSpec]) -> RunOutcome {
        let mut pipeline = pipeline(&self.database, &self.store, &self.watermarks);
        pipeline.run(run_id, tables).await.unwrap()
    }

    async fn gated(&self, gate: &Gate, run_id: &str, tables: &[TableSpec]) -> Result<RunOutcome> {
        let (source, store) = (Gated::new(gate, &self.database), Gated::new(gate, &self.store));
        let watermarks = Gated::new(gate, &self.watermarks);
        let mut pipeline = pipeline_behind(&source, Gated::new(gate, &self.database), &watermarks, &store);
        pipeline.run(run_id, tables).await
    }

    /// Returns the visible part of a table's first window.
    fn part(&self, table: &str) -> Option<String> {
        let key = format!("{PREFIX}/{table}/tidemark_window=initial/part-00000.csv");
        let body = self.store.body(&key)?;
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    fn watermark(&self, table: &str) -> Option<String> {
        self.watermarks.value(&name(table))
    }
}

#[tokio::test]
async fn a_table_that_fails_is_named_and_the_others_are_committed() {
    let world = World::new();
    let tables = [spec("dbo.t"), spec("sales.gone"), spec("sales.u")];
    let outcome = world.run("r1", &tables).await;
    let committed: Vec<_> = outcome
        .committed
        .iter()
        .map(|committed| (committed.table.to_string(), committed.rows))
        .collect();
    assert_eq!(committed, [("dbo.t".to_owned(), 2), ("sales.u".to_owned(), 3)]);
    let [failed] = outcome.failed.as_slice() else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (failed.table.clone(), failed.error),
        (name("sales.gone"), ErrorCode::SourceRejected)
    );
    assert!(failed.cause.contains("'sales.gone'"), "{failed:?}");
    assert_eq!(world.part("dbo.t").as_deref(), Some("1\n2\n"));
    assert_eq!(world.part("sales.u").as_deref(), Some("10\n20\n30\n"));
    assert_eq!(
        (world.watermark("dbo.t"), world.watermark("sales.u")),
        (Some("2".into()), Some("30".into()))
    );

    world.database.table(&name("sales.u")).unwrap().insert(40);
    let outcome = world.run("r2", &tables).await;
    assert_eq!((outcome.committed.len(), outcome.unchanged), (1, vec![name("dbo.t")]));
    assert_eq!(world.watermark("sales.u").as_deref(), Some("40"));
}

#[tokio::test]
async fn a_window_that_fails_ends_the_run_and_leaves_what_was_committed() {
    let tables = [spec("dbo.t"), spec("sales.u")];
    let calls = {
        let gate = Gate::default();
        World::new().gated(&gate, "undisturbed", &tables).await.unwrap();
        gate.calls()
    };
    let mut reads = (0..).zip(&calls).filter(|(_, call)| **call == "read");
    let (second_read, _) = reads.nth(1).unwrap();

    let world = World::new();
    let gate = Gate::at(second_read, Fault::FailsOnce);
    let error = world.gated(&gate, "r1", &tables).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    assert!(error.to_string().starts_with("sales.u: "), "{error}");
    assert_eq!(
        (world.watermark("dbo.t").as_deref(), world.watermark("sales.u")),
        (Some("2"), None)
    );
    assert_eq!(world.part("sales.u"), None);

    let outcome = world.run("r2", &tables).await;
    assert_eq!((outcome.committed.len(), outcome.unchanged), (1, vec![name("dbo.t")]));
    assert_eq!(world.part("sales.u").as_deref(), Some("10\n20\n30\n"));
}

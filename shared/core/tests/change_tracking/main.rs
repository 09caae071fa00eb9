//! Tracked tables through the four steps: what a reader folds from the windows is what is in the table, whatever expires,
//! stops or overtakes.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use tidemark::error::{ErrorCode, Result};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::{Ledger, Manifest, WindowName};
use tidemark::runner::RunContext;
use tidemark::table::TableSpec;
use tidemark::testing::{MemoryStore, MemoryTracked, MemoryWatermarks};
use tidemark::types::SqlType;
use tidemark::watermark::StoreType;
use tidemark_tests::faults::{Fault, Gate, Gated, seeds};
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::slow::Slow;
use update_watermark::Response as Updated;

const PREFIX: &str = "p";
const TABLE: &str = "dbo.t";
/// More executions than any single fault, with an expiry after it, can need.
const RUNS: usize = 6;

struct World {
    table: MemoryTracked,
    store: MemoryStore,
    watermarks: MemoryWatermarks,
}

fn name() -> ObjectName {
    TABLE.parse().unwrap()
}

fn spec() -> TableSpec {
    spec_with(serde_json::json!({}))
}

fn spec_with(settings: serde_json::Value) -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": TABLE,
        "tracking": { "change_tracking": settings },
        "slice_rows": 2,
        "format": { "csv": { "header": false } },
    }))
    .unwrap()
}

fn window(text: &str) -> WindowName {
    WindowName::try_from(text.to_owned()).unwrap()
}

impl World {
    /// Three rows, tracked, never copied.
    fn new() -> Self {
        Self {
            table: MemoryTracked::new([(1, 10), (2, 20), (3, 30)]),
            store: MemoryStore::default(),
            watermarks: MemoryWatermarks::new(StoreType::Typed(SqlType::BigInt)),
        }
    }

    /// As [`new`](Self::new), loaded at version 0.
    async fn loaded() -> Self {
        let world = Self::new();
        world.run("load").await;
        world
    }

    fn pipeline(&self) -> Pipeline<'_, MemoryTracked, &MemoryTracked, MemoryWatermarks, MemoryStore> {
        Pipeline {
            source: &self.table,
            rows: &self.table,
            watermarks: &self.watermarks,
            store: &self.store,
            prefix: PREFIX,
            sinks: (),
        }
    }

    async fn run(&self, run_id: &str) -> Outcome {
        let outcome = self.pipeline().run(run_id, &[spec()]).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// The code of the one failure of a run.
    async fn failure(&self, spec: TableSpec) -> (String, String) {
        let outcome = self.pipeline().run("failing", &[spec]).await.unwrap();
        let [failure] = outcome.failed.as_slice() else {
            panic!("{outcome:?}")
        };
        (failure.error.clone(), failure.cause.clone())
    }

    /// One execution behind `gate`, with time for so many rows per invocation.
    async fn gated(&self, gate: &Gate, run_id: &str, rows_in_time: u64) -> Result<Outcome> {
        let (source, store) = (Gated::new(gate, &self.table), Gated::new(gate, &self.store));
        let (inner, watermarks) = (Gated::new(gate, &self.table), Gated::new(gate, &self.watermarks));
        let mut pipeline = Pipeline {
            source: &source,
            rows: Slow { inner, rows_in_time },
            watermarks: &watermarks,
            store: &store,
            prefix: PREFIX,
            sinks: (),
        };
        Box::pin(pipeline.run(run_id, &[spec()])).await
    }

    fn ledger(&self) -> Ledger<'_, MemoryStore> {
        Ledger::new(&self.store, PREFIX, &name())
    }

    fn stored(&self) -> Option<String> {
        self.watermarks.value(&name())
    }

    /// The committed windows in their order.
    async fn chain(&self) -> Vec<Manifest> {
        let mut chain: Vec<Manifest> = Vec::new();
        let mut at = WindowName::initial();
        while let Some(manifest) = self.ledger().manifest(&at).await.unwrap() {
            at = manifest.next_window();
            chain.push(manifest);
        }
        chain
    }

    async fn windows(&self) -> Vec<String> {
        let chain = self.chain().await;
        chain.into_iter().map(|manifest| manifest.window.to_string()).collect()
    }

    fn lines(&self, manifest: &Manifest) -> BTreeSet<String> {
        let bodies = manifest.parts.iter().map(|part| self.store.body(&part.key).unwrap());
        bodies
            .flat_map(|body| {
                let text = String::from_utf8(body.to_vec()).unwrap();
                text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The lines of the last committed window.
    async fn last_lines(&self) -> Vec<String> {
        let chain = self.chain().await;
        self.lines(chain.last().unwrap()).into_iter().collect()
    }

    /// The table as a reader of the windows has it.
    async fn folded(&self) -> BTreeMap<i64, i64> {
        let mut rows = BTreeMap::new();
        for manifest in self.chain().await {
            let name = manifest.window.as_str();
            if name == "initial" || name.starts_with("reinit-") {
                rows.clear();
            }
            for line in self.lines(&manifest) {
                let fields: Vec<&str> = line.split(',').collect();
                let id = fields[0].parse().unwrap();
                match fields[3] {
                    "D" => rows.remove(&id),
                    _ => rows.insert(id, fields[1].parse().unwrap()),
                };
            }
        }
        rows
    }

    /// W3 and W4 for readers that list and for readers that follow manifests; W5 for the pointer.
    async fn check(&self, case: &str) {
        let chain = self.chain().await;
        let named: BTreeSet<String> = chain
            .iter()
            .flat_map(|manifest| manifest.parts.iter().map(|part| part.key.clone()))
            .collect();
        let visible: BTreeSet<String> = self
            .store
            .keys()
            .into_iter()
            .filter(|key| key.contains("/part-"))
            .collect();
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

    /// Runs until one has nothing to do; then the sink must be the table.
    async fn settle(&self, case: &str) {
        let mut runs = 0;
        loop {
            let keys = self.store.keys();
            let outcome = self.pipeline().run("settle", &[spec()]).await;
            if outcome.as_ref().is_ok_and(|outcome| outcome.unchanged == [TABLE]) && self.store.keys() == keys {
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

#[tokio::test]
async fn a_load_then_what_changed_then_nothing() {
    let world = World::new();
    let first = world.run("r1").await;
    assert_eq!((first.committed[0].rows, first.committed[0].late_rows), (3, Some(0)));
    assert_eq!(world.stored().as_deref(), Some("0"));
    assert_eq!(world.last_lines().await, ["1,10,0,I", "2,20,0,I", "3,30,0,I"]);
    let plan = world.ledger().frozen_plan(&WindowName::initial()).await.unwrap();
    assert_eq!(plan.slices.len(), 2, "a load is cut by the key");

    world.table.set(6, 60);
    world.table.set(1, 11);
    world.run("r2").await;
    assert_eq!(world.stored().as_deref(), Some("2"));
    assert_eq!(world.last_lines().await, ["1,11,2,U", "6,60,1,I"]);

    world.table.delete(3);
    world.run("r3").await;
    assert_eq!(world.last_lines().await, ["3,,3,D"]);

    let keys = world.store.keys();
    let idle = world.run("r4").await;
    assert_eq!(
        (idle.committed.len(), idle.unchanged.as_slice()),
        (0, [TABLE.to_owned()].as_slice())
    );
    assert_eq!(
        world.store.keys(),
        keys,
        "the version has not moved: nothing is written"
    );
    assert_eq!(world.windows().await, ["initial", "0", "2"]);
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn changes_are_net_and_a_row_that_came_and_went_is_a_deletion() {
    let world = World::loaded().await;
    world.table.set(4, 40);
    world.table.set(4, 41);
    world.table.set(5, 50);
    world.table.delete(5);
    world.table.delete(2);
    world.table.set(2, 22);
    world.table.set(3, 30);
    world.run("r").await;
    assert_eq!(world.last_lines().await, ["2,22,6,U", "3,30,7,U", "4,41,2,I", "5,,4,D"]);
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn a_row_that_changes_after_the_freezing_belongs_to_the_next_window() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.set(4, 40);
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    world.table.set(1, 12);
    world.table.delete(4);
    world
        .pipeline()
        .copy_window("r", TABLE, &planned.windows[0].window, 1)
        .await
        .unwrap();
    assert_eq!(world.last_lines().await, Vec::<String>::new());
    world.run("next").await;
    assert_eq!(world.last_lines().await, ["1,12,3,U", "4,,4,D"]);
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn a_version_stored_before_the_first_run_does_not_stand_for_a_load() {
    // As in the tutorial, which stores the version and copies the table afterwards.
    let world = World::new();
    world.watermarks.set(&name(), Some("0"));
    world.run("r1").await;
    assert_eq!(
        (world.windows().await, world.stored().as_deref()),
        (vec!["initial".to_owned()], Some("0"))
    );
    world.settle("nothing changed since").await;

    let world = World::new();
    world.watermarks.set(&name(), Some("0"));
    world.table.set(4, 40);
    world.table.delete(1);
    world.run("r1").await;
    assert_eq!(world.stored().as_deref(), Some("2"), "moved on from the version found");
    world.settle("changed since").await;

    world.table.set(5, 50);
    world.watermarks.set(&name(), Some("0"));
    world.settle("the pointer lags behind the load").await;
    assert_eq!(world.windows().await, ["initial", "2"]);
}

#[tokio::test]
async fn a_stored_version_of_another_history_is_a_regression() {
    let world = World::new();
    world.watermarks.set(&name(), Some("7"));
    assert_eq!(world.failure(spec()).await.0, "WatermarkRegression");
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.run("r").await;
    // The database is restored to what it was.
    let restored = World {
        table: MemoryTracked::new([(1, 10), (2, 20), (3, 30)]),
        ..world
    };
    let keys = restored.store.keys();
    assert_eq!(restored.failure(spec()).await.0, "WatermarkRegression");
    assert_eq!((restored.store.keys(), restored.stored().as_deref()), (keys, Some("1")));
}

#[tokio::test]
async fn a_control_column_that_cannot_hold_a_version_is_refused() {
    let world = World {
        watermarks: MemoryWatermarks::new(StoreType::Typed(SqlType::DateTime)),
        ..World::new()
    };
    let (code, cause) = world.failure(spec()).await;
    assert_eq!(code, "InvalidConfig");
    assert!(cause.contains("datetime"), "{cause}");
}

#[tokio::test]
async fn a_table_whose_tracking_is_off_fails_by_name() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    world.table.untrack();
    assert_eq!(world.failure(spec()).await.0, "ChangeTrackingInvalid");
    let copy = world
        .pipeline()
        .copy_slice("r", TABLE, &planned.windows[0].window, 0)
        .await;
    assert_eq!(copy.unwrap_err().code(), ErrorCode::ChangeTrackingInvalid);
    world.check("off").await;
}

#[tokio::test]
async fn a_table_without_changes_advances_without_an_object() {
    let world = World::loaded().await;
    let parts = world.store.keys().iter().filter(|key| key.contains("/part-")).count();
    for _ in 0..3 {
        world.table.change_elsewhere();
        let outcome = world.run("idle").await;
        assert_eq!(
            (outcome.committed.len(), outcome.unchanged.as_slice()),
            (0, [TABLE.to_owned()].as_slice())
        );
    }
    assert_eq!(world.stored().as_deref(), Some("3"));
    assert_eq!(
        world.store.keys().iter().filter(|key| key.contains("/part-")).count(),
        parts
    );
    assert_eq!(world.windows().await, ["initial", "0", "1", "2"], "the chain is whole");
    // It did not expire, though its own last change did.
    world.table.expire();
    world.table.set(1, 11);
    world.run("r").await;
    assert_eq!(world.last_lines().await, ["1,11,4,U"]);
}

#[tokio::test]
async fn one_table_that_fails_to_advance_does_not_stop_the_others() {
    let world = World::loaded().await;
    world.table.change_elsewhere();
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    let mut windows = planned.empty.clone();
    windows.insert(
        0,
        tidemark::steps::EmptyWindow {
            table: "dbo.other".parse().unwrap(),
            window: window("9"),
        },
    );
    let advanced = world.pipeline().update_all("r", windows).await.unwrap();
    assert_eq!(advanced.advanced, [name()]);
    assert_eq!(
        (advanced.failed.len(), advanced.failed[0].error.as_str()),
        (1, "LedgerInvalid")
    );
    assert_eq!(world.stored().as_deref(), Some("1"));
}

#[tokio::test]
async fn an_expired_version_is_loaded_again_in_a_window_of_its_own() {
    for truncated in [false, true] {
        let world = World::loaded().await;
        world.table.set(1, 11);
        world.table.delete(2);
        if truncated {
            world.table.truncate();
            world.table.set(9, 90);
        } else {
            world.table.expire();
        }
        let outcome = world.run("r").await;
        let committed = &outcome.committed[0];
        assert_eq!(
            (committed.window.as_str(), &committed.supersedes),
            ("reinit-0", &Some(window("0")))
        );
        let lines: &[&str] = if truncated {
            &["9,90,3,I"]
        } else {
            &["1,11,2,I", "3,30,2,I"]
        };
        assert_eq!(world.last_lines().await, lines);
        assert_eq!(world.windows().await, ["initial", "0", "reinit-0"]);
        let manifest = world.ledger().manifest(&window("0")).await.unwrap().unwrap();
        assert_eq!(
            (manifest.superseded_by, manifest.parts.len()),
            (Some(window("reinit-0")), 0)
        );
        world.table.set(3, 33);
        world.settle("after the load").await;
        world.check("after the load").await;
    }
}

#[tokio::test]
async fn an_expired_version_fails_where_that_is_asked_for() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.expire();
    let keys = world.store.keys();
    let (code, cause) = world
        .failure(spec_with(serde_json::json!({ "on_expired": "fail" })))
        .await;
    assert_eq!(code, "ChangeTrackingInvalid");
    assert!(
        cause.contains("reinitialize") && cause.contains("CHANGE_RETENTION"),
        "{cause}"
    );
    assert_eq!(world.store.keys(), keys, "nothing is decided");
    world.settle("the user has decided").await;
}

#[tokio::test]
async fn a_frozen_window_that_expired_before_it_was_copied_is_superseded() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let planned = world.pipeline().plan("died", &[spec()]).await.unwrap();
    assert_eq!(planned.windows[0].window, window("0"));
    world.table.expire();
    let copy = world.pipeline().copy_slice("slow", TABLE, &window("0"), 0).await;
    assert_eq!(copy.unwrap_err().code(), ErrorCode::ChangeTrackingInvalid);
    world.run("r").await;
    assert_eq!(world.windows().await, ["initial", "0", "reinit-0"]);
    // The run that froze it goes on, and finds that it has nothing to do.
    let slow = world
        .pipeline()
        .copy_window("died", TABLE, &window("0"), 1)
        .await
        .unwrap();
    assert_eq!((slow.rows, slow.superseded_by), (0, Some(window("reinit-0"))));
    assert_eq!(world.store.pending_uploads(), 0);
    world.check("the slow run").await;
    world.settle("the slow run").await;
}

#[tokio::test]
async fn a_window_that_was_copied_in_time_is_committed_though_it_expired() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.pipeline().plan("died", &[spec()]).await.unwrap();
    world
        .pipeline()
        .copy_slice("died", TABLE, &window("0"), 0)
        .await
        .unwrap();
    world.table.expire();
    world.run("r").await;
    assert_eq!(world.windows().await, ["initial", "0"]);
    assert_eq!(world.last_lines().await, ["1,11,1,U"]);
    world.settle("copied in time").await;
}

#[tokio::test]
async fn a_window_whose_upload_and_version_expired_is_superseded() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.pipeline().plan("died", &[spec()]).await.unwrap();
    world
        .pipeline()
        .copy_slice("died", TABLE, &window("0"), 0)
        .await
        .unwrap();
    world.store.expire_uploads();
    world.table.expire();
    let updated = world.pipeline().update("r", TABLE, &window("0")).await.unwrap();
    assert!(matches!(updated, Updated::Recopy(again) if again.slices == [0.into()]));
    world.settle("both expired").await;
    assert_eq!(world.windows().await, ["initial", "0", "reinit-0"]);
}

#[tokio::test]
async fn changes_that_expire_while_they_are_looked_for_are_not_taken_for_none() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.expire_when_looked_at();
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    assert!(planned.empty.is_empty());
    assert_eq!(planned.windows[0].window, window("reinit-0"));
}

#[tokio::test]
async fn a_dry_run_shows_the_window_or_the_load_and_writes_nothing() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    for expired in [false, true] {
        if expired {
            world.pipeline().plan("frozen", &[spec()]).await.unwrap();
            world.table.expire();
        }
        let keys = world.store.keys();
        let request = lookup_old_watermark::Request {
            run_id: "dry".into(),
            tables: vec![spec()],
            dry_run: true,
        };
        let context = RunContext::unbounded();
        let looked_up = lookup_old_watermark::handle(&world.watermarks, &world.store, PREFIX, request, context)
            .await
            .unwrap();
        let request = lookup_new_watermark::Request {
            run_id: "dry".into(),
            tables: looked_up.tables,
            dry_run: true,
        };
        let planned = lookup_new_watermark::handle(&world.table, &world.store, PREFIX, request, context)
            .await
            .unwrap();
        let shown = &planned.dry_run[0];
        assert_eq!(shown.window, window(if expired { "reinit-0" } else { "0" }));
        assert_eq!(shown.slices[0].sql.contains("CHANGETABLE"), !expired);
        assert_eq!(world.store.keys(), keys);
    }
}

#[tokio::test]
async fn listed_columns_always_come_with_the_key() {
    let mut spec = spec();
    spec.columns = Some(vec![Identifier::new("V").unwrap()]);
    let world = World::new();
    world.pipeline().run("r", &[spec]).await.unwrap();
    let manifest = world.ledger().manifest(&WindowName::initial()).await.unwrap().unwrap();
    let columns: Vec<_> = manifest
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.nullable))
        .collect();
    let change = [("SYS_CHANGE_VERSION", false), ("SYS_CHANGE_OPERATION", false)];
    assert_eq!(columns, [[("id", false), ("v", true)], change].concat());
}

#[tokio::test]
async fn columns_are_compared_with_those_of_the_last_window_that_had_some() {
    let world = World::loaded().await;
    // Windows without changes have no columns, and pass on those of the load.
    for _ in 0..2 {
        world.table.change_elsewhere();
        world.run("idle").await;
    }
    world.table.set(1, 11);
    let without_v = |on_schema_change: serde_json::Value| -> TableSpec {
        let mut json = serde_json::to_value(spec()).unwrap();
        json["exclude"] = serde_json::json!(["v"]);
        json["on_schema_change"] = on_schema_change;
        serde_json::from_value(json).unwrap()
    };
    let (error, cause) = world.failure(without_v(serde_json::Value::Null)).await;
    assert_eq!(error, "SchemaMismatch");
    assert!(cause.contains("last window 1: v is gone"), "{cause}");
    // A load in place of an expired window is compared with what came before that window.
    world.table.expire();
    let (error, _) = world.failure(without_v(serde_json::Value::Null)).await;
    assert_eq!(error, "SchemaMismatch");
    let go_on = without_v("continue".into());
    let planned = world.pipeline().plan("r", &[go_on]).await.unwrap();
    assert_eq!(planned.windows[0].window, window("reinit-2"), "{planned:?}");
}

#[tokio::test]
async fn a_key_cannot_be_excluded_nor_rows_be_chosen() {
    let world = World::new();
    let mut spec = spec();
    spec.exclude = vec![Identifier::new("ID").unwrap()];
    let (error, cause) = world.failure(spec.clone()).await;
    assert!(
        error == "InvalidInput" && cause.contains("column of the key"),
        "{cause}"
    );
    spec.exclude.clear();
    spec.filter = Some("v > 1".to_owned().try_into().unwrap());
    let error = world.pipeline().run("r", &[spec]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
}

/// What a disturbed run begins with.
#[derive(Debug, Clone, Copy)]
enum Scene {
    FirstLoad,
    Changed,
    Idle,
    Expired,
    FrozenThenExpired,
}

impl Scene {
    const ALL: [Self; 5] = [
        Self::FirstLoad,
        Self::Changed,
        Self::Idle,
        Self::Expired,
        Self::FrozenThenExpired,
    ];

    async fn set(self) -> World {
        let world = match self {
            Self::FirstLoad => World::new(),
            _ => World::loaded().await,
        };
        match self {
            Self::FirstLoad => world.watermarks.set(&name(), Some("0")),
            Self::Idle => {}
            _ => {
                world.table.set(1, 11);
                world.table.delete(2);
                world.table.set(4, 40);
            }
        }
        if matches!(self, Self::FrozenThenExpired) {
            world.pipeline().plan("frozen", &[spec()]).await.unwrap();
        }
        world.table.change_elsewhere();
        if matches!(self, Self::Expired | Self::FrozenThenExpired) {
            world.table.expire();
        }
        world
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_disturbed_at_any_port_call_loses_nothing_and_shows_nothing_twice() {
    let mut cases = 0;
    for scene in Scene::ALL {
        for fault in Fault::ALL {
            // Afterwards nothing, or what would have been read expires.
            for (expires, rows_in_time) in [(false, u64::MAX), (true, u64::MAX), (false, 1), (true, 1)] {
                for call in 0.. {
                    let world = scene.set().await;
                    let gate = Gate::at(call, fault);
                    let _ = world.gated(&gate, "disturbed", rows_in_time).await;
                    if !gate.was_reached() {
                        break;
                    }
                    let case = format!(
                        "{scene:?} {fault:?} at call {call} {:?} {expires} {rows_in_time}",
                        gate.calls().last()
                    );
                    cases += 1;
                    if expires {
                        world.table.change_elsewhere();
                        world.table.expire();
                    }
                    world.settle(&case).await;
                    world.check(&case).await;
                }
            }
        }
    }
    assert!(cases > 1_000, "{cases}");
}

/// What goes on at the source while runs are under way.
async fn live(table: &MemoryTracked, seed: u64) {
    let mut random = seed;
    for step in 0..12_i64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 13 {
            tokio::task::yield_now().await;
        }
        let id = i64::try_from(random >> 8 & 7).unwrap();
        match random >> 16 & 15 {
            0..6 => table.set(id, 1000 + step),
            6..10 => table.delete(id),
            10..12 => table.change_elsewhere(),
            12..15 => table.expire(),
            _ => table.truncate(),
        }
    }
}

#[tokio::test]
async fn runs_interleaved_with_each_other_and_a_living_table_end_as_the_table() {
    let mut superseded = 0;
    for seed in 1..=seeds() {
        let world = if seed % 2 == 0 {
            World::loaded().await
        } else {
            World::new()
        };
        let gates = [
            Gate::waiting(seed),
            Gate::waiting(seed << 32 | 7),
            Gate::waiting(seed << 16 | 5),
        ];
        let dying = Gate::at(usize::try_from(seed).unwrap() % 40, Fault::CrashAfter);
        let runs = async |gate: &Gate, run: &str, rows_in_time: u64| {
            for number in 0..3 {
                // A run may find its changes gone while it copies them, or nothing beyond a truncation; the next ones go on.
                // Nothing else fails.
                let outcome = world.gated(gate, &format!("{run}{number}"), rows_in_time).await;
                let fine = match &outcome {
                    Ok(outcome) => outcome
                        .failed
                        .iter()
                        .all(|failed| failed.error == "ChangeTrackingInvalid"),
                    // Or a slice that had too many rows has but one when it is to be split.
                    Err(error) if rows_in_time < u64::MAX && error.code() == ErrorCode::DeadlineExceeded => true,
                    Err(error) => error.code() == ErrorCode::ChangeTrackingInvalid,
                };
                assert!(fine || run == "d", "seed {seed}, run {run}{number}: {outcome:?}");
            }
        };
        tokio::join!(
            runs(&gates[0], "a", u64::MAX),
            runs(&gates[1], "b", 1),
            runs(&gates[2], "c", 2),
            runs(&dying, "d", u64::MAX),
            live(&world.table, seed),
        );
        let case = format!("seed {seed}");
        // A version at which tracking began anew is left only when there is another.
        world.table.change_elsewhere();
        world.settle(&case).await;
        world.check(&case).await;
        superseded += world
            .windows()
            .await
            .iter()
            .filter(|name| name.starts_with("reinit-"))
            .count();
    }
    assert!(superseded > 50, "{superseded}: versions expire now and then");
}

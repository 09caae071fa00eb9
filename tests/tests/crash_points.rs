//! The pipeline stopped, failed or overtaken at every port call: the outcome is that of an undisturbed run (W1–W6).

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use tidemark::ledger::{Ledger, Manifest, Plan, Slice, WindowName};
use tidemark::sink::SinkSpec;
use tidemark::table::TableSpec;
use tidemark::testing::{MemorySink, MemoryStore, MemoryTable, MemoryWatermarks};
use tidemark::types::SqlType;
use tidemark::watermark::{StoreType, Watermark};
use tidemark_tests::faults::{Fault, Gate, Gated, seeds};
use tidemark_tests::pipeline::Pipeline;

const PREFIX: &str = "p";
/// More executions than any single fault can need.
const RUNS: usize = 4;

struct World {
    table: MemoryTable,
    store: MemoryStore,
    watermarks: MemoryWatermarks,
}

/// A committed window: its name, its bounds, its rows and the keys of its objects.
type Window = (WindowName, Option<Watermark>, Watermark, u64, Vec<String>);

/// What readers and the next run find.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    parts: BTreeMap<String, Vec<u8>>,
    windows: Vec<Window>,
    watermark: Option<String>,
}

fn spec() -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": "t",
        "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } },
        "format": { "csv": { "header": false } },
    }))
    .unwrap()
}

impl World {
    /// A table with one committed window, `(none, 3]`, and five rows since, whose window is planned in three slices,
    /// the second of them empty.
    async fn new() -> Self {
        let watermarks = MemoryWatermarks::new(StoreType::Typed(SqlType::BigInt));
        let world = Self {
            table: MemoryTable::new(1..=3),
            store: MemoryStore::default(),
            watermarks,
        };
        let mut pipeline = world.pipeline();
        pipeline.run("before", &[spec()]).await.unwrap();
        world
    }

    fn pipeline(&self) -> Pipeline<'_, MemoryTable, &MemoryTable, MemoryWatermarks, MemoryStore> {
        let (source, store, watermarks) = (&self.table, &self.store, &self.watermarks);
        Pipeline {
            source,
            rows: &self.table,
            watermarks,
            store,
            prefix: PREFIX,
            sinks: (),
        }
    }

    fn grow(&self) {
        [4, 5, 9, 10, 11].into_iter().for_each(|row| self.table.insert(row));
    }

    /// Freezes the window after the first in three slices, as a large one is.
    async fn freeze_slices(&self) {
        self.freeze_slices_into(None).await;
    }

    async fn freeze_slices_into(&self, sink: Option<SinkSpec>) {
        self.grow();
        let watermark = |value: &str| Watermark::new(SqlType::BigInt, value).unwrap();
        let template: Plan = self.ledger().plan(&WindowName::initial()).await.unwrap().unwrap();
        let slice = |from: &str, to: &str| {
            let mut query = template.count.clone().unwrap();
            query.parameters = vec![from.to_owned(), to.to_owned()];
            Slice { query, guard: None }
        };
        let window = WindowName::after(&watermark("3"));
        let slices = vec![slice("3", "5"), slice("5", "8"), slice("8", "11")];
        let mut count = template.count.clone().unwrap();
        count.parameters = vec!["3".to_owned(), "11".to_owned()];
        let bounds = (Some(watermark("3")), watermark("11"));
        let plan = Plan {
            window,
            slices,
            count: Some(count),
            sink,
            old_watermark: bounds.0,
            new_watermark: bounds.1,
            ..template
        };
        self.ledger().freeze(plan).await.unwrap();
    }

    fn ledger(&self) -> Ledger<'_, MemoryStore> {
        Ledger::new(&self.store, PREFIX, &spec().table)
    }

    /// One execution behind `gate`; like the state machine, it gives up at the first error.
    async fn run(&self, gate: &Gate, run_id: &str) -> bool {
        let (source, store) = (Gated::new(gate, &self.table), Gated::new(gate, &self.store));
        let (rows, watermarks) = (Gated::new(gate, &self.table), Gated::new(gate, &self.watermarks));
        let mut pipeline = Pipeline {
            source: &source,
            rows,
            watermarks: &watermarks,
            store: &store,
            prefix: PREFIX,
            sinks: (),
        };
        let outcome = Box::pin(pipeline.run(run_id, &[spec()])).await;
        outcome.is_ok_and(|outcome| outcome.failed.is_empty())
    }

    async fn outcome(&self) -> Outcome {
        let is_part = |key: &String| key.contains("/part-");
        let parts = self.store.keys().into_iter().filter(is_part);
        let parts = parts
            .map(|key| (key.clone(), self.store.body(&key).unwrap().to_vec()))
            .collect();
        let mut windows = Vec::new();
        let mut at = WindowName::initial();
        while let Some(Manifest {
            old_watermark,
            new_watermark,
            rows,
            parts,
            ..
        }) = self.ledger().manifest(&at).await.unwrap()
        {
            let next = WindowName::after(&new_watermark);
            let keys = parts.into_iter().map(|part| part.key).collect();
            windows.push((
                std::mem::replace(&mut at, next),
                old_watermark,
                new_watermark,
                rows,
                keys,
            ));
        }
        Outcome {
            parts,
            windows,
            watermark: self.watermarks.value(&spec().table),
        }
    }

    /// A reader that follows manifests never misses an object, and one that lists sees none of an undecided window.
    async fn check_what_readers_see(&self, case: &str) {
        let outcome = self.outcome().await;
        for (window, .., keys) in &outcome.windows {
            for key in keys {
                assert!(
                    outcome.parts.contains_key(key),
                    "{case}: window {window} names {key}, which is not there"
                );
            }
        }
        let second = WindowName::try_from("3".to_owned()).unwrap();
        let visible = outcome.parts.keys().any(|key| key.contains("window=3/"));
        if visible {
            let plan = self.ledger().frozen_plan(&second).await.unwrap();
            for slice in (0_u32..).take(plan.slices.len()) {
                let (_, record) = self.ledger().decision(&second, slice).await.unwrap();
                assert!(
                    record.is_some(),
                    "{case}: a part is visible before slice {slice} is decided"
                );
            }
        }
    }
}

async fn undisturbed(sliced: bool) -> Outcome {
    let world = World::new().await;
    if sliced {
        world.freeze_slices().await
    } else {
        world.grow()
    }
    assert!(world.run(&Gate::default(), "only").await);
    world.outcome().await
}

async fn every_port_call(sliced: bool) -> usize {
    let expected = undisturbed(sliced).await;
    assert_eq!(expected.windows.len(), 2);
    let mut cases = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let world = World::new().await;
            if sliced {
                world.freeze_slices().await
            } else {
                world.grow()
            }
            let gate = Gate::at(call, fault);
            let done = world.run(&gate, "disturbed").await;
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            cases += 1;
            world.check_what_readers_see(&case).await;
            let undisturbed = Gate::default();
            let mut runs = 0;
            while !world.run(&undisturbed, "again").await {
                runs += 1;
                assert!(runs < RUNS, "{case}: the next runs do not get through");
            }
            assert_eq!(world.outcome().await, expected, "{case}");
        }
    }
    cases
}

#[tokio::test(start_paused = true)]
async fn a_run_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(false).await > 60);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_many_slices_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(true).await > 80);
}

#[tokio::test]
async fn two_runs_interleaved_in_any_order_end_as_one() {
    for sliced in [false, true] {
        let expected = undisturbed(sliced).await;
        for seed in 1..=seeds() {
            let world = World::new().await;
            if sliced {
                world.freeze_slices().await
            } else {
                world.grow()
            }
            let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
            let (a, b) = tokio::join!(world.run(&one, "a"), world.run(&other, "b"));
            assert!(a && b, "seed {seed}, sliced {sliced}: {a} {b}");
            assert_eq!(world.outcome().await, expected, "seed {seed}, sliced {sliced}");
            assert_eq!(
                world.store.pending_uploads(),
                0,
                "seed {seed}: the loser gives its upload up"
            );
        }
    }
}

#[tokio::test]
async fn three_runs_of_which_one_dies_end_as_one() {
    let expected = undisturbed(true).await;
    for seed in 1..=seeds() {
        let world = World::new().await;
        world.freeze_slices().await;
        let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
        let dying = Gate::at(usize::try_from(seed).unwrap() % 25, Fault::CrashAfter);
        let (a, b, _) = tokio::join!(world.run(&one, "a"), world.run(&other, "b"), world.run(&dying, "c"));
        assert!(a && b, "seed {seed}");
        assert_eq!(world.outcome().await, expected, "seed {seed}");
    }
}

/// A table that is merged into another, whose rows of one key are in several slices and windows.
struct Merging {
    world: World,
    sink: MemorySink,
}

impl Merging {
    async fn new(sliced: bool, compares: bool) -> Self {
        let merging = Self {
            world: World::new().await,
            sink: MemorySink::new(compares),
        };
        if sliced {
            merging.world.freeze_slices_into(Some(sink_spec())).await;
        } else {
            merging.world.grow();
        }
        merging
    }

    async fn run(&self, gate: &Gate, run_id: &str) -> bool {
        let World {
            table,
            store,
            watermarks,
        } = &self.world;
        let (source, store) = (Gated::new(gate, table), Gated::new(gate, store));
        let (rows, watermarks) = (Gated::new(gate, table), Gated::new(gate, watermarks));
        let mut pipeline = Pipeline {
            source: &source,
            rows,
            watermarks: &watermarks,
            store: &store,
            prefix: PREFIX,
            sinks: Gated::new(gate, &self.sink),
        };
        let mut spec = spec();
        spec.sink = Some(sink_spec());
        let outcome = Box::pin(pipeline.run(run_id, &[spec])).await;
        outcome.is_ok_and(|outcome| outcome.failed.is_empty())
    }

    /// The table, the manifests and the pointer.
    async fn outcome(&self) -> (BTreeMap<i64, i64>, Outcome) {
        (self.sink.rows(), self.world.outcome().await)
    }
}

fn sink_spec() -> SinkSpec {
    serde_json::from_value(serde_json::json!({ "sqlserver": { "secret_arn": "sink" } })).unwrap()
}

async fn merged_undisturbed(sliced: bool, compares: bool) -> (BTreeMap<i64, i64>, Outcome) {
    let merging = Merging::new(sliced, compares).await;
    assert!(merging.run(&Gate::default(), "only").await);
    let outcome = merging.outcome().await;
    // Rows 4, 5 and 9 have one key, and are in two slices; 10 and 11 the other.
    assert_eq!(outcome.0, BTreeMap::from([(0, 9), (1, 11)]));
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_merge_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    for (sliced, compares) in [(false, true), (true, true), (false, false)] {
        let expected = merged_undisturbed(sliced, compares).await;
        let mut cases = 0;
        for fault in Fault::ALL {
            for call in 0.. {
                let merging = Merging::new(sliced, compares).await;
                let gate = Gate::at(call, fault);
                let done = merging.run(&gate, "disturbed").await;
                let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
                if !gate.was_reached() {
                    assert!(done);
                    break;
                }
                cases += 1;
                let undisturbed = Gate::default();
                let mut runs = 0;
                while !merging.run(&undisturbed, "again").await {
                    runs += 1;
                    assert!(runs < RUNS, "{case}: the next runs do not get through");
                }
                assert_eq!(merging.outcome().await, expected, "{case}");
            }
        }
        assert!(cases > 50, "{cases}");
    }
}

#[tokio::test]
async fn merges_interleaved_in_any_order_end_as_one() {
    for (sliced, compares) in [(false, true), (true, true), (false, false)] {
        let expected = merged_undisturbed(sliced, compares).await;
        for seed in 1..=seeds() {
            let merging = Merging::new(sliced, compares).await;
            let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
            // The second goes on with the next window, while the first may still be at this one, with rows long read.
            let one = one.held_up_at("lock", usize::try_from(seed).unwrap() % 4 * 500);
            let ahead = async {
                let first = merging.run(&other, "b").await;
                merging.world.table.insert(12);
                first && merging.run(&other, "c").await
            };
            let (a, b) = tokio::join!(merging.run(&one, "a"), ahead);
            assert!(a && b, "seed {seed}, sliced {sliced}: {a} {b}");
            let (rows, mut outcome) = merging.outcome().await;
            assert_eq!(rows, BTreeMap::from([(0, 9), (1, 12)]), "seed {seed}, sliced {sliced}");
            outcome.windows.truncate(expected.1.windows.len());
            assert_eq!(outcome.windows, expected.1.windows, "seed {seed}, sliced {sliced}");
        }
    }
}

//! The pipeline stopped, failed or overtaken at every port call: the outcome is that of an undisturbed run (W1–W6).

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use tidemark::ledger::{Ledger, Manifest, Plan, Slice, SliceBounds, WindowName};
use tidemark::sink::SinkSpec;
use tidemark::table::TableSpec;
use tidemark::testing::{MemorySink, MemoryStore, MemoryTable, MemoryWatermarks};
use tidemark::types::SqlType;
use tidemark::watermark::{StoreType, Watermark};
use tidemark_tests::faults::{Fault, Gate, Gated, seeds};
use tidemark_tests::pipeline::Pipeline;
use tidemark_tests::slow::Slow;

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
        self.grow();
        self.freeze_slices_into(None, "11").await;
    }

    /// The same with so many rows in the last slice that a slow source has to split it twice.
    async fn freeze_a_large_slice(&self) {
        self.grow();
        (12..=20).for_each(|row| self.table.insert(row));
        self.freeze_slices_into(None, "20").await;
    }

    async fn freeze_slices_into(&self, sink: Option<SinkSpec>, last: &str) {
        let watermark = |value: &str| Watermark::new(SqlType::BigInt, value).unwrap();
        let template: Plan = self.ledger().plan(&WindowName::initial()).await.unwrap().unwrap();
        let slice = |from: &str, to: &str| {
            let mut query = template.count.clone().unwrap();
            query.parameters = vec![from.to_owned(), to.to_owned()];
            Slice {
                query,
                guard: None,
                bounds: Some(SliceBounds {
                    old: Some(watermark(from)),
                    new: Some(watermark(to)),
                    key: None,
                }),
            }
        };
        let window = WindowName::after(&watermark("3"));
        let slices = vec![slice("3", "5"), slice("5", "8"), slice("8", last)];
        let mut count = template.count.clone().unwrap();
        count.parameters = vec!["3".to_owned(), last.to_owned()];
        let bounds = (Some(watermark("3")), watermark(last));
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
        self.run_in_time(gate, run_id, u64::MAX).await
    }

    /// The same with time for so many rows per invocation.
    async fn run_in_time(&self, gate: &Gate, run_id: &str, rows_in_time: u64) -> bool {
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
            for slice in self.ledger().slices(&plan).await.unwrap() {
                assert!(
                    slice.record.is_some(),
                    "{case}: a part is visible before slice {} is decided",
                    slice.id
                );
            }
        }
    }
}

/// What a disturbed run begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// Rows for a window of one slice.
    Whole,
    /// A window frozen in three slices.
    Sliced,
    /// The same, of which all that have more than one row take too long.
    Slow,
}

impl Scene {
    async fn set(self) -> World {
        let world = World::new().await;
        match self {
            Self::Whole => world.grow(),
            Self::Sliced => world.freeze_slices().await,
            Self::Slow => world.freeze_a_large_slice().await,
        }
        world
    }

    async fn run(self, world: &World, gate: &Gate, run_id: &str) -> bool {
        let rows_in_time = if self == Self::Slow { 1 } else { u64::MAX };
        world.run_in_time(gate, run_id, rows_in_time).await
    }

    async fn undisturbed(self) -> Outcome {
        let world = self.set().await;
        assert!(self.run(&world, &Gate::default(), "only").await);
        world.outcome().await
    }
}

async fn every_port_call(scene: Scene) -> usize {
    let expected = scene.undisturbed().await;
    assert_eq!(expected.windows.len(), 2);
    let mut cases = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let world = scene.set().await;
            let gate = Gate::at(call, fault);
            let done = scene.run(&world, &gate, "disturbed").await;
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            cases += 1;
            world.check_what_readers_see(&case).await;
            let undisturbed = Gate::default();
            let mut runs = 0;
            while !scene.run(&world, &undisturbed, "again").await {
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
    assert!(every_port_call(Scene::Whole).await > 60);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_many_slices_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(Scene::Sliced).await > 80);
}

#[tokio::test(start_paused = true)]
async fn slices_that_are_split_disturbed_at_any_port_call_end_as_undisturbed_ones() {
    let expected = Scene::Slow.undisturbed().await;
    let names = |slice: &str| {
        let of_slice = expected.parts.keys().filter_map(|key| key.split_once("window=3/part-"));
        let names = of_slice.filter(|(_, name)| name.starts_with(slice));
        names.map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("00000"), ["00000.00000.csv", "00000.00001.csv"]);
    let twice = names("00002");
    assert_eq!(twice.len(), 12, "{twice:?}");
    assert_eq!(twice[0], "00002.00000.00000.csv");
    assert!(every_port_call(Scene::Slow).await > 400);
}

#[tokio::test]
async fn two_runs_interleaved_in_any_order_end_as_one() {
    for scene in [Scene::Whole, Scene::Sliced, Scene::Slow] {
        let expected = scene.undisturbed().await;
        for seed in 1..=seeds() {
            let world = scene.set().await;
            let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
            let (a, b) = tokio::join!(scene.run(&world, &one, "a"), scene.run(&world, &other, "b"));
            assert!(a && b, "seed {seed}, {scene:?}: {a} {b}");
            assert_eq!(world.outcome().await, expected, "seed {seed}, {scene:?}");
            assert_eq!(
                world.store.pending_uploads(),
                0,
                "seed {seed}: the loser gives its upload up"
            );
        }
    }
}

/// One run has time for a slice that another splits, and a third may die in between: whoever decides first, every row is
/// there once, and who loses gives its upload up.
#[tokio::test]
async fn a_split_and_a_copy_of_one_slice_end_as_one_of_them() {
    let (mut split, mut whole) = (0, 0);
    for seed in 1..=seeds() {
        let world = Scene::Slow.set().await;
        let (slow, quick) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
        let turns = usize::try_from(seed).unwrap() % 8 * 20;
        let (slow, quick) = match seed % 3 {
            0 => (slow.held_up_at("read", turns), quick),
            1 => (slow, quick.held_up_at("read", turns)),
            // The rows are all read when the split is decided.
            _ => (slow, quick.held_up_at("create", turns)),
        };
        let dying = Gate::at(usize::try_from(seed).unwrap() % 60, Fault::CrashAfter);
        let third = async {
            if seed % 2 == 0 {
                world.run_in_time(&dying, "dying", 2).await;
            }
        };
        let (a, b, ()) = tokio::join!(
            world.run_in_time(&slow, "slow", 1),
            world.run_in_time(&quick, "quick", u64::MAX),
            third,
        );
        assert!(a && b, "seed {seed}: {a} {b}");
        let left = world.store.pending_uploads();
        assert!(
            seed % 2 == 0 || left == 0,
            "seed {seed}: {left} uploads are left by who lost"
        );
        world.check_what_readers_see(&format!("seed {seed}")).await;
        let Outcome { parts, windows, .. } = world.outcome().await;
        let (.., rows, keys) = windows.last().unwrap();
        assert_eq!(*rows, 14, "seed {seed}");
        let lines: Vec<String> = keys
            .iter()
            .flat_map(|key| {
                let text = String::from_utf8(parts[key].clone()).unwrap();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        let expected = [4, 5].into_iter().chain(9..=20).map(|row: i64| row.to_string());
        assert_eq!(lines, expected.collect::<Vec<_>>(), "seed {seed}: in slice order");
        let of_window = parts.keys().filter(|key| key.contains("window=3/"));
        assert_eq!(
            of_window.count(),
            keys.len(),
            "seed {seed}: a part that no manifest names"
        );
        let is_split = keys.iter().any(|key| key.contains("part-00002."));
        let is_whole = keys.iter().any(|key| key.ends_with("part-00002.csv"));
        (split, whole) = (split + u64::from(!is_whole && is_split), whole + u64::from(is_whole));
    }
    assert!(split > 20 && whole > 20, "split {split}, whole {whole}");
}

#[tokio::test]
async fn three_runs_of_which_one_dies_end_as_one() {
    let expected = Scene::Sliced.undisturbed().await;
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
            merging.world.grow();
            merging.world.freeze_slices_into(Some(sink_spec()), "11").await;
        } else {
            merging.world.grow();
        }
        merging
    }

    async fn run(&self, gate: &Gate, run_id: &str) -> bool {
        self.run_in_time(gate, run_id, u64::MAX).await
    }

    async fn run_in_time(&self, gate: &Gate, run_id: &str, rows_in_time: u64) -> bool {
        let World {
            table,
            store,
            watermarks,
        } = &self.world;
        let (source, store) = (Gated::new(gate, table), Gated::new(gate, store));
        let (inner, watermarks) = (Gated::new(gate, table), Gated::new(gate, watermarks));
        let mut pipeline = Pipeline {
            source: &source,
            rows: Slow { inner, rows_in_time },
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
    // With and without time for the rows of a slice: the first run may have to split what the second merges whole.
    for (sliced, compares, rows_in_time) in [
        (false, true, u64::MAX),
        (true, true, u64::MAX),
        (true, true, 1),
        (false, false, u64::MAX),
    ] {
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
            let (a, b) = tokio::join!(merging.run_in_time(&one, "a", rows_in_time), ahead);
            assert!(a && b, "seed {seed}, sliced {sliced}: {a} {b}");
            let (rows, mut outcome) = merging.outcome().await;
            assert_eq!(rows, BTreeMap::from([(0, 9), (1, 12)]), "seed {seed}, sliced {sliced}");
            outcome.windows.truncate(expected.1.windows.len());
            assert_eq!(outcome.windows, expected.1.windows, "seed {seed}, sliced {sliced}");
        }
    }
}

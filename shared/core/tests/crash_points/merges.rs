//! The same tests where rows are merged into a table: rows with the same key are in several slices and windows.

use std::collections::BTreeMap;

use tidemark::ledger::Place;
use tidemark::model::sink::SinkSpec;
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::slow_reader::Slow;
use tidemark::testing::world::{PREFIX, spec_with};
use tidemark::testing::{MemoryFiles, MemorySink};

use crate::scenes::{Outcome, committed_once, freeze_slices, grow, outcome};
use crate::{RUNS, World, seeds};

/// How a table is merged.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Whether the window is frozen in three slices.
    is_sliced: bool,
    /// Whether the sink keeps the greater of two rows.
    compares: bool,
}

/// The sink's rows by key, the manifests and the pointer.
type Merged = (BTreeMap<i64, i64>, Outcome);

struct Merging {
    world: World,
    sink: MemorySink,
}

impl Merge {
    async fn set(self) -> Merging {
        let world = committed_once().await;
        grow(&world);
        if self.is_sliced {
            freeze_slices(&world, Some(sink_spec()), 11).await;
        }
        Merging {
            world,
            sink: MemorySink::new(self.compares),
        }
    }

    async fn undisturbed(self) -> Merged {
        let merging = self.set().await;
        assert!(merging.run(&Gate::default(), "only").await);
        let merged = merging.merged().await;
        // Rows 4, 5 and 9 have the same key and are in two slices. Rows 10 and 11 have the other key.
        assert_eq!(merged.0, BTreeMap::from([(0, 9), (1, 11)]));
        merged
    }
}

fn sink() -> serde_json::Value {
    serde_json::json!({ "sqlserver": { "secret_arn": "sink" } })
}

fn sink_spec() -> SinkSpec {
    serde_json::from_value(sink()).unwrap()
}

impl Merging {
    /// Returns the same with a world and a sink of its own. Nothing is merged yet.
    fn copied(&self, merge: Merge) -> Self {
        Self {
            world: self.world.copied(),
            sink: MemorySink::new(merge.compares),
        }
    }

    async fn run(&self, gate: &Gate, run_id: &str) -> bool {
        self.run_in_time(gate, run_id, u64::MAX).await
    }

    async fn run_in_time(&self, gate: &Gate, run_id: &str, rows_in_time: u64) -> bool {
        let World {
            table,
            store,
            watermarks,
            ..
        } = &self.world;
        let (source, store) = (Gated::new(gate, table), Gated::new(gate, store));
        let (inner, watermarks) = (Gated::new(gate, table), Gated::new(gate, watermarks));
        let mut pipeline = Pipeline {
            context: self.world.context.get(),
            ..Pipeline::new(
                &source,
                Slow::in_memory(inner, rows_in_time),
                &watermarks,
                Place::new(&store, PREFIX),
                MemoryFiles,
                Gated::new(gate, &self.sink),
            )
        };
        let spec = spec_with(serde_json::json!({ "sink": sink() }));
        let outcome = pipeline.run(run_id, &[spec]).await;
        outcome.is_ok_and(|outcome| outcome.failed.is_empty())
    }

    async fn merged(&self) -> Merged {
        (self.sink.rows(), outcome(&self.world).await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    for (is_sliced, compares) in [(false, true), (true, true), (false, false)] {
        let merge = Merge { is_sliced, compares };
        let expected = merge.undisturbed().await;
        let set = merge.set().await;
        let mut cases = 0;
        for fault in Fault::ALL {
            for call in 0.. {
                let merging = set.copied(merge);
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
                assert_eq!(merging.merged().await, expected, "{case}");
            }
        }
        assert!(cases > 50, "{cases}");
    }
}

#[tokio::test]
async fn merges_interleaved_in_any_order_end_as_one() {
    // Both with and without time for the rows of a slice: the first run may have to split what the second merges whole.
    for (is_sliced, compares, rows_in_time) in [
        (false, true, u64::MAX),
        (true, true, u64::MAX),
        (true, true, 1),
        (false, false, u64::MAX),
    ] {
        let merge = Merge { is_sliced, compares };
        let expected = merge.undisturbed().await;
        let set = merge.set().await;
        // These are four tests, of which each tries half as many seeds as the others.
        for seed in 1..=seeds() / 2 {
            let merging = set.copied(merge);
            let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
            // The second run goes on with the next window, while the first may still be at this one, with rows that it
            // read long ago.
            let one = one.held_up_at("lock", usize::try_from(seed).unwrap() % 4 * 500);
            let ahead = async {
                let first = merging.run(&other, "b").await;
                merging.world.table.insert(12);
                first && merging.run(&other, "c").await
            };
            let (a, b) = tokio::join!(merging.run_in_time(&one, "a", rows_in_time), ahead);
            assert!(a && b, "seed {seed}, {merge:?}: {a} {b}");
            let (rows, mut outcome) = merging.merged().await;
            assert_eq!(rows, BTreeMap::from([(0, 9), (1, 12)]), "seed {seed}, {merge:?}");
            outcome.windows.truncate(expected.1.windows.len());
            assert_eq!(outcome.windows, expected.1.windows, "seed {seed}, {merge:?}");
        }
    }
}

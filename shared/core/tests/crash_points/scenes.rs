//! What disturbed runs begin with, and what must come of them.

use std::collections::BTreeMap;

use tidemark::ledger::Decided;
use tidemark::model::manifest::Manifest;
use tidemark::model::plan::Plan;
use tidemark::model::sink::SinkSpec;
use tidemark::model::slice::SliceBounds;
use tidemark::model::table::TableSpec;
use tidemark::model::watermark::Watermark;
use tidemark::model::window::WindowName;
#[allow(
    unused_imports,
    reason = "the store in memory has these methods itself, the folder has them by this trait"
)]
use tidemark::testing::TestStore;
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::slow_reader::Slow;
use tidemark::testing::version;
use tidemark::testing::world::{pipeline_behind, spec, spec_with, window};

use crate::{World, world};

/// A committed window.
#[derive(Debug, PartialEq, Eq)]
pub struct Window {
    /// Its name.
    pub name: WindowName,
    /// Its bounds.
    pub bounds: (Option<Watermark>, Watermark),
    /// Its rows.
    pub rows: u64,
    /// The keys of its objects.
    pub keys: Vec<String>,
}

/// What readers and the next run find.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The visible parts.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// What is written for loaders.
    pub loaders: BTreeMap<String, Vec<u8>>,
    /// The committed windows in their order.
    pub windows: Vec<Window>,
    /// The pointer.
    pub watermark: Option<String>,
}

/// Makes a world whose table has one committed window, (none, 3].
pub async fn committed_once() -> World {
    let world = world(1..=3);
    world.run("before").await;
    world
}

/// Adds five rows to the table.
pub fn grow(world: &World) {
    [4, 5, 9, 10, 11].into_iter().for_each(|row| world.table.insert(row));
}

/// Freezes the window after the first in three slices, as a large one would be. The second of them is empty.
pub async fn freeze_slices(world: &World, sink: Option<SinkSpec>, last: i64) {
    let template: Plan = world.ledger().plan(&window("initial")).await.unwrap().unwrap();
    let slice = |from: i64, to: i64| SliceBounds {
        old: Some(version(from)),
        new: Some(version(to)),
        key: None,
    };
    let plan = Plan {
        window: WindowName::after(&version(3)),
        slices: vec![slice(3, 5), slice(5, 8), slice(8, last)],
        sink,
        old_watermark: Some(version(3)),
        new_watermark: version(last),
        ..template
    };
    world.ledger().freeze(plan).await.unwrap();
}

/// Runs one execution behind `gate`. Like the state machine, it gives up at the first error. Returns whether it
/// succeeded.
pub async fn run(world: &World, gate: &Gate, run_id: &str) -> bool {
    run_in_time(world, gate, run_id, u64::MAX).await
}

/// Runs one execution with time for so many rows per invocation.
pub async fn run_in_time(world: &World, gate: &Gate, run_id: &str, rows_in_time: u64) -> bool {
    run_of(world, gate, run_id, rows_in_time, spec()).await
}

/// Runs one execution of the table with other settings.
pub async fn run_of(world: &World, gate: &Gate, run_id: &str, rows_in_time: u64, spec: TableSpec) -> bool {
    let (source, store) = (Gated::new(gate, &world.table), Gated::new(gate, &world.store));
    let (inner, watermarks) = (Gated::new(gate, &world.table), Gated::new(gate, &world.watermarks));
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&source, Slow::in_memory(inner, rows_in_time), &watermarks, &store)
    };
    let outcome = pipeline.run(run_id, &[spec]).await;
    outcome.is_ok_and(|outcome| outcome.failed.is_empty())
}

/// Returns what readers and the next run find.
pub async fn outcome(world: &World) -> Outcome {
    let parts = world.parts().into_iter();
    let parts = parts.map(|key| (key.clone(), world.store.body(&key).unwrap().to_vec()));
    let loaders = world.store.keys().into_iter().filter(|key| key.contains("/loader-"));
    let loaders = loaders.map(|key| (key.clone(), world.store.body(&key).unwrap().to_vec()));
    let mut windows = Vec::new();
    let mut at = WindowName::initial();
    while let Some(manifest) = world.ledger().manifest(&at).await.unwrap() {
        let next = manifest.next_window();
        let Manifest {
            old_watermark,
            new_watermark,
            rows,
            parts,
            ..
        } = manifest;
        windows.push(Window {
            name: std::mem::replace(&mut at, next),
            bounds: (old_watermark, new_watermark),
            rows,
            keys: parts.into_iter().map(|part| part.key).collect(),
        });
    }
    Outcome {
        parts: parts.collect(),
        loaders: loaders.collect(),
        windows,
        watermark: world.watermark(),
    }
}

/// Checks that a reader that follows manifests never misses an object, and that one that lists sees nothing of an
/// undecided window.
pub async fn check_what_readers_see(world: &World, case: &str) {
    let outcome = outcome(world).await;
    for Window { name, keys, .. } in &outcome.windows {
        for key in keys {
            let is_there = outcome.parts.contains_key(key);
            assert!(is_there, "{case}: window {name} names {key}, which is not there");
        }
    }
    let second = window("from-3");
    if !outcome.parts.keys().any(|key| key.contains("tidemark_window=from-3/")) {
        return;
    }
    let plan = world.ledger().existing_plan(&second).await.unwrap();
    for slice in world.ledger().slices(&plan).await.unwrap() {
        let is_decided = matches!(slice.decided, Decided::Record(_));
        assert!(
            is_decided,
            "{case}: a part is visible before slice {} is decided",
            slice.id
        );
    }
}

/// What a disturbed run begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Rows for a window of one slice.
    Whole,
    /// A window frozen in three slices.
    Sliced,
    /// Rows for a window whose files would not be like those of the first: the table is loaded into a new folder.
    Reload,
    /// A window frozen in three slices, with so many rows in the last that a source that has time for only one must
    /// split it twice.
    Slow,
}

impl Scene {
    /// Makes the world before the run.
    pub async fn set(self) -> World {
        let world = committed_once().await;
        grow(&world);
        match self {
            Self::Whole | Self::Reload => {}
            Self::Sliced => freeze_slices(&world, None, 11).await,
            Self::Slow => {
                (12..=20).for_each(|row| world.table.insert(row));
                freeze_slices(&world, None, 20).await;
            }
        }
        world
    }

    /// Runs one execution.
    pub async fn run(self, world: &World, gate: &Gate, run_id: &str) -> bool {
        let rows_in_time = if self == Self::Slow { 1 } else { u64::MAX };
        run_of(world, gate, run_id, rows_in_time, self.spec()).await
    }

    /// Returns the table's settings in its runs.
    fn spec(self) -> TableSpec {
        match self {
            Self::Whole | Self::Sliced | Self::Slow => spec(),
            // Another format is a change that no reader goes on with.
            Self::Reload => spec_with(serde_json::json!({
                "on_schema_change": "reload", "format": "jsonl", "loader_manifests": ["redshift", "symlink"],
            })),
        }
    }

    /// Returns how many windows the ledger has in the end. With a reload, that includes the one that was given up.
    pub const fn windows(self) -> usize {
        match self {
            Self::Whole | Self::Sliced | Self::Slow => 2,
            Self::Reload => 3,
        }
    }

    /// Returns what comes of an undisturbed run.
    pub async fn undisturbed(self) -> Outcome {
        let world = self.set().await;
        assert!(self.run(&world, &Gate::default(), "only").await);
        outcome(&world).await
    }
}

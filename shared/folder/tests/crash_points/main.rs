//! Runs the core's suite of crash points with a folder: the steps are stopped, fail or are overtaken at every port call
//! (W1–W6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod folder;

#[path = "../../../core/tests/crash_points/by_hand.rs"]
mod by_hand;
#[path = "../../../core/tests/crash_points/disturbed.rs"]
mod disturbed;
#[path = "../../../core/tests/crash_points/interleaved.rs"]
mod interleaved;
#[path = "../../../core/tests/crash_points/merges.rs"]
mod merges;
#[path = "../../../core/tests/crash_points/overtaken.rs"]
mod overtaken;
#[path = "../../../core/tests/crash_points/scenes.rs"]
mod scenes;

use tidemark::testing::{faults, world};

use self::folder::TestFolder;

/// A number of runs that no single fault can exceed.
const RUNS: usize = 4;

/// The world of the suite, with a folder as the bucket.
type World = world::World<TestFolder>;

fn world(rows: impl IntoIterator<Item = i64>) -> World {
    World::over(TestFolder::new(), rows)
}

fn seeds() -> u64 {
    faults::seeds(std::env::var("SOAK_SEEDS").ok())
}

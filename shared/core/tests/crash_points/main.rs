//! The steps stopped, failed or overtaken at every port call: the outcome is that of an undisturbed run (W1–W6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod by_hand;
mod disturbed;
mod interleaved;
mod merges;
mod overtaken;
mod scenes;

use tidemark::testing::{MemoryStore, faults, world};

/// The world of these tests, over a bucket in memory. `shared/folder` has the same tests over a folder.
type World = world::World<MemoryStore>;

fn world(rows: impl IntoIterator<Item = i64>) -> World {
    World::new(rows)
}

/// More executions than any single fault can need.
const RUNS: usize = 4;

fn seeds() -> u64 {
    faults::seeds(std::env::var("SOAK_SEEDS").ok())
}

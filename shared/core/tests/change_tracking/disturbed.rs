//! Faults at every port call, and several runs at once over a table that changes meanwhile.

use tidemark::error::ErrorCode;
use tidemark::testing::MemoryTracked;
use tidemark::testing::faults::{Fault, Gate, seeds};
use tidemark::testing::world::name;

use crate::world::{World, spec};

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

/// Disturbs every port call of a run, in every way, with and without time for the rows of a slice. Nothing may be lost,
/// and nothing shown twice. Returns how many cases there were.
async fn every_port_call(scene: Scene) -> usize {
    let set = scene.set().await;
    let mut cases = 0;
    for fault in Fault::ALL {
        // Afterwards either nothing happens, or the changes that would have been read expire.
        for (expires, rows_in_time) in [(false, u64::MAX), (true, u64::MAX), (false, 1), (true, 1)] {
            for call in 0.. {
                let world = set.copied();
                let gate = Gate::at(call, fault);
                let _ = world.gated(&gate, "disturbed", rows_in_time).await;
                if !gate.was_reached() {
                    break;
                }
                let case = format!(
                    "{fault:?} at call {call} {:?} {expires} {rows_in_time}",
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
    cases
}

#[tokio::test(start_paused = true)]
async fn a_first_load_disturbed_at_any_port_call() {
    assert!(every_port_call(Scene::FirstLoad).await > 800);
}

#[tokio::test(start_paused = true)]
async fn changes_disturbed_at_any_port_call() {
    assert!(every_port_call(Scene::Changed).await > 700);
}

#[tokio::test(start_paused = true)]
async fn a_window_without_changes_disturbed_at_any_port_call() {
    assert!(every_port_call(Scene::Idle).await > 200);
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_disturbed_at_any_port_call() {
    assert!(every_port_call(Scene::Expired).await > 800);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_expired_after_it_was_frozen_disturbed_at_any_port_call() {
    assert!(every_port_call(Scene::FrozenThenExpired).await > 900);
}

/// Changes the source while runs are under way.
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
    for seed in 1..=seeds(std::env::var("SOAK_SEEDS").ok()) {
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
                // A run may find its changes gone while it copies them, or nothing beyond a truncation, and the next
                // ones go on. Nothing else may fail.
                let outcome = world.gated(gate, &format!("{run}{number}"), rows_in_time).await;
                let fine = match &outcome {
                    Ok(outcome) => outcome
                        .failed
                        .iter()
                        .all(|failed| failed.error == ErrorCode::ChangeTrackingInvalid),
                    // A slice that had too many rows may have only one left when it is to be split.
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
        // A version at which tracking began anew is left only when there is another version.
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

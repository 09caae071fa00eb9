//! How much a run may copy of a table: it stops before the next slice, says so, and the next run goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::model::budget::Budget;
use tidemark::model::lease::Leases;
use tidemark::steps::context::RunContext;
use tidemark::steps::run::RunOutcome;
use tidemark::testing::world::{World, spec_with};

/// Ten rows, of two digits with their line's end, in five slices.
fn world(budget: Budget) -> World {
    let world = World::new(1..=10).taking(Leases::Taken);
    let context = world.context.get();
    world.context.set(RunContext { budget, ..context });
    world
}

async fn run(world: &World, run_id: &str) -> RunOutcome {
    let spec = spec_with(json!({ "slice_rows": 2 }));
    let outcome = world.pipeline().run(run_id, &[spec]).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    outcome
}

#[tokio::test]
async fn a_run_stops_before_the_next_slice_and_the_next_run_goes_on() {
    for budget in [
        Budget {
            rows: Some(4),
            bytes: None,
        },
        Budget {
            rows: None,
            bytes: Some(8),
        },
    ] {
        let world = world(budget);
        for (run_id, slices_left) in [("r1", 3), ("r2", 1)] {
            let outcome = run(&world, run_id).await;
            let [stopped] = outcome.stopped.as_slice() else {
                panic!("{outcome:?}")
            };
            assert_eq!((stopped.rows, stopped.slices_left), (4, slices_left), "{run_id}");
            assert_eq!(stopped.bytes, 8, "{run_id}");
            assert_eq!((outcome.committed.len(), world.parts().len()), (0, 0), "{run_id}");
            // Nobody has to wait for a lease.
            assert_eq!(
                world.lease("other").keeper(world.context.get().now).await.unwrap(),
                None
            );
        }
        let outcome = run(&world, "r3").await;
        assert_eq!((outcome.committed[0].rows, outcome.stopped.len()), (10, 0));
        assert_eq!(world.lines(), (1..=10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_run_copies_one_slice_however_small_its_budget_is() {
    let world = world(Budget {
        rows: Some(1),
        bytes: None,
    });
    for run_id in ["r1", "r2", "r3", "r4"] {
        assert_eq!(run(&world, run_id).await.stopped[0].rows, 2, "{run_id}");
    }
    assert_eq!(run(&world, "r5").await.committed.len(), 1);
}

#[tokio::test]
async fn a_window_that_just_fits_is_committed() {
    let world = world(Budget {
        rows: Some(10),
        bytes: None,
    });
    assert_eq!(run(&world, "r1").await.committed[0].rows, 10);
}

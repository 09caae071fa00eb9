//! How much a run may copy: it stops before the next slice and reports that, and the next run goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;
use tidemark::ledger::{Ledger, Place, RunLease};
use tidemark::model::budget::{Budget, Spent};
use tidemark::model::lease::Leases;
use tidemark::model::slice_id::SliceId;
use tidemark::model::window::WindowName;
use tidemark::steps::context::RunContext;
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark::testing::world::{PREFIX, World, of_run, pipeline_behind, spec_with};

/// Makes a world with ten rows, each of two digits and a line end, in five slices.
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
            ..Budget::default()
        },
        Budget {
            bytes: Some(8),
            ..Budget::default()
        },
        // The price of two slices: the transitions of a window, and the transitions and writes of each slice.
        Budget {
            usd: Some("0.00035".parse().unwrap()),
            ..Budget::default()
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
            assert_eq!(stopped.usd.to_string(), "0.0004", "{run_id}");
            assert_eq!((outcome.committed.len(), world.parts().len()), (0, 0), "{run_id}");
            // No other run has to wait for a lease.
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
async fn what_a_run_copies_of_other_tables_counts_as_well() {
    let world = world(Budget {
        rows: Some(5),
        ..Budget::default()
    });
    let other = "dbo.other".parse().unwrap();
    let ledger = Ledger::new(world.place(), &other);
    let copied = Spent {
        rows: 3,
        bytes: 6,
        slices: 1,
    };
    let now = world.context.get().now;
    RunLease::new(&ledger, "r1").try_to_count(now, copied).await;
    let outcome = run(&world, "r1").await;
    assert_eq!((outcome.stopped[0].rows, outcome.stopped[0].slices_left), (5, 4));
    // A table whose turn comes when the budget is spent is left whole.
    RunLease::new(&ledger, "r2").try_to_count(now, copied + copied).await;
    let outcome = run(&world, "r2").await;
    assert_eq!((outcome.stopped[0].rows, outcome.stopped[0].slices_left), (6, 4));
}

#[tokio::test(start_paused = true)]
async fn slices_that_end_at_once_are_all_counted() {
    let world = world(Budget::default());
    let ledger = world.ledger();
    let copied = Spent {
        rows: 1,
        bytes: 2,
        slices: 1,
    };
    let now = world.context.get().now;
    let counts = (1..=50).map(async |seed| {
        let gate = Gate::waiting(seed);
        let store = Gated::new(&gate, &world.store);
        let table = tidemark::testing::world::name();
        let ledger = Ledger::new(Place::new(&store, PREFIX), &table);
        RunLease::new(&ledger, "run").try_to_count(now, copied).await;
    });
    futures::future::join_all(counts).await;
    let spent = RunLease::new(&ledger, "run").spent().await.unwrap();
    assert_eq!((spent.rows, spent.bytes, spent.slices), (50, 100, 50));
}

#[tokio::test]
async fn a_run_copies_one_slice_however_small_its_budget_is() {
    let world = world(Budget {
        rows: Some(1),
        ..Budget::default()
    });
    for run_id in ["r1", "r2", "r3", "r4"] {
        assert_eq!(run(&world, run_id).await.stopped[0].rows, 2, "{run_id}");
    }
    assert_eq!(run(&world, "r5").await.committed.len(), 1);
}

#[tokio::test]
async fn what_a_run_has_copied_is_known_by_one_read_however_many_slices_there_are() {
    let world = world(Budget {
        rows: Some(100),
        ..Budget::default()
    });
    let spec = spec_with(json!({ "slice_rows": 2 }));
    world.pipeline().plan("r1", &[spec]).await.unwrap();
    let mut calls = Vec::new();
    for slice in 0..5_u32 {
        let gate = Gate::default();
        let store = Gated::new(&gate, &world.store);
        let mut pipeline = Pipeline {
            context: world.context.get(),
            ..pipeline_behind(&world.table, &world.table, &world.watermarks, &store)
        };
        pipeline.copy_slice("r1", &of_run("initial"), slice).await.unwrap();
        calls.push(gate.calls().len());
    }
    assert_eq!(calls, [calls[0]; 5]);
}

#[tokio::test]
async fn a_window_that_just_fits_is_committed() {
    let world = world(Budget {
        rows: Some(10),
        ..Budget::default()
    });
    assert_eq!(run(&world, "r1").await.committed[0].rows, 10);
}

#[tokio::test]
async fn a_window_whose_budget_lasts_for_more_days_than_uploads_are_kept_is_committed_all_the_same() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let world = world(Budget {
        rows: Some(2),
        ..Budget::default()
    });
    // A slice is copied each day, for twelve days in the end.
    for row in 11..=24 {
        world.table.insert(row);
    }
    let ledger = world.ledger();
    for day in 0..11_u32 {
        let outcome = run(&world, &format!("day {day}")).await;
        assert_eq!((outcome.stopped.len(), world.parts().len()), (1, 0), "day {day}");
        world.pass(DAY);
        if let Some(expired) = (day + 1).checked_sub(7) {
            let plan = ledger.plan(&WindowName::initial()).await.unwrap().unwrap();
            world
                .store
                .expire_uploads_to(&ledger.keys().part(&plan, &SliceId::planned(expired)));
        }
    }
    let outcome = run(&world, "day 11").await;
    assert_eq!((outcome.committed[0].rows, outcome.stopped.len()), (24, 0));
    assert_eq!(world.lines(), (1..=24).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_budget_of_dollars_that_a_window_alone_costs_still_copies_a_slice() {
    let world = world(Budget {
        usd: Some("0.000001".parse().unwrap()),
        ..Budget::default()
    });
    assert_eq!(run(&world, "r1").await.stopped[0].rows, 2);
}

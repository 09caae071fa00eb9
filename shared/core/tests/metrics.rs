//! What the steps measure, as the functions report it: an alarm hears of everything that is late, lost, done again or
//! left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::model::budget::Budget;
use tidemark::model::lease::Leases;
use tidemark::model::metric::{Measurement, Metric};
use tidemark::model::table::TableSpec;
use tidemark::ports::source::{Access, CatalogColumn};
use tidemark::steps::context::{Measured, RunContext};
use tidemark::steps::lookup_new::NewWatermarks;
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark::steps::pause::{Pause, pause};
use tidemark::steps::update::UpdateAnswer;
use tidemark::testing::declared;
use tidemark::testing::world::{World, name, of_run, spec, spec_with};

/// Returns what is measured in one answer, which has one line.
fn of(answer: &impl Measured) -> (bool, Vec<Metric>) {
    let mut measured = answer.metrics();
    let Some(Measurement { table, metrics }) = measured.pop() else {
        return (false, Vec::new());
    };
    assert!(measured.is_empty(), "{measured:?}");
    assert!(table.as_ref().is_none_or(|table| *table == name()));
    (table.is_some(), metrics)
}

/// Runs one execution of one window, and returns what was measured at its commit.
async fn committed(world: &World, run_id: &str, spec: &TableSpec) -> Vec<Metric> {
    let mut outcome = world.pipeline().run(run_id, std::slice::from_ref(spec)).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let (is_of_table, metrics) = of(&UpdateAnswer::Committed(outcome.committed.remove(0)));
    assert!(is_of_table);
    metrics
}

#[tokio::test]
async fn a_committed_window_counts_its_rows_and_those_that_were_late() {
    let world = World::new([1, 3]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    world.pipeline().copy_slice("r1", &of_run("initial"), 0).await.unwrap();
    world.table.insert(2);
    let answer = world.pipeline().update("r1", &of_run("initial")).await.unwrap();
    let expected = [
        Metric::RowsCopied(2),
        Metric::BytesWritten(4),
        Metric::PartsWritten(1),
        Metric::LateRows(1),
    ];
    assert_eq!(of(&answer), (true, expected.to_vec()));
}

#[tokio::test]
async fn late_rows_that_could_not_be_counted_are_measured_as_unknown() {
    let world = World::new([1]);
    world.table.refuse_counts();
    let metrics = committed(&world, "r1", &spec()).await;
    assert_eq!(metrics.last(), Some(&Metric::LateRowsUnknown(1)));
    assert!(!metrics.iter().any(|metric| matches!(metric, Metric::LateRows(_))));
}

#[tokio::test]
async fn a_table_that_is_loaded_again_is_measured_once() {
    let world = World::new([1, 2, 3]);
    let spec = spec_with(json!({ "on_schema_change": "reload" }));
    world.table.declare([declared("b", true)]);
    let first = committed(&world, "r1", &spec).await;
    assert!(!first.contains(&Metric::Reinitializations(1)), "{first:?}");
    world.table.insert(4);
    // Without a column, the files would not be like those before.
    world.table.declare([]);
    let again = committed(&world, "r2", &spec).await;
    assert!(again.contains(&Metric::Reinitializations(1)), "{again:?}");
    world.table.insert(5);
    let next = committed(&world, "r3", &spec).await;
    assert!(!next.contains(&Metric::Reinitializations(1)), "{next:?}");
}

#[tokio::test]
async fn a_table_that_stops_at_the_budget_is_measured() {
    let world = World::new(1..=10).taking(Leases::Taken);
    let budget = Budget {
        rows: Some(4),
        ..Budget::default()
    };
    let context = world.context.get();
    world.context.set(RunContext { budget, ..context });
    let mut outcome = world
        .pipeline()
        .run("r1", &[spec_with(json!({ "slice_rows": 2 }))])
        .await
        .unwrap();
    let answer = UpdateAnswer::Stopped(outcome.stopped.remove(0));
    assert_eq!(of(&answer), (true, vec![Metric::TablesStopped(1)]));
}

#[tokio::test]
async fn a_table_that_is_paused_is_measured_by_whichever_step_finds_it() {
    let world = World::new([1, 2]).taking(Leases::Taken);
    let context = world.context.get();
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let person = Pause {
        by: "somebody".into(),
        reason: None,
    };
    pause(world.place(), &name(), person, context).await.unwrap();
    let paused = (false, vec![Metric::TablesPaused(1)]);

    let commit = world.pipeline().update("r1", &of_run("initial")).await.unwrap();
    assert!(matches!(commit, UpdateAnswer::Paused(_)), "{commit:?}");
    assert_eq!(of(&commit), paused);

    let planned = world.pipeline().plan("r2", &[spec()]).await.unwrap();
    assert_eq!(of(&planned), paused);

    // What would have failed the table does not, because it is paused.
    world
        .store
        .overwrite("p/_ledger/dbo.t/initial/manifest.json", "{}".into());
    let request = LookupOldRequest {
        run_id: "r3".into(),
        tables: vec![spec()],
        dry_run: false,
    };
    let looked_up = lookup_old(&world.watermarks, world.place(), request, context)
        .await
        .unwrap();
    assert_eq!(looked_up.paused.len(), 1, "{looked_up:?}");
    assert_eq!(of(&looked_up), paused);
}

#[tokio::test]
async fn a_table_that_another_run_copies_is_measured_by_whichever_step_finds_it() {
    let world = World::new([1, 2]).taking(Leases::Taken);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let busy = (false, vec![Metric::TablesBusy(1)]);
    let planned = world.pipeline().plan("r2", &[spec()]).await.unwrap();
    assert_eq!(of(&planned), busy);
    let commit = world.pipeline().update("r2", &of_run("initial")).await.unwrap();
    assert!(matches!(commit, UpdateAnswer::Busy(_)), "{commit:?}");
    assert_eq!(of(&commit), busy);
}

#[test]
fn tables_that_wait_for_the_next_run_are_measured() {
    let answer = NewWatermarks {
        waiting: vec![name(), name()],
        ..NewWatermarks::default()
    };
    assert_eq!(of(&answer), (false, vec![Metric::TablesWaiting(2)]));
}

#[tokio::test]
async fn a_table_with_rows_that_no_window_selects_is_measured_by_every_run() {
    let incomplete = (false, vec![Metric::TablesIncomplete(1)]);
    let null_watermark = |choice: &str| {
        let tracking = json!({ "watermark": { "column": "v", "settle_seconds": 0, "null_watermark": choice } });
        spec_with(json!({ "tracking": tracking }))
    };
    for (choice, expected) in [("skip", &incomplete), ("first_load", &(false, Vec::new()))] {
        let world = World::new([1]);
        world.table.tell_nulls(2);
        // The second run finds no change.
        for run_id in ["r1", "r2"] {
            let specs = [null_watermark(choice)];
            let planned = world.pipeline().plan("dry", &specs).await.unwrap();
            assert_eq!(of(&planned), *expected, "{choice} {run_id}");
            world.pipeline().run(run_id, &specs).await.unwrap();
        }
    }
    let world = World::new([1]);
    world.table.list([CatalogColumn {
        name: "v".into(),
        in_star: true,
        is_row_version: false,
        is_period_start: false,
        access: Access::Values,
        counting: None,
    }]);
    world.table.filter();
    let planned = world.pipeline().plan("r1", &[spec()]).await.unwrap();
    assert_eq!(of(&planned), incomplete);
}

#[tokio::test]
async fn a_run_that_leaves_no_table_measures_none() {
    let world = World::new([1]).taking(Leases::Taken);
    let planned = world.pipeline().plan("r1", &[spec()]).await.unwrap();
    assert_eq!(of(&planned), (false, Vec::new()));
}

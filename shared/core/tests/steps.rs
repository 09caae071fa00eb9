//! The four steps in the state machine's order over fakes, and what a run leaves, whatever happened before it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;
use tidemark::error::{Answer, ErrorCode};
use tidemark::ledger::Decided;
use tidemark::model::record::Record;
use tidemark::model::rows::Rows;
use tidemark::model::table::RunSettings;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::StoreType;
use tidemark::ports::objects::{CompleteObjects, Completed, CreateObjects};
use tidemark::ports::source::CountRows;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopiedSlice, CopyAnswer};
use tidemark::steps::update::{UpdateAnswer, UpdatePorts, UpdateRequest, update};
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{World, name, of_run, pipeline, spec, spec_with, window};
use tidemark::testing::{MemoryTable, MemoryWatermarks};

/// Returns what is decided of the first slice of the first window.
async fn record(world: &World) -> Record {
    let plan = world.ledger().existing_plan(&window("initial")).await.unwrap();
    match world.ledger().decided(&plan, &0.into()).await.unwrap() {
        Decided::Record(record) => record,
        Decided::NotYet(attempt) => panic!("{attempt:?}"),
    }
}

#[tokio::test]
async fn each_run_copies_what_came_since_the_last() {
    let world = World::new([1, 2, 3]);
    let first = world.run("r1").await;
    assert_eq!((first.committed[0].rows, first.committed[0].objects), (3, 1));
    assert_eq!(
        (world.watermark().as_deref(), world.lines()),
        (Some("3"), vec![1, 2, 3])
    );
    let parts = world.parts();

    world.table.insert(4);
    world.table.insert(5);
    assert_eq!(world.run("r2").await.committed[0].rows, 2);
    assert_eq!(
        (world.watermark().as_deref(), world.lines()),
        (Some("5"), vec![1, 2, 3, 4, 5])
    );
    assert!(
        parts.iter().all(|part| world.parts().contains(part)),
        "earlier objects stay"
    );

    let keys = world.store.keys();
    let third = world.run("r3").await;
    assert_eq!(
        (third.committed.len(), third.unchanged.as_slice()),
        (0, [world.name.clone()].as_slice())
    );
    assert_eq!(world.store.keys(), keys, "an idle run writes nothing");
}

#[tokio::test]
async fn the_manifest_names_every_object_and_nothing_else_is_visible() {
    let world = World::new(1..=5);
    world.run("r1").await;
    let manifest = world.ledger().manifest(&window("initial")).await.unwrap().unwrap();
    let named: Vec<_> = manifest.parts.iter().map(|part| part.key.clone()).collect();
    assert_eq!(named, world.parts());
    assert_eq!((manifest.rows, manifest.bytes, manifest.late_rows), (5, 10, Some(0)));
    assert_eq!(world.store.pending_uploads(), 0);
}

#[tokio::test]
async fn an_empty_table_leaves_the_watermark_alone() {
    let world = World::new([]);
    world.watermarks.set(&world.name, Some("7"));
    assert_eq!(world.run("r1").await.unchanged, [name()]);
    assert_eq!((world.watermark().as_deref(), world.store.keys().len()), (Some("7"), 0));
}

#[tokio::test]
async fn an_abandoned_window_is_resumed_with_its_own_plan() {
    let world = World::new([1, 2]);
    let planned = world.pipeline().plan("died", &[spec()]).await.unwrap();
    assert!(!planned.windows[0].adopted);
    world.table.insert(3);
    let outcome = world.run("r2").await;
    assert_eq!(outcome.committed[0].rows, 2, "the frozen bounds are kept");
    assert_eq!(world.run("r3").await.committed[0].rows, 1);
    assert_eq!(world.lines(), [1, 2, 3]);
}

#[tokio::test]
async fn a_copied_slice_is_not_copied_again() {
    let world = World::new([1, 2]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    let initial = of_run("initial");
    let first = pipeline.copy_slice("r1", &initial, 0).await.unwrap();
    assert!(world.parts().is_empty(), "nothing is visible before the commit");
    let second = pipeline.copy_slice("r1", &initial, 0).await.unwrap();
    let resumed = |answer: &CopyAnswer| matches!(answer, CopyAnswer::Copied(CopiedSlice { resumed: true, .. }));
    assert!(!resumed(&first) && resumed(&second));
    assert_eq!(world.store.pending_uploads(), 1);
}

#[tokio::test]
async fn of_two_copies_at_once_one_is_decided_and_the_other_given_up() {
    let world = World::new(1..=9);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let (mut a, mut b, initial) = (world.pipeline(), world.pipeline(), of_run("initial"));
    let (one, other) = tokio::join!(a.copy_slice("r1", &initial, 0), b.copy_slice("r2", &initial, 0));
    one.unwrap();
    other.unwrap();
    assert_eq!(world.store.pending_uploads(), 1);
    world.run("r3").await;
    assert_eq!(world.lines(), (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_step_may_be_repeated_after_the_commit() {
    let world = World::new([1, 2]);
    world.run("r1").await;
    let keys = world.store.keys();
    let mut pipeline = world.pipeline();
    pipeline.copy_slice("again", &of_run("initial"), 0).await.unwrap();
    pipeline.update("again", &of_run("initial")).await.unwrap();
    assert_eq!((world.store.keys(), world.watermark().as_deref()), (keys, Some("2")));
}

#[tokio::test]
async fn an_expired_upload_is_copied_again() {
    let world = World::new([1, 2]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    let initial = of_run("initial");
    pipeline.copy_slice("r1", &initial, 0).await.unwrap();
    world.store.expire_uploads();
    assert!(matches!(
        pipeline.update("r2", &initial).await.unwrap(),
        UpdateAnswer::Recopy(again) if again.slices == [0.into()]
    ));
    assert!(world.parts().is_empty() && world.watermark().is_none());
    world.run("r3").await;
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

#[tokio::test]
async fn a_table_whose_uploads_keep_expiring_fails_after_three_rounds_and_says_why() {
    let world = World::new([1, 2]);
    let gate = Gate::default().held_up_at("complete", 4);
    let store = Gated::new(&gate, &world.store);
    let mut pipeline = pipeline(&world.table, &store, &world.watermarks);
    let expiring = async {
        loop {
            if gate.calls().last() == Some(&"complete") {
                world.store.expire_uploads();
            }
            tokio::task::yield_now().await;
        }
    };
    let tables = [spec()];
    let error = tokio::select! {
        outcome = pipeline.run("r1", &tables) => outcome.unwrap_err(),
        never = expiring => never,
    };
    assert_eq!(error.code(), ErrorCode::SinkRejected);
    assert!(error.to_string().contains("keep expiring"), "{error}");
    assert_eq!(gate.calls().iter().filter(|call| **call == "complete").count(), 3);
    assert!(world.parts().is_empty() && world.watermark().is_none());
    world.run("r2").await;
    assert_eq!(world.lines(), [1, 2]);
}

/// Copies three slices of a first window, the last of them eight days after the others, whose uploads the bucket has
/// removed by then.
async fn copied_over_eight_days(world: &World) {
    let spec = spec_with(json!({ "slice_rows": 2 }));
    world.pipeline().plan("r1", &[spec]).await.unwrap();
    let initial = of_run("initial");
    for slice in [0, 1] {
        world.pipeline().copy_slice("r1", &initial, slice).await.unwrap();
    }
    world.pass(Duration::from_secs(8 * 24 * 3600));
    world.store.expire_uploads();
    world.pipeline().copy_slice("r2", &initial, 2).await.unwrap();
}

#[tokio::test]
async fn of_a_window_that_was_copied_over_more_days_than_uploads_are_kept_no_part_is_visible_before_all_are_there() {
    let world = World::new(1..=6);
    copied_over_eight_days(&world).await;
    let mut pipeline = world.pipeline();
    let initial = of_run("initial");
    let UpdateAnswer::Recopy(again) = pipeline.update("r2", &initial).await.unwrap() else {
        panic!("two uploads are gone")
    };
    assert_eq!(again.slices, [0.into(), 1.into()]);
    for slice in again.slices {
        assert_eq!(world.parts().len(), 0);
        pipeline.copy_slice("r2", &initial, slice).await.unwrap();
    }
    let committed = pipeline.update("r2", &initial).await.unwrap();
    assert!(matches!(committed, UpdateAnswer::Committed(_)), "{committed:?}");
    assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>());
}

/// With one upload left, nobody can see half of the window. If the slice were copied again, its version of change
/// tracking would have to be there still.
#[tokio::test]
async fn one_old_upload_that_is_left_to_complete_is_completed_if_it_is_there() {
    let initial = of_run("initial");
    for (rows_each, visible) in [(6_u32, 0_u32), (2, 2)] {
        let world = World::new(1..=6);
        let spec = spec_with(json!({ "slice_rows": rows_each }));
        world.pipeline().plan("r1", &[spec]).await.unwrap();
        for slice in 0..6 / rows_each {
            world.pipeline().copy_slice("r1", &initial, slice).await.unwrap();
        }
        // The commit died after it completed these.
        let plan = world.ledger().plan(&window("initial")).await.unwrap().unwrap();
        for slice in 0..visible {
            let decided = world.ledger().decided(&plan, &slice.into()).await.unwrap();
            let Decided::Record(record) = decided else {
                panic!("slice {slice} is copied")
            };
            world.store.complete(record.upload().unwrap()).await.unwrap();
        }
        world.pass(Duration::from_secs(8 * 24 * 3600));
        let committed = world.pipeline().update("r2", &initial).await.unwrap();
        assert!(matches!(committed, UpdateAnswer::Committed(_)), "{committed:?}");
        assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_old_upload_whose_part_a_commit_had_made_visible_stays_what_its_slice_is() {
    let world = World::new(1..=6);
    let spec = spec_with(json!({ "slice_rows": 2 }));
    world.pipeline().plan("r1", &[spec]).await.unwrap();
    let initial = of_run("initial");
    for slice in 0..3_u32 {
        world.pipeline().copy_slice("r1", &initial, slice).await.unwrap();
    }
    // The commit died after it completed the first.
    let visible = world.store.complete(record(&world).await.upload().unwrap()).await;
    assert!(matches!(visible, Ok(Completed::Visible(_))));
    world.pass(Duration::from_secs(7 * 24 * 3600));
    let UpdateAnswer::Recopy(again) = world.pipeline().update("r2", &initial).await.unwrap() else {
        panic!("two uploads may be gone")
    };
    assert_eq!(again.slices, [1.into(), 2.into()]);
    let outcome = world.run("r3").await;
    assert_eq!((outcome.committed[0].rows, world.lines().len()), (6, 6));
}

/// While a commit counts, another run finds the upload expired, copies the slice again and commits the window.
#[tokio::test]
async fn a_commit_that_was_overtaken_takes_what_the_other_run_completed() {
    struct Overtaken<'a>(&'a World);

    impl CountRows for Overtaken<'_> {
        async fn count(&self, rows: &Rows<'_>) -> Answer<u64> {
            let (world, initial) = (self.0, of_run("initial"));
            world.store.expire_uploads();
            let mut other = world.pipeline();
            let voided = other.update("other", &initial).await?;
            assert!(matches!(voided, UpdateAnswer::Recopy(_)));
            Box::pin(other.copy_slice("other", &initial, 0)).await?;
            let completed = world.store.complete(record(world).await.upload().unwrap()).await?;
            assert!(matches!(completed, Completed::Visible(_)));
            CountRows::count(&world.table, rows).await
        }
    }

    let world = World::new([1, 2]);
    let initial = of_run("initial");
    world.pipeline().plan("slow", &[spec()]).await.unwrap();
    world.pipeline().copy_slice("slow", &initial, 0).await.unwrap();
    let request = UpdateRequest {
        run_id: "slow".into(),
        table: initial.table,
        window: initial.window,
        settings: RunSettings::default(),
    };
    let ports = UpdatePorts {
        source: &Overtaken(&world),
        watermarks: &world.watermarks,
        place: world.place(),
    };
    let UpdateAnswer::Committed(window) = update(ports, request, RunContext::unbounded()).await.unwrap() else {
        panic!("the slice is copied")
    };
    assert_eq!((window.rows, window.objects), (2, 1));
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

#[tokio::test]
async fn a_slice_whose_upload_expired_is_not_split() {
    let world = World::new(1..=20);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    let initial = of_run("initial");
    pipeline.copy_slice("r1", &initial, 0).await.unwrap();
    world.store.expire_uploads();
    pipeline.update("r1", &initial).await.unwrap();
    // Another run that completes that upload at this moment makes it visible after all, and its rows must not be in
    // sub-slices, too.
    let error = pipeline.split("r1", &initial, 0.into()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert!(error.to_string().contains("has expired before"), "{error}");
    world.run("r2").await;
    assert_eq!(world.lines().len(), 20);
}

#[tokio::test]
async fn a_window_without_a_copied_slice_is_not_committed() {
    let world = World::new([1]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let answer = world.pipeline().update("r1", &of_run("initial")).await.unwrap();
    assert!(matches!(answer, UpdateAnswer::Recopy(again) if again.slices == [0.into()]));
    assert!(world.watermark().is_none());
}

#[tokio::test]
async fn late_rows_are_counted_at_commit() {
    let world = World::new([1, 3]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    pipeline.copy_slice("r1", &of_run("initial"), 0).await.unwrap();
    world.table.insert(2);
    let UpdateAnswer::Committed(window) = pipeline.update("r1", &of_run("initial")).await.unwrap() else {
        panic!("every slice is copied")
    };
    assert_eq!((window.rows, window.late_rows), (2, Some(1)));
}

#[tokio::test]
async fn a_window_whose_rows_are_gone_commits_without_an_object() {
    let world = World::new([1]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let emptied = MemoryTable::default();
    let mut pipeline = Pipeline {
        source: &emptied,
        reader: &emptied,
        ..world.pipeline()
    };
    pipeline.copy_slice("r1", &of_run("initial"), 0).await.unwrap();
    pipeline.update("r1", &of_run("initial")).await.unwrap();
    assert_eq!((world.parts().len(), world.watermark().as_deref()), (0, Some("1")));
}

#[tokio::test]
async fn what_the_ledger_does_not_know_is_named() {
    let world = World::new([1]);
    let mut pipeline = world.pipeline();
    let error = pipeline.copy_slice("r1", &of_run("from-99"), 0).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(
        error.to_string().contains("window from-99 of dbo.t has no plan"),
        "{error}"
    );

    pipeline.plan("r1", &[spec()]).await.unwrap();
    let error = pipeline.copy_slice("r1", &of_run("initial"), 7).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(error.to_string().contains("no slice 7"), "{error}");
}

#[tokio::test]
async fn mistakes_in_a_table_fail_that_table_by_name() {
    let world = World::new([1]);
    let mut wrong = spec();
    wrong.table = "dbo.wrong".parse().unwrap();
    wrong.tracking = serde_json::from_value(serde_json::json!({ "watermark": { "column": "nope" } })).unwrap();
    let outcome = world.pipeline().run("r1", &[wrong, spec()]).await.unwrap();
    assert_eq!(outcome.committed.len(), 1);
    assert_eq!(
        (
            outcome.failed[0].table.to_string().as_str(),
            outcome.failed[0].error.name()
        ),
        ("dbo.wrong", "SourceRejected")
    );
    assert!(
        outcome.failed[0].cause.contains("'nope'"),
        "{}",
        outcome.failed[0].cause
    );
}

#[tokio::test]
async fn a_control_table_that_cannot_hold_the_column_is_refused_before_anything_is_copied() {
    let world = World {
        watermarks: MemoryWatermarks::new(StoreType::Typed(TypeName::new("int").unwrap())),
        ..World::new([1])
    };
    let outcome = world.pipeline().run("r1", &[spec()]).await.unwrap();
    assert_eq!(outcome.failed[0].error, ErrorCode::InvalidConfig);
    assert!(
        outcome.failed[0].cause.contains("infra/sql"),
        "{}",
        outcome.failed[0].cause
    );
    assert!(world.store.keys().is_empty());
}

#[tokio::test]
async fn a_frozen_window_is_finished_whatever_became_of_the_source() {
    let world = World::new([1, 2]);
    world.pipeline().plan("died", &[spec()]).await.unwrap();
    world
        .pipeline()
        .copy_slice("died", &of_run("initial"), 0)
        .await
        .unwrap();
    // The rows are purged, and the configuration names a column that does not exist.
    let purged = MemoryTable::default();
    let mut wrong = spec();
    wrong.tracking = serde_json::from_value(serde_json::json!({ "watermark": { "column": "nope" } })).unwrap();
    let mut pipeline = Pipeline {
        source: &purged,
        reader: &purged,
        ..world.pipeline()
    };
    let outcome = pipeline.run("r2", &[wrong]).await.unwrap();
    assert_eq!((outcome.committed.len(), outcome.failed.len()), (1, 0));
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

#[tokio::test]
async fn an_upload_that_was_voided_and_completed_after_all_is_the_parts() {
    let world = World::new([1, 2]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let (mut pipeline, initial) = (world.pipeline(), of_run("initial"));
    pipeline.copy_slice("r1", &initial, 0).await.unwrap();
    let first = record(&world).await;
    // Another run takes the upload for expired while it is still being completed.
    world.ledger().void(&first, "r2").await.unwrap();
    pipeline.copy_slice("r2", &initial, 0).await.unwrap();
    world.store.complete(first.upload().unwrap()).await.unwrap();
    let outcome = world.run("r3").await;
    assert_eq!(outcome.committed[0].rows, 2);
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_overwritten() {
    let world = World::new([1]);
    world
        .store
        .create("p/dbo.t/tidemark_window=initial/part-00000.csv", "mine".into())
        .await
        .unwrap();
    let error = world.pipeline().run("r1", &[spec()]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    assert!(error.to_string().contains("part-00000.csv"), "{error}");
    assert!(world.watermark().is_none());
}

#[tokio::test]
async fn a_count_that_fails_does_not_hold_a_copied_window_back() {
    let world = World::new([1]);
    world.table.refuse_counts();
    let outcome = world.pipeline().run("r1", &[spec()]).await.unwrap();
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].late_rows), (1, None));
}

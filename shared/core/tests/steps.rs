//! The four steps in the state machine's order over fakes: what a run leaves, whatever happened before it.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::WindowName;
use tidemark::ports::objects::{CompleteObjects, Completed, CreateObjects};
use tidemark::ports::source::CountSource;
use tidemark::query::Query;
use tidemark::runner::RunContext;
use tidemark::testing::{MemoryTable, MemoryWatermarks};
use tidemark::types::SqlType;
use tidemark::watermark::StoreType;
use tidemark_tests::memory::{PREFIX, TABLE, World, name, spec, window};
use tidemark_tests::pipeline::Pipeline;
use update_watermark::Response as Updated;

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
        (0, ["dbo.t".to_owned()].as_slice())
    );
    assert_eq!(world.store.keys(), keys, "an idle run writes nothing");
}

#[tokio::test]
async fn the_manifest_names_every_object_and_nothing_else_is_visible() {
    let world = World::new(1..=5);
    world.run("r1").await;
    let manifest = world.ledger().manifest(&WindowName::initial()).await.unwrap().unwrap();
    let named: Vec<_> = manifest.parts.iter().map(|part| part.key.clone()).collect();
    assert_eq!(named, world.parts());
    assert_eq!((manifest.rows, manifest.bytes, manifest.late_rows), (5, 10, Some(0)));
    assert_eq!(world.store.pending_uploads(), 0);
}

#[tokio::test]
async fn an_empty_table_leaves_the_watermark_alone() {
    let world = World::new([]);
    world.watermarks.set(&name(), Some("7"));
    assert_eq!(world.run("r1").await.unchanged, ["dbo.t"]);
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
    let initial = WindowName::initial();
    let first = pipeline.copy_slice("r1", TABLE, &initial, 0).await.unwrap();
    assert!(world.parts().is_empty(), "nothing is visible before the commit");
    let second = pipeline.copy_slice("r1", TABLE, &initial, 0).await.unwrap();
    let resumed = |answer: &copy_delta::Response| matches!(answer, copy_delta::Response::Copied { resumed: true, .. });
    assert!(!resumed(&first) && resumed(&second));
    assert_eq!(world.store.pending_uploads(), 1);
}

#[tokio::test]
async fn of_two_copies_at_once_one_is_decided_and_the_other_given_up() {
    let world = World::new(1..=9);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let (mut a, mut b, initial) = (world.pipeline(), world.pipeline(), WindowName::initial());
    let (one, other) = tokio::join!(
        a.copy_slice("r1", TABLE, &initial, 0),
        b.copy_slice("r2", TABLE, &initial, 0)
    );
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
    pipeline
        .copy_slice("again", TABLE, &WindowName::initial(), 0)
        .await
        .unwrap();
    pipeline.update("again", TABLE, &WindowName::initial()).await.unwrap();
    assert_eq!((world.store.keys(), world.watermark().as_deref()), (keys, Some("2")));
}

#[tokio::test]
async fn an_expired_upload_is_copied_again() {
    let world = World::new([1, 2]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    let initial = WindowName::initial();
    pipeline.copy_slice("r1", TABLE, &initial, 0).await.unwrap();
    world.store.expire_uploads();
    assert!(matches!(
        pipeline.update("r2", TABLE, &initial).await.unwrap(),
        Updated::Recopy(again) if again.slices == [0.into()]
    ));
    assert!(world.parts().is_empty() && world.watermark().is_none());
    world.run("r3").await;
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

/// While a commit counts, another run finds the upload expired, has the slice copied again and commits the window.
#[tokio::test]
async fn a_commit_that_was_overtaken_takes_what_the_other_run_completed() {
    struct Overtaken<'a>(&'a World);

    impl CountSource for Overtaken<'_> {
        async fn count(&self, query: &Query) -> Result<u64> {
            let (world, initial) = (self.0, WindowName::initial());
            world.store.expire_uploads();
            let mut other = world.pipeline();
            let voided = other.update("other", TABLE, &initial).await?;
            assert!(matches!(voided, Updated::Recopy(_)));
            Box::pin(other.copy_slice("other", TABLE, &initial, 0)).await?;
            let (_, record) = world.ledger().decision(&initial, &0.into()).await?;
            let completed = world.store.complete(&record.unwrap().staged.unwrap()).await?;
            assert!(matches!(completed, Completed::Visible(_)));
            CountSource::count(&world.table, query).await
        }
    }

    let world = World::new([1, 2]);
    let initial = WindowName::initial();
    world.pipeline().plan("slow", &[spec()]).await.unwrap();
    world.pipeline().copy_slice("slow", TABLE, &initial, 0).await.unwrap();
    let request = update_watermark::Request {
        run_id: "slow".into(),
        table: TABLE.parse().unwrap(),
        window: initial,
    };
    let (source, context) = (Overtaken(&world), RunContext::unbounded());
    let committing = update_watermark::handle(&source, &world.watermarks, &world.store, PREFIX, request, context);
    let Updated::Committed(window) = committing.await.unwrap() else {
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
    let initial = WindowName::initial();
    pipeline.copy_slice("r1", TABLE, &initial, 0).await.unwrap();
    world.store.expire_uploads();
    pipeline.update("r1", TABLE, &initial).await.unwrap();
    // Who completes that upload this moment makes it visible after all, and its rows must not be in sub-slices, too.
    let error = pipeline.split("r1", TABLE, &initial, 0.into()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert!(error.to_string().contains("has expired before"), "{error}");
    world.run("r2").await;
    assert_eq!(world.lines().len(), 20);
}

#[tokio::test]
async fn a_window_without_a_copied_slice_is_not_committed() {
    let world = World::new([1]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let answer = world
        .pipeline()
        .update("r1", TABLE, &WindowName::initial())
        .await
        .unwrap();
    assert!(matches!(answer, Updated::Recopy(again) if again.slices == [0.into()]));
    assert!(world.watermark().is_none());
}

#[tokio::test]
async fn late_rows_are_counted_at_commit() {
    let world = World::new([1, 3]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    pipeline
        .copy_slice("r1", TABLE, &WindowName::initial(), 0)
        .await
        .unwrap();
    world.table.insert(2);
    let Updated::Committed(window) = pipeline.update("r1", TABLE, &WindowName::initial()).await.unwrap() else {
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
        rows: &emptied,
        ..world.pipeline()
    };
    pipeline
        .copy_slice("r1", TABLE, &WindowName::initial(), 0)
        .await
        .unwrap();
    pipeline.update("r1", TABLE, &WindowName::initial()).await.unwrap();
    assert_eq!((world.parts().len(), world.watermark().as_deref()), (0, Some("1")));
}

#[tokio::test]
async fn what_the_ledger_does_not_know_is_named() {
    let world = World::new([1]);
    let mut pipeline = world.pipeline();
    let error = pipeline.copy_slice("r1", TABLE, &window("99"), 0).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    assert!(error.to_string().contains("window=99/_plan.json"), "{error}");

    pipeline.plan("r1", &[spec()]).await.unwrap();
    let error = pipeline
        .copy_slice("r1", TABLE, &WindowName::initial(), 7)
        .await
        .unwrap_err();
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
            outcome.failed[0].error.as_str()
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
        watermarks: MemoryWatermarks::new(StoreType::Typed(SqlType::Int)),
        ..World::new([1])
    };
    let outcome = world.pipeline().run("r1", &[spec()]).await.unwrap();
    assert_eq!(outcome.failed[0].error, "InvalidConfig");
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
        .copy_slice("died", TABLE, &WindowName::initial(), 0)
        .await
        .unwrap();
    // The rows are purged, and the configuration names a column that is not there.
    let purged = MemoryTable::default();
    let mut wrong = spec();
    wrong.tracking = serde_json::from_value(serde_json::json!({ "watermark": { "column": "nope" } })).unwrap();
    let mut pipeline = Pipeline {
        source: &purged,
        rows: &purged,
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
    let (mut pipeline, initial) = (world.pipeline(), WindowName::initial());
    pipeline.copy_slice("r1", TABLE, &initial, 0).await.unwrap();
    let (_, first) = world.ledger().decision(&initial, &0.into()).await.unwrap();
    let first = first.unwrap();
    // Another run takes the upload for expired while it is still being completed.
    world.ledger().void(&first, "r2").await.unwrap();
    pipeline.copy_slice("r2", TABLE, &initial, 0).await.unwrap();
    world.store.complete(first.staged.as_ref().unwrap()).await.unwrap();
    let outcome = world.run("r3").await;
    assert_eq!(outcome.committed[0].rows, 2);
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_overwritten() {
    let world = World::new([1]);
    world
        .store
        .create("p/dbo.t/window=initial/part-00000.csv", "mine".into())
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

//! A pointer that lags, is lost or was moved by others, and how the next run goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use tidemark::error::{ErrorCode, OfRole, Role};
use tidemark::ledger::{Ledger, Place, Pointers};
use tidemark::model::watermark::WatermarkKey;
use tidemark::ports::objects::CreateObjects;
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::steps::update::UpdateAnswer;
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::world::{PREFIX, World, name, of_run, spec, window};
use tidemark::testing::{MemoryStore, MemoryTable};

#[tokio::test]
async fn a_pointer_that_lags_is_rolled_forward_and_moved() {
    let world = World::new([1]);
    world.run("r1").await;
    world.table.insert(2);
    world.run("r2").await;
    world.watermarks.set(&world.name, Some("1"));
    let idle = world.run("r3").await;
    assert_eq!(
        idle.committed[0].rows, 1,
        "the committed window is reported, not copied again"
    );
    assert_eq!((world.watermark().as_deref(), world.lines()), (Some("2"), vec![1, 2]));

    world.watermarks.set(&world.name, None);
    world.table.insert(3);
    world.run("r4").await;
    assert_eq!(
        (world.watermark().as_deref(), world.lines()),
        (Some("3"), vec![1, 2, 3]),
        "rebuilt from the manifests"
    );
}

#[tokio::test]
async fn a_pointer_of_another_version_is_not_understood() {
    let (store, name) = (MemoryStore::default(), name());
    let pointers = Pointers::new(Place::new(&store, PREFIX));
    let body = Bytes::from_static(br#"{"version": 2, "watermark": null}"#);
    store.overwrite("p/_ledger/dbo.t/watermark.json", body);
    let key = WatermarkKey {
        table: name,
        name: None,
    };
    let error = pointers.stored(&key).await.of(Role::WatermarkStore).unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    assert!(error.to_string().contains("has version 2"), "{error}");
}

#[tokio::test]
async fn a_lagging_chain_is_followed_with_two_questions_a_window_and_one_at_its_end() {
    let world = World::new([1]);
    for row in 2..=4 {
        world.run("run").await;
        world.table.insert(row);
    }
    let gate = Gate::default();
    let store = Gated::new(&gate, &world.store);
    let ledger = Ledger::new(Place::new(&store, PREFIX), &world.name);
    let end = ledger.chain_end(&window("initial")).await.unwrap().unwrap();
    assert_eq!(
        (end.window, gate.calls().len()),
        (window("from-2"), 7),
        "{:?}",
        gate.calls()
    );
}

#[tokio::test]
async fn a_slower_run_never_moves_the_watermark_backwards() {
    let world = World::new([1]);
    world.run("r1").await;
    world.table.insert(2);
    world.run("r2").await;
    let UpdateAnswer::Committed(slow) = world.pipeline().update("slow", &of_run("initial")).await.unwrap() else {
        panic!("committed long ago")
    };
    assert_eq!((slow.watermark.value(), world.watermark().as_deref()), ("1", Some("2")));
}

#[tokio::test]
async fn a_watermark_this_ledger_does_not_know_is_a_conflict() {
    let world = World::new([5]);
    world.pipeline().plan("r1", &[spec()]).await.unwrap();
    let mut pipeline = world.pipeline();
    pipeline.copy_slice("r1", &of_run("initial"), 0).await.unwrap();
    world.watermarks.set(&world.name, Some("4"));
    let error = pipeline.update("r1", &of_run("initial")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WatermarkConflict);
    assert_eq!(world.watermark().as_deref(), Some("4"));
}

#[tokio::test]
async fn a_watermark_above_the_source_is_a_regression() {
    let world = World::new([5]);
    world.watermarks.set(&world.name, Some("6"));
    let outcome = world.pipeline().run("r1", &[spec()]).await.unwrap();
    assert_eq!(outcome.failed[0].error, ErrorCode::WatermarkRegression);
    assert_eq!((world.watermark().as_deref(), world.store.keys().len()), (Some("6"), 0));
}

#[tokio::test]
async fn a_reseeded_table_does_not_run_into_its_own_past() {
    let world = World::new([100]);
    world.run("r1").await;
    world.table.insert(200);
    world.run("r2").await;
    world.table.insert(300);
    world.run("r3").await;
    // The table is restored to 150 and grown to 200 again, and the pointer is set back by hand.
    let restored = World {
        table: MemoryTable::new([100, 150, 200]),
        ..world
    };
    restored.watermarks.set(&restored.name, Some("150"));
    let error = restored.pipeline().run("r4", &[spec()]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    assert!(error.to_string().contains("start the table over"), "{error}");
    assert_eq!(restored.watermark().as_deref(), Some("150"));
}

#[tokio::test]
async fn a_deleted_pointer_is_rebuilt_wherever_the_chain_began() {
    let world = World::new([1, 2, 3]);
    world.watermarks.set(&world.name, Some("1"));
    world.run("r1").await;
    world.table.insert(4);
    world.run("r2").await;
    assert_eq!(world.lines(), [2, 3, 4]);

    world.watermarks.set(&world.name, None);
    world.run("r3").await;
    assert_eq!(
        (world.watermark().as_deref(), world.lines()),
        (Some("4"), vec![2, 3, 4])
    );

    world.watermarks.set(&world.name, None);
    world.table.insert(5);
    world.run("r4").await;
    assert_eq!(
        (world.watermark().as_deref(), world.lines()),
        (Some("5"), vec![2, 3, 4, 5])
    );
}

#[tokio::test]
async fn a_deleted_pointer_over_two_histories_is_the_users_to_choose() {
    let world = World::new([1, 2]);
    world.watermarks.set(&world.name, Some("1"));
    world.run("r1").await;
    world.table.insert(7);
    world.watermarks.set(&world.name, Some("5"));
    world.run("r2").await;
    world.watermarks.set(&world.name, None);
    let failed = world.pipeline().run("r3", &[spec()]).await.unwrap().failed;
    assert_eq!(failed[0].error, ErrorCode::LedgerInvalid);
    assert!(
        failed[0].cause.contains("at 2") && failed[0].cause.contains("at 7"),
        "{}",
        failed[0].cause
    );
    assert_eq!(world.watermark(), None);
}

#[tokio::test]
async fn a_committed_window_without_its_objects_is_an_error_by_name() {
    let world = World::new([1]);
    world.run("r1").await;
    let [part] = <[String; 1]>::try_from(world.parts()).unwrap();
    world.watermarks.set(&world.name, None);
    let body = world.store.body(&part).unwrap();

    let refused = async |what: &str| {
        let error = world.pipeline().run("r2", &[spec()]).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid);
        let text = error.report();
        assert!(text.contains(&part) && text.contains(what), "{text}");
        assert_eq!(world.watermark(), None, "the watermark does not pass what is not there");
    };
    world.store.delete(&part);
    refused("is missing").await;
    world.store.create(&part, Bytes::from_static(b"1\n1\n")).await.unwrap();
    refused("has 4 bytes, not 2").await;
    world.store.delete(&part);
    world.store.create(&part, body).await.unwrap();
    world.run("r3").await;
    assert_eq!(world.watermark().as_deref(), Some("1"), "restored");
}

#[tokio::test]
async fn manifests_that_lead_in_a_circle_are_noticed_when_the_first_of_them_comes_again() {
    let world = World::new([1]);
    for row in 2..=4 {
        world.run("run").await;
        world.table.insert(row);
    }
    let manifest = |window: &str| format!("p/_ledger/dbo.t/{window}/manifest.json");
    let read = |window: &str| -> serde_json::Value {
        serde_json::from_slice(&world.store.body(&manifest(window)).unwrap()).unwrap()
    };
    let mut last = read("from-2");
    last["new_watermark"] = read("initial")["new_watermark"].clone();
    world.store.overwrite(&manifest("from-2"), last.to_string().into());
    let gate = Gate::default();
    let store = Gated::new(&gate, &world.store);
    let ledger = Ledger::new(Place::new(&store, PREFIX), &world.name);
    let error = ledger.chain_end(&window("initial")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    assert!(error.to_string().contains("lead in a circle"), "{error}");
    assert_eq!(gate.calls().len(), 6, "each of the three windows is read once");
}

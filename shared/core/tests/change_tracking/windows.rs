//! The windows of a tracked table, in memory: loads, changes, and windows without changes.

use tidemark::error::ErrorCode;
use tidemark::model::lookup::EmptyWindow;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::StoreType;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::CreateObjects;
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::backfill::Range;
use tidemark::steps::context::RunContext;
use tidemark::steps::start_over::start_over;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::world::{backfill, name, window};
use tidemark::testing::{MemoryTracked, MemoryWatermarks};

use crate::world::{World, spec};

#[tokio::test]
async fn a_load_then_what_changed_then_nothing() {
    let world = World::new();
    let first = world.run("r1").await;
    assert_eq!((first.committed[0].rows, first.committed[0].late_rows), (3, Some(0)));
    assert_eq!(world.stored().as_deref(), Some("0"));
    assert_eq!(world.last_lines().await, ["1\t10\t0\tI", "2\t20\t0\tI", "3\t30\t0\tI"]);
    let plan = world.ledger().existing_plan(&WindowName::initial()).await.unwrap();
    assert_eq!(plan.slices.len(), 2, "a load is cut by the key");

    world.table.set(6, 60);
    world.table.set(1, 11);
    world.run("r2").await;
    assert_eq!(world.stored().as_deref(), Some("2"));
    assert_eq!(world.last_lines().await, ["1\t11\t2\tU", "6\t60\t1\tI"]);

    world.table.delete(3);
    world.run("r3").await;
    assert_eq!(world.last_lines().await, ["3\tNULL\t3\tD"]);

    let keys = world.store.keys();
    let idle = world.run("r4").await;
    assert_eq!(
        (idle.committed.len(), idle.unchanged.as_slice()),
        (0, [name()].as_slice())
    );
    assert_eq!(
        world.store.keys(),
        keys,
        "the version has not moved: nothing is written"
    );
    assert_eq!(world.windows().await, ["initial", "from-0", "from-2"]);
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn changes_are_net_and_a_row_that_came_and_went_is_a_deletion() {
    let world = World::loaded().await;
    world.table.set(4, 40);
    world.table.set(4, 41);
    world.table.set(5, 50);
    world.table.delete(5);
    world.table.delete(2);
    world.table.set(2, 22);
    world.table.set(3, 30);
    world.run("r").await;
    assert_eq!(
        world.last_lines().await,
        ["2\t22\t6\tU", "3\t30\t7\tU", "4\t41\t2\tI", "5\tNULL\t4\tD"]
    );
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn a_row_that_changes_after_the_freezing_belongs_to_the_next_window() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.set(4, 40);
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    world.table.set(1, 12);
    world.table.delete(4);
    let window = WindowOfRun::from(&planned.windows[0]);
    world.pipeline().copy_window("r", &window, 1).await.unwrap();
    assert_eq!(world.last_lines().await, Vec::<String>::new());
    world.run("next").await;
    assert_eq!(world.last_lines().await, ["1\t12\t3\tU", "4\tNULL\t4\tD"]);
    assert_eq!(world.folded().await, world.table.rows());
}

#[tokio::test]
async fn a_version_stored_before_the_first_run_does_not_stand_for_a_load() {
    // The tutorial does the same: it stores the version, and copies the table afterwards.
    let world = World::new();
    world.watermarks.set(&name(), Some("0"));
    world.run("r1").await;
    assert_eq!(
        (world.windows().await, world.stored().as_deref()),
        (vec!["initial".to_owned()], Some("0"))
    );
    world.settle("nothing changed since").await;

    let world = World::new();
    world.watermarks.set(&name(), Some("0"));
    world.table.set(4, 40);
    world.table.delete(1);
    world.run("r1").await;
    assert_eq!(world.stored().as_deref(), Some("2"), "moved on from the version found");
    world.settle("changed since").await;

    world.table.set(5, 50);
    world.watermarks.set(&name(), Some("0"));
    world.settle("the pointer lags behind the load").await;
    assert_eq!(world.windows().await, ["initial", "from-2"]);
}

#[tokio::test]
async fn a_stored_version_of_another_history_is_a_regression() {
    let world = World::new();
    world.watermarks.set(&name(), Some("7"));
    assert_eq!(world.failure(spec()).await.0, ErrorCode::WatermarkRegression);
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.run("r").await;
    // The database is restored to what it was.
    let restored = World {
        table: MemoryTracked::new([(1, 10), (2, 20), (3, 30)]),
        ..world
    };
    let keys = restored.store.keys();
    assert_eq!(restored.failure(spec()).await.0, ErrorCode::WatermarkRegression);
    assert_eq!((restored.store.keys(), restored.stored().as_deref()), (keys, Some("1")));
}

#[tokio::test]
async fn a_control_column_that_cannot_hold_a_version_is_refused() {
    let world = World {
        watermarks: MemoryWatermarks::new(StoreType::Typed(TypeName::new("datetime").unwrap())),
        ..World::new()
    };
    let (code, cause) = world.failure(spec()).await;
    assert_eq!(code, ErrorCode::InvalidConfig);
    assert!(cause.contains("datetime"), "{cause}");
}

#[tokio::test]
async fn a_table_whose_tracking_is_off_fails_by_name() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    world.table.untrack();
    assert_eq!(world.failure(spec()).await.0, ErrorCode::ChangeTrackingInvalid);
    let window = WindowOfRun::from(&planned.windows[0]);
    let copy = world.pipeline().copy_slice("r", &window, 0).await;
    assert_eq!(copy.unwrap_err().code(), ErrorCode::ChangeTrackingInvalid);
    world.check("off").await;
}

#[tokio::test]
async fn a_table_without_changes_advances_without_an_object() {
    let world = World::loaded().await;
    let parts = world.store.keys().iter().filter(|key| key.contains("/part-")).count();
    for _ in 0..3 {
        world.table.change_elsewhere();
        let outcome = world.run("idle").await;
        assert_eq!(
            (outcome.committed.len(), outcome.unchanged.as_slice()),
            (0, [name()].as_slice())
        );
    }
    assert_eq!(world.stored().as_deref(), Some("3"));
    assert_eq!(
        world.store.keys().iter().filter(|key| key.contains("/part-")).count(),
        parts
    );
    assert_eq!(
        world.windows().await,
        ["initial", "from-0", "from-1", "from-2"],
        "the chain is whole"
    );
    // The window did not expire, though its own last change did.
    world.table.expire();
    world.table.set(1, 11);
    world.run("r").await;
    assert_eq!(world.last_lines().await, ["1\t11\t4\tU"]);
}

/// The commit of a window without slices reads its plan once, and may be held up after that.
#[tokio::test]
async fn the_commit_of_a_window_without_changes_that_comes_after_the_table_was_started_over_leads_nowhere() {
    let world = World::loaded().await;
    world.table.change_elsewhere();
    assert_eq!(world.run("r").await.unchanged, [name()]);
    let late = world.ledger().keys().manifest(&window("from-0"));
    let body = world.store.body(&late).unwrap();
    let ports = ArchivePorts {
        watermarks: &world.watermarks,
        place: world.place(),
    };
    start_over(ports, &name(), RunContext::unbounded()).await.unwrap();
    world.store.create(&late, body).await.unwrap();
    let loaded = world.run("after").await;
    assert_eq!(
        (loaded.committed[0].window.as_str(), loaded.committed[0].rows),
        ("initial", 3)
    );
}

#[tokio::test]
async fn one_table_that_fails_to_advance_does_not_stop_the_others() {
    let world = World::loaded().await;
    world.table.change_elsewhere();
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    let mut windows = planned.empty.clone();
    windows.insert(
        0,
        EmptyWindow {
            table: "dbo.other".parse().unwrap(),
            window: window("from-9"),
        },
    );
    let advanced = world.pipeline().update_all("r", windows).await.unwrap();
    assert_eq!(advanced.advanced, [name()]);
    assert_eq!(
        (advanced.failed.len(), advanced.failed[0].error.name()),
        (1, "InvalidInput")
    );
    assert_eq!(world.stored().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_backfill_since_what_is_no_version_is_refused() {
    let world = World::loaded().await;
    let key = "p/_ledger/dbo.t/initial/manifest.json";
    let mut manifest: serde_json::Value = serde_json::from_slice(&world.store.body(key).unwrap()).unwrap();
    manifest["new_watermark"]["value"] = "2017-09-01".into();
    world.store.overwrite(key, manifest.to_string().into());
    world.watermarks.set(&world.name, None);
    let range = Range::Since("1".into());
    let planned = backfill(&world.table, &world.watermarks, &world.store, spec(), range, true).await;
    let error = planned.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(error.to_string().contains("no version of change tracking"), "{error}");
}

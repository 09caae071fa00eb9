//! Versions that expire before a window is planned, before it is copied, or while it is looked at.

use tidemark::error::ErrorCode;
use tidemark::steps::update::UpdateAnswer;
use tidemark::testing::world::{of_run, window};

use crate::world::{World, spec, spec_with};

#[tokio::test]
async fn an_expired_version_is_loaded_again_in_a_window_of_its_own() {
    for truncated in [false, true] {
        let world = World::loaded().await;
        world.table.set(1, 11);
        world.table.delete(2);
        if truncated {
            world.table.truncate();
            world.table.set(9, 90);
        } else {
            world.table.expire();
        }
        let outcome = world.run("r").await;
        let committed = &outcome.committed[0];
        assert_eq!(
            (committed.window.as_str(), &committed.supersedes),
            ("reinit-from-0", &Some(window("from-0")))
        );
        let lines: &[&str] = if truncated {
            &["9\t90\t3\tI"]
        } else {
            &["1\t11\t2\tI", "3\t30\t2\tI"]
        };
        assert_eq!(world.last_lines().await, lines);
        assert_eq!(world.windows().await, ["initial", "from-0", "reinit-from-0"]);
        let manifest = world.ledger().manifest(&window("from-0")).await.unwrap().unwrap();
        assert_eq!(
            (manifest.superseded_by, manifest.parts.len()),
            (Some(window("reinit-from-0")), 0)
        );
        world.table.set(3, 33);
        world.settle("after the load").await;
        world.check("after the load").await;
    }
}

#[tokio::test]
async fn an_expired_version_fails_where_that_is_asked_for() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.expire();
    let keys = world.store.keys();
    let (code, cause) = world
        .failure(spec_with(serde_json::json!({ "on_expired": "fail" })))
        .await;
    assert_eq!(code, ErrorCode::ChangeTrackingInvalid);
    assert!(
        cause.contains("reinitialize") && cause.contains("CHANGE_RETENTION"),
        "{cause}"
    );
    assert_eq!(world.store.keys(), keys, "nothing is decided");
    world.settle("the user has decided").await;
}

#[tokio::test]
async fn a_frozen_window_that_expired_before_it_was_copied_is_superseded() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    let planned = world.pipeline().plan("died", &[spec()]).await.unwrap();
    assert_eq!(planned.windows[0].window, window("from-0"));
    world.table.expire();
    let copy = world.pipeline().copy_slice("slow", &of_run("from-0"), 0).await;
    assert_eq!(copy.unwrap_err().code(), ErrorCode::ChangeTrackingInvalid);
    world.run("r").await;
    assert_eq!(world.windows().await, ["initial", "from-0", "reinit-from-0"]);
    // The run that froze the window goes on, and finds that it has nothing to do.
    let slow = world
        .pipeline()
        .copy_window("died", &of_run("from-0"), 1)
        .await
        .unwrap()
        .committed()
        .unwrap();
    assert_eq!((slow.rows, slow.superseded_by), (0, Some(window("reinit-from-0"))));
    assert_eq!(world.store.pending_uploads(), 0);
    world.check("the slow run").await;
    world.settle("the slow run").await;
}

#[tokio::test]
async fn a_window_that_was_copied_in_time_is_committed_though_it_expired() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.pipeline().plan("died", &[spec()]).await.unwrap();
    world.pipeline().copy_slice("died", &of_run("from-0"), 0).await.unwrap();
    world.table.expire();
    world.run("r").await;
    assert_eq!(world.windows().await, ["initial", "from-0"]);
    assert_eq!(world.last_lines().await, ["1\t11\t1\tU"]);
    world.settle("copied in time").await;
}

#[tokio::test]
async fn a_window_whose_upload_and_version_expired_is_superseded() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.pipeline().plan("died", &[spec()]).await.unwrap();
    world.pipeline().copy_slice("died", &of_run("from-0"), 0).await.unwrap();
    world.store.expire_uploads();
    world.table.expire();
    let updated = world.pipeline().update("r", &of_run("from-0")).await.unwrap();
    assert!(matches!(updated, UpdateAnswer::Recopy(again) if again.slices == [0.into()]));
    world.settle("both expired").await;
    assert_eq!(world.windows().await, ["initial", "from-0", "reinit-from-0"]);
}

#[tokio::test]
async fn changes_that_expire_while_they_are_looked_for_are_not_taken_for_none() {
    let world = World::loaded().await;
    world.table.set(1, 11);
    world.table.expire_when_looked_at();
    let planned = world.pipeline().plan("r", &[spec()]).await.unwrap();
    assert!(planned.empty.is_empty());
    assert_eq!(planned.windows[0].window, window("reinit-from-0"));
}

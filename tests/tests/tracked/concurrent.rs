//! Transactions that are open during a run.

use std::time::Duration;

use crate::world::{T, Tracked, plain};

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_read_in_one_snapshot_where_that_is_allowed() {
    for (allowed, waits) in [("ON", false), ("OFF", true)] {
        let tracked = Tracked::new(T).await;
        tracked.execute(&format!(
            "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF; ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {allowed}"
        ));
        tracked.run(&plain("t")).await;
        tracked.execute("update t set v = 11 where id = 1");
        let spec = plain("t");
        let window = tracked.plan(&spec).await;
        // A reader without row versions would wait for this transaction.
        let mut writer = tracked.world.sandbox.session().unwrap();
        writer
            .execute("begin transaction; update t set v = 21 where id = 2")
            .unwrap();
        let copy = tokio::time::timeout(Duration::from_secs(3), tracked.copy(&spec, &window)).await;
        assert_eq!(copy.is_err(), waits, "snapshots {allowed}");
        writer.execute("commit").unwrap();
        tracked.run(&spec).await;
        assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"], "snapshots {allowed}");
        tracked.run(&spec).await;
        assert_eq!(tracked.lines(&spec).await, ["2,21,2,U"], "snapshots {allowed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_after_the_freezing_is_in_the_next_window() {
    let tracked = Tracked::new(T).await;
    let spec = plain("t");
    tracked.run(&spec).await;
    let mut writer = tracked.world.sandbox.session().unwrap();
    writer
        .execute("begin transaction; insert into t values (3, 30)")
        .unwrap();
    tracked.execute("update t set v = 11 where id = 1");
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"]);
    writer.execute("commit").unwrap();
    tracked.run(&spec).await;
    assert_eq!(
        tracked.lines(&spec).await,
        ["3,30,2,I"],
        "its version is that of its commit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_again_before_the_copy_is_in_the_next_window() {
    let tracked = Tracked::new(T).await;
    let spec = plain("t");
    tracked.run(&spec).await;
    tracked.execute("update t set v = 11 where id = 1");
    tracked.execute("update t set v = 21 where id = 2");
    let window = tracked.plan(&spec).await;
    tracked.execute("delete from t where id = 2");
    tracked.copy(&spec, &window).await.unwrap();
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"]);
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["2,\\N,3,D"]);
}

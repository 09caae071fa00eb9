//! Versions since which not all changes are there any more.

use arrow_array::RecordBatch;
use serde_json::json;
use tidemark::error::{Answer, ErrorCode, Role};
use tidemark::ledger::{Ledger, Place};
use tidemark::ports::rows::{ReadRows, TakeBatches};
use tidemark_sqlserver::rows::RowReader;

use crate::world::{PREFIX, T, Tracked, plain, spec};

/// Lets the changes expire when the first rows have come.
struct Expiring<'a>(&'a Tracked);

impl TakeBatches<RecordBatch> for Expiring<'_> {
    async fn take(&mut self, _batch: RecordBatch) -> Answer<()> {
        self.0.expire();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_invalidates_a_version_leads_to_a_load() {
    let causes = [
        ("update t set v = 11 where id = 1", &["1,11,2,I", "2,20,2,I"][..]),
        // The table is truncated at the very version that is stored, so the least valid version does not rise above it.
        ("truncate table t; insert into t values (3, 30)", &["3,30,2,I"]),
        (
            "alter table t disable change_tracking; delete from t where id = 2; alter table t enable change_tracking; \
             insert into other values (1)",
            &["1,10,2,I"],
        ),
        (
            "insert into other values (1); alter table t disable change_tracking; delete from t where id = 2; \
             insert into other values (2); alter table t enable change_tracking",
            &["1,10,3,I"],
        ),
    ];
    for (number, (change, expected)) in causes.into_iter().enumerate() {
        let tracked = Tracked::new(T).await;
        tracked.run(&plain("t")).await;
        tracked.execute("insert into other values (9)");
        tracked.run(&plain("t")).await;
        tracked.execute(change);
        if number == 0 {
            tracked.expire();
        }
        let failing = spec(
            "t",
            json!({ "tracking": { "change_tracking": { "on_expired": "fail" } } }),
        );
        assert_eq!(
            tracked.failure(&failing).await.0,
            ErrorCode::ChangeTrackingInvalid,
            "{change}"
        );
        let outcome = tracked.run(&plain("t")).await;
        assert_eq!(outcome.committed[0].window.as_str(), "reinit-from-1", "{change}");
        assert_eq!(tracked.lines(&plain("t")).await, expected, "{change}");
        // From there on there are windows of changes again.
        tracked.execute("insert into t values (7, 70)");
        tracked.run(&plain("t")).await;
        let lines = tracked.lines(&plain("t")).await;
        assert!(
            lines.len() == 1 && lines[0].starts_with("7,70,") && lines[0].ends_with(",I"),
            "{lines:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_expire_before_the_copy_are_not_copied() {
    for snapshots in ["ON", "OFF"] {
        let tracked = Tracked::new(T).await;
        tracked.execute(&format!(
            "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {snapshots}"
        ));
        tracked.run(&plain("t")).await;
        tracked.execute("delete from t where id = 2");
        let window = tracked.plan(&plain("t")).await;
        tracked.expire();
        let error = tracked.copy(&plain("t"), &window).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ChangeTrackingInvalid, "{snapshots}: {error}");
        assert_eq!(
            tracked.run(&plain("t")).await.committed[0].window.as_str(),
            "reinit-from-0"
        );
        assert_eq!(tracked.lines(&plain("t")).await, ["1,10,1,I"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_expire_while_they_are_read_are_not_taken_for_all() {
    let tracked = Tracked::new(T).await;
    tracked.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF");
    let spec = plain("t");
    tracked.run(&spec).await;
    tracked.execute("update t set v = 11");
    let window = tracked.plan(&spec).await;
    let ledger = Ledger::new(Place::new(&tracked.store, PREFIX), &spec.table);
    let plan = ledger.existing_plan(&window).await.unwrap();
    let settings = spec.run_settings();
    let rows = plan.slice_rows(&plan.slices[0], &settings).unwrap();
    let mut reader = RowReader::new(tracked.world.login());
    let read = reader.read(&rows, &plan.columns, &mut Expiring(&tracked)).await;
    let error = read.unwrap_err().of(Role::Source);
    assert_eq!(error.code(), ErrorCode::ChangeTrackingInvalid);
}

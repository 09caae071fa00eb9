//! Slices merged by a warm process.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use serde_json::json;
use tidemark::error::Answer;
use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::ports::sink_table::{MergeRows, Newest, SliceToMerge, StagedRows};
use tidemark_sandbox::{Action, SqlError};
use tidemark_sqlserver::session::KeptConnection;
use tidemark_sqlserver::sink::{SinkServer, StagedSlice};
use tidemark_tests::stand_in::World;

use crate::process::{fault, int, logins, number, table};

#[tokio::test(flavor = "multi_thread")]
async fn slices_are_merged_one_after_another_over_one_connection() {
    let world = World::new("create table t (id int primary key, at int)").await;
    let kept = KeptConnection::default();
    let columns = [int("id"), int("at")];
    let sink: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let (table, at) = (table(), Identifier::new("at").unwrap());
    let slice = SliceToMerge {
        source: &table,
        sink: &sink,
        columns: &columns,
        newest: Newest::Watermark(&at),
    };
    let staged = async |id: i32| -> Answer<StagedSlice> {
        let values = ["id", "at"].map(|name| (name, Arc::new(Int32Array::from(vec![id])) as ArrayRef));
        let batch = RecordBatch::try_from_iter(values).unwrap();
        let server = SinkServer::new(world.login()).keeping(&kept);
        let mut staged = server.stage(&slice).await?;
        staged.load(batch).await?;
        Ok(staged)
    };
    for id in 0..3 {
        let mut slice = staged(id).await.unwrap();
        slice.lock().await.unwrap();
        assert_eq!(slice.merge().await.unwrap().inserted, 1);
        slice.release().await;
    }
    // This stage is released without a lock, as for a slice that has no rows.
    staged(3).await.unwrap().release().await;
    assert_eq!(logins(&world), 1);
    assert_eq!(number(&world, "SELECT COUNT(*) FROM t"), 3);

    // The lock ended with the release: the next slice does not wait for it, over whichever connection.
    let mut holder = staged(4).await.unwrap();
    holder.lock().await.unwrap();
    let mut waiter = staged(5).await.unwrap();
    assert_eq!(logins(&world), 2);
    holder.release().await;
    let granted = tokio::time::timeout(Duration::from_secs(5), waiter.lock()).await;
    granted.unwrap().unwrap();
    assert_eq!(waiter.merge().await.unwrap().inserted, 1);

    // A staged slice that is dropped leaves neither lock nor rows nor connection, and nor does one that failed.
    drop(waiter);
    fault(
        &world,
        "INSERT INTO [dbo].[t]",
        Action::Error(SqlError::new(547, "Conflict.")),
        1,
    );
    let mut failed = staged(6).await.unwrap();
    assert_eq!(logins(&world), 2, "the released one");
    failed.lock().await.unwrap();
    failed.merge().await.unwrap_err();
    drop(failed);
    let mut last = staged(6).await.unwrap();
    assert_eq!(logins(&world), 3);
    last.lock().await.unwrap();
    assert_eq!(last.merge().await.unwrap().inserted, 1);
    last.release().await;
    assert_eq!(number(&world, "SELECT COUNT(*) FROM t"), 5);
}

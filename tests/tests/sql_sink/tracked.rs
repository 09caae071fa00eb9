//! The changes of a tracked table into a sink.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, Form, TypeName, WantedForms};
use tidemark::model::values::Values;
use tidemark::ports::changes::{ChangeColumns, ProbeChanges};
use tidemark::ports::sink_table::{MergeRows, Newest, SliceToMerge, StagedRows};
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::SinkServer;
use tidemark_tests::stand_in::login_of;

use crate::world::{World, rows, stand_in};

#[tokio::test(flavor = "multi_thread")]
async fn change_tracking_brings_inserts_updates_and_deletes() {
    let source = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c')
GO
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)
GO
ALTER TABLE t ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), SYS_CHANGE_VERSION bigint)";
    let world = World::new(source, sink).await;
    let spec: TableSpec = serde_json::from_value(json!({
        "table": "t", "tracking": { "change_tracking": {} }, "sink": { "sqlserver": { "secret_arn": "sink" } },
    }))
    .unwrap();
    assert_eq!(world.run("r1", &spec).await.unwrap().committed[0].rows, 3);
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), ["1|a|0", "2|b|0", "3|c|0"]);
    world
        .source
        .execute("UPDATE t SET v = 'B' WHERE id = 2; DELETE t WHERE id = 1; INSERT t VALUES (4, 'd')")
        .unwrap();
    assert_eq!(world.run("r2", &spec).await.unwrap().committed[0].rows, 3);
    let expected = ["2|B|1", "3|c|0", "4|d|3"];
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);
    // A row that was deleted and inserted again is an update. One that was inserted and deleted again is nothing.
    world
        .source
        .execute(
            "DELETE t WHERE id = 4; INSERT t VALUES (4, 'D'), (5, 'e'); DELETE t WHERE id = 5; DELETE t WHERE id = 3",
        )
        .unwrap();
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT id, v FROM t ORDER BY id"), ["2|B", "4|D"]);
    assert_eq!(world.run("r4", &spec).await.unwrap().committed.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_tracking_refuses_keys_that_would_misapply_deletions() {
    let source = "CREATE TABLE t (tenant int, id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 1, 'a')
GO
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)
GO
ALTER TABLE t ENABLE CHANGE_TRACKING";
    let sink = "CREATE TABLE t (tenant int, id int, v varchar(10), PRIMARY KEY (tenant, id))";
    let mut world = World::new(source, sink).await;
    let spec = |keys: Value| -> TableSpec {
        let sink = json!({ "sqlserver": { "secret_arn": "sink", "keys": keys } });
        serde_json::from_value(json!({ "table": "t", "tracking": { "change_tracking": {} }, "sink": sink })).unwrap()
    };
    for (prefix, keys) in [
        ("none", json!([])),
        ("fewer", json!(["tenant"])),
        ("other", json!(["v"])),
    ] {
        // The plan is frozen with its keys, so each case has a ledger of its own.
        world.prefix = prefix;
        let error = world.run("r", &spec(keys)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
        assert!(error.report().contains("dbo.t, (id)"), "{}", error.report());
        assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
    }
    world.prefix = "tidemark";
    assert_eq!(
        world.run("r1", &spec(json!(["id"]))).await.unwrap().committed[0].rows,
        1
    );
    world.source.execute("DELETE t WHERE id = 1").unwrap();
    world.run("r2", &spec(json!(["id"]))).await.unwrap();
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_deleted_and_the_rest_is_merged() {
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let sink = stand_in(sink).await;
    let ChangeColumns { version, operation } = Server::new(login_of(&sink)).change_columns(WantedForms::exact());
    let (version_name, operation_name) = (version.name.clone(), operation.name.clone());
    let [id, v] = [("id", "int", Form::Int32), ("v", "varchar(10)", Form::Text)].map(|(name, sql_type, form)| Column {
        name: name.to_owned(),
        sql_type: TypeName::new(sql_type).unwrap(),
        form,
        nullable: name == "v",
        values: Values::OfSource,
    });
    let columns = [id, v, version, operation];
    let spec: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let values: [(_, ArrayRef); 4] = [
        ("id", Arc::new(Int32Array::from(vec![1, 2, 4, 9]))),
        ("v", Arc::new(StringArray::from(vec![Some("A"), None, Some("d"), None]))),
        (&version_name, Arc::new(Int64Array::from(vec![7, 8, 9, 9]))),
        (&operation_name, Arc::new(StringArray::from(vec!["U", "D", "I", "D"]))),
    ];
    let changes = RecordBatch::try_from_iter(values).unwrap();
    for (round, deleted) in [(0, 1), (1, 0)] {
        let slice = SliceToMerge {
            source: &"t".parse().unwrap(),
            sink: &spec,
            columns: &columns,
            newest: Newest::Version,
        };
        let mut staged = SinkServer::new(login_of(&sink)).stage(&slice).await.unwrap();
        staged.load(changes.clone()).await.unwrap();
        staged.lock().await.unwrap();
        let merged = staged.merge().await.unwrap();
        assert_eq!(
            merged.deleted, deleted,
            "round {round}: a key that is absent is deleted already"
        );
        assert_eq!(rows(&sink, "SELECT * FROM t ORDER BY id"), ["1|A", "3|c", "4|d"]);
    }
}

//! Masked columns, and those of an audit, in a sink table.

use serde_json::json;
use tidemark::model::table::TableSpec;

use crate::world::{World, spec};

fn with(mut spec: TableSpec, settings: serde_json::Value) -> TableSpec {
    let mut json = serde_json::to_value(&spec).unwrap();
    json.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    spec = serde_json::from_value(json).unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashed_key_finds_its_row_again_and_masked_columns_are_text() {
    let world = World::new(
        "create table t (email varchar(40) primary key, card int, note varchar(9), at int);
         insert into t values ('ann@x', 12345678, 'secret', 1)",
        "create table t (email varchar(64) primary key, card nvarchar(8), note nvarchar(9), at int,
                         _tidemark_window nvarchar(100), _tidemark_copied_at datetimeoffset(6), _tidemark_operation nchar(1))",
    )
    .await;
    let masks = json!({"mask": {"email": "hash", "card": "last4", "note": "null"}, "audit": true});
    let spec = with(spec("t", "at", json!({})), masks);
    for (run, script) in [("r1", ""), ("r2", "update t set card = 99991111, at = 2")] {
        if !script.is_empty() {
            world.source.execute(script).unwrap();
        }
        let outcome = world.run(run, &spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    }
    let found = world.rows("select len(email), card, note, at, _tidemark_window, _tidemark_operation from t");
    assert_eq!(found, ["64|1111|NULL|2|from-1|U"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashed_key_of_a_tracked_table_takes_its_deletions() {
    let world = World::new(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON\nGO\n
         create table t (id int primary key, v int); insert into t values (1, 10), (2, 20);
         alter table t enable change_tracking",
        "create table t (id varchar(64) primary key, v int, _tidemark_window nvarchar(100),
                         _tidemark_copied_at datetimeoffset(6), _tidemark_operation nchar(1))",
    )
    .await;
    let settings = json!({"tracking": {"change_tracking": {}}, "mask": {"id": "hash"}, "audit": true});
    let spec = with(spec("t", "id", json!({})), settings);
    for (run, script) in [
        ("r1", ""),
        ("r2", "delete from t where id = 1; update t set v = 21 where id = 2"),
    ] {
        if !script.is_empty() {
            world.source.execute(script).unwrap();
        }
        let outcome = world.run(run, &spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    }
    assert_eq!(world.rows("select len(id), v, _tidemark_operation from t"), ["64|21|U"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_cannot_take_of_a_mask_is_refused_by_name() {
    let world = World::new(
        "create table t (id int, card int, at int); insert into t values (1, 12345678, 1)",
        "create table t (id nvarchar(64) primary key, card int, at int)",
    )
    .await;
    for (mask, said) in [
        (json!({"id": "last4"}), "the mask last4 makes one row of many there"),
        (json!({"id": "null"}), "use hash"),
        (
            json!({"id": "hash", "card": "hash"}),
            "card as int, which does not hold every varchar(64)",
        ),
        (
            json!({"id": "hash", "card": "last4"}),
            "card as int, which does not hold every nvarchar(8)",
        ),
    ] {
        let spec = with(spec("t", "at", json!({})), json!({ "mask": mask }));
        let error = world
            .run("r1", &spec)
            .await
            .map(|outcome| outcome.failed[0].cause.clone());
        let said_so = error.unwrap_or_else(|error| error.report());
        assert!(said_so.contains(said), "{said_so}");
        std::fs::remove_dir_all(world.s3.files().join("tidemark")).unwrap();
    }
}

//! The pipeline over real TDS and real S3 calls: the stand-in server, `s3s-fs`, every adapter as deployed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tidemark::ledger::{Place, Pointers};
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::{StoredWatermark, Watermark, WatermarkKey};
use tidemark::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks};
use tidemark_aws::bucket::S3Store;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};
use tidemark_tests::tutorial;

async fn stored(world: &World) -> Option<String> {
    let key = WatermarkKey {
        table: "dbo.data_source_table".parse().unwrap(),
        name: None,
    };
    world.control_table().stored(&key).await.unwrap().value
}

fn spec(table: &str, column: &str) -> TableSpec {
    tutorial::spec(table, column).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_comes_out_to_the_letter() {
    let world = World::new(tutorial::SCRIPT).await;
    let spec = spec("data_source_table", "LastModifytime");
    world.run("r1", &spec).await;
    assert_eq!(world.lines("dbo.data_source_table"), tutorial::FIRST_RUN);
    assert_eq!(stored(&world).await.as_deref(), Some("2017-09-05T08:06:00.000"));

    tutorial::CHANGES.iter().for_each(|change| world.execute(change));
    assert_eq!(world.run("r2", &spec).await.committed[0].rows, 2);
    assert_eq!(
        world.lines("dbo.data_source_table"),
        [&tutorial::FIRST_RUN[..], &tutorial::SECOND_RUN].concat()
    );
    assert_eq!(stored(&world).await.as_deref(), Some("2017-09-07T09:01:00.000"));

    let unchanged: [ObjectName; 1] = ["data_source_table".parse().unwrap()];
    assert_eq!(world.run("r3", &spec).await.unchanged, unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_control_table_keeps_every_digit_and_compares() {
    let source = "GO\ncreate table t (v datetime2(7)); insert into t values ('2017-09-05T08:06:00.1234567')";
    let world = World::new(&format!("{CONTROL_TABLE}\n{source}")).await;
    let store = shipped_control_table(Server::new(world.login()));
    let spec = spec("t", "v");
    assert_eq!(world.run_with(&store, "r1", &spec).await.committed[0].rows, 1);
    let key = spec.watermark_key();
    let stored = store.stored(&key).await.unwrap();
    assert_eq!(stored.value.as_deref(), Some("2017-09-05T08:06:00.1234567"));
    assert_eq!(world.run_with(&store, "r2", &spec).await.committed.len(), 0);

    // Two movers saw the same value: one moves it, and the other is told that it changed.
    let to = |value| Watermark::new(TypeName::new("datetime2(7)").unwrap(), value).unwrap();
    let mover = || shipped_control_table(Server::new(world.login()));
    let (one, other) = (mover(), mover());
    let (first, second) = (to("2018-01-01T00:00:00"), to("2019-01-01T00:00:00"));
    let (a, b) = tokio::join!(
        one.advance(&key, &stored, &first),
        other.advance(&key, &stored, &second)
    );
    let moved = [a.unwrap(), b.unwrap()]
        .iter()
        .filter(|answer| **answer == Moved::Moved)
        .count();
    assert_eq!(moved, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pointer_in_s3_moves_by_compare_and_set() {
    let world = World::new("create table t (v int)").await;
    let store: S3Store = world.s3.store();
    let pointers = Pointers::new(Place::new(&store, "tidemark"));
    let key = WatermarkKey {
        table: "dbo.t".parse().unwrap(),
        name: None,
    };
    let to = |value| Watermark::new(TypeName::new("int").unwrap(), value).unwrap();
    let none: StoredWatermark = pointers.stored(&key).await.unwrap();
    assert_eq!(none.value, None);
    assert_eq!(pointers.advance(&key, &none, &to("1")).await.unwrap(), Moved::Moved);
    assert_eq!(pointers.advance(&key, &none, &to("2")).await.unwrap(), Moved::Changed);
    assert_eq!(pointers.stored(&key).await.unwrap().value.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_may_be_named_in_two_spellings() {
    let world = World::new(tutorial::SCRIPT).await;
    let mut spec = spec("data_source_table", "LastModifytime");
    spec.columns = serde_json::from_value(serde_json::json!(["personid", "lastmodifytime"])).unwrap();
    world.run("r1", &spec).await;
    assert_eq!(world.lines("dbo.data_source_table")[0], "1,2017-09-01 00:56:00.0000000");
}

//! What cuts a window: an index on its watermark, a key, or nothing.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::slice::SliceBounds;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::rows::ExplainRows;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;

use crate::world::{PREFIX, part_rows, run, run_in_time, spec};

#[tokio::test(flavor = "multi_thread")]
async fn an_index_on_the_watermark_cuts_at_its_values() {
    let world = World::new(
        "create table t (id int primary key, v datetime2(7) null); create index ix on t (v);
         insert into t select value, dateadd(second, value / 3, '2017-01-01') from generate_series(1, 20)",
    )
    .await;
    // v is 0, 0, 1, 1, 1, …: the 4th row is a 1, and all rows with a 1 come with it.
    let spec = spec("t", 4, &json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!(outcome.committed[0].rows, 20);
    assert_eq!(part_rows(&world, &spec, &plan.window).await, [5, 6, 6, 3]);
    assert!(plan.slices.iter().all(|slice| slice.key.is_none()), "{:?}", plan.slices);
    assert_eq!(world.lines("dbo.t").len(), 20);

    // The rows of a later window, and a row without a watermark, which is in no window.
    world.execute("insert into t select value, dateadd(day, value, '2018-01-01') from generate_series(21, 29); insert into t values (99, null)");
    let (outcome, plan) = run(&world, "r2", &spec).await;
    assert_eq!((outcome.committed[0].rows, plan.slices.len()), (9, 3));
    assert_eq!(part_rows(&world, &spec, &plan.window).await, [4, 4, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_of_a_large_table_is_one_slice() {
    let world = World::new(
        "create table t (id int primary key, v int); create index ix on t (v);
         insert into t select value, value from generate_series(1, 50)",
    )
    .await;
    let spec = spec("t", 10, &json!({}));
    assert_eq!(run(&world, "r1", &spec).await.1.slices.len(), 5);
    world.execute("insert into t values (51, 51), (52, 52)");
    let (_, plan) = run(&world, "r2", &spec).await;
    assert_eq!(
        plan.slices,
        [SliceBounds::default()],
        "the bounds of the window are its own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_index_the_key_cuts_the_window() {
    let world = World::new(
        "create table t (id bigint primary key, v date);
         insert into t select cast(value as bigint) * 1000000007, '2017-01-01' from generate_series(1, 23)",
    )
    .await;
    let spec = spec("t", 5, &json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (23, 23));
    assert!(plan.slices.len() >= 4 && plan.slices.iter().all(|slice| slice.key.is_some()));

    // The new rows are a part of the table and spread over it.
    world.execute(
        "insert into t select cast(value as bigint) * 1000000007 - 1, '2017-01-02' from generate_series(1, 12)",
    );
    let (outcome, plan) = run(&world, "r2", &spec).await;
    assert_eq!((outcome.committed[0].rows, plan.slices.len()), (12, 3));
    assert_eq!(world.lines("dbo.t").len(), 35);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_with_one_watermark_for_all_is_cut_by_the_key() {
    let world = World::new(
        "create table t (id int primary key, v date null); create index ix on t (v);
         insert into t select value, '2017-01-01' from generate_series(1, 40);
         insert into t select value, cast(null as date) from generate_series(41, 60)",
    )
    .await;
    let spec = spec("t", 5, &json!({ "null_watermark": "first_load" }));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (60, 60));
    assert!(plan.slices.len() >= 10, "{} slices", plan.slices.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_watermark_are_in_one_slice_of_a_first_load() {
    let world = World::new(
        "create table t (id int primary key, v int null); create index ix on t (v);
         insert into t select value, value from generate_series(1, 12); insert into t values (100, null), (101, null)",
    )
    .await;
    let spec = spec("t", 5, &json!({ "null_watermark": "first_load" }));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (14, 14));
    assert_eq!(part_rows(&world, &spec, &plan.window).await, [7, 5, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_without_indexes_is_one_slice() {
    let world =
        World::new("create table t (id int, v int); insert into t select value, value from generate_series(1, 30)")
            .await;
    let spec = spec("t", 5, &json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, plan.slices.len()), (30, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uniqueidentifier_key_cuts_in_the_servers_order() {
    let world = World::new(
        "create table t (id uniqueidentifier primary key, v int);
         insert into t select newid(), 1 from generate_series(1, 60);
         insert into t values ('00000000-0000-0000-0000-000000000000', 1), ('FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', 1),
           ('01000000-0000-0000-0000-000000000000', 1), ('00000000-0000-0000-0000-000000000001', 1)",
    )
    .await;
    let spec = spec("t", 16, &json!({}));
    let outcome = run_in_time(&world, &spec, 12).await.unwrap();
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (64, 64));
    let parts = part_rows(&world, &spec, &WindowName::initial()).await;
    // There are four slices of sixteen rows, each of which took too long.
    assert_eq!(parts, [2; 32], "{parts:?}");
    // The value that the server takes for the least is first, whatever its text looks like.
    let store = world.s3.store();
    let ledger = Ledger::new(Place::new(&store, PREFIX), &spec.table);
    let plan = ledger.existing_plan(&WindowName::initial()).await.unwrap();
    let first = ledger.manifest(&plan.window).await.unwrap().unwrap().parts.remove(0);
    let body = store.get(&first.key).await.unwrap().unwrap().body;
    let lines: Vec<_> = std::str::from_utf8(&body)
        .unwrap()
        .lines()
        .map(str::to_uppercase)
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("00000000-0000-0000-0000-000000000000"))
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("01000000-0000-0000-0000-000000000000"))
    );
    let settings = spec.run_settings();
    let rows = plan.slice_rows(&plan.slices[1], &settings).unwrap();
    let explained = Server::new(world.login()).explain(&rows, &plan.columns).unwrap();
    assert!(explained.sql.contains("[id] > @B2"), "{explained:?}");
}

/// Whatever the values and the size of slices are, each row is in one slice, and no slice is larger than it may be
/// except for rows with equal values.
#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_in_one_slice_whatever_the_values() {
    let world = World::new("").await;
    let _kept_open = Server::new(world.login());
    let cases = std::env::var("PROPTEST_CASES").map_or(12, |cases| cases.parse().unwrap());
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let number = std::cell::Cell::new(0);
    let values = proptest::collection::vec(prop_oneof![Just(None), (-3_i64..40).prop_map(Some)], 1..60);
    let case = (values, 1_u64..9, any::<bool>(), any::<bool>(), 1_u64..20);
    let result = TestRunner::new(config).run(&case, |(values, slice_rows, has_index, has_key, in_time)| {
        number.set(number.get() + 1);
        let table = format!("t{}", number.get());
        let key = if has_key { "primary key" } else { "" };
        let index = if has_index {
            format!("create index ix on {table} (v);")
        } else {
            String::new()
        };
        let rows: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(id, value)| format!("({id}, {})", value.map_or("null".into(), |value| value.to_string())))
            .collect();
        world.execute(&format!(
            "create table {table} (id int {key}, v bigint null); {index} insert into {table} values {}",
            rows.join(", ")
        ));
        let spec = spec(&table, slice_rows, &json!({ "null_watermark": "first_load" }));
        let some = values.iter().any(Option::is_some);
        let work = async {
            // Without a key, rows with equal watermarks cannot be split.
            let rows_in_time = if has_key { in_time } else { u64::MAX };
            let outcome = run_in_time(&world, &spec, rows_in_time).await.unwrap();
            assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
            outcome.committed.iter().map(|window| window.rows).sum::<u64>()
        };
        let copied = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
        prop_assert_eq!(copied, if some { values.len() as u64 } else { 0 });
        if some {
            let ids: std::collections::BTreeSet<_> = world
                .lines(&format!("dbo.{table}"))
                .iter()
                .map(|line| line.split(',').next().unwrap().to_owned())
                .collect();
            prop_assert_eq!(ids.len(), values.len(), "a row is copied twice");
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

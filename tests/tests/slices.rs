//! Large windows in slices: every row in one of them, none in two, whatever the values and the indexes are.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidemark::adapters::sqlserver::Server;
use tidemark::ledger::{Ledger, Plan, Pointers, WindowName};
use tidemark::ports::objects::ReadObjects;
use tidemark::table::TableSpec;
use tidemark_tests::memory::{self, World as MemoryWorld};
use tidemark_tests::pipeline::Outcome;
use tidemark_tests::stand_in::World;

fn spec(table: &str, slice_rows: u64, more: &serde_json::Value) -> TableSpec {
    let mut watermark = serde_json::json!({ "column": "v", "settle_seconds": 0 });
    watermark
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(serde_json::json!({
        "table": table, "tracking": { "watermark": watermark }, "slice_rows": slice_rows,
        "format": { "csv": { "header": false, "null": "NULL", "line_end": "\r\n" } },
    }))
    .unwrap()
}

/// One run with the pointers in the bucket, and the window it planned.
async fn run(world: &World, run_id: &str, spec: &TableSpec) -> (Outcome, Plan) {
    let store = world.s3.store();
    let outcome = world.run_with(&Pointers::new(&store, "tidemark"), run_id, spec).await;
    let ledger = Ledger::new(&store, "tidemark", &spec.table);
    let plan = ledger.frozen_plan(&outcome.committed[0].window).await.unwrap();
    (outcome, plan)
}

/// The rows of each part, in slice order: the number of lines.
async fn part_rows(world: &World, spec: &TableSpec, window: &WindowName) -> Vec<usize> {
    let store = world.s3.store();
    let manifest = Ledger::new(&store, "tidemark", &spec.table)
        .manifest(window)
        .await
        .unwrap()
        .unwrap();
    let mut rows = Vec::new();
    for part in &manifest.parts {
        let body = store.get(&part.key).await.unwrap().unwrap().body;
        let lines = std::str::from_utf8(&body).unwrap().lines().count();
        assert_eq!(lines as u64, part.rows);
        rows.push(lines);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_on_the_watermark_cuts_at_its_values() {
    let world = World::new(
        "create table t (id int primary key, v datetime2(7) null); create index ix on t (v);
         insert into t select value, dateadd(second, value / 3, '2017-01-01') from generate_series(1, 20)",
    )
    .await;
    // v is 0, 0, 1, 1, 1, …: the 4th row is a 1, and all its ties come along.
    let spec = spec("t", 4, &serde_json::json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!(outcome.committed[0].rows, 20);
    assert_eq!(part_rows(&world, &spec, &plan.window).await, [5, 6, 6, 3]);
    assert!(plan.slices.iter().all(|slice| !slice.query.sql.contains("[id] >")));
    assert_eq!(world.lines("dbo.t").len(), 20);

    // A later window, and rows without a watermark, which no window has.
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
    let spec = spec("t", 10, &serde_json::json!({}));
    assert_eq!(run(&world, "r1", &spec).await.1.slices.len(), 5);
    world.execute("insert into t values (51, 51), (52, 52)");
    let (_, plan) = run(&world, "r2", &spec).await;
    assert_eq!(plan.slices.len(), 1);
    assert_eq!(plan.slices[0].query, {
        let mut count = plan.count.clone();
        count.sql = count.sql.replace("COUNT_BIG(*) AS [rows]", "[id], [v]");
        count
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_index_the_key_cuts_the_window() {
    let world = World::new(
        "create table t (id bigint primary key, v date);
         insert into t select cast(value as bigint) * 1000000007, '2017-01-01' from generate_series(1, 23)",
    )
    .await;
    let spec = spec("t", 5, &serde_json::json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (23, 23));
    assert!(plan.slices.len() >= 4 && plan.slices.iter().all(|slice| slice.query.sql.contains("[id]")));

    // The new rows are a part of the table, spread over it.
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
    let spec = spec("t", 5, &serde_json::json!({ "null_watermark": "first_load" }));
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
    let spec = spec("t", 5, &serde_json::json!({ "null_watermark": "first_load" }));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (14, 14));
    assert_eq!(part_rows(&world, &spec, &plan.window).await, [7, 5, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_without_indexes_is_one_slice() {
    let world =
        World::new("create table t (id int, v int); insert into t select value, value from generate_series(1, 30)")
            .await;
    let spec = spec("t", 5, &serde_json::json!({}));
    let (outcome, plan) = run(&world, "r1", &spec).await;
    assert_eq!((outcome.committed[0].rows, plan.slices.len()), (30, 1));
}

#[tokio::test]
async fn a_window_of_too_many_slices_ends_early_and_the_next_run_goes_on() {
    let world = MemoryWorld::new(1..=1_200);
    let mut spec = memory::spec();
    spec.slice_rows = 1.try_into().ok();
    let mut pipeline = world.pipeline();
    for (run, watermark) in [("r1", "500"), ("r2", "1000"), ("r3", "1200")] {
        let outcome = pipeline.run(run, std::slice::from_ref(&spec)).await.unwrap();
        assert!(outcome.failed.is_empty());
        assert_eq!(world.watermark().as_deref(), Some(watermark));
    }
    assert_eq!(world.lines(), (1..=1_200).collect::<Vec<_>>());
}

/// Any values, any size of slices: each row once, and no slice larger than it may be but for ties.
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
    let case = (values, 1_u64..9, any::<bool>(), any::<bool>());
    let result = TestRunner::new(config).run(&case, |(values, slice_rows, has_index, has_key)| {
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
        let spec = spec(
            &table,
            slice_rows,
            &serde_json::json!({ "null_watermark": "first_load" }),
        );
        let some = values.iter().any(Option::is_some);
        let work = async {
            let store = world.s3.store();
            let outcome = world.run_with(&Pointers::new(&store, "tidemark"), "r", &spec).await;
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

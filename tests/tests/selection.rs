//! Which columns and rows are copied, and what becomes of a table whose columns change, over real TDS and real S3
//! calls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use arrow_array::RecordBatch;
use serde_json::{Value, json};
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::{Decided, Ledger, Place, Pointers};
use tidemark::model::names::ObjectName;
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::sink_table::NoSinks;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;

/// Returns the settings of table `t` in JSON lines, with others.
fn spec(more: Value) -> TableSpec {
    let mut spec = json!({
        "table": "t", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": "jsonl",
    });
    let Value::Object(more) = more else {
        panic!("not settings")
    };
    spec.as_object_mut().unwrap().extend(more);
    serde_json::from_value(spec).unwrap()
}

/// Runs the steps once with the pointers in the bucket, whatever becomes of it.
async fn run(world: &World, run_id: &str, spec: &TableSpec) -> Result<RunOutcome> {
    let store = world.s3.store();
    let pointers = Pointers::new(Place::new(&store, "tidemark"));
    let source = Server::new(world.login());
    let mut pipeline = pipeline(world, &source, &pointers, &store);
    Box::pin(pipeline.run(run_id, std::slice::from_ref(spec))).await
}

type Steps<'a> = Pipeline<'a, Server, RowReader, Pointers<'a, S3Store>, S3Store, Files, NoSinks<RecordBatch>>;

fn pipeline<'a>(
    world: &World,
    source: &'a Server,
    watermarks: &'a Pointers<'a, S3Store>,
    store: &'a S3Store,
) -> Steps<'a> {
    Pipeline::new(
        source,
        RowReader::new(world.login()),
        watermarks,
        Place::new(store, "tidemark"),
        Files,
        NoSinks::default(),
    )
}

fn table() -> ObjectName {
    "t".parse().unwrap()
}

/// Returns the lines of a window's parts, and the parts' keys.
async fn window(world: &World, name: &WindowName) -> (Vec<String>, Vec<String>) {
    let store = world.s3.store();
    let table = table();
    let ledger = Ledger::new(Place::new(&store, "tidemark"), &table);
    let manifest = ledger.manifest(name).await.unwrap().unwrap();
    let (mut lines, mut keys) = (Vec::new(), Vec::new());
    for part in manifest.parts {
        let body = store.get(&part.key).await.unwrap().unwrap().body;
        lines.extend(std::str::from_utf8(&body).unwrap().lines().map(str::to_owned));
        keys.push(part.key);
    }
    lines.sort();
    (lines, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_rows_of_where_are_copied_and_counted() {
    let world = World::new(
        "create table t (v int, region varchar(9), [a]]b] int);
         insert into t values (1, 'EU', 1), (2, 'US', null), (3, 'EU', null), (4, 'US', 1), (null, 'US', 1);",
    )
    .await;
    let spec = spec(json!({ "where": "region = 'EU' OR [a]]b] IS NULL", "columns": ["v"] }));
    let outcome = run(&world, "r1", &spec).await.unwrap();
    let first = &outcome.committed[0];
    // The window ends where the table does, though the table's last row is not copied.
    assert_eq!(
        (first.rows, first.late_rows, first.watermark.value()),
        (3, Some(0), "4")
    );
    let (lines, _) = window(&world, &first.window).await;
    assert_eq!(lines, [r#"{"v":1}"#, r#"{"v":2}"#, r#"{"v":3}"#]);

    // A row that begins to match comes with its new watermark. A row that stops matching is not a regression.
    world.execute(
        "update t set region = 'EU', v = 5 where v = 4; update t set region = 'US', [a]]b] = 1, v = 6 where v = 3",
    );
    let outcome = run(&world, "r2", &spec).await.unwrap();
    let second = &outcome.committed[0];
    assert_eq!((second.rows, second.watermark.value()), (1, "6"));
    assert_eq!(window(&world, &second.window).await.0, [r#"{"v":5}"#]);

    // With only rows that are not copied, the window is committed without an object.
    world.execute("insert into t values (7, 'US', 1)");
    let outcome = run(&world, "r3", &spec).await.unwrap();
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].objects), (0, 0));
    assert_eq!(run(&world, "r4", &spec).await.unwrap().unchanged, [table()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_watermark_are_copied_as_where_says() {
    let world = World::new("create table t (v int, n int); insert into t values (1, 1), (null, 2), (null, 3);").await;
    let spec = spec(json!({
        "tracking": { "watermark": { "column": "v", "settle_seconds": 0, "null_watermark": "first_load" } },
        "where": "n < 3 OR n > 9",
    }));
    let outcome = run(&world, "r1", &spec).await.unwrap();
    assert_eq!(
        (outcome.committed[0].rows, outcome.committed[0].late_rows),
        (2, Some(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_where_that_the_server_does_not_take_fails_before_anything_is_written() {
    let world = World::new("create table t (v int not null, n int null); insert into t values (1, 1);").await;
    for predicate in ["nothing = 1", "n = = 1", "n"] {
        let outcome = run(&world, "r1", &spec(json!({ "where": predicate }))).await.unwrap();
        assert_eq!(outcome.failed[0].error, ErrorCode::InvalidInput, "{predicate}");
    }
    let store = world.s3.store();
    let table = table();
    let ledger = Ledger::new(Place::new(&store, "tidemark"), &table);
    assert_eq!(ledger.plan(&WindowName::initial()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_columns_are_left_out_and_computed_ones_are_not() {
    let world = World::new(
        "create table t (v int, secret varchar(9), twice as v * 2, place geometry); insert into t (v) values (1);",
    )
    .await;
    let outcome = run(&world, "r1", &spec(json!({ "exclude": ["SECRET", "place"] }))).await;
    let committed = &outcome.unwrap().committed[0];
    assert_eq!(window(&world, &committed.window).await.0, [r#"{"v":1,"twice":2}"#]);

    let outcome = run(
        &world,
        "r2",
        &spec(json!({ "exclude": ["nothing"], "layout": "load_date" })),
    )
    .await;
    assert!(outcome.unwrap().failed[0].cause.contains("no column 'nothing'"));
    let both = spec(json!({ "exclude": ["secret"], "columns": ["v"] }));
    assert_eq!(
        run(&world, "r3", &both).await.unwrap_err().code(),
        ErrorCode::InvalidInput
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_date_comes_from_the_plan_and_the_ledger_stays_where_it_was() {
    let world = World::new("create table t (v int); insert into t values (1);").await;
    let outcome = run(&world, "r1", &spec(json!({ "layout": "load_date" })))
        .await
        .unwrap();
    let name = &outcome.committed[0].window;
    let (lines, keys) = window(&world, name).await;
    let store = world.s3.store();
    let table = table();
    let ledger = Ledger::new(Place::new(&store, "tidemark"), &table);
    let plan = ledger.existing_plan(name).await.unwrap();
    let expected = format!(
        "tidemark/dbo.t/tidemark_load_date={}/tidemark_window=initial/part-00000.jsonl",
        plan.created_at.day()
    );
    assert_eq!((lines.len(), keys), (1, vec![expected]));
}

/// Copies a first window of `before`, changes the table with `change`, and runs again with `more` settings.
async fn after_change(before: &str, change: &str, more: Value) -> std::result::Result<u64, String> {
    let world = World::new(&format!("create table t ({before}); insert into t (v) values (1);")).await;
    assert_eq!(
        run(&world, "r1", &spec(more.clone())).await.unwrap().committed[0].rows,
        1
    );
    assert_eq!(
        run(&world, "idle", &spec(more.clone())).await.unwrap().unchanged,
        [table()]
    );
    world.execute(change);
    world.execute("insert into t (v) values (2)");
    let outcome = run(&world, "r2", &spec(more)).await.unwrap();
    match outcome.failed.first() {
        None => Ok(outcome.committed[0].rows),
        Some(failure) => Err(format!("{}: {}", failure.error, failure.cause)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_columns_is_taken_or_refused_as_the_table_says() {
    let (default, go_on, fail) = (
        json!({}),
        json!({ "on_schema_change": "continue" }),
        json!({ "on_schema_change": "fail" }),
    );
    for (before, change, by_default, named) in [
        ("v int", "alter table t add n int", true, "n is new"),
        // Files hold both types in one form.
        (
            "v int, n varchar(9)",
            "alter table t drop column n; alter table t add n nvarchar(20)",
            true,
            "n is nvarchar(20) and was varchar(9)",
        ),
        (
            "v int, n tinyint",
            "alter table t drop column n; alter table t add n smallint",
            true,
            "n is smallint and was tinyint",
        ),
        (
            "v int, n smallint",
            "alter table t drop column n; alter table t add n int",
            true,
            "n is int and was smallint",
        ),
        // The type is wider, and so another type in the files.
        (
            "v int, n int",
            "alter table t drop column n; alter table t add n bigint",
            false,
            "n is bigint and was int",
        ),
        ("v int, n int", "alter table t drop column n", false, "n is gone"),
        (
            "v int, n bigint",
            "alter table t drop column n; alter table t add n int",
            false,
            "n is int and was bigint",
        ),
    ] {
        let taken = after_change(before, change, default.clone()).await;
        assert_eq!(taken.is_ok(), by_default, "{change}: {taken:?}");
        assert_eq!(after_change(before, change, go_on.clone()).await, Ok(1), "{change}");
        let refused = after_change(before, change, fail.clone()).await.unwrap_err();
        assert!(
            refused.starts_with("SchemaMismatch") && refused.contains(named),
            "{refused}"
        );
    }
    assert_eq!(after_change("v int, n int", "select 1", fail).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_window_is_copied_whole_once_it_is_taken() {
    let world = World::new("create table t (v int, n int); insert into t values (1, 1);").await;
    run(&world, "r1", &spec(json!({}))).await.unwrap();
    world.execute("alter table t drop column n");
    world.execute("insert into t values (2)");
    for attempt in ["r2", "r3"] {
        let outcome = run(&world, attempt, &spec(json!({}))).await.unwrap();
        assert_eq!(outcome.failed[0].error, ErrorCode::SchemaMismatch);
    }
    let once = spec(json!({ "on_schema_change": "continue" }));
    let outcome = run(&world, "r4", &once).await.unwrap();
    assert_eq!(window(&world, &outcome.committed[0].window).await.0, [r#"{"v":2}"#]);
    // From here on, columns are compared with the new ones.
    world.execute("insert into t values (3)");
    assert_eq!(run(&world, "r5", &spec(json!({}))).await.unwrap().committed[0].rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_between_plan_and_copy_never_makes_a_mixed_part() {
    for (change, expected) in [
        ("alter table t add more int", None),
        (
            "alter table t drop column n; alter table t add n bigint",
            Some(ErrorCode::SchemaMismatch),
        ),
        (
            "alter table t drop column n; alter table t add n varchar(20)",
            Some(ErrorCode::SchemaMismatch),
        ),
        ("alter table t drop column n", Some(ErrorCode::SourceRejected)),
    ] {
        let world = World::new("create table t (v int, n int); insert into t values (1, 7);").await;
        let store = world.s3.store();
        let pointers = Pointers::new(Place::new(&store, "tidemark"));
        let source = Server::new(world.login());
        let mut steps = pipeline(&world, &source, &pointers, &store);
        let planned = steps.plan("r1", &[spec(json!({}))]).await.unwrap();
        world.execute(change);
        let name = &planned.windows[0].window;
        let of_run = WindowOfRun::from(&planned.windows[0]);
        let copied = Box::pin(steps.copy_window("r1", &of_run, planned.windows[0].slices)).await;
        match expected {
            None => {
                assert_eq!(copied.unwrap().committed().unwrap().rows, 1);
                assert_eq!(window(&world, name).await.0, [r#"{"v":1,"n":7}"#]);
            }
            Some(code) => {
                assert_eq!(copied.unwrap_err().code(), code, "{change}");
                assert!(
                    !world.s3.files().join("tidemark/dbo.t").exists(),
                    "{change}: no part is visible"
                );
                let table = table();
                let ledger = Ledger::new(Place::new(&store, "tidemark"), &table);
                let plan = ledger.existing_plan(name).await.unwrap();
                let decided = ledger.decided(&plan, &SliceId::planned(0)).await.unwrap();
                assert!(
                    matches!(&decided, Decided::NotYet(attempt) if attempt.number == 0),
                    "{decided:?}"
                );
            }
        }
    }
}

//! Large windows in slices: every row in one of them, none in two, whatever the values and the indexes are.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::Server;
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::{Ledger, Plan, Pointers, SliceId, WindowName};
use tidemark::ports::objects::ReadObjects;
use tidemark::runner::RunContext;
use tidemark::table::TableSpec;
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_tests::faults::{Gate, Gated};
use tidemark_tests::memory::{self, World as MemoryWorld};
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::slow::Slow;
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

/// One run with the pointers in the bucket and time for so many rows per invocation.
async fn run_in_time(world: &World, spec: &TableSpec, rows_in_time: u64) -> Result<Outcome> {
    let (source, store) = (Server::new(world.login()), world.s3.store());
    let pointers = Pointers::new(&store, "tidemark");
    let mut pipeline = Pipeline {
        source: &source,
        rows: Slow {
            inner: MssqlRows::new(world.login()),
            rows_in_time,
        },
        watermarks: &pointers,
        store: &store,
        prefix: "tidemark",
        sinks: (),
    };
    Box::pin(pipeline.run("r", std::slice::from_ref(spec))).await
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
        let mut count = plan.count.clone().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_meets_its_deadline_is_split() {
    let world = World::new(
        "create table t (id int primary key, v int); create index ix on t (v);
         insert into t select value, value from generate_series(1, 80)",
    )
    .await;
    let (source, store) = (Server::new(world.login()), world.s3.store());
    let pointers = Pointers::new(&store, "tidemark");
    let mut rows = MssqlRows::new(world.login());
    let mut pipeline = Pipeline {
        source: &source,
        rows: MssqlRows::new(world.login()),
        watermarks: &pointers,
        store: &store,
        prefix: "tidemark",
        sinks: (),
    };
    let spec = spec("t", 1_000, &serde_json::json!({}));
    let planned = pipeline.plan("r", std::slice::from_ref(&spec)).await.unwrap();
    let initial = &planned.windows[0].window;
    // Less time than copy-delta keeps back.
    let context = RunContext {
        deadline: Some(tokio::time::Instant::now() + std::time::Duration::from_secs(9)),
        ..RunContext::unbounded()
    };
    let request = copy_delta::Request {
        run_id: "r".into(),
        table: spec.table.clone(),
        window: initial.clone(),
        slice: 0.into(),
        dry_run: false,
    };
    let sinks: () = ();
    let copied = copy_delta::handle(&mut rows, &sinks, &store, "tidemark", 5 << 20, request, context);
    let error = Box::pin(copied).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    let split = pipeline.split("r", "dbo.t", initial, 0.into()).await.unwrap();
    let names: Vec<_> = split.slices.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]);
    // Split again it says the same, and a copy of the whole names the sub-slices.
    let again = pipeline.split("r2", "dbo.t", initial, 0.into()).await.unwrap();
    assert_eq!(again, split);
    let copied = Box::pin(pipeline.copy_slice("r", "dbo.t", initial, 0)).await.unwrap();
    assert!(matches!(copied, copy_delta::Response::Split(other) if other == split));
    let copied = Box::pin(pipeline.copy_slice("r", "dbo.t", initial, "0.3".parse::<SliceId>().unwrap()));
    assert!(matches!(
        copied.await.unwrap(),
        copy_delta::Response::Copied { rows: 10, .. }
    ));
    let copied = Box::pin(pipeline.copy_slice("r", "dbo.t", initial, "0.8".parse::<SliceId>().unwrap()));
    assert_eq!(copied.await.unwrap_err().code(), ErrorCode::InvalidInput);
    // What was copied meanwhile is not split.
    let late = pipeline
        .split("r", "dbo.t", initial, split.slices[3].clone())
        .await
        .unwrap();
    assert_eq!(late.slices, []);
    let outcome = Box::pin(pipeline.run("r3", std::slice::from_ref(&spec))).await.unwrap();
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].objects), (80, 8));
    assert_eq!(part_rows(&world, &spec, initial).await, [10; 8]);
    assert_eq!(world.lines("dbo.t").len(), 80);
}

/// Whatever cuts them: slices that take too long end as slices that do not, every row in one of them.
#[tokio::test(flavor = "multi_thread")]
async fn slices_of_any_kind_are_split_until_they_fit() {
    let world = World::new("alter database current set change_tracking = on").await;
    let script = |sql: &str| world.execute(sql);
    let watermark = |column: &str, more: serde_json::Value| {
        let mut tracking = serde_json::json!({ "column": column, "settle_seconds": 0 });
        tracking
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::json!({ "watermark": tracking })
    };
    let none = || serde_json::json!({});
    let tracked = || serde_json::json!({ "change_tracking": {} });
    let cases = [
        // The watermark in another case, not among the columns copied, of rows of which not all are.
        (
            "a",
            "create table a (id int not null, [V x] datetime2(3)); create index ix on a ([V x]);
          insert into a select value, dateadd(second, value / 2, '2017-01-01') from generate_series(1, 60)",
            watermark("v X", none()),
            serde_json::json!({ "columns": ["id"], "where": "id > 10" }),
            50,
        ),
        // Many rows of one watermark.
        (
            "b",
            "create table b (id bigint primary key, v date); create index ix on b (v);
          insert into b select cast(value as bigint) * 3, '2017-01-01' from generate_series(1, 40)",
            watermark("v", none()),
            none(),
            40,
        ),
        // A key that cut the window, and no index on the watermark.
        (
            "c",
            "create table c (id decimal(9,2) primary key, v int);
          insert into c select value * 0.5, 7 from generate_series(1, 40)",
            watermark("v", none()),
            serde_json::json!({ "slice_rows": 20 }),
            40,
        ),
        // Neither index nor key.
        (
            "d",
            "create table d (id int, v int); insert into d select value, value from generate_series(1, 40)",
            watermark("v", none()),
            none(),
            40,
        ),
        (
            "e",
            "create table e (id int, v rowversion); insert into e (id) select value from generate_series(1, 40)",
            watermark("v", none()),
            none(),
            40,
        ),
        // Rows without a watermark, more than fit, are cut by the key.
        (
            "f",
            "create table f (id int primary key, v int null); create index ix on f (v);
          insert into f select value, value from generate_series(1, 10);
          insert into f select value, cast(null as int) from generate_series(11, 40)",
            watermark("v", serde_json::json!({ "null_watermark": "first_load" })),
            none(),
            40,
        ),
        (
            "g",
            "create table g (n varchar(9) not null, id int not null, v int, primary key (id, n));
          insert into g select 'x', value, value from generate_series(1, 40); alter table g enable change_tracking",
            tracked(),
            none(),
            40,
        ),
    ];
    for (table, sql, tracking, more, rows) in cases {
        script(sql);
        let mut spec = serde_json::json!({
            "table": table, "tracking": tracking, "format": { "csv": { "header": false, "line_end": "\r\n" } },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec: TableSpec = serde_json::from_value(spec).unwrap();
        let outcome = run_in_time(&world, &spec, 3).await.unwrap();
        assert!(outcome.failed.is_empty(), "{table}: {:?}", outcome.failed);
        assert_eq!(outcome.committed[0].rows, rows, "{table}");
        let parts = part_rows(&world, &spec, &WindowName::initial()).await;
        assert!(parts.iter().all(|&rows| rows <= 3), "{table}: {parts:?}");
        let lines = world.lines(&format!("dbo.{table}"));
        let distinct: std::collections::BTreeSet<_> = lines.iter().collect();
        assert_eq!((lines.len(), distinct.len()), (rows as usize, rows as usize), "{table}");
    }

    // The changes of a tracked table, deletions among them.
    world.execute(
        "delete from g where id <= 10; update g set v = 0 where id between 11 and 20;
         insert into g select 'y', value, 0 from generate_series(15, 24)",
    );
    let spec: TableSpec = serde_json::from_value(serde_json::json!({
        "table": "g", "tracking": tracked(), "format": { "csv": { "header": false, "line_end": "\r\n" } },
    }))
    .unwrap();
    let outcome = run_in_time(&world, &spec, 4).await.unwrap();
    let window = &outcome.committed[0].window;
    let parts = part_rows(&world, &spec, window).await;
    assert_eq!((outcome.committed[0].rows, parts.iter().sum::<usize>()), (30, 30));
    assert!(parts.iter().all(|&rows| rows <= 4), "{parts:?}");
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
    let spec = spec("t", 16, &serde_json::json!({}));
    let outcome = run_in_time(&world, &spec, 12).await.unwrap();
    assert_eq!((outcome.committed[0].rows, world.lines("dbo.t").len()), (64, 64));
    let parts = part_rows(&world, &spec, &WindowName::initial()).await;
    // Four slices of sixteen, each of which took too long.
    assert_eq!(parts, [2; 32], "{parts:?}");
    // What the server takes for the least is first, whatever its text looks like.
    let store = world.s3.store();
    let ledger = Ledger::new(&store, "tidemark", &spec.table);
    let plan = ledger.frozen_plan(&WindowName::initial()).await.unwrap();
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
    assert!(
        plan.slices[1]
            .query
            .sql
            .contains("[id] > CAST(@P2 AS uniqueidentifier)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_cannot_be_split_says_why_and_what_to_change() {
    let world = World::new("create table t (v int); insert into t select 1 from generate_series(1, 9)").await;
    let spec = spec("t", 100, &serde_json::json!({}));
    let error = run_in_time(&world, &spec, 3).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    for said in [
        "slice 0 of window initial of dbo.t",
        "no column that could cut it",
        "slice_rows",
    ] {
        assert!(text.contains(said), "{text}");
    }
    // Nothing was decided: with more time the next run copies it.
    assert_eq!(run_in_time(&world, &spec, 9).await.unwrap().committed[0].rows, 9);
}

/// The plan of a first load, and how often each question was asked for it.
async fn plan_counted(world: &World, spec: &TableSpec) -> (Plan, std::collections::BTreeMap<&'static str, usize>) {
    let (server, store, gate) = (Server::new(world.login()), world.s3.store(), Gate::default());
    let source = Gated::new(&gate, &server);
    let pointers = Pointers::new(&store, "tidemark");
    let pipeline = Pipeline {
        source: &source,
        rows: MssqlRows::new(world.login()),
        watermarks: &pointers,
        store: &store,
        prefix: "tidemark",
        sinks: (),
    };
    let planned = pipeline.plan("r", std::slice::from_ref(spec)).await.unwrap();
    assert!(planned.failed.is_empty(), "{:?}", planned.failed);
    let mut asked = std::collections::BTreeMap::new();
    for name in gate.calls() {
        *asked.entry(name).or_default() += 1;
    }
    let ledger = Ledger::new(&store, "tidemark", &spec.table);
    (ledger.frozen_plan(&planned.windows[0].window).await.unwrap(), asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_planned_by_its_statistics_whatever_the_type() {
    let world = World::new("").await;
    for (number, (sql_type, value)) in [
        ("int", "value * 7"),
        ("decimal(12,3)", "value * 0.125"),
        ("date", "dateadd(day, value, '1990-01-01')"),
        ("datetime", "dateadd(second, value, '2017-01-01')"),
        ("datetime2(7)", "dateadd(second, value, '2017-01-01')"),
        ("datetimeoffset(3)", "dateadd(second, value, '2017-01-01')"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("t{number}");
        world.execute(&format!(
            "create table {table} (id int not null, v {sql_type});
             insert into {table} select value, {value} from generate_series(1, 3000); create index ix on {table} (v)"
        ));
        let spec = spec(&table, 300, &serde_json::json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!(
            (asked["histogram"], asked["nth_watermark"]),
            (1, 1),
            "{sql_type}: {asked:?}"
        );
        let (outcome, _) = run(&world, "r", &spec).await;
        assert_eq!(outcome.committed[0].rows, 3_000, "{sql_type}");
        let sizes = part_rows(&world, &spec, &plan.window).await;
        let (last, others) = sizes.split_last().unwrap();
        assert!(
            others.iter().all(|size| (150..=300).contains(size)),
            "{sql_type}: {sizes:?}"
        );
        assert!(*last <= 300 + 1, "{sql_type}: {sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rowversions_and_keys_are_planned_by_statistics_too() {
    let world = World::new(
        "create table r (id int not null, v rowversion); insert into r (id) select value from generate_series(1, 3000);
         create index ix on r (v);
         create table k (id uniqueidentifier primary key, v int);
         insert into k select newid(), 1 from generate_series(1, 3000); update statistics k with fullscan",
    )
    .await;
    for (table, steps_over) in [("r", "nth_watermark"), ("k", "nth_key")] {
        let spec = spec(table, 300, &serde_json::json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!((asked["histogram"], asked[steps_over]), (1, 1), "{table}: {asked:?}");
        let (outcome, _) = run(&world, "r", &spec).await;
        assert_eq!(outcome.committed[0].rows, 3_000, "{table}");
        let sizes = part_rows(&world, &spec, &plan.window).await;
        assert!(
            sizes.len() >= 10 && sizes.iter().all(|&size| size <= 300 + 1),
            "{table}: {sizes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_statistics_still_give_bounded_slices() {
    let world = World::new(
        "create table t (id int not null, v int); insert into t select value, value from generate_series(1, 500);
         create index ix on t (v); insert into t select value, value from generate_series(501, 3000);
         insert into t select value, 250 from generate_series(3001, 3150)",
    )
    .await;
    let spec = spec("t", 300, &serde_json::json!({}));
    let (_, asked) = plan_counted(&world, &spec).await;
    // What came since is stepped through: 2,500 rows.
    assert!((8..=11).contains(&asked["nth_watermark"]), "{asked:?}");
    let (outcome, plan) = run(&world, "r", &spec).await;
    assert_eq!(outcome.committed[0].rows, 3_150);
    let sizes = part_rows(&world, &spec, &plan.window).await;
    assert!(sizes.iter().all(|&size| size <= 300), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_its_statistics_is_asked_for_the_values_themselves() {
    let world = World::new("").await;
    for (table, text, number) in [("a", "sys.stats", 229), ("b", "dm_db_stats_histogram", 208)] {
        world.execute(&format!(
            "create table {table} (id int not null, v int);
             insert into {table} select value, value from generate_series(1, 3000); create index ix on {table} (v)"
        ));
        world.sandbox.inject(Fault {
            text: text.into(),
            after_rows: None,
            action: Action::Error(SqlError::new(number, "No.")),
            times: 1,
        });
        let spec = spec(table, 300, &serde_json::json!({}));
        let (plan, asked) = plan_counted(&world, &spec).await;
        assert_eq!(
            (plan.slices.len(), asked["nth_watermark"]),
            (10, 10),
            "{text}: {asked:?}"
        );
    }
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
        let spec = spec(
            &table,
            slice_rows,
            &serde_json::json!({ "null_watermark": "first_load" }),
        );
        let some = values.iter().any(Option::is_some);
        let work = async {
            // Without a key, ties cannot be split.
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

//! Slices that take too long are split, whatever cuts them.

use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::NoSinks;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopiedSlice, CopyAnswer, CopyPorts, CopyRequest, copy};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::{PART_BYTES, World};

use crate::world::{PREFIX, part_rows, run_in_time, spec, steps};

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_meets_its_deadline_is_split() {
    let world = World::new(
        "create table t (id int primary key, v int); create index ix on t (v);
         insert into t select value, value from generate_series(1, 80)",
    )
    .await;
    let (source, store) = (Server::new(world.login()), world.s3.store());
    let pointers = Pointers::new(Place::new(&store, PREFIX));
    let mut pipeline = steps(&source, RowReader::new(world.login()), &pointers, &store);
    let spec = spec("t", 1_000, &json!({}));
    let planned = pipeline.plan("r", std::slice::from_ref(&spec)).await.unwrap();
    let initial = &WindowOfRun::from(&planned.windows[0]);
    // copy-delta keeps more than these 9 s back.
    let context = RunContext {
        deadline: Some(tokio::time::Instant::now() + std::time::Duration::from_secs(9)),
        ..RunContext::unbounded()
    };
    let request = CopyRequest {
        run_id: "r".into(),
        table: spec.table.clone(),
        window: initial.window.clone(),
        slice: 0.into(),
        settings: spec.run_settings(),
        dry_run: false,
    };
    let ports = CopyPorts {
        reader: &mut RowReader::new(world.login()),
        files: &Files,
        sinks: &NoSinks::default(),
        place: Place::new(&store, PREFIX),
        part_bytes: PART_BYTES,
    };
    let error = Box::pin(copy(ports, request, context)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    let split = pipeline.split("r", initial, 0.into()).await.unwrap();
    let names: Vec<_> = split.slices.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]);
    // A second split gives the same answer, and a copy of the whole slice names the sub-slices.
    let again = pipeline.split("r2", initial, 0.into()).await.unwrap();
    assert_eq!(again, split);
    let copied = Box::pin(pipeline.copy_slice("r", initial, 0)).await.unwrap();
    assert!(matches!(copied, CopyAnswer::Split(other) if other == split));
    let copied = Box::pin(pipeline.copy_slice("r", initial, "0.3".parse::<SliceId>().unwrap()));
    assert!(matches!(
        copied.await.unwrap(),
        CopyAnswer::Copied(CopiedSlice { rows: 10, .. })
    ));
    let copied = Box::pin(pipeline.copy_slice("r", initial, "0.8".parse::<SliceId>().unwrap()));
    assert_eq!(copied.await.unwrap_err().code(), ErrorCode::InvalidInput);
    // A slice that was copied meanwhile is not split.
    let late = pipeline.split("r", initial, split.slices[3].clone()).await.unwrap();
    assert_eq!(late.slices, []);
    let outcome = Box::pin(pipeline.run("r3", std::slice::from_ref(&spec))).await.unwrap();
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].objects), (80, 8));
    assert_eq!(part_rows(&world, &spec, &initial.window).await, [10; 8]);
    assert_eq!(world.lines("dbo.t").len(), 80);
}

/// A table, the script that makes it, its tracking, its other settings, and how many rows are copied of it.
type Kind = (&'static str, &'static str, serde_json::Value, serde_json::Value, u64);

/// Returns tables that are cut by a watermark, by a key, and by neither.
fn kinds() -> Vec<Kind> {
    let watermark = |column: &str, more: serde_json::Value| {
        let mut tracking = json!({ "column": column, "settle_seconds": 0 });
        tracking
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "watermark": tracking })
    };
    let none = || json!({});
    vec![
        // The watermark is named in another case and is not copied, and not all rows are.
        (
            "a",
            "create table a (id int not null, [V x] datetime2(3)); create index ix on a ([V x]);
          insert into a select value, dateadd(second, value / 2, '2017-01-01') from generate_series(1, 60)",
            watermark("v X", none()),
            json!({ "columns": ["id"], "where": "id > 10" }),
            50,
        ),
        // There are many rows of one watermark.
        (
            "b",
            "create table b (id bigint primary key, v date); create index ix on b (v);
          insert into b select cast(value as bigint) * 3, '2017-01-01' from generate_series(1, 40)",
            watermark("v", none()),
            none(),
            40,
        ),
        // A key cuts the window, and no index begins with the watermark.
        (
            "c",
            "create table c (id decimal(9,2) primary key, v int);
          insert into c select value * 0.5, 7 from generate_series(1, 40)",
            watermark("v", none()),
            json!({ "slice_rows": 20 }),
            40,
        ),
        // There is neither an index nor a key.
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
        // There are more rows without a watermark than fit, and the key cuts them.
        (
            "f",
            "create table f (id int primary key, v int null); create index ix on f (v);
          insert into f select value, value from generate_series(1, 10);
          insert into f select value, cast(null as int) from generate_series(11, 40)",
            watermark("v", json!({ "null_watermark": "first_load" })),
            none(),
            40,
        ),
        (
            "g",
            "create table g (n varchar(9) not null, id int not null, v int, primary key (id, n));
          insert into g select 'x', value, value from generate_series(1, 40); alter table g enable change_tracking",
            json!({ "change_tracking": {} }),
            none(),
            40,
        ),
    ]
}

/// Returns a view, which has no index of its own.
fn view() -> Kind {
    let sql = "create table u (id int primary key, v datetime2(3));
          insert into u select value, dateadd(second, value, '2017-01-01') from generate_series(1, 40)\nGO
          create view w as select id, v from u";
    let tracking = json!({ "watermark": { "column": "v", "settle_seconds": 0 } });
    ("w", sql, tracking, json!({}), 40)
}

/// Slices that take too long end as slices that do not, with every row in one of them, whatever cuts them.
#[tokio::test(flavor = "multi_thread")]
async fn slices_of_any_kind_are_split_until_they_fit() {
    let world = World::new("alter database current set change_tracking = on").await;
    for (table, sql, tracking, more, rows) in kinds().into_iter().chain([view()]) {
        world.execute(sql);
        let mut spec = json!({
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
    changes_are_split_until_they_fit(&world).await;
}

/// Splits the changes of the tracked table among these tables, which include deletions.
async fn changes_are_split_until_they_fit(world: &World) {
    world.execute(
        "delete from g where id <= 10; update g set v = 0 where id between 11 and 20;
         insert into g select 'y', value, 0 from generate_series(15, 24)",
    );
    let spec: TableSpec = serde_json::from_value(json!({
        "table": "g", "tracking": { "change_tracking": {} }, "format": { "csv": { "header": false, "line_end": "\r\n" } },
    }))
    .unwrap();
    let outcome = run_in_time(world, &spec, 4).await.unwrap();
    let window = &outcome.committed[0].window;
    let parts = part_rows(world, &spec, window).await;
    assert_eq!((outcome.committed[0].rows, parts.iter().sum::<usize>()), (30, 30));
    assert!(parts.iter().all(|&rows| rows <= 4), "{parts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_cannot_be_split_says_why_and_what_to_change() {
    let world = World::new("create table t (v int); insert into t select 1 from generate_series(1, 9)").await;
    let spec = spec("t", 100, &json!({}));
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
    // Nothing was decided, so the next run, with more time, copies it.
    assert_eq!(run_in_time(&world, &spec, 9).await.unwrap().committed[0].rows, 9);
}

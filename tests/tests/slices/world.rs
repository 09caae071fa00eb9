//! Runs over the stand-in, and what they planned and copied.

use arrow_array::RecordBatch;
use tidemark::error::Result;
use tidemark::ledger::{Ledger, Place, Pointers};
use tidemark::model::plan::Plan;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::sink_table::NoSinks;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark::testing::slow_reader::Slow;
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;

/// The prefix in the bucket.
pub const PREFIX: &str = "tidemark";

/// The steps over a source and a reader, into the bucket.
pub type Steps<'a, P, R> = Pipeline<'a, P, R, Pointers<'a, S3Store>, S3Store, Files, NoSinks<RecordBatch>>;

/// Makes the steps with the pointers in the bucket.
pub fn steps<'a, P, R>(
    source: &'a P,
    reader: R,
    pointers: &'a Pointers<'a, S3Store>,
    store: &'a S3Store,
) -> Steps<'a, P, R> {
    Pipeline::new(
        source,
        reader,
        pointers,
        Place::new(store, PREFIX),
        Files,
        NoSinks::default(),
    )
}

/// Makes the settings of a table with the watermark `v`, and more settings of its tracking.
pub fn spec(table: &str, slice_rows: u64, more: &serde_json::Value) -> TableSpec {
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

/// Runs the steps once with the pointers in the bucket. Returns the outcome, and the plan of the window.
pub async fn run(world: &World, run_id: &str, spec: &TableSpec) -> (RunOutcome, Plan) {
    let store = world.s3.store();
    let outcome = world
        .run_with(&Pointers::new(Place::new(&store, PREFIX)), run_id, spec)
        .await;
    let plan = plan(world, spec, &outcome.committed[0].window).await;
    (outcome, plan)
}

/// Returns the plan of a window.
pub async fn plan(world: &World, spec: &TableSpec, window: &WindowName) -> Plan {
    let store = world.s3.store();
    let ledger = Ledger::new(Place::new(&store, PREFIX), &spec.table);
    ledger.existing_plan(window).await.unwrap()
}

/// Runs the steps once with the pointers in the bucket, and with time for so many rows per invocation.
pub async fn run_in_time(world: &World, spec: &TableSpec, rows_in_time: u64) -> Result<RunOutcome> {
    let (source, store) = (Server::new(world.login()), world.s3.store());
    let pointers = Pointers::new(Place::new(&store, PREFIX));
    let reader = Slow::new(RowReader::new(world.login()), rows_in_time, |batch| {
        batch.num_rows() as u64
    });
    let mut pipeline = steps(&source, reader, &pointers, &store);
    Box::pin(pipeline.run("r", std::slice::from_ref(spec))).await
}

/// Returns the number of lines of each part, in slice order.
pub async fn part_rows(world: &World, spec: &TableSpec, window: &WindowName) -> Vec<usize> {
    let store = world.s3.store();
    let manifest = Ledger::new(Place::new(&store, PREFIX), &spec.table)
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

//! Columns whose values nobody is to read, and the columns of an audit, over real TDS: in every format, in the ledger,
//! and with change tracking.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::window::WindowName;
use tidemark::testing::pipeline::RunOutcome;
use tidemark_tests::mask_key::{mask_secret, secret_of};
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

const SECRET: &str = "SSN-123-45-6789";

fn watermark() -> Value {
    json!({ "watermark": { "column": "at", "settle_seconds": 0 } })
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({ "table": "t", "tracking": watermark(), "format": "jsonl" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn world() -> World {
    let script = format!(
        "create table t (id int primary key, ssn varchar(20), note nvarchar(40), amount decimal(9,2), at int);
         insert into t values (1, '{SECRET}', N'{SECRET} note', 1.50, 1), (2, null, null, null, 2), (3, 'x', N'y', 2, 3)"
    );
    World::new(&script).await
}

fn hash(line: &str, column: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line[column].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_the_same_in_every_format_and_run_and_another_by_another_key() {
    let world = world().await;
    let masked = json!({ "mask": { "SSN": "hash", "amount": "hash" }, "columns": ["ssn", "amount"] });
    let lines = async |format: Value, key| {
        let mut more = masked.clone();
        more["format"] = format;
        let mut copy = TableCopy::masked(&world.login(), spec(&more), Some(key));
        copy.run().await;
        copy.lines()
    };
    let json = lines(json!("jsonl"), mask_secret()).await;
    let csv = lines(json!({ "csv": { "header": false } }), mask_secret()).await;
    let (first, second) = (hash(&json[0], "ssn"), hash(&json[0], "amount"));
    assert_eq!(first.len(), 64);
    assert!(csv.contains(&format!("{first},{second}")), "{csv:?} {first}");
    let other = lines(json!("jsonl"), secret_of("another key of hashes that is long enough")).await;
    assert!(!other.iter().any(|line| line.contains(&first)));
    let again = lines(json!("jsonl"), mask_secret()).await;
    assert_eq!(again, json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_is_nowhere_in_the_bucket_and_the_manifest_says_which_mask_it_had() {
    let world = world().await;
    let masked = json!({ "mask": { "ssn": "last4", "note": "null" }, "slice_rows": 1 });
    let mut copy = TableCopy::masked(&world.login(), spec(&masked), None);
    copy.run().await;
    for key in copy.store.keys() {
        let body = copy.store.body(&key).unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(!text.contains("123-45"), "{key}: {text}");
    }
    let first: Value = serde_json::from_str(&copy.lines()[0]).unwrap();
    assert_eq!((&first["ssn"], &first["note"]), (&json!("6789"), &Value::Null));
    let ledger = Ledger::new(Place::new(&copy.store, "p"), &copy.spec.table);
    let manifest = ledger.manifest(&WindowName::initial()).await.unwrap().unwrap();
    let columns = serde_json::to_value(&manifest.columns).unwrap();
    assert_eq!(columns[1]["values"], json!({ "masked": "last4" }));
    assert_eq!(
        (&columns[1]["form"], &columns[1]["nullable"]),
        (&json!("text"), &json!(true))
    );
    assert_eq!(columns[0].get("values"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_key_cuts_no_slice_so_that_no_bound_has_its_values() {
    let world = World::new(
        "create table t (code int primary key, v int, at int);
         insert into t values (90001, 1, 1), (90002, 1, 1), (90003, 1, 1), (90004, 1, 1)",
    )
    .await;
    for (mask, has_values) in [(json!({}), true), (json!({ "code": "hash" }), false)] {
        let more = json!({ "mask": mask, "slice_rows": 1 });
        let mut copy = TableCopy::masked(&world.login(), spec(&more), Some(mask_secret()));
        copy.run().await;
        let plan = copy.store.body("p/_ledger/dbo.t/initial/plan.json").unwrap();
        let plan = String::from_utf8_lossy(&plan);
        assert_eq!(plan.contains("9000"), has_values, "{plan}");
        assert_eq!(copy.lines().len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_without_a_key_is_refused_before_anything_is_written() {
    let world = world().await;
    let masked = spec(&json!({ "mask": { "ssn": "hash" } }));
    let mut copy = TableCopy::masked(&world.login(), masked.clone(), None);
    let planned = copy.plan().await;
    assert_eq!(planned.failed[0].error, ErrorCode::InvalidConfig);
    assert!(
        planned.failed[0].cause.contains("MaskSecretArn"),
        "{}",
        planned.failed[0].cause
    );
    assert!(copy.store.keys().is_empty());
    // Other masks than the hash need no key.
    let mut copy = TableCopy::masked(&world.login(), spec(&json!({ "mask": { "ssn": "null" } })), None);
    assert!(copy.plan().await.failed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_mask_is_a_change_of_the_columns() {
    let world = world().await;
    let mut copy = TableCopy::masked(&world.login(), spec(&json!({})), Some(mask_secret()));
    copy.run().await;
    world.execute("insert into t values (4, 'x', N'y', 2, 4)");
    let masked = spec(&json!({ "mask": { "note": "null" } }));
    copy.spec = serde_json::from_value(masked).unwrap();
    let planned = copy.plan().await;
    assert_eq!(planned.failed[0].error, ErrorCode::SchemaMismatch);
    assert!(
        planned.failed[0].cause.contains("note would have another mask"),
        "{}",
        planned.failed[0].cause
    );
}

fn operations(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.map(|line| {
        format!(
            "{} {} {}",
            line["_tidemark_window"].as_str().unwrap(),
            line["id"],
            line["_tidemark_operation"].as_str().unwrap()
        )
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

async fn manifest_of(copy: &TableCopy, outcome: &RunOutcome) -> Value {
    let ledger = Ledger::new(Place::new(&copy.store, "p"), &copy.spec.table);
    let manifest = ledger.manifest(&outcome.committed[0].window).await.unwrap().unwrap();
    serde_json::to_value(manifest).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_says_the_window_the_moment_and_the_operation_of_each_row() {
    let world = world().await;
    let audited = spec(&json!({ "audit": true, "columns": ["id"] }));
    let mut copy = TableCopy::masked(&world.login(), audited, None);
    let first = copy.run().await;
    world.execute("update t set at = 9 where id = 2");
    copy.run().await;
    let expected = ["from-3 2 U", "initial 1 I", "initial 2 I", "initial 3 I"];
    assert_eq!(operations(&copy.lines()), expected);
    let line: Value = serde_json::from_str(&copy.lines()[0]).unwrap();
    let moment = line["_tidemark_copied_at"].as_str().unwrap();
    assert!(moment.ends_with(".000000+00:00"), "{moment}");
    // Ids stay as they were, and those of an audit come after those of the first window's columns.
    let ids = manifest_of(&copy, &first).await["field_ids"].clone();
    assert_eq!(
        ids,
        json!({ "id": 1, "_tidemark_window": 2, "_tidemark_copied_at": 3, "_tidemark_operation": 4 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_of_a_tracked_table_has_its_operations_and_a_deletion_the_hash_of_its_key() {
    let world = World::new(
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON\nGO\n
         create table t (id int primary key, v int); insert into t values (1, 10), (2, 20);
         alter table t enable change_tracking",
    )
    .await;
    let settings = json!({ "tracking": { "change_tracking": {} }, "audit": true, "mask": { "id": "hash" } });
    let mut copy = TableCopy::masked(&world.login(), spec(&settings), Some(mask_secret()));
    copy.run().await;
    world.execute("delete from t where id = 1; insert into t values (3, 30)");
    copy.run().await;
    let lines: Vec<Value> = copy
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |operation: &str| {
        let lines = lines.iter().filter(|line| line["SYS_CHANGE_OPERATION"] == operation);
        lines
            .map(|line| (line["id"].clone(), line["_tidemark_operation"].clone()))
            .collect::<Vec<_>>()
    };
    let deleted = of("D");
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].1, "D");
    assert!(
        of("I").iter().any(|(id, _)| *id == deleted[0].0),
        "the hash of the key is that of the row"
    );
    assert_eq!(of("I").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_an_audit_would_add_is_refused() {
    let world = World::new("create table t (at int, _Tidemark_Operation int); insert into t values (1, 1)").await;
    let mut copy = TableCopy::masked(&world.login(), spec(&json!({ "audit": true })), None);
    let planned = copy.plan().await;
    assert_eq!(planned.failed[0].error, ErrorCode::InvalidInput);
    assert!(
        planned.failed[0].cause.contains("_Tidemark_Operation"),
        "{}",
        planned.failed[0].cause
    );
}

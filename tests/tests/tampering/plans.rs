//! The documents of windows of every kind.

use serde_json::{Value, json};
use tidemark::error::ErrorCode;

use crate::world::{Outcome, Tampering};

/// A table with ten rows. Its key and its watermark have indexes.
const TABLE: &str =
    "create table t (id int primary key, at datetime2(3), name nvarchar(20), price money, secret varchar(9));
    create index ix on t (at);
    insert into t select value, dateadd(day, value, '2020-01-01'), 'n', value, 's' from generate_series(1, 10)";

/// More rows of the table.
const MORE: &str =
    "insert into t select value, dateadd(day, value, '2020-01-01'), 'n', value, 's' from generate_series(11, 20)";

fn by_watermark(more: Value) -> Value {
    let mut spec = json!({
        "table": "t", "tracking": { "watermark": { "column": "at", "settle_seconds": 0 } }, "columns": ["id", "at", "price"],
        "slice_rows": 5,
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn check(outcome: &Outcome) {
    // Texts that say who wrote a document name nothing that is run. Columns of other names are asked for, in brackets.
    assert!(
        outcome.replaced > 100 && outcome.went_well > 0 && outcome.named > 0,
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_an_interval_runs_nothing_else() {
    let tampering = Tampering::new(
        TABLE,
        by_watermark(json!({ "where": "name <> 'x'", "layout": "load_date" })),
    )
    .await;
    let frozen = tampering.frozen(&[MORE]).await;
    check(&tampering.replace_texts(&frozen, "plan.json").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_load_that_a_key_cuts_runs_nothing_else() {
    let script = TABLE.replace("create index ix on t (at);", "");
    let tampering = Tampering::new(&script, by_watermark(json!({}))).await;
    let frozen = tampering.frozen(&[]).await;
    check(&tampering.replace_texts(&frozen, "plan.json").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_split_runs_nothing_else() {
    let tampering = Tampering::new(TABLE, by_watermark(json!({ "slice_rows": 100 }))).await;
    let frozen = tampering.frozen(&[]).await;
    let split = tampering.split(&frozen).await;
    let outcome = tampering.replace_texts(&split, "record-00000.json").await;
    assert!(outcome.replaced > 50 && outcome.went_well > 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_changes_runs_nothing_else() {
    let script =
        format!("alter database current set change_tracking = on\nGO\n{TABLE}; alter table t enable change_tracking");
    let spec = json!({
        "table": "t", "tracking": { "change_tracking": {} }, "columns": ["id", "price"], "format": "csv",
    });
    let tampering = Tampering::new(&script, spec).await;
    let load = tampering.frozen(&[]).await;
    check(&tampering.replace_texts(&load, "plan.json").await);
    let changes = tampering.frozen(&[MORE]).await;
    check(&tampering.replace_texts(&changes, "plan.json").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_a_sink_table_runs_nothing_else() {
    let script = format!("{TABLE}\nGO\ncreate table copied (id int primary key, at datetime2(3), price money)");
    let sink = json!({ "sqlserver": { "secret_arn": "sink", "table": "copied" } });
    let tampering = Tampering::new(&script, by_watermark(json!({ "sink": sink }))).await;
    let frozen = tampering.frozen(&[]).await;
    check(&tampering.replace_texts(&frozen, "plan.json").await);
}

/// Whoever writes the plan and the event cannot open a secret that the deployment does not name.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_the_deployment_does_not_name_is_not_opened() {
    let script = format!("{TABLE}\nGO\ncreate table copied (id int primary key, at datetime2(3), price money)");
    let sink = json!({ "sqlserver": { "secret_arn": "other", "table": "copied" } });
    let tampering = Tampering::new(&script, by_watermark(json!({ "sink": sink, "slice_rows": 100 }))).await;
    let frozen = tampering.frozen(&[]).await;
    let (ends, opened) = tampering.run_untouched(&frozen).await;
    // The steps are the split, the copy, and the commit, which waits for the copy.
    assert_eq!(ends, [None, Some(ErrorCode::InvalidConfig), None]);
    assert_eq!(opened, ["source"]);
}

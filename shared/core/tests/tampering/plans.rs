//! Plans that somebody changed in the bucket: each field is changed, and nothing else is run or opened for it.

use crate::scenes::{
    backfilled, changes, copied, given_up, into_a_sink, into_files, load, masked, masked_by_the_server, reinit,
    reloaded, unchanged, with_loaders,
};
use crate::tamper::tamper;

#[tokio::test(start_paused = true)]
async fn a_plan_of_files() {
    let places = [
        "/table",
        "/window",
        "/tracking/watermark/column",
        "/content/interval/column",
        "/columns/0/name",
        "/columns/0/sql_type",
        "/slices/0/new/value",
        "/slices/0/new/type",
        "/where",
        "/created_at",
        "/watermark_name",
        "/format/csv/null",
    ];
    tamper(into_files(), "plan").await.reached(&places);
    tamper(copied(into_files()), "plan").await.reached(&places);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_sink() {
    let sink =
        ["secret_arn", "table", "procedure", "table_type", "keys/0"].map(|field| format!("/sink/sqlserver/{field}"));
    let places = sink.each_ref().map(String::as_str);
    tamper(into_a_sink(), "plan").await.reached(&places);
    tamper(copied(into_a_sink()), "plan").await.reached(&places);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_load() {
    let places = [
        "/content/load/because/first/seed/value",
        "/slices/0/key/column",
        "/slices/0/key/up_to/type",
        "/slices/0/key/up_to/value",
        "/new_watermark/value",
    ];
    tamper(load(), "plan").await.reached(&places);
    tamper(reinit(), "plan")
        .await
        .reached(&["/content/load/because/in_place_of", "/slices/0/key/column"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_changes() {
    tamper(changes(), "plan").await.reached(&[
        "/content/changes/key_columns/0",
        "/old_watermark/value",
        "/columns/3/name",
        "/schema",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_masked_columns_and_an_audit() {
    let places = [
        "/mask_key",
        "/columns/1/values/masked",
        "/columns/8/values/audit/window",
        "/columns/9/values/audit/copied_at",
        "/columns/10/values/audit/operation",
        "/columns/5/form/timestamp",
        "/field_ids/*",
        "/format/parquet/decimals",
    ];
    tamper(masked(), "plan").await.holds(&places);
    tamper(copied(masked()), "plan").await.holds(&places);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_column_that_the_server_masks() {
    tamper(masked_by_the_server(), "plan")
        .await
        .holds(&["/columns/1/values"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_manifests_for_loaders() {
    tamper(with_loaders(), "plan").await.reached(&[
        "/loader_manifests/0",
        "/loader_manifests/1",
        "/format/jsonl/compression",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_backfill() {
    tamper(backfilled(), "plan")
        .await
        .reached(&["/replaces/column", "/replaces/through", "/content/interval/column"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_reload_and_of_the_window_that_it_supersedes() {
    tamper(reloaded(), "plan")
        .await
        .reached(&["/content/interval/in_place_of", "/table"]);
    tamper(given_up(), "plan")
        .await
        .holds(&["/content/superseded/by", "/table"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_changes() {
    tamper(unchanged(), "plan")
        .await
        .holds(&["/content", "/new_watermark/value"]);
}

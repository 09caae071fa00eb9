//! Plans that somebody changed in the bucket: each field is changed, and nothing else is run or opened for it.

use crate::scene::{Scene, Table, changes, into_a_sink, into_files, load, reinit, tamper};

/// Prepares the same scene with a slice copied.
async fn copied<T: Table>(scene: impl Future<Output = Scene<T>>) -> Scene<T> {
    let scene = scene.await;
    scene.copy().await;
    scene
}

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
    tamper(into_files, "plan").await.reached(&places);
    tamper(|| copied(into_files()), "plan").await.reached(&places);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_a_sink() {
    let sink =
        ["secret_arn", "table", "procedure", "table_type", "keys/0"].map(|field| format!("/sink/sqlserver/{field}"));
    let places = sink.each_ref().map(String::as_str);
    tamper(into_a_sink, "plan").await.reached(&places);
    tamper(|| copied(into_a_sink()), "plan").await.reached(&places);
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
    tamper(load, "plan").await.reached(&places);
    tamper(reinit, "plan")
        .await
        .reached(&["/content/load/because/in_place_of", "/slices/0/key/column"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_changes() {
    tamper(changes, "plan").await.reached(&[
        "/content/changes/key_columns/0",
        "/old_watermark/value",
        "/columns/3/name",
        "/schema",
    ]);
}

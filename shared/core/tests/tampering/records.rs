//! Records that somebody changed in the bucket: each field is changed, and nothing else is run or opened for it.

use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::testing::MemoryTable;

use crate::scene::Scene;
use crate::scenes::{changes, copied, into_a_sink, into_files, load, masked, split, superseded, without_rows};
use crate::tamper::tamper;

const RECORD: &str = "record-00000";

async fn uploaded() -> Scene<MemoryTable> {
    copied(into_files()).await
}

#[tokio::test(start_paused = true)]
async fn a_record_of_an_upload() {
    tamper(uploaded(), RECORD).await.holds(&[
        "/window",
        "/decision",
        "/upload/key",
        "/upload/upload_id",
        "/upload/token",
        "/upload/crc64nvme",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_masked_columns_and_malformed_texts() {
    tamper(copied(masked()), RECORD)
        .await
        .holds(&["/mask_key", "/malformed_texts/*", "/plan/run_id"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_merge() {
    let cases = tamper(copied(into_a_sink()), RECORD).await;
    assert_eq!(
        cases.places,
        ["/decision", "/plan/created_at", "/plan/run_id", "/run_id", "/window"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_of_no_rows() {
    tamper(copied(without_rows()), RECORD)
        .await
        .holds(&["/decision", "/run_id", "/window"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_split() {
    tamper(split(into_files()), RECORD)
        .await
        .reached(&["/slices/0/new/value", "/slices/1/old/type"]);
    tamper(split(load()), RECORD)
        .await
        .reached(&["/slices/0/key/column", "/slices/0/key/up_to/value"]);
    tamper(split(changes()), RECORD)
        .await
        .reached(&["/slices/0/key/column", "/slices/1/key/above/type"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_superseded_slice() {
    tamper(superseded(), RECORD)
        .await
        .reached(&["/by", "/decision", "/window"]);
}

/// The upload of a record is completed only at the key that the plan gives to its slice.
#[tokio::test]
async fn a_record_whose_upload_names_another_key_is_refused_at_commit() {
    let template = uploaded().await;
    let own = template.document(&template.key(RECORD))["upload"]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    for other in [
        own.replace("part-00000", "part-00001"),
        own.replace("from-2", "from-3"),
        own.replace("dbo.t", "dbo.secrets"),
        own.replace("p/dbo.t", "p/_ledger/dbo.t"),
        format!("../{own}"),
        "p/_ledger/dbo.t/from-2/manifest.json".to_owned(),
    ] {
        let scene = uploaded().await;
        let window = &scene.window;
        for slice in 1..4_u32 {
            scene.steps().copy_slice("before", window, slice).await.unwrap();
        }
        let key = scene.key(RECORD);
        let mut record = scene.document(&key);
        record["upload"]["key"] = json!(other);
        scene.store.overwrite(&key, record.to_string().into());
        let error = scene.steps().update("after", window).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid, "{other}");
        assert!(error.to_string().contains("names another object"), "{error}");
        let completed = scene
            .store
            .keys()
            .into_iter()
            .filter(|key| key.ends_with("part-00000.csv"));
        let of_window = completed.filter(|key| key.contains("from-2")).count();
        assert_eq!(of_window, 0, "{other}: not completed anywhere");
        assert_eq!(scene.store.body(&scene.key("manifest")), None, "{other}: not committed");
    }
}

/// A window is never committed without the rows of a slice that was split into nothing.
#[tokio::test(start_paused = true)]
async fn a_split_that_cannot_hold_the_rows_of_its_slice_is_refused() {
    for left in 0..2 {
        let scene = split(into_files()).await;
        let window = &scene.window;
        for slice in 1..4_u32 {
            scene.steps().copy_slice("before", window, slice).await.unwrap();
        }
        let key = scene.key(RECORD);
        let mut record = scene.document(&key);
        record["slices"].as_array_mut().unwrap().truncate(left);
        scene.store.overwrite(&key, record.to_string().into());
        let error = scene.steps().update("after", window).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid, "{left}");
        assert!(error.to_string().contains("cannot hold its rows"), "{error}");
        let error = scene.steps().split("after", window, 0.into()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid, "{left}");
        assert_eq!(scene.store.body(&scene.key("manifest")), None, "{left}: not committed");
    }
}

//! What the ledger needs of an object store, tested alike for the store in memory, a folder and the S3 adapter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::ErrorCode;
use tidemark::ledger::conditions::{probe_key, try_conditions};
use tidemark::model::record::UploadedObject;
use tidemark::ports::archive::ArchiveObjects;
use tidemark::ports::objects::{
    CompleteObjects, Completed, CreateObjects, Created, ReadObjects, ReplaceObjects, Replaced, UploadObjects,
};
use tidemark::testing::MemoryStore;
use tidemark_folder::FolderStore;
use tidemark_tests::s3_server::S3Server;

/// The smallest piece that S3 takes, except for the last.
const PIECE: usize = 5 << 20;

trait Store: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects + ArchiveObjects {}
impl<S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects + ArchiveObjects> Store for S {}

async fn an_object_is_created_once(store: &impl Store) {
    assert_eq!(store.get("a/b.json").await.unwrap(), None);
    assert_eq!(
        store.create("a/b.json", Bytes::from_static(b"first")).await.unwrap(),
        Created::Created
    );
    assert_eq!(
        store.create("a/b.json", Bytes::from_static(b"second")).await.unwrap(),
        Created::AlreadyExists
    );
    assert_eq!(store.get("a/b.json").await.unwrap().unwrap().body, "first");
}

async fn of_many_creators_one_wins(store: &impl Store) {
    let create = |n: u8| store.create("race", Bytes::from(vec![n]));
    let (a, b, c, d) = tokio::join!(create(0), create(1), create(2), create(3));
    let created = [a, b, c, d]
        .into_iter()
        .filter(|answer| *answer.as_ref().unwrap() == Created::Created)
        .count();
    assert_eq!(created, 1);
}

async fn a_replacement_needs_the_object_it_saw(store: &impl Store) {
    store.create("pointer", Bytes::from_static(b"1")).await.unwrap();
    let first = store.get("pointer").await.unwrap().unwrap().etag;
    assert_eq!(
        store
            .replace("pointer", Bytes::from_static(b"2"), &first)
            .await
            .unwrap(),
        Replaced::Replaced
    );
    assert_eq!(
        store
            .replace("pointer", Bytes::from_static(b"3"), &first)
            .await
            .unwrap(),
        Replaced::Changed
    );
    assert_eq!(store.get("pointer").await.unwrap().unwrap().body, "2");
    assert_eq!(
        store
            .replace("nothing", Bytes::from_static(b"3"), &first)
            .await
            .unwrap(),
        Replaced::Changed
    );
}

async fn uploaded(store: &impl Store, key: &str, pieces: &[Vec<u8>]) -> UploadedObject {
    let upload = store.begin(key, "text/csv").await.unwrap();
    let mut uploaded = Vec::new();
    for (number, piece) in (1..).zip(pieces) {
        uploaded.push(store.upload(&upload, number, Bytes::from(piece.clone())).await.unwrap());
    }
    let all = pieces.concat();
    UploadedObject {
        key: key.to_owned(),
        upload_id: upload.id,
        token: upload.token,
        pieces: uploaded,
        bytes: all.len() as u64,
        crc64nvme: crc64nvme_base64(&all),
    }
}

async fn an_uploaded_object_is_invisible_until_it_is_completed(store: &impl Store) {
    let pieces = [vec![b'x'; PIECE], b"the end\n".to_vec()];
    let object = uploaded(store, "t/part-00000.csv", &pieces).await;
    assert_eq!(store.get("t/part-00000.csv").await.unwrap(), None);
    let Completed::Visible(etag) = store.complete(&object).await.unwrap() else {
        panic!("not visible")
    };
    let read = store.get("t/part-00000.csv").await.unwrap().unwrap();
    assert_eq!((read.body.len(), read.etag), (PIECE + 8, etag.clone()));
    assert_eq!(
        store.complete(&object).await.unwrap(),
        Completed::Visible(etag),
        "completing again is success"
    );
}

async fn an_aborted_upload_leaves_nothing(store: &impl Store) {
    let upload = store.begin("t/part-00001.csv", "text/csv").await.unwrap();
    store.upload(&upload, 1, Bytes::from_static(b"x")).await.unwrap();
    store.abort(&upload).await.unwrap();
    assert_eq!(store.get("t/part-00001.csv").await.unwrap(), None);
}

async fn folders_are_listed_by_what_their_names_begin_with(store: &impl Store) {
    for key in [
        "l/reinit-from-3/plan.json",
        "l/reinit-from-3/manifest.json",
        "l/reinit-from-10/plan.json",
        "l/from-3/plan.json",
        "l/reinit-loose.json",
    ] {
        store.create(key, Bytes::from_static(b"{}")).await.unwrap();
    }
    let mut folders = store.folders("l/reinit-").await.unwrap();
    folders.sort();
    assert_eq!(folders, ["from-10", "from-3"]);
    assert_eq!(store.folders("nothing/").await.unwrap(), [""; 0]);
    assert_eq!(store.size("l/from-3/plan.json").await.unwrap(), Some(2));
    assert_eq!(store.size("l/from-4/plan.json").await.unwrap(), None);
}

async fn keys_may_hold_what_tables_are_called(store: &impl Store) {
    let key = "tidemark/_ledger/sales.order_lines-0123456789ab/from-2017-09-05T08-06-00.003/plan.json";
    assert_eq!(
        store.create(key, Bytes::from_static(b"{}")).await.unwrap(),
        Created::Created
    );
    assert_eq!(store.get(key).await.unwrap().unwrap().body, "{}");
}

async fn small_and_large_objects_are_moved_whole(store: &impl Store) {
    let large = uploaded(
        store,
        "t/w=1/part-00000.csv",
        &[vec![b'x'; PIECE], b"the end\n".to_vec()],
    )
    .await;
    store.complete(&large).await.unwrap();
    store.create("t/plan.json", Bytes::from_static(b"{}")).await.unwrap();
    store.create("t/empty", Bytes::new()).await.unwrap();
    for (key, bytes) in [("w=1/part-00000.csv", PIECE + 8), ("plan.json", 2), ("empty", 0)] {
        let (from, to) = (format!("t/{key}"), format!("_archive/t/then/{key}"));
        store.archive(&from, &to).await.unwrap();
        assert_eq!(store.size(&from).await.unwrap(), None, "{key}");
        assert_eq!(store.get(&to).await.unwrap().unwrap().body.len(), bytes, "{key}");
        store.archive(&from, &to).await.unwrap();
    }
    assert_eq!(store.list("t/").await.unwrap(), [""; 0]);
    assert_eq!(store.list("_archive/t/").await.unwrap().len(), 3);
}

async fn a_name_may_hold_what_has_a_meaning_in_addresses(store: &impl Store) {
    let (from, to) = ("t/a part=+%é/x", "_archive/1/a part=+%é/x");
    store.create(from, Bytes::from_static(b"1")).await.unwrap();
    store.archive(from, to).await.unwrap();
    assert_eq!(store.get(from).await.unwrap(), None);
    assert_eq!(store.get(to).await.unwrap().unwrap().body, "1");
    assert_eq!(store.list("").await.unwrap(), [to]);
}

async fn every_object_below_a_prefix_is_listed_in_order(store: &impl Store) {
    for key in ["b/2", "a/1", "b/10", "ba/1", "b/c/d"] {
        store.create(key, Bytes::from_static(b"{}")).await.unwrap();
    }
    assert_eq!(store.list("b/").await.unwrap(), ["b/10", "b/2", "b/c/d"]);
    assert_eq!(store.list("a").await.unwrap(), ["a/1"]);
}

async fn conditions_are_heeded(store: &impl Store) {
    for _ in 0..2 {
        try_conditions(store, &probe_key("p")).await.unwrap();
    }
}

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryStore::default()).await;
            })+
        }
        mod folder {
            $(#[tokio::test]
            async fn $name() {
                let folder = super::TempDir::new().unwrap();
                super::$name(&super::FolderStore::new(folder.path())).await;
            })+
        }
        mod s3 {
            $(#[tokio::test]
            async fn $name() {
                let server = super::S3Server::start().await.unwrap();
                super::$name(&server.store()).await;
            })+
        }
    };
}

conformance!(
    an_object_is_created_once,
    of_many_creators_one_wins,
    a_replacement_needs_the_object_it_saw,
    an_uploaded_object_is_invisible_until_it_is_completed,
    an_aborted_upload_leaves_nothing,
    folders_are_listed_by_what_their_names_begin_with,
    keys_may_hold_what_tables_are_called,
    small_and_large_objects_are_moved_whole,
    a_name_may_hold_what_has_a_meaning_in_addresses,
    every_object_below_a_prefix_is_listed_in_order,
    conditions_are_heeded,
);

async fn an_expired_upload_is_told_from_a_completed_one<S: Store>(store: &S, expire: impl AsyncFnOnce(&S)) {
    let expired = uploaded(store, "t/part-00000.csv", &[b"old".to_vec()]).await;
    expire(store).await;
    assert_eq!(store.complete(&expired).await.unwrap(), Completed::Expired);
    let other = uploaded(store, "t/part-00000.csv", &[b"new".to_vec()]).await;
    store.complete(&other).await.unwrap();
    let answer = store.complete(&expired).await.unwrap();
    assert!(matches!(answer, Completed::Other { token: Some(token), .. } if token == other.token));
}

#[tokio::test]
async fn an_upload_that_expired_is_told_from_one_that_is_completed() {
    let expire = async |store: &MemoryStore| store.expire_uploads();
    an_expired_upload_is_told_from_a_completed_one(&MemoryStore::default(), expire).await;
    let folder = TempDir::new().unwrap();
    let expire = async |store: &FolderStore| store.expire_uploads(Duration::ZERO).await.unwrap();
    an_expired_upload_is_told_from_a_completed_one(&FolderStore::new(folder.path()), expire).await;
}

#[tokio::test]
async fn what_was_moved_still_says_of_which_upload_it_is() {
    let server = S3Server::start().await.unwrap();
    let store = server.store();
    for (name, size) in [("small", 1), ("large", PIECE)] {
        let (from, to) = (format!("t/{name}"), format!("_archive/{name}"));
        let moved = uploaded(&store, &from, &[vec![b'x'; size]]).await;
        store.complete(&moved).await.unwrap();
        store.archive(&from, &to).await.unwrap();
        let other = uploaded(&store, &to, &[b"2".to_vec()]).await;
        let answer = store.complete(&other).await.unwrap();
        assert!(
            matches!(&answer, Completed::Other { token: Some(token), .. } if *token == moved.token),
            "{name}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn the_object_of_the_doctor_is_removed_and_its_folders_with_it() {
    let server = S3Server::start().await.unwrap();
    let (store, key) = (server.store(), probe_key("p"));
    try_conditions(&store, &key).await.unwrap();
    for _ in 0..2 {
        assert!(store.remove_probe(&key).await.unwrap());
        assert_eq!(store.get(&key).await.unwrap(), None);
    }
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    try_conditions(&store, &key).await.unwrap();
    for _ in 0..2 {
        store.remove_probe(&key).await.unwrap();
        assert!(!folder.path().join("p").exists());
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = S3Server::start().await.unwrap();
    let store = server.store_of("no-such-bucket");
    let error = store.create("k", Bytes::new()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected, "{}", error.report());
    assert!(error.report().contains("no-such-bucket"), "{}", error.report());
}

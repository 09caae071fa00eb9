//! Tests what the ports do not describe: what readers of the folder see, which keys its documents may name, and how
//! several processes share it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::ErrorCode;
use tidemark::model::record::UploadedObject;
use tidemark::ports::archive::ArchiveObjects;
use tidemark::ports::objects::{
    CompleteObjects, Completed, CreateObjects, Created, ReadObjects, ReplaceObjects, Replaced, UploadObjects,
};
use tidemark_folder::FolderStore;

async fn uploaded(store: &FolderStore, key: &str, body: &'static [u8]) -> UploadedObject {
    let upload = store.begin(key, "text/csv").await.unwrap();
    let piece = store.upload(&upload, 1, Bytes::from_static(body)).await.unwrap();
    UploadedObject {
        key: key.to_owned(),
        upload_id: upload.id,
        token: upload.token,
        pieces: vec![piece],
        bytes: body.len() as u64,
        crc64nvme: crc64nvme_base64(body),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_list_has_what_begins_with_its_prefix_wherever_that_ends() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    for key in [
        "a.t/w=1/p-0",
        "a.t/w=1/q-0",
        "a.t/w=2/p-0",
        "a.t.g1/w=3/p-0",
        "a.tt/p-0",
        "_ledger/a.t/p-0",
    ] {
        store.create(key, Bytes::from_static(b"{}")).await.unwrap();
    }
    for (prefix, expected) in [
        ("a.t/", &["a.t/w=1/p-0", "a.t/w=1/q-0", "a.t/w=2/p-0"][..]),
        ("a.t/w=1/p", &["a.t/w=1/p-0"]),
        ("a.t/w=", &["a.t/w=1/p-0", "a.t/w=1/q-0", "a.t/w=2/p-0"]),
        ("a.t.g", &["a.t.g1/w=3/p-0"]),
        ("_ledger/a.t/", &["_ledger/a.t/p-0"]),
        ("b/", &[]),
    ] {
        assert_eq!(store.keys(prefix).await.unwrap(), expected, "{prefix}");
    }
    let error = store.keys("../x").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
}

#[tokio::test]
async fn a_reader_of_the_folder_sees_whole_objects_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    let object = uploaded(&store, "dbo.t/w=1/part.csv", b"1\n").await;
    assert_eq!(names(folder.path()), [".tidemark"]);
    store.complete(&object).await.unwrap();
    store
        .create("_ledger/dbo.t/x.json", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    assert_eq!(names(folder.path()), [".tidemark", "_ledger", "dbo.t"]);
    assert_eq!(fs::read(folder.path().join("dbo.t/w=1/part.csv")).unwrap(), b"1\n");
    let hidden = names(&folder.path().join(".tidemark/tokens/dbo.t/w=1"));
    assert_eq!(hidden, ["part.csv.json"], "no other file ends as the data does");
    assert_eq!(
        store.keys("").await.unwrap(),
        ["_ledger/dbo.t/x.json", "dbo.t/w=1/part.csv"]
    );
    assert_eq!(
        store.crc64nvme("dbo.t/w=1/part.csv").await.unwrap(),
        Some(object.crc64nvme)
    );
    assert_eq!(store.crc64nvme("dbo.t/w=1/none.csv").await.unwrap(), None);
    // No pieces and no unfinished files remain.
    assert_eq!(names(&folder.path().join(".tidemark/uploads")), [""; 0]);
    assert_eq!(names(&folder.path().join(".tidemark/new")), [""; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_read_what_their_mask_lets_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    let object = uploaded(&store, "part.csv", b"1\n").await;
    store.complete(&object).await.unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder.path().join("part.csv")), mode(&plain));
}

#[tokio::test]
async fn a_key_or_an_id_leads_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path().join("lake"));
    for key in [
        "../out.json",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "a/../../out",
        ".tidemark/lock",
        "",
        "a/.tidemark/b",
    ] {
        let error = store.create(key, Bytes::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SinkRejected, "{key}");
        assert!(store.get(key).await.is_err(), "{key}");
    }
    assert_eq!(names(folder.path()), [""; 0]);
    fs::create_dir_all(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/1"), b"1\n").unwrap();
    let object = uploaded(&store, "part.csv", b"1\n").await;
    let tampered = UploadedObject {
        upload_id: "../../../other".to_owned(),
        ..object
    };
    assert_eq!(store.complete(&tampered).await.unwrap(), Completed::Expired);
    assert_eq!(names(&folder.path().join("other")), ["1"]);
}

#[tokio::test]
async fn pieces_that_somebody_changed_become_no_object() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    let object = uploaded(&store, "part.csv", b"1\n").await;
    let piece = folder
        .path()
        .join(".tidemark/uploads")
        .join(&object.upload_id)
        .join("1");
    fs::write(piece, b"2\n").unwrap();
    let error = store.complete(&object).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
    assert_eq!(store.get("part.csv").await.unwrap(), None);
}

#[tokio::test]
async fn an_upload_is_kept_until_its_time_is_over() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    let object = uploaded(&store, "part.csv", b"1\n").await;
    store.expire_uploads(FolderStore::UPLOADS_KEPT).await.unwrap();
    assert!(matches!(store.complete(&object).await.unwrap(), Completed::Visible(_)));
    let object = uploaded(&store, "other.csv", b"1\n").await;
    store.expire_uploads(Duration::ZERO).await.unwrap();
    assert_eq!(store.complete(&object).await.unwrap(), Completed::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_replace_one_object_one_wins_each_time() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    store.create("pointer", Bytes::from_static(b"0")).await.unwrap();
    for round in 1..=20 {
        let seen = store.get("pointer").await.unwrap().unwrap().etag;
        let racers = (0..8).map(|racer| {
            // Each store is opened on its own, as it would be in a process of its own.
            let (store, seen) = (FolderStore::new(folder.path()), seen.clone());
            let body = Bytes::from(format!("{round}-{racer}"));
            tokio::spawn(async move { store.replace("pointer", body, &seen).await.unwrap() })
        });
        let mut replaced = 0;
        for racer in racers.collect::<Vec<_>>() {
            replaced += usize::from(racer.await.unwrap() == Replaced::Replaced);
        }
        assert_eq!(replaced, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_create_or_complete_one_object_one_wins() {
    for round in 0..20 {
        let folder = TempDir::new().unwrap();
        let store = FolderStore::new(folder.path());
        let one = uploaded(&store, "part.csv", b"1\n").await;
        let other = uploaded(&store, "part.csv", b"2\n").await;
        let racers = (0..8).map(|racer| {
            let store = FolderStore::new(folder.path());
            let object = if racer % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                let created = store.create("plan.json", Bytes::from(vec![racer])).await.unwrap();
                let completed = store.complete(&object).await.unwrap();
                (created, completed, object.token)
            })
        });
        let (mut created, mut winner) = (0, None);
        for racer in racers.collect::<Vec<_>>() {
            let (is_created, completed, own) = racer.await.unwrap();
            created += usize::from(is_created == Created::Created);
            let token = match completed {
                Completed::Visible(_) => own,
                Completed::Other { token, .. } => token.unwrap(),
                Completed::Expired => panic!("round {round}: nothing expired"),
            };
            assert_eq!(*winner.get_or_insert(token.clone()), token, "round {round}");
        }
        assert_eq!(created, 1, "round {round}");
    }
}

#[tokio::test]
async fn what_the_file_system_refuses_is_said() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let store = FolderStore::new(folder.path().join("file/lake"));
    assert_eq!(store.get("a").await.unwrap(), None);
    let error = store.create("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected, "{}", error.report());
    assert!(error.to_string().contains("file/lake"), "{error}");
}

#[tokio::test]
async fn an_object_in_the_archive_is_never_replaced() {
    let folder = TempDir::new().unwrap();
    let store = FolderStore::new(folder.path());
    let (from, to) = ("dbo.t/w=1/part.csv", "_archive/dbo.t/part.csv");
    for key in [from, to] {
        store.create(key, Bytes::from(key)).await.unwrap();
    }
    let error = store.archive(from, to).await.unwrap_err();
    assert!(
        error.code() == ErrorCode::SinkRejected && error.to_string().contains("another object"),
        "{error}"
    );
    for key in [from, to] {
        assert_eq!(store.get(key).await.unwrap().unwrap().body, key);
    }
    // The same object is not another one, as when a start over is begun again in the same second.
    store.create("twin.json", Bytes::from(to)).await.unwrap();
    store.archive("twin.json", to).await.unwrap();
    assert_eq!(store.get("twin.json").await.unwrap(), None);
    // What is gone from its place was moved before, or never was there.
    store
        .archive("dbo.t/w=2/part.csv", "_archive/dbo.u/part.csv")
        .await
        .unwrap();
    assert_eq!(names(&folder.path().join("_archive")), ["dbo.t"]);
    store.archive(from, "_archive/dbo.u/part.csv").await.unwrap();
    assert_eq!(names(folder.path()), [".tidemark", "_archive"]);
}

//! Tests how objects are moved, against a bucket that refuses every write without a condition.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use tidemark::error::ErrorCode;
use tidemark::model::bucket::{BucketFacts, Encryption};
use tidemark::ports::archive::ArchiveObjects;

use crate::one_answer::{Answer, Heads, answered};

const FROM: &str = "lake/dbo.t/part-00000.parquet";
const TO: &str = "lake/_archive/dbo.t/then/data/part-00000.parquet";
/// The headers of a large object, and those of its copy in the archive.
const LARGE: &str = "etag: \"abc\"\r\nx-amz-meta-tidemark-upload: t\r\n";
const MOVED: &str = "etag: \"abc-1\"\r\nx-amz-meta-tidemark-moved: abc\r\n";

/// Moves an object of `bytes` bytes. `there` has the headers of the object in the archive, if there is one. Returns the
/// result and the requests.
async fn archive(bytes: usize, there: Option<&'static str>) -> (tidemark::error::Result<()>, Vec<Vec<String>>) {
    let (clients, heads) = answered(move |line| {
        let is_conditional =
            !line.contains("uploads") && (line.starts_with("post ") || line.contains("x-id=putobject"));
        let (status, body) = match line {
            _ if there.is_some() && is_conditional => {
                (412, "<Error><Code>PreconditionFailed</Code></Error>".to_owned())
            }
            _ if line.starts_with("head ") || line.contains("x-id=getobject") => (200, "x".repeat(bytes)),
            _ if line.contains("uploads") => (200, result("InitiateMultipartUploadResult")),
            _ if line.contains("x-id=uploadpartcopy") => (200, result("CopyPartResult")),
            _ => (200, result("CompleteMultipartUploadResult")),
        };
        Answer {
            status,
            content_type: "application/xml",
            headers: there.filter(|_| line.contains("_archive")).unwrap_or(LARGE),
            body,
        }
    });
    let facts = BucketFacts {
        owner: Some("111122223333".to_owned()),
        encryption: Encryption::Kms(Some("arn:aws:kms:eu-west-1:111122223333:key/1".to_owned())),
        ..BucketFacts::default()
    };
    let store = clients.store("b").with_facts(facts);
    let moved = store.archive(FROM, TO).await;
    (moved, requests(&heads))
}

fn result(root: &str) -> String {
    format!("<{root}><UploadId>u</UploadId><ETag>\"piece\"</ETag></{root}>")
}

fn requests(heads: &Heads) -> Vec<Vec<String>> {
    heads.lock().unwrap().clone()
}

/// Returns the verbs of the requests, which also tell requests of the same method apart.
fn verbs(heads: &[Vec<String>]) -> Vec<&str> {
    let named = |head: &'_ Vec<String>| match head[0].as_str() {
        line if line.contains("?uploads") => "begin",
        line if line.starts_with("post ") => "complete",
        line if line.contains("x-id=uploadpartcopy") => "copy",
        line if line.contains("x-id=putobject") => "put",
        line if line.starts_with("get ") => "get",
        line if line.starts_with("head ") => "head",
        line if line.contains("x-id=abortmultipartupload") => "abort",
        line if line.starts_with("delete ") => "remove",
        line => panic!("{line}"),
    };
    heads.iter().map(named).collect()
}

fn says(head: &[String], header: &str) -> bool {
    head.iter().any(|line| line == header)
}

#[tokio::test]
async fn everything_is_moved_by_writes_that_make_a_new_object() {
    for (bytes, calls, conditional) in [
        (2 << 20, ["head", "begin", "copy", "complete", "remove"].as_slice(), 3),
        (100, &["head", "get", "put", "remove"], 2),
        (0, &["head", "get", "put", "remove"], 2),
    ] {
        let (moved, heads) = archive(bytes, None).await;
        moved.unwrap();
        assert_eq!(verbs(&heads), calls);
        assert!(says(&heads[conditional], "if-none-match: *"), "{heads:?}");
        let made = &heads[if bytes > 100 { 1 } else { 2 }];
        for header in [
            "x-amz-meta-tidemark-upload: t",
            "x-amz-meta-tidemark-moved: abc",
            "x-amz-server-side-encryption: aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-west-1:111122223333:key/1",
        ] {
            assert!(says(made, header), "{header}: {made:?}");
        }
        for head in &heads {
            assert!(says(head, "x-amz-expected-bucket-owner: 111122223333"), "{head:?}");
        }
    }
}

#[tokio::test]
async fn only_the_object_that_was_looked_at_is_copied() {
    let (_, heads) = archive(2 << 20, None).await;
    let copy = &heads[2];
    assert!(says(copy, "x-amz-copy-source-if-match: \"abc\""), "{copy:?}");
    assert!(
        says(copy, "x-amz-source-expected-bucket-owner: 111122223333"),
        "{copy:?}"
    );
    let (_, heads) = archive(100, None).await;
    assert!(says(&heads[1], "if-match: \"abc\""), "{heads:?}");
}

#[tokio::test]
async fn a_move_that_was_interrupted_before_it_removed_is_ended() {
    let (moved, heads) = archive(100, Some(MOVED)).await;
    moved.unwrap();
    assert_eq!(verbs(&heads), ["head", "get", "put", "head", "remove"]);
    let (moved, heads) = archive(2 << 20, Some(MOVED)).await;
    moved.unwrap();
    assert_eq!(
        verbs(&heads),
        ["head", "begin", "copy", "complete", "abort", "head", "remove"]
    );
}

#[tokio::test]
async fn another_object_in_the_archive_is_neither_written_over_nor_taken_for_this_one() {
    for bytes in [100, 2 << 20] {
        let (moved, heads) = archive(bytes, Some("etag: \"other\"\r\n")).await;
        let error = moved.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SinkRejected, "{}", error.report());
        assert!(error.to_string().contains(TO), "{error}");
        assert!(!verbs(&heads).contains(&"remove"), "{heads:?}");
    }
}

/// Moves a large object from a bucket that refuses the requests of this kind the first `times` times. Returns whether it
/// was moved, and the verbs of the requests.
async fn refused(kind: &'static str, status: u16, times: usize) -> (bool, Vec<String>) {
    refused_as(kind, &[(status, "Refused")].repeat(times)).await
}

/// Moves a large object from a bucket that refuses the first requests of this kind with these statuses and codes.
async fn refused_as(kind: &'static str, refusals: &[(u16, &'static str)]) -> (bool, Vec<String>) {
    let refusals = refusals.to_vec();
    let done = AtomicUsize::new(0);
    let (clients, heads) = answered(move |line| {
        let head = vec![line.to_owned()];
        let refusal = if verbs(&[head])[0] == kind {
            refusals.get(done.fetch_add(1, Relaxed))
        } else {
            None
        };
        let (status, body) = match (refusal, line) {
            (Some((status, code)), _) => (*status, format!("<Error><Code>{code}</Code></Error>")),
            _ if line.starts_with("head ") => (200, "x".repeat(2 << 20)),
            _ if line.contains("uploads") => (200, result("InitiateMultipartUploadResult")),
            _ if line.contains("x-id=uploadpartcopy") => (200, result("CopyPartResult")),
            _ if line.starts_with("post ") => (200, result("CompleteMultipartUploadResult")),
            _ => (204, String::new()),
        };
        Answer {
            status,
            content_type: "application/xml",
            headers: LARGE,
            body,
        }
    });
    let moved = clients.store("b").archive(FROM, TO).await;
    let heads = requests(&heads);
    (moved.is_ok(), verbs(&heads).into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn an_upload_that_is_not_completed_is_aborted_whatever_failed() {
    let (moved, verbs) = refused("copy", 403, 1).await;
    assert!(!moved);
    assert_eq!(verbs, ["head", "begin", "copy", "abort"]);
    let (moved, verbs) = refused("complete", 403, 1).await;
    assert!(!moved);
    assert_eq!(verbs, ["head", "begin", "copy", "complete", "abort"]);
}

#[tokio::test]
async fn a_write_that_meets_a_concurrent_one_is_made_again() {
    let (moved, verbs) = refused("complete", 409, 1).await;
    assert!(moved);
    assert_eq!(verbs, ["head", "begin", "copy", "complete", "complete", "remove"]);
}

#[tokio::test]
async fn an_upload_that_a_conflict_has_ended_is_begun_again() {
    let (moved, verbs) = refused_as(
        "complete",
        &[(409, "ConditionalRequestConflict"), (404, "NoSuchUpload")],
    )
    .await;
    assert!(moved);
    let begun_again = ["begin", "copy", "complete", "remove"];
    assert_eq!(
        verbs[..5],
        ["head", "begin", "copy", "complete", "complete"].map(str::to_owned)
    );
    assert_eq!(verbs[5..], begun_again.map(str::to_owned));
}

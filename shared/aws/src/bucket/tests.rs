//! Tests what becomes of the answers of S3, and what the requests contain.

use super::*;
use crate::one_answer::{Answer, clients_at, clients_of, recorded};

fn bucket(status: u16, code: &str) -> S3Store {
    let answer = Answer {
        status,
        content_type: "application/xml",
        headers: "",
        body: format!("<Error><Code>{code}</Code><Message>said so</Message></Error>"),
    };
    clients_of(answer).store("b")
}

fn uploaded() -> UploadedObject {
    UploadedObject {
        key: "k".to_owned(),
        upload_id: "u".to_owned(),
        token: "t".to_owned(),
        pieces: Vec::new(),
        bytes: 0,
        crc64nvme: "AAAAAAAAAAA=".to_owned(),
    }
}

#[tokio::test]
async fn an_answer_of_the_service_becomes_a_class_of_error() {
    for (status, answered, code) in [
        (403, "AccessDenied", ErrorCode::SinkRejected),
        (404, "NoSuchBucket", ErrorCode::SinkRejected),
        (400, "InvalidRequest", ErrorCode::SinkRejected),
        (400, "BadDigest", ErrorCode::SinkUnavailable),
        (503, "SlowDown", ErrorCode::SinkUnavailable),
        (500, "InternalError", ErrorCode::SinkUnavailable),
        (429, "", ErrorCode::SinkUnavailable),
        (400, "KMS.ThrottlingException", ErrorCode::SinkUnavailable),
    ] {
        let error = bucket(status, answered).get("a/key").await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {answered}");
        assert!(error.to_string().contains("s3://b/a/key"), "{error}");
        let report = error.report();
        assert!(report.ends_with("said so") || answered.is_empty(), "{report}");
        for of_the_sdk in ["Error {", "unhandled", "service error"] {
            assert!(!report.contains(of_the_sdk), "{report}");
        }
    }
}

#[tokio::test]
async fn a_service_that_nobody_reaches_is_told_in_the_words_of_the_network() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = clients_at(&nobody.to_string()).store("b").get("k").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkUnavailable);
    let report = error.report();
    assert!(report.contains("Connection refused"), "{report}");
    for of_the_sdk in ["Error {", "dispatch failure", "unhandled"] {
        assert!(!report.contains(of_the_sdk), "{report}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_is_there_already_is_an_answer_and_no_error() {
    assert_eq!(bucket(404, "NoSuchKey").get("k").await.unwrap(), None);
    assert_eq!(bucket(404, "").size("k").await.unwrap(), None);
    let exists = bucket(412, "PreconditionFailed");
    assert_eq!(exists.create("k", Bytes::new()).await.unwrap(), Created::AlreadyExists);
    for (status, code) in [
        (404, "NoSuchKey"),
        (409, "ConditionalRequestConflict"),
        (412, "PreconditionFailed"),
    ] {
        let replaced = bucket(status, code).replace("k", Bytes::new(), "etag").await;
        assert_eq!(replaced.unwrap(), Replaced::Changed, "{code}");
    }
}

#[test]
fn an_answer_without_a_size_is_not_one_about_an_empty_object() {
    let store = bucket(200, "");
    let head = |bytes| HeadObjectOutput::builder().set_content_length(bytes).build();
    assert_eq!(store.size_of("k", &head(Some(0))).unwrap(), 0);
    for bytes in [None, Some(-1)] {
        let error = store.size_of("k", &head(bytes)).unwrap_err();
        assert!(
            error.code() == ErrorCode::SinkRejected && error.to_string().contains("s3://b/k"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_is_gone_has_expired_and_is_aborted() {
    let gone = bucket(404, "NoSuchUpload");
    assert_eq!(gone.complete(&uploaded()).await.unwrap(), Completed::Expired);
    let upload = Upload {
        key: "k".to_owned(),
        id: "u".to_owned(),
        token: "t".to_owned(),
    };
    assert!(gone.abort(&upload).await.is_ok());
    let error = bucket(403, "AccessDenied").complete(&uploaded()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
}
/// Makes each call once. Returns the heads of the requests: the request line, then the headers, all in lower case.
async fn heads(facts: BucketFacts) -> Vec<Vec<String>> {
    let answer = Answer {
        status: 200,
        content_type: "application/xml",
        headers: "",
        body: "<R><UploadId>u</UploadId></R>".to_owned(),
    };
    let (clients, heads) = recorded(answer);
    let store = clients.store("b").with_facts(facts);
    let upload = Upload {
        key: "k".to_owned(),
        id: "u".to_owned(),
        token: "t".to_owned(),
    };
    // The results of the calls do not matter here.
    drop(store.get("k").await);
    drop(store.size("k").await);
    drop(store.folders("k/").await);
    drop(store.create("k", Bytes::from("{}")).await);
    drop(store.replace("k", Bytes::from("{}"), "etag").await);
    drop(store.begin("k", "text/csv").await);
    drop(store.upload(&upload, 1, Bytes::from("1,2")).await);
    drop(store.abort(&upload).await);
    drop(store.complete(&uploaded()).await);
    drop(store.upload_rule("k/").await);
    drop(store.keeps_versions().await);
    drop(store.policy("k/").await);
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 12);
    heads
}

fn says(head: &[String], header: &str) -> bool {
    head.iter().any(|line| line == header)
}

#[tokio::test]
async fn every_call_names_the_account_that_owns_the_bucket() {
    let facts = BucketFacts {
        owner: Some("111122223333".to_owned()),
        ..BucketFacts::default()
    };
    for head in heads(facts).await {
        assert!(says(&head, "x-amz-expected-bucket-owner: 111122223333"), "{head:?}");
    }
    for head in heads(BucketFacts::default()).await {
        assert!(!head.iter().any(|line| line.contains("owner")), "{head:?}");
    }
}

#[tokio::test]
async fn every_call_that_makes_an_object_asks_for_its_encryption() {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1";
    for (encryption, method, named) in [
        (Encryption::OfBucket, None, None),
        (Encryption::S3, Some("aes256"), None),
        (Encryption::Kms(None), Some("aws:kms"), None),
        (Encryption::Kms(Some(key.to_owned())), Some("aws:kms"), Some(key)),
        (Encryption::KmsTwice(None), Some("aws:kms:dsse"), None),
        (
            Encryption::KmsTwice(Some(key.to_owned())),
            Some("aws:kms:dsse"),
            Some(key),
        ),
    ] {
        let facts = BucketFacts {
            encryption,
            ..BucketFacts::default()
        };
        let mut made = 0;
        for head in heads(facts).await {
            let line = &head[0];
            let makes = line.starts_with("put /b/k?x-id=putobject") || line.starts_with("post /b/k?uploads");
            made += usize::from(makes);
            let said = |name: &str| head.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            assert_eq!(
                said("x-amz-server-side-encryption"),
                method.filter(|_| makes),
                "{head:?}"
            );
            let said_key = said("x-amz-server-side-encryption-aws-kms-key-id");
            assert_eq!(said_key, named.filter(|_| makes), "{head:?}");
        }
        assert_eq!(made, 3);
    }
}

#[tokio::test]
async fn the_pieces_of_an_upload_are_signed_where_that_is_asked_for() {
    for signs_payloads in [false, true] {
        let facts = BucketFacts {
            signs_payloads,
            ..BucketFacts::default()
        };
        let heads = heads(facts).await;
        let is_unsigned = |head: &&Vec<String>| says(head, "x-amz-content-sha256: unsigned-payload");
        let unsigned: Vec<_> = heads.iter().filter(is_unsigned).map(|head| &head[0]).collect();
        assert_eq!(unsigned.len(), usize::from(!signs_payloads), "{unsigned:?}");
        // A policy that denies UNSIGNED-PAYLOAD takes no other word for it either, such as one about a trailer.
        let is_signed = |head: &&Vec<String>| {
            let hash = head.iter().find_map(|line| line.strip_prefix("x-amz-content-sha256: "));
            hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
        };
        assert_eq!(
            heads.iter().filter(is_signed).count(),
            heads.len() - unsigned.len(),
            "{heads:?}"
        );
    }
}

/// A bucket with Object Lock refuses an object without a checksum. An SDK without this setting would add one of another
/// kind, or none if a variable of the environment said so.
#[tokio::test]
async fn every_object_that_is_written_carries_a_checksum() {
    let heads = heads(BucketFacts::default()).await;
    let written = heads.iter().filter(|head| head[0].starts_with("put /b/k"));
    let mut count = 0;
    for head in written {
        assert!(
            head.iter().any(|line| line.starts_with("x-amz-checksum-crc64nvme: ")),
            "{head:?}"
        );
        count += 1;
    }
    // Two objects and the piece of an upload.
    assert_eq!(count, 3);
}

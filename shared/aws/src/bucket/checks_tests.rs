//! Tests what the doctor learns about a bucket from the answers of S3.

use tidemark::model::bucket::{BucketPolicy, BucketSettings, Told, UploadRule};
use tidemark::ports::objects::AskBucket;

use super::*;
use crate::one_answer::{Answer, clients_of};

fn answering(status: u16, body: &str) -> S3Store {
    let answer = Answer {
        status,
        content_type: "application/xml",
        headers: "",
        body: body.to_owned(),
    };
    clients_of(answer).store("b")
}

fn refusing(status: u16, code: &str) -> S3Store {
    answering(
        status,
        &format!("<Error><Code>{code}</Code><Message>said so</Message></Error>"),
    )
}

fn rule(name: &str, status: &str, filter: &str, days: u32) -> String {
    format!(
        "<Rule><ID>{name}</ID><Status>{status}</Status>{filter}<AbortIncompleteMultipartUpload><DaysAfterInitiation>{days}\
         </DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
    )
}

#[tokio::test]
async fn of_the_rules_in_force_for_the_prefix_the_first_to_remove_uploads_is_told() {
    let all = rule("all", "Enabled", "<Filter/>", 9);
    let within = rule(
        "within",
        "Enabled",
        "<Filter><Prefix>lake/_ledger/</Prefix></Filter>",
        3,
    );
    let old = rule("old", "Enabled", "<Prefix>la</Prefix>", 4);
    let off = rule("off", "Disabled", "<Filter/>", 1);
    let elsewhere = rule("elsewhere", "Enabled", "<Filter><Prefix>other/</Prefix></Filter>", 1);
    let expiry = "<Rule><ID>e</ID><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>";
    for (rules, expected) in [
        (vec![all.as_str(), &within, &off, &elsewhere], Some(("within", 3))),
        (vec![&all, &old], Some(("old", 4))),
        (vec![&all, &off], Some(("all", 9))),
        (vec![expiry, &elsewhere], None),
    ] {
        let body = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.concat());
        let told = answering(200, &body).upload_rule("lake/").await.unwrap();
        let expected = expected.map(|(name, days)| UploadRule {
            name: name.to_owned(),
            days,
        });
        assert_eq!(told, Told::Said(expected), "{body}");
    }
    let none = refusing(404, "NoSuchLifecycleConfiguration");
    assert_eq!(none.upload_rule("").await.unwrap(), Told::Said(None));
}

#[tokio::test]
async fn versions_are_kept_where_the_bucket_says_so() {
    for (status, kept) in [
        ("<Status>Enabled</Status>", true),
        ("<Status>Suspended</Status>", false),
        ("", false),
    ] {
        let body = format!("<VersioningConfiguration>{status}</VersioningConfiguration>");
        let told = answering(200, &body).keeps_versions().await.unwrap();
        assert_eq!(told, Told::Said(kept), "{body}");
    }
}

#[tokio::test]
async fn what_the_user_may_not_ask_or_the_service_does_not_know_is_no_failure() {
    let denied = refusing(403, "AccessDenied");
    let right = "s3:GetLifecycleConfiguration";
    assert_eq!(denied.upload_rule("").await.unwrap(), Told::Refused(right));
    let right = "s3:GetBucketVersioning";
    assert_eq!(denied.keeps_versions().await.unwrap(), Told::Refused(right));
    assert!(!denied.remove_probe("k").await.unwrap());
    let settings = BucketSettings {
        uploads: Told::Refused("s3:GetLifecycleConfiguration"),
        keeps_versions: Told::Refused(right),
        policy: Told::Refused("s3:GetBucketPolicy"),
    };
    assert_eq!(denied.settings("lake").await.unwrap(), Some(settings));
    let unknown = refusing(501, "NotImplemented");
    assert_eq!(unknown.upload_rule("").await.unwrap(), Told::Unknown);
    assert_eq!(unknown.keeps_versions().await.unwrap(), Told::Unknown);
    assert_eq!(unknown.policy("").await.unwrap(), Told::Unknown);
    // So does S3 answer those whose account does not own the bucket.
    let of_others = refusing(405, "MethodNotAllowed");
    assert_eq!(of_others.policy("").await.unwrap(), Told::Unknown);
    let error = refusing(404, "NoSuchBucket").keeps_versions().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_as_the_cause() {
    for (status, code, said) in [
        (400, "KMS.DisabledException", "KMS.DisabledException"),
        (400, "KMS.NotFoundException", "KMS.NotFoundException"),
        (400, "KMS.KMSInvalidStateException", "KMS.KMSInvalidStateException"),
    ] {
        let error = refusing(status, code).create("k", Bytes::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SinkRejected, "{code}");
        let text = error.to_string();
        assert!(text.contains("the KMS key") && text.contains(said), "{text}");
    }
    let message = "User: arn:aws:iam::1:user/u is not authorized to perform: kms:GenerateDataKey on resource: x";
    let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
    let error = answering(403, &body).begin("k", "text/csv").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("kms:GenerateDataKey and kms:Decrypt"), "{text}");
}

#[tokio::test]
async fn a_policy_says_who_may_write_and_whether_tls_is_demanded() {
    let none = refusing(404, "NoSuchBucketPolicy");
    assert_eq!(none.policy("lake/").await.unwrap(), Told::Said(BucketPolicy::default()));
    let all = r#""arn:aws:s3:::b/*""#;
    let tls = |resource: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": {resource},
                "Condition": {{"Bool": {{"aws:SecureTransport": "false"}}}}}}"#
        )
    };
    let writers = |action: &str, resource: &str, key: &str| {
        format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": {action}, "Resource": {resource},
                "Condition": {{"ArnNotLike": {{"{key}": ["arn:aws:iam::1:role/r"]}}}}}}"#
        )
    };
    let puts = r#"["s3:DeleteObject", "s3:PutObject*"]"#;
    let arn = "aws:PrincipalArn";
    let below = r#"["arn:aws:s3:::b/lake/*"]"#;
    let open = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}"#;
    for (statements, limits_writers, demands_tls) in [
        (vec![], false, false),
        (vec![open.to_owned()], false, false),
        (vec![tls(r#"["arn:aws:s3:::b", "arn:aws:s3:::b/*"]"#)], false, true),
        (vec![tls(r#""arn:aws:s3:::b""#)], false, false),
        (vec![writers(puts, below, arn)], true, false),
        (
            vec![tls(all), writers(r#""s3:PutObject""#, all, "AWS:USERID")],
            true,
            true,
        ),
        (vec![writers(puts, r#""arn:aws:s3:::b/other/*""#, arn)], false, false),
        (vec![writers(r#""s3:GetObject""#, below, arn)], false, false),
        (vec![writers(puts, below, "aws:SourceVpce")], false, false),
    ] {
        let policy = format!(r#"{{"Statement": [{}]}}"#, statements.join(","));
        let expected = BucketPolicy {
            limits_writers,
            demands_tls,
        };
        assert_eq!(
            answering(200, &policy).policy("lake/").await.unwrap(),
            Told::Said(expected),
            "{policy}"
        );
    }
}

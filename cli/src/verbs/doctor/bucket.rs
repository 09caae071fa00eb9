//! The checks of `tidemark doctor` on the sink: whether the bucket or folder can be read and written, and keeps the ledger whole.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::conditions::{probe_key, try_conditions};
use tidemark::ledger::keys::ledgers;
use tidemark::model::bucket::{BucketPolicy, LEAST_DAYS, Told, UploadRule};
use tidemark::ports::objects::{AskBucket, ReadObjects, UploadObjects};

use super::findings::{Findings, Missing};
use crate::terminal::Mark;
use crate::wiring::sink::Sink;
use crate::wiring::store::Store;

/// Checks the sink. Whatever is made there for it is removed again, where that is allowed. Returns whether it can be read
/// and written.
pub(super) async fn look(sink: &Sink, findings: &mut Findings<'_>) -> bool {
    let unused = match &sink.store {
        Store::Folder(folder) if !folder.path().exists() => Some(folder),
        _ => None,
    };
    let is_usable = look_at(sink, findings).await;
    if let Some(folder) = unused.filter(|folder| folder.path().exists()) {
        // What stays is no object, and so in nobody's way.
        drop(folder.remove_unused().await);
    }
    is_usable
}

async fn look_at(sink: &Sink, findings: &mut Findings<'_>) -> bool {
    let rights = findings.found("sink rights", can_write(sink).await, |()| {
        "the ledger can be read and a file written".to_owned()
    });
    if rights.is_none() {
        return false;
    }
    findings.found("sink conditions", conditions(sink).await, Clone::clone);
    if let Store::S3(bucket) = &sink.store {
        match bucket.settings(&sink.prefix).await.transpose() {
            None => {}
            Some(Err(error)) => drop(findings.found("sink uploads", Err::<String, _>(error), Clone::clone)),
            Some(Ok(settings)) => {
                findings.judged("sink uploads", judged(settings.uploads));
                let versions: Result<String> = Ok(said_of_versions(settings.keeps_versions));
                findings.found("sink versions", versions, Clone::clone);
                findings.judged("sink policy", Ok(judged_policy(settings.policy)));
            }
        }
    }
    true
}

/// Begins an upload and gives it up, which leaves nothing.
async fn can_write(sink: &Sink) -> Result<()> {
    let ledgers = ledgers(&sink.prefix);
    sink.store.folders(&ledgers).await?;
    let upload = sink.store.begin(&format!("{ledgers}doctor"), "text/plain").await?;
    sink.store.abort(&upload).await
}

async fn conditions(sink: &Sink) -> std::result::Result<String, Missing> {
    let key = probe_key(&sink.prefix);
    let tried = try_conditions(&sink.store, &key).await;
    // What was made is removed, whatever was found.
    let is_removed = match &sink.store {
        Store::Folder(folder) => folder.remove_probe(&key).await.map(|()| true),
        Store::S3(bucket) => bucket.remove_probe(&key).await,
    };
    tried.map_err(|error| {
        match error.code() {
        ErrorCode::SinkRejected => Missing::mended_by(
            error,
            "Allow s3:PutObject below the sink, and use a service with conditional writes (If-None-Match and If-Match)."
                .to_owned(),
        ),
        _ => error.into(),
    }
    })?;
    let left = if is_removed? {
        String::new()
    } else {
        format!("; {} stays, because you may not remove it", sink.store.address(&key))
    };
    Ok(format!("what is there is never overwritten{left}"))
}

fn judged(told: Told<Option<UploadRule>>) -> std::result::Result<(Mark, String), Missing> {
    let (mark, said) = match told {
        Told::Said(Some(UploadRule { name, days })) if days < LEAST_DAYS => {
            let message = format!(
                "the lifecycle rule {name} removes uploads after {days} days, and a window that is not committed by then is \
                 copied again"
            );
            let advice = format!("Set AbortIncompleteMultipartUpload of that rule to {LEAST_DAYS} days or more.");
            return Err(Missing::mended_by(Error::new(ErrorCode::SinkRejected, message), advice));
        }
        Told::Said(Some(UploadRule { name, days })) => (
            Mark::Good,
            format!("those that are never completed are removed after {days} days, by the rule {name}"),
        ),
        Told::Said(None) => (
            Mark::Doubtful,
            format!(
                "no lifecycle rule removes those that are never completed, and they are paid for: add \
                 AbortIncompleteMultipartUpload with {LEAST_DAYS} days or more"
            ),
        ),
        Told::Refused(right) => (
            Mark::Good,
            format!("the rule for them was not looked at, which takes {right}"),
        ),
        Told::Unknown => (Mark::Good, "the service does not say when it removes them".to_owned()),
    };
    Ok((mark, said))
}

fn said_of_versions(told: Told<bool>) -> String {
    match told {
        Told::Said(true) => "what is overwritten or removed is kept".to_owned(),
        Told::Said(false) => "none are kept, so what somebody removes cannot be brought back".to_owned(),
        Told::Refused(right) => format!("whether they are kept was not looked at, which takes {right}"),
        Told::Unknown => "the service does not say whether it keeps them".to_owned(),
    }
}

fn judged_policy(told: Told<BucketPolicy>) -> (Mark, String) {
    match told {
        Told::Said(policy) => match policy.lacks().join(", and ") {
            lacks if lacks.is_empty() => (
                Mark::Good,
                "only those whom it names may write below the prefix, and only over TLS".to_owned(),
            ),
            lacks => (
                Mark::Doubtful,
                format!("{lacks}: docs/how-to/existing-bucket.md has a policy to add"),
            ),
        },
        Told::Refused(right) => (Mark::Good, format!("it was not looked at, which takes {right}")),
        Told::Unknown => (Mark::Good, "the service does not show it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_lets_everybody_write_is_doubtful_and_one_that_is_not_shown_is_not() {
        let policy = |limits_writers| {
            judged_policy(Told::Said(BucketPolicy {
                limits_writers,
                demands_tls: true,
            }))
        };
        assert_eq!(policy(true).0, Mark::Good);
        let (mark, said) = policy(false);
        assert!(mark == Mark::Doubtful && said.contains("existing-bucket.md"), "{said}");
        let (mark, said) = judged_policy(Told::Refused("s3:GetBucketPolicy"));
        assert!(mark == Mark::Good && said.contains("s3:GetBucketPolicy"), "{said}");
    }

    fn rule(days: u32) -> Told<Option<UploadRule>> {
        Told::Said(Some(UploadRule {
            name: "tidy".to_owned(),
            days,
        }))
    }

    #[test]
    fn a_rule_that_removes_uploads_before_seven_days_is_refused_by_its_name() {
        let missing = judged(rule(6)).unwrap_err();
        assert!(
            missing.to_string().contains("rule tidy removes uploads after 6 days"),
            "{missing}"
        );
        for (told, mark, said) in [
            (rule(7), Mark::Good, "after 7 days, by the rule tidy"),
            (Told::Said(None), Mark::Doubtful, "no lifecycle rule"),
            (
                Told::Refused("s3:GetLifecycleConfiguration"),
                Mark::Good,
                "takes s3:GetLifecycleConfiguration",
            ),
            (Told::Unknown, Mark::Good, "does not say"),
        ] {
            let found = judged(told).unwrap();
            assert!(found.0 == mark && found.1.contains(said), "{found:?}");
        }
    }

    #[test]
    fn a_bucket_without_versions_is_said_to_have_none() {
        assert!(said_of_versions(Told::Said(false)).contains("none are kept"));
        assert!(said_of_versions(Told::Refused("s3:GetBucketVersioning")).contains("s3:GetBucketVersioning"));
    }
}

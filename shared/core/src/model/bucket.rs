//! Facts about a bucket beside its name, and how it is set up.

/// What every call to the bucket carries beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketFacts {
    /// The account that owns the bucket. A bucket of the same name that another account owns is refused.
    pub owner: Option<String>,
    /// The encryption that every call that makes an object asks for.
    pub encryption: Encryption,
    /// Whether the pieces of an upload are signed as well, for policies that deny `UNSIGNED-PAYLOAD`. It costs a
    /// SHA-256 over every piece.
    pub signs_payloads: bool,
}

/// The encryption of new objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// The bucket's own default, which is not asked for.
    #[default]
    OfBucket,
    /// A key of S3, `AES256`.
    S3,
    /// A key of KMS, `aws:kms`: that with this ARN or, without one, that of the bucket or of the account.
    Kms(Option<String>),
    /// Two layers of a key of KMS, `aws:kms:dsse`, with the same keys.
    KmsTwice(Option<String>),
}

impl Encryption {
    /// Makes it from the value of the header that a bucket policy demands, and the ARN of a key. Returns `None` when
    /// there is no such encryption.
    #[must_use]
    pub fn given(header: Option<&str>, key: Option<String>) -> Option<Self> {
        match (header, key) {
            (None, None) => Some(Self::OfBucket),
            (Some("AES256"), None) => Some(Self::S3),
            (None | Some("aws:kms"), key) => Some(Self::Kms(key)),
            (Some("aws:kms:dsse"), key) => Some(Self::KmsTwice(key)),
            _ => None,
        }
    }
}

/// The days that uploads must be kept at least. A window may take that long from its first upload to its commit, when a
/// person has to help.
pub const LEAST_DAYS: u32 = 7;

/// The answer of a bucket to a question about its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// The answer itself.
    Said(T),
    /// No answer, because the caller lacks the right named here.
    Refused(&'static str),
    /// No answer, because the service does not know the question.
    Unknown,
}

/// The rule by which a bucket removes uploads that are not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRule {
    /// The name of the rule that removes them first.
    pub name: String,
    /// The days after the beginning of an upload at which it is removed.
    pub days: u32,
}

/// What the policy of a bucket refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketPolicy {
    /// Whether only those whom it names may write below a prefix. Whoever writes there decides what is copied.
    pub limits_writers: bool,
    /// Whether it refuses requests without TLS.
    pub demands_tls: bool,
}

impl BucketPolicy {
    /// Returns what it lacks, each as a part of a sentence.
    #[must_use]
    pub fn lacks(self) -> Vec<&'static str> {
        let writers =
            "its policy limits nobody who may write below the prefix, and whoever writes there decides what is copied";
        let tls = "its policy takes requests without TLS";
        let lacks = [(self.limits_writers, writers), (self.demands_tls, tls)];
        lacks
            .into_iter()
            .filter(|(has, _)| !has)
            .map(|(_, lack)| lack)
            .collect()
    }
}

/// How a bucket is set up, as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// The rule that removes unfinished uploads below a prefix first, or `None` when no rule does.
    pub uploads: Told<Option<UploadRule>>,
    /// Whether the bucket keeps versions: what is overwritten or removed can then be had back.
    pub keeps_versions: Told<bool>,
    /// What its policy refuses.
    pub policy: Told<BucketPolicy>,
}

impl BucketSettings {
    /// Returns what is missing and what could not be looked at, each as a sentence for whoever set the bucket up.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let uploads = match &self.uploads {
            Told::Said(Some(UploadRule { days, .. })) if *days >= LEAST_DAYS => None,
            Told::Said(Some(UploadRule { name, days })) => Some(format!(
                "the lifecycle rule {name} removes uploads after {days} days: set its AbortIncompleteMultipartUpload to {LEAST_DAYS} days \
                 or more, or a window that takes longer is copied again"
            )),
            Told::Said(None) => Some(format!(
                "no lifecycle rule removes uploads that are never completed, and they are paid for: add \
                 AbortIncompleteMultipartUpload with {LEAST_DAYS} days or more"
            )),
            Told::Refused(right) => Some(format!("its lifecycle rules were not looked at, which takes {right}")),
            Told::Unknown => Some("the service does not say when it removes uploads".to_owned()),
        };
        let versions = match &self.keeps_versions {
            Told::Said(true) => None,
            Told::Said(false) => {
                Some("it keeps no versions, so what somebody removes is lost: switch versioning on".to_owned())
            }
            Told::Refused(right) => Some(format!(
                "whether it keeps versions was not looked at, which takes {right}"
            )),
            Told::Unknown => Some("the service does not say whether it keeps versions".to_owned()),
        };
        let policy = match &self.policy {
            Told::Said(policy) => {
                let advice = "docs/how-to/existing-bucket.md has a policy to add";
                policy
                    .lacks()
                    .into_iter()
                    .map(|lack| format!("{lack}: {advice}"))
                    .collect()
            }
            Told::Refused(right) => vec![format!("its policy was not looked at, which takes {right}")],
            Told::Unknown => vec!["the service does not show its policy".to_owned()],
        };
        uploads.into_iter().chain(versions).chain(policy).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(uploads: Told<Option<UploadRule>>, keeps_versions: Told<bool>) -> Vec<String> {
        BucketSettings {
            uploads,
            keeps_versions,
            policy: Told::Said(BucketPolicy {
                limits_writers: true,
                demands_tls: true,
            }),
        }
        .notes()
    }

    #[test]
    fn a_policy_that_guards_too_little_is_noted_with_the_page_that_has_another() {
        let notes = |policy| {
            let settings = BucketSettings {
                uploads: rule(7),
                keeps_versions: Told::Said(true),
                policy,
            };
            settings.notes()
        };
        let policy = |limits_writers, demands_tls| {
            Told::Said(BucketPolicy {
                limits_writers,
                demands_tls,
            })
        };
        for (policy, said) in [
            (policy(true, true), &[][..]),
            (policy(false, true), &["whoever writes there decides"]),
            (policy(true, false), &["without TLS"]),
            (policy(false, false), &["whoever writes there decides", "without TLS"]),
        ] {
            let found = notes(policy);
            assert_eq!(found.len(), said.len(), "{found:?}");
            for (note, said) in found.iter().zip(said) {
                assert!(
                    note.contains(said) && note.contains("docs/how-to/existing-bucket.md"),
                    "{note}"
                );
            }
        }
        assert!(notes(Told::Refused("s3:GetBucketPolicy"))[0].contains("takes s3:GetBucketPolicy"));
        assert!(notes(Told::Unknown)[0].contains("does not show"));
    }

    fn rule(days: u32) -> Told<Option<UploadRule>> {
        let name = "tidy".to_owned();
        Told::Said(Some(UploadRule { name, days }))
    }

    #[test]
    fn a_bucket_as_it_must_be_has_no_note_and_every_other_says_what_to_do_or_what_is_not_known() {
        assert_eq!(notes(rule(7), Told::Said(true)), [""; 0]);
        for (uploads, versions, said) in [
            (rule(6), Told::Said(true), "rule tidy removes uploads after 6 days: set"),
            (Told::Said(None), Told::Said(true), "no lifecycle rule"),
            (rule(7), Told::Said(false), "switch versioning on"),
            (
                Told::Refused("s3:GetLifecycleConfiguration"),
                Told::Said(true),
                "takes s3:GetLifecycleConfiguration",
            ),
            (
                rule(7),
                Told::Refused("s3:GetBucketVersioning"),
                "takes s3:GetBucketVersioning",
            ),
            (Told::Unknown, Told::Said(true), "does not say when"),
            (rule(7), Told::Unknown, "does not say whether"),
        ] {
            let notes = notes(uploads, versions);
            assert!(notes.len() == 1 && notes[0].contains(said), "{notes:?}");
        }
    }
}

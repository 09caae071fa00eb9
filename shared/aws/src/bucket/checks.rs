//! Reads how a bucket is set up, for the doctor and for the first run of a table.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule};
use serde_json::Value;
use tidemark::error::Result;
use tidemark::model::bucket::{BucketPolicy, BucketSettings, Told, UploadRule};
use tidemark::ports::objects::AskBucket;

use super::{S3Store, status};

impl AskBucket for S3Store {
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>> {
        let below = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        Ok(Some(BucketSettings {
            uploads: self.upload_rule(&below).await?,
            keeps_versions: self.keeps_versions().await?,
            policy: self.policy(&below).await?,
        }))
    }
}

impl S3Store {
    /// Returns the lifecycle rule that removes unfinished uploads below `prefix` first. Inside [`Told::Said`] it is
    /// `None` when no rule does.
    pub(super) async fn upload_rule(&self, prefix: &str) -> Result<Told<Option<UploadRule>>> {
        let request = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner());
        match Box::pin(request.send()).await {
            Ok(lifecycle) => Ok(Told::Said(first_rule(lifecycle.rules(), prefix))),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Ok(Told::Said(None)),
            Err(error) => self.not_told("s3:GetLifecycleConfiguration", "the lifecycle", error),
        }
    }

    /// Returns whether the bucket keeps objects that are overwritten or removed.
    pub(super) async fn keeps_versions(&self) -> Result<Told<bool>> {
        let request = self
            .client
            .get_bucket_versioning()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner());
        match Box::pin(request.send()).await {
            Ok(answer) => Ok(Told::Said(answer.status() == Some(&BucketVersioningStatus::Enabled))),
            Err(error) => self.not_told("s3:GetBucketVersioning", "the versioning", error),
        }
    }

    /// Returns what the bucket's policy refuses below `prefix`. A bucket without one refuses nothing.
    pub(super) async fn policy(&self, prefix: &str) -> Result<Told<BucketPolicy>> {
        let request = self
            .client
            .get_bucket_policy()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner());
        match Box::pin(request.send()).await {
            Ok(answer) => {
                let policy = serde_json::from_str(answer.policy().unwrap_or_default()).unwrap_or_default();
                Ok(Told::Said(refusals(&policy, &self.bucket, prefix)))
            }
            Err(error) if error.code() == Some("NoSuchBucketPolicy") => Ok(Told::Said(BucketPolicy::default())),
            Err(error) => self.not_told("s3:GetBucketPolicy", "the policy", error),
        }
    }

    /// Removes an object that the doctor made. It is no error if there is none. Returns `false` when the user has no
    /// permission.
    ///
    /// # Errors
    ///
    /// Those of the other calls to S3, without that for a missing permission.
    pub async fn remove_probe(&self, key: &str) -> Result<bool> {
        match self.remove(key).await {
            Ok(()) => Ok(true),
            Err(error) if status(&error) == Some(403) => Ok(false),
            Err(error) => Err(self.error("remove", key, error)),
        }
    }

    fn not_told<T, E>(&self, right: &'static str, what: &str, error: SdkError<E>) -> Result<Told<T>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match status(&error) {
            Some(403) => Ok(Told::Refused(right)),
            Some(405 | 501) => Ok(Told::Unknown),
            _ => Err(self.error("read", what, error)),
        }
    }
}

/// Finds the rule in force that removes uploads below `prefix` first. Rules for certain tags or sizes do not apply to
/// uploads.
fn first_rule(rules: &[LifecycleRule], prefix: &str) -> Option<UploadRule> {
    let rules = rules.iter().filter_map(|rule| {
        let days = rule.abort_incomplete_multipart_upload()?.days_after_initiation()?;
        let is_in_force = *rule.status() == ExpirationStatus::Enabled;
        let below = prefix_of(rule);
        // The rule's prefix may be within `prefix`, or the other way round.
        let concerns = below.starts_with(prefix) || prefix.starts_with(below);
        (is_in_force && concerns).then(|| UploadRule {
            name: rule.id().unwrap_or("without a name").to_owned(),
            days: u32::try_from(days).unwrap_or_default(),
        })
    });
    rules.min_by_key(|rule| rule.days)
}

fn prefix_of(rule: &LifecycleRule) -> &str {
    let filter = rule.filter();
    let of_filter = filter.and_then(|filter| filter.prefix().or_else(|| filter.and()?.prefix()));
    #[expect(deprecated, reason = "buckets that were set up long ago have rules of this form")]
    of_filter.or_else(|| rule.prefix()).unwrap_or_default()
}

/// Returns what a policy refuses in all of `prefix`. A statement limits writers if it refuses `s3:PutObject` to all but
/// some, whoever they are.
fn refusals(policy: &Value, bucket: &str, prefix: &str) -> BucketPolicy {
    let mut found = BucketPolicy::default();
    for statement in each(&policy["Statement"]) {
        let is_below = each(&statement["Resource"])
            .filter_map(Value::as_str)
            .any(|resource| covers(resource, bucket, prefix));
        if statement["Effect"] != "Deny" || !is_below {
            continue;
        }
        let conditions = || {
            statement["Condition"]
                .as_object()
                .into_iter()
                .flat_map(|tests| tests.values())
        };
        let keys = || conditions().filter_map(Value::as_object).flatten();
        found.demands_tls |= keys().any(|(key, value)| {
            key.eq_ignore_ascii_case("aws:SecureTransport")
                && each(value).any(|value| *value == "false" || *value == false)
        });
        let is_write = each(&statement["Action"])
            .filter_map(Value::as_str)
            .any(|action| matches(&action.to_ascii_lowercase(), "s3:putobject"));
        let by_principal = keys().any(|(key, _)| {
            let key = key.to_ascii_lowercase();
            key == "aws:userid" || key.starts_with("aws:principal")
        });
        found.limits_writers |= is_write && (by_principal || statement.get("NotPrincipal").is_some());
    }
    found
}

/// Yields the values where a policy takes one in place of a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter()
}

/// Returns whether a resource of a policy has every object below `prefix`.
fn covers(resource: &str, bucket: &str, prefix: &str) -> bool {
    let Some((literal, "")) = resource.rsplit_once('*') else {
        return false;
    };
    let Some(name) = literal.rsplit_once(":::").map(|(_, name)| name) else {
        return literal.is_empty();
    };
    format!("{bucket}/{prefix}").starts_with(name)
}

/// Returns whether a pattern with `*` at its end at most, as actions have it, is that of `action`.
fn matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(literal) => action.starts_with(literal),
        None => pattern == action,
    }
}

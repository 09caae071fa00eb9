//! Reads how a bucket is set up, for the doctor and for the first run of a table.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule};
use tidemark::error::Result;
use tidemark::model::bucket::{BucketSettings, Told, UploadRule};
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

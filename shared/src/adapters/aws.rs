//! The AWS clients of a function, built once before it takes events.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;

use super::s3::S3Store;

/// Clients for the services the steps use, with the region and credentials of the environment.
#[derive(Debug, Clone)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    /// AWS Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Aws {
    /// Reads region, credentials and endpoints as every AWS SDK does.
    pub async fn from_environment() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .operation_attempt_timeout(Duration::from_secs(300))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .load()
            .await;
        // A custom endpoint (a local stack, MinIO) seldom has a DNS name for every bucket.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(path_style)
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
        }
    }

    /// The sink bucket called `bucket`.
    #[must_use]
    pub fn store(&self, bucket: &str) -> S3Store {
        S3Store::new(self.s3.clone(), bucket)
    }
}

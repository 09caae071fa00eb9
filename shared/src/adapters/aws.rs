//! The AWS clients of a function, built once before it takes events: their connections and TLS sessions are kept between
//! invocations.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};

use super::s3::S3Store;
use super::secrets::Secrets;

/// Clients for the services the steps use, with the region and credentials of the environment.
#[derive(Debug, Clone)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    /// The logins in AWS Secrets Manager.
    pub secrets: Arc<Secrets>,
}

impl Aws {
    /// Reads region, credentials and endpoints as every AWS SDK does.
    pub async fn from_environment() -> Self {
        Self::load(Self::defaults()).await
    }

    /// What the clients have of this project rather than of the environment: how long they wait, and that they try three
    /// times what fails with a 5xx, a throttling or a broken connection.
    #[must_use]
    pub fn defaults() -> ConfigLoader {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .operation_attempt_timeout(Duration::from_secs(300))
            .build();
        aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
    }

    /// The clients of a configuration.
    pub async fn load(config: ConfigLoader) -> Self {
        let config = config.load().await;
        // A custom endpoint (a local stack, MinIO) seldom has a DNS name for every bucket.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(path_style)
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: Arc::new(Secrets::new(aws_sdk_secretsmanager::Client::new(&config))),
        }
    }

    /// The sink bucket called `bucket`.
    #[must_use]
    pub fn store(&self, bucket: &str) -> S3Store {
        S3Store::new(self.s3.clone(), bucket)
    }
}

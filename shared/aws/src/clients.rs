//! Makes the AWS clients of a function. They are built once, before the function takes events, so connections and TLS
//! sessions are kept between invocations.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;
use aws_types::sdk_config::Builder;
use tidemark::error::{Error, ErrorCode, Result};

use crate::bucket::S3Store;
use crate::http::Http;
use crate::secrets::Secrets;
use crate::service::Service;
use crate::stacks::Stacks;
use crate::tokens::Tokens;

/// The clients of the AWS services that the steps use, with the region and the credentials of the environment.
#[derive(Debug, Clone)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    /// The secrets in AWS Secrets Manager.
    pub secrets: Arc<Secrets>,
    /// The tokens of Microsoft Entra, for databases that accept no password.
    pub tokens: Arc<Tokens>,
}

impl Aws {
    /// Reads region, credentials and endpoints from the variables of the AWS SDKs, which Lambda sets.
    ///
    /// Profiles in files and metadata services are not read, because their code is larger than all of a step's own. By
    /// hand, `aws configure export-credentials --format env` turns any of them into variables.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is no region, or there are no credentials.
    pub fn from_environment() -> Result<Self> {
        let config = checked(configured(&variable))?;
        Ok(Self::new(
            &at(&config, endpoint(&variable, "S3")),
            &at(&config, endpoint(&variable, "SECRETS_MANAGER")),
            &at(&config, endpoint(&variable, "STS")),
        ))
    }

    /// Makes the client for the account's CloudFormation stacks, with the region and the credentials of the
    /// environment.
    ///
    /// # Errors
    ///
    /// Those of [`from_environment`](Self::from_environment).
    pub fn stacks() -> Result<Stacks> {
        let config = checked(configured(&variable))?;
        let config = at(&config, endpoint(&variable, "CLOUDFORMATION"));
        let service = Service::of("cloudformation", &config, &Http::default());
        let service = service.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfig,
                "there is no region, or there are no credentials of AWS: set AWS_REGION and the credentials",
            )
        })?;
        Ok(Stacks { service })
    }

    /// Returns the settings that do not depend on the environment: the HTTP client, the timeouts, and three attempts at
    /// requests that fail with a 5xx, a throttling or a broken connection.
    #[must_use]
    pub fn defaults() -> Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .operation_attempt_timeout(Duration::from_secs(300))
            .build();
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Http::default())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
    }

    /// Makes the clients of a configuration.
    #[must_use]
    pub fn load(config: Builder) -> Self {
        let config = config.build();
        Self::new(&config, &config, &config)
    }

    fn new(s3: &SdkConfig, secrets: &SdkConfig, sts: &SdkConfig) -> Self {
        // A custom endpoint, such as a local stack or MinIO, seldom has a DNS name for each bucket.
        let path_style = s3.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(s3)
            .force_path_style(path_style)
            .build();
        let http = Http::default();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: Arc::new(Secrets::new(Service::of("secretsmanager", secrets, &http))),
            tokens: Arc::new(Tokens::new(http.clone(), Service::of("sts", sts, &http))),
        }
    }

    /// Makes the store for the bucket called `bucket`.
    #[must_use]
    pub fn store(&self, bucket: &str) -> S3Store {
        S3Store::new(self.s3.clone(), bucket)
    }
}

/// Reads a variable of the environment. A blank one counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Reads the settings that all services share
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html#EVarSettings>).
fn configured(variable: &impl Fn(&str) -> Option<String>) -> SdkConfig {
    let is_on = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let mut config = Aws::defaults();
    config.set_region(
        variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .map(Region::new),
    );
    config.set_use_fips(is_on("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    config.set_request_checksum_calculation(
        variable("AWS_REQUEST_CHECKSUM_CALCULATION").and_then(|value| value.parse().ok()),
    );
    config.set_response_checksum_validation(
        variable("AWS_RESPONSE_CHECKSUM_VALIDATION").and_then(|value| value.parse().ok()),
    );
    if let (Some(key), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let credentials = Credentials::new(key, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
        config.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
    }
    config.build()
}

/// Checks that there are a region and credentials. Otherwise the SDK would fail much later, without naming the
/// variables.
fn checked(config: SdkConfig) -> Result<SdkConfig> {
    let missing = if config.region().is_none() {
        "there is no AWS region: set AWS_REGION"
    } else if config.credentials_provider().is_none() {
        "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; of a profile or a login they are set by \
         eval \"$(aws configure export-credentials --format env)\""
    } else {
        return Ok(config);
    };
    Err(Error::new(ErrorCode::InvalidConfig, missing))
}

/// Returns the custom endpoint of a service.
fn endpoint(variable: &impl Fn(&str) -> Option<String>, service: &str) -> Option<String> {
    let is_ignored =
        variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_ignored {
        return None;
    }
    variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"))
}

fn at(config: &SdkConfig, endpoint: Option<String>) -> SdkConfig {
    let mut config = config.clone().into_builder();
    config.set_endpoint_url(endpoint);
    config.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_lambda_are_read() {
        let variables = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        ];
        let of = |but: &'static str| {
            move |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name && *known != but);
                found.map(|(_, value)| (*value).to_owned())
            }
        };
        let config = configured(&of(""));
        assert_eq!(config.region().unwrap().as_ref(), "eu-west-1");
        assert_eq!((config.use_fips(), config.use_dual_stack()), (Some(true), None));
        assert!(config.request_checksum_calculation().is_some() && config.response_checksum_validation().is_none());
        assert!(config.credentials_provider().is_some());
        assert_eq!(configured(&of("AWS_REGION")).region().unwrap().as_ref(), "us-east-1");
        assert!(checked(config).is_ok());
    }

    #[test]
    fn what_is_missing_is_named_before_anything_is_asked() {
        let message = |variables: &[&str]| {
            let variable = |name: &str| variables.contains(&name).then(|| "x".to_owned());
            checked(configured(&variable)).map(drop).map_err(|error| error.report())
        };
        let (key, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        assert!(message(&[key, secret]).unwrap_err().contains("AWS_REGION"));
        assert!(message(&["AWS_REGION", key]).unwrap_err().contains(secret));
        assert_eq!(message(&["AWS_DEFAULT_REGION", key, secret]), Ok(()));
    }

    #[test]
    fn a_service_may_have_an_endpoint_of_its_own() {
        for (ignored, s3, expected) in [
            (None, Some("http://minio"), Some("http://minio")),
            (None, None, Some("http://all")),
            (Some("true"), Some("http://minio"), None),
        ] {
            let variable = |name: &str| match name {
                "AWS_ENDPOINT_URL" => Some("http://all".to_owned()),
                "AWS_ENDPOINT_URL_S3" => s3.map(str::to_owned),
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" => ignored.map(str::to_owned),
                _ => None,
            };
            assert_eq!(endpoint(&variable, "S3").as_deref(), expected);
        }
    }
}

//! Logins from AWS Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use crate::config::ServerConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::login::Login;

/// Reads the login of `server`. A secret that cannot be read for good is `InvalidConfig`; a throttled or failing
/// service is `SourceUnavailable`, because the source cannot be reached without it.
pub async fn login(client: &Client, server: &ServerConfig) -> Result<Login> {
    let name = &server.secret_arn;
    let answer = client
        .get_secret_value()
        .secret_id(name)
        .send()
        .await
        .map_err(|error| {
            let code = match &error {
                SdkError::ServiceError(service) if service.raw().status().as_u16() < 500 => {
                    match service.err().code() {
                        Some("ThrottlingException") => ErrorCode::SourceUnavailable,
                        _ => ErrorCode::InvalidConfig,
                    }
                }
                SdkError::ConstructionFailure(_) => ErrorCode::InvalidConfig,
                _ => ErrorCode::SourceUnavailable,
            };
            let reason = error.code().unwrap_or("no answer").to_owned();
            let message = format!(
                "cannot read the secret {name} ({reason}): check the secret's ARN in the environment and secretsmanager:GetSecretValue"
            );
            Error::with_source(code, message, error)
        })?;
    let content = answer
        .secret_string()
        .ok_or_else(|| Error::new(ErrorCode::InvalidConfig, format!("the secret {name} holds no text")))?;
    Login::from_secret(name, content, server.tls)
}

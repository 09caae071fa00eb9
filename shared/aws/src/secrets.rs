//! Secrets in AWS Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures::future::BoxFuture;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ports::secrets::{ReadSecrets, Secret};

/// The secrets of an account, read each time they are asked for.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Client,
}

impl Secrets {
    /// The secrets that `client` may read.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

impl ReadSecrets for Secrets {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            let request = self.client.get_secret_value().secret_id(name);
            let answer = request.send().await.map_err(|error| refused(name, error))?;
            let content = answer.secret_string.ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidConfig,
                    format!("the secret {name} holds no text: store it as text, not as binary"),
                )
            })?;
            Ok(Secret::new(content))
        })
    }
}

/// The one place where an answer of Secrets Manager becomes an error of ours, by status and code.
fn refused(name: &str, error: SdkError<GetSecretValueError>) -> Error {
    let code = match &error {
        SdkError::ServiceError(service) if service.raw().status().as_u16() < 500 => match service.err().code() {
            Some("ThrottlingException") => ErrorCode::SourceUnavailable,
            _ => ErrorCode::InvalidConfig,
        },
        SdkError::ConstructionFailure(_) => ErrorCode::InvalidConfig,
        _ => ErrorCode::SourceUnavailable,
    };
    let reason = error.code().unwrap_or("no answer");
    let message = format!(
        "cannot read the secret {name} ({reason}): check the secret's ARN in the environment and secretsmanager:GetSecretValue"
    );
    Error::with_source(code, message, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_answer::{Answer, clients_of};

    async fn read(status: u16, body: &str) -> Result<Secret> {
        let answer = Answer {
            status,
            content_type: "application/x-amz-json-1.1",
            body: body.to_owned(),
        };
        clients_of(answer).secrets.secret("arn:x").await
    }

    #[tokio::test]
    async fn the_text_of_a_secret_is_read() {
        let secret = read(200, r#"{"Name": "x", "SecretString": "s3cret"}"#).await.unwrap();
        assert_eq!(secret.reveal(), "s3cret");
    }

    #[tokio::test]
    async fn what_may_pass_is_told_from_what_may_not() {
        for (status, body, code) in [
            (
                400,
                r#"{"__type": "ResourceNotFoundException"}"#,
                ErrorCode::InvalidConfig,
            ),
            (400, r#"{"__type": "AccessDeniedException"}"#, ErrorCode::InvalidConfig),
            (
                400,
                r#"{"__type": "ThrottlingException"}"#,
                ErrorCode::SourceUnavailable,
            ),
            (
                500,
                r#"{"__type": "InternalServiceError"}"#,
                ErrorCode::SourceUnavailable,
            ),
            (
                200,
                r#"{"Name": "x", "SecretBinary": "czNjcmV0"}"#,
                ErrorCode::InvalidConfig,
            ),
        ] {
            let error = read(status, body).await.err().unwrap();
            assert_eq!(error.code(), code, "{status} {body}");
            assert!(error.to_string().contains("arn:x"), "{error}");
        }
    }
}

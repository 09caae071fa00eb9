//! Reads secrets in AWS Secrets Manager.
//!
//! - The request: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::ports::secrets::{ReadSecrets, Secret};

use crate::service::{Service, code};

/// The only operation of Secrets Manager that is used.
const OPERATION: &str = "secretsmanager.GetSecretValue";

/// The secrets of an account. A secret is read each time it is asked for.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The service, or `None` when there is no region or there are no credentials.
    service: Option<Service>,
}

/// The answer of Secrets Manager.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    secret_string: Option<String>,
}

impl Secrets {
    pub(crate) const fn new(service: Option<Service>) -> Self {
        Self { service }
    }

    async fn read(&self, name: &str) -> Answer<Secret> {
        let service = self.service.as_ref().ok_or_else(|| {
            let message = format!(
                "Tidemark cannot read the secret {name}: it has no region and no credentials of AWS. Set AWS_REGION, AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY"
            );
            Error::new(ErrorCode::InvalidConfig, message)
        })?;
        let answer = service.post_json(OPERATION, &json!({"SecretId": name})).await;
        let answer = answer.map_err(|failure| failure.context(refused(name, "no answer")))?;
        if answer.status != 200 {
            let reason = code(&answer).unwrap_or_else(|| format!("HTTP {}", answer.status));
            return Err(Error::new(ErrorCode::InvalidConfig, refused(name, &reason)).into());
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Content {
                secret_string: Some(content),
            }) => Ok(Secret::new(content)),
            _ => Err(Error::new(
                ErrorCode::InvalidConfig,
                format!("the secret {name} holds no text: store it as text, not as binary"),
            )
            .into()),
        }
    }
}

impl ReadSecrets for Secrets {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
        Box::pin(self.read(name))
    }
}

fn refused(name: &str, reason: &str) -> String {
    format!(
        "Tidemark cannot read the secret {name} ({reason}): check its ARN and region, and that the role may call secretsmanager:GetSecretValue"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemark::error::{OfRole, Result, Role};

    use crate::one_answer::{self, clients_of};

    async fn read(role: Role, status: u16, body: &str) -> Result<Secret> {
        let answer = one_answer::Answer {
            status,
            content_type: "application/x-amz-json-1.1",
            headers: "",
            body: body.to_owned(),
        };
        clients_of(answer).secrets.secret("arn:x").await.of(role)
    }

    #[tokio::test]
    async fn the_text_of_a_secret_is_read() {
        let secret = read(Role::Source, 200, r#"{"Name": "x", "SecretString": "s3cret"}"#)
            .await
            .unwrap();
        assert_eq!(secret.reveal(), "s3cret");
    }

    #[tokio::test]
    async fn what_may_pass_is_told_from_what_may_not_and_blamed_on_what_the_database_is_used_for() {
        use ErrorCode::{InvalidConfig, SinkUnavailable, SourceUnavailable, WatermarkStoreUnavailable};
        for (status, body, passes) in [
            (400, r#"{"__type": "ResourceNotFoundException"}"#, false),
            (400, r#"{"__type": "AccessDeniedException"}"#, false),
            (400, r#"{"__type": "ThrottlingException"}"#, true),
            (500, r#"{"__type": "InternalServiceError"}"#, true),
            (200, r#"{"Name": "x", "SecretBinary": "czNjcmV0"}"#, false),
        ] {
            for (role, unavailable) in [
                (Role::Source, SourceUnavailable),
                (Role::Sink, SinkUnavailable),
                (Role::WatermarkStore, WatermarkStoreUnavailable),
            ] {
                let error = read(role, status, body).await.err().unwrap();
                let expected = if passes { unavailable } else { InvalidConfig };
                assert_eq!(error.code(), expected, "{status} {body}");
                assert!(error.to_string().contains("arn:x"), "{error}");
            }
        }
    }
}

//! Gets tokens of Microsoft Entra for a database. An application proves itself with a secret, a certificate, or a token
//! in which AWS states the role of this process. Entra exchanges that token, and nobody stores it.
//!
//! - The request to Entra:
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
//! - The statement that a certificate signs:
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials>
//! - The token of AWS: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html>
//!
//! Logs and errors contain neither a token nor a secret.

mod assertion;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::future::BoxFuture;
use serde::Deserialize;
use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::ports::secrets::Secret;
use tidemark::ports::tokens::{ClientProof, Identity, IssueTokens, Token};

use crate::http::{Answered, Http};
use crate::service::{ATTEMPTS, Service, ask, code, element, form};

/// The lifetime of a token of AWS, which is exchanged at once.
const WEB_IDENTITY_SECONDS: u32 = 300;
/// The only signing algorithm of STS that Entra accepts.
const WEB_IDENTITY_ALGORITHM: &str = "RS256";

/// The issuer of tokens. It asks Microsoft Entra, and before that STS when the application has neither a secret nor a
/// certificate.
#[derive(Debug, Clone)]
pub struct Tokens {
    http: Http,
    /// The service STS, or `None` when there is no region or there are no credentials.
    sts: Option<Service>,
}

impl IssueTokens for Tokens {
    fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Answer<Token>> {
        Box::pin(self.issue(identity))
    }
}

/// The answer of Entra with a token.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

/// The answer of Entra without a token.
#[derive(Default, Deserialize)]
struct NotIssued {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl Tokens {
    pub(crate) const fn new(http: Http, sts: Option<Service>) -> Self {
        Self { http, sts }
    }

    async fn issue(&self, identity: &Identity) -> Answer<Token> {
        let address = format!("{}/{}/oauth2/v2.0/token", identity.authority, identity.tenant);
        let scope = format!("{}/.default", identity.resource);
        let mut fields = vec![
            ("client_id", identity.client.as_str()),
            ("scope", &scope),
            ("grant_type", "client_credentials"),
        ];
        let assertion = self.assertion(identity, &address).await?;
        match (&identity.proof, &assertion) {
            (ClientProof::Secret(secret), _) => fields.push(("client_secret", secret.reveal())),
            (_, Some(assertion)) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                fields.extend([
                    ("client_assertion_type", kind),
                    ("client_assertion", assertion.reveal()),
                ]);
            }
            (_, None) => {}
        }
        let request = || form(&address, &fields);
        let answer = ask(&self.http, "Microsoft Entra", ATTEMPTS, request).await?;
        if answer.status != 200 {
            return Err(not_issued(&answer).into());
        }
        let Ok(Issued {
            access_token,
            expires_in,
        }) = serde_json::from_slice(&answer.body)
        else {
            let message = "Microsoft Entra answered something else than a token: check the secret's authority";
            return Err(Error::new(ErrorCode::InvalidConfig, message).into());
        };
        Ok(Token {
            value: Secret::new(access_token),
            lifetime: Duration::from_secs(expires_in),
        })
    }

    /// Makes the assertion of an application that has no secret.
    async fn assertion(&self, identity: &Identity, address: &str) -> Answer<Option<Secret>> {
        match &identity.proof {
            ClientProof::Secret(_) => Ok(None),
            ClientProof::Certificate(pem) => Ok(Some(assertion::signed(pem, &identity.client, address)?)),
            ClientProof::WebIdentity { audience } => self.web_identity(audience).await.map(Some),
        }
    }

    /// Asks AWS for a token that states the role of this process.
    async fn web_identity(&self, audience: &str) -> Answer<Secret> {
        let Some(sts) = &self.sts else {
            let message = "Tidemark cannot ask AWS for a token: it has no region and no credentials of AWS. Set AWS_REGION, AWS_ACCESS_KEY_ID and \
                           AWS_SECRET_ACCESS_KEY";
            return Err(Error::new(ErrorCode::InvalidConfig, message).into());
        };
        let seconds = WEB_IDENTITY_SECONDS.to_string();
        let fields = [
            ("Action", "GetWebIdentityToken"),
            ("Version", "2011-06-15"),
            ("Audience.member.1", audience),
            ("DurationSeconds", &seconds),
            ("SigningAlgorithm", WEB_IDENTITY_ALGORITHM),
        ];
        let answer = sts.post_form(&fields).await?;
        let text = String::from_utf8_lossy(&answer.body);
        match element(&text, "WebIdentityToken") {
            Some(token) if answer.status == 200 => Ok(Secret::new(token.to_owned())),
            _ => Err(no_web_identity(code(&answer).as_deref()).into()),
        }
    }
}

/// Explains why Entra refused, by its codes, because its texts are long and contain ids.
fn not_issued(answer: &Answered) -> Error {
    let NotIssued { error, error_codes } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_code = !error.is_empty() && error.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let error = if is_code {
        error
    } else {
        format!("HTTP {}", answer.status)
    };
    let why = match error_codes.first() {
        Some(code) => {
            let hint = match code {
                7_000_215 => "the client_secret is not that of the application: give its value, not its id",
                7_000_222 => "the client_secret has expired",
                700_016 => "the tenant has no application with this client_id",
                90_002 => "there is no tenant with this tenant_id",
                700_027 => "the certificate is not one of the application's",
                70_021 | 700_211 | 700_212 | 700_213 => {
                    "no federated credential of the application fits: its issuer is the account's issuer URL of AWS, its subject \
                     the ARN of the function's role, and its audience that of the secret"
                }
                _ => "https://login.microsoftonline.com/error says what the code means",
            };
            format!("{error}, AADSTS{code}: {hint}")
        }
        None => error,
    };
    let message = format!("Microsoft Entra issues no token for the application in the secret ({why})");
    Error::new(ErrorCode::InvalidConfig, message)
}

fn no_web_identity(code: Option<&str>) -> Error {
    let hint = match code {
        Some("AccessDenied") => "allow the function's role sts:GetWebIdentityToken",
        Some("OutboundWebIdentityFederationDisabled" | "OutboundWebIdentityFederationDisabledException") => {
            "enable outbound web identity federation for the account"
        }
        Some("ExpiredToken" | "InvalidClientTokenId" | "SignatureDoesNotMatch") => "check the credentials of AWS",
        _ => "check that STS in this region knows GetWebIdentityToken",
    };
    let message = format!(
        "AWS STS issues no token for the role of this process ({}): {hint}",
        code.unwrap_or("no code")
    );
    Error::new(ErrorCode::InvalidConfig, message)
}

//! Logins in AWS Secrets Manager.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use futures::future::BoxFuture;

use super::credential::{Credential, ReadLogin};
use super::kept::Moment;
use crate::config::ServerConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::login::Login;

/// How long a login is good without asking: a changed secret, which may name another server, counts within five minutes.
const AGE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The secrets a process has read, and those it will.
#[derive(Debug)]
pub struct Secrets {
    client: Client,
    read: Mutex<HashMap<ServerConfig, (Login, Moment)>>,
}

impl Secrets {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            read: Mutex::default(),
        }
    }

    /// The login of `server`, of not more than five minutes ago. A secret that cannot be read for good is
    /// `InvalidConfig`; a throttled or failing service is `SourceUnavailable`, because the source cannot be reached
    /// without it.
    pub async fn credential(self: &Arc<Self>, server: &ServerConfig) -> Result<Credential> {
        let known = self.known().get(server).cloned();
        match known.filter(|(_, at)| at.elapsed() < AGE_LIMIT) {
            Some((login, _)) => {
                let origin = Origin {
                    secrets: Arc::clone(self),
                    server: server.clone(),
                };
                Ok(Credential::remembered(login, Arc::new(origin)))
            }
            None => self.read(server).await.map(Credential::from),
        }
    }

    async fn read(&self, server: &ServerConfig) -> Result<Login> {
        let login = login(&self.client, server).await?;
        self.known().insert(server.clone(), (login.clone(), Moment::now()));
        Ok(login)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ServerConfig, (Login, Moment)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret of one server.
#[derive(Debug)]
struct Origin {
    secrets: Arc<Secrets>,
    server: ServerConfig,
}

impl ReadLogin for Origin {
    fn read(&self) -> BoxFuture<'_, Result<Login>> {
        Box::pin(self.secrets.read(&self.server))
    }
}

async fn login(client: &Client, server: &ServerConfig) -> Result<Login> {
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

//! The databases that tables are merged into, each behind a secret that the plan names.

use aws_sdk_secretsmanager::Client;

use super::secrets;
use super::sqlserver::{SinkServer, StagedSlice};
use crate::config::{ServerConfig, Tls};
use crate::error::{ErrorCode, Result};
use crate::ports::merge::{MergeRows, SliceToMerge};

/// Any database whose secret may be read.
#[derive(Debug)]
pub struct Sinks<'a> {
    secrets: &'a Client,
    tls: Tls,
}

impl<'a> Sinks<'a> {
    /// Nothing is read or opened yet.
    #[must_use]
    pub const fn new(secrets: &'a Client, tls: Tls) -> Self {
        Self { secrets, tls }
    }
}

impl MergeRows for Sinks<'_> {
    type Staged = StagedSlice;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<StagedSlice> {
        let server = ServerConfig {
            secret_arn: slice.sink.secret_arn.clone(),
            tls: self.tls,
        };
        let login = secrets::login(self.secrets, &server).await.map_err(|error| {
            let code = match error.code() {
                ErrorCode::SourceUnavailable => ErrorCode::SinkUnavailable,
                other => other,
            };
            let context = "sink, whose secret must be among those of the parameter SinkSecretArns";
            error.recoded(code).context(context)
        })?;
        SinkServer::new(login).stage(slice).await
    }
}

//! The databases that tables are merged into, each behind a secret that the plan names.

use std::sync::Arc;

use super::secrets::Secrets;
use super::sqlserver::{KeptConnection, SinkServer, StagedSlice};
use crate::config::{ServerConfig, Tls};
use crate::error::{ErrorCode, Result};
use crate::ports::merge::{MergeRows, SliceToMerge};

/// Any database whose secret may be read.
#[derive(Debug)]
pub struct Sinks<'a> {
    secrets: &'a Arc<Secrets>,
    tls: Tls,
    kept: &'a KeptConnection,
}

impl<'a> Sinks<'a> {
    /// Nothing is read or opened yet. The connection to the database used last stays in `kept`.
    #[must_use]
    pub const fn new(secrets: &'a Arc<Secrets>, tls: Tls, kept: &'a KeptConnection) -> Self {
        Self { secrets, tls, kept }
    }
}

impl MergeRows for Sinks<'_> {
    type Staged = StagedSlice;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<StagedSlice> {
        let server = ServerConfig {
            secret_arn: slice.sink.secret_arn.clone(),
            tls: self.tls,
        };
        let login = self.secrets.credential(&server).await.map_err(|error| {
            let code = match error.code() {
                ErrorCode::SourceUnavailable => ErrorCode::SinkUnavailable,
                other => other,
            };
            let context = "sink, whose secret must be among those of the parameter SinkSecretArns";
            error.recoded(code).context(context)
        })?;
        SinkServer::new(login).keeping(self.kept).stage(slice).await
    }
}

//! Merges the rows of a slice into a table of another database: they are bulk loaded into a temporary table, and merged
//! in one transaction.

mod cells;
mod keys;
mod mapping;
#[cfg(test)]
mod mapping_tests;
mod sink_columns;
mod staged_slice;
#[cfg(test)]
mod statement_tests;
#[cfg(test)]
mod type_tests;

use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::ports::sink_table::{MergeRows, SliceToMerge};

pub use self::staged_slice::StagedSlice;
use crate::login::{Credential, Logins, ServerSettings};
use crate::session::{KeptConnection, Mssql, Session, Timeouts};

/// The databases into which tables may be merged. The deployment names the secret of each.
#[derive(Debug)]
pub struct Sinks {
    logins: Logins,
    settings: ServerSettings,
    allowed: Vec<String>,
    kept: KeptConnection<Mssql>,
}

impl Sinks {
    /// Makes the databases of the secrets in `allowed`, and no others. Nothing is read or opened yet. `settings` fills
    /// the gaps of these secrets. The connection to the last database stays in `kept`.
    #[must_use]
    pub fn new(logins: &Logins, settings: ServerSettings, allowed: Vec<String>, kept: &KeptConnection<Mssql>) -> Self {
        Self {
            logins: logins.clone(),
            settings,
            allowed,
            kept: kept.clone(),
        }
    }
}

impl MergeRows for Sinks {
    type Batch = arrow_array::RecordBatch;
    type Staged = StagedSlice;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<StagedSlice> {
        let secret = &slice.sink.secret_arn;
        if !self.allowed.contains(secret) {
            let message = format!(
                "the secret {secret} is none of the sinks' secrets: add it to the parameter SinkSecretArns, which becomes the \
                 variable SINK_SECRET_ARNS"
            );
            return Err(Error::new(ErrorCode::InvalidConfig, message).into());
        }
        let server = ServerSettings {
            secret: secret.clone(),
            is_written: true,
            ..self.settings.clone()
        };
        let login = self.logins.credential(&server).await?;
        SinkServer::new(login).keeping(&self.kept).stage(slice).await
    }
}

/// A database into which slices are merged.
#[derive(Debug)]
pub struct SinkServer {
    credential: Credential,
    kept: KeptConnection<Mssql>,
}

impl SinkServer {
    /// Makes a sink for the database of a login. Nothing is sent yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self {
            credential: login.into(),
            kept: KeptConnection::default(),
        }
    }

    /// Uses the connection that the last slice left in `kept`, and leaves its own there.
    #[must_use]
    pub fn keeping(self, kept: &KeptConnection<Mssql>) -> Self {
        Self {
            kept: kept.clone(),
            ..self
        }
    }
}

impl MergeRows for SinkServer {
    type Batch = arrow_array::RecordBatch;
    type Staged = StagedSlice;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<StagedSlice> {
        let session = Session::new(self.credential.clone())
            .with_timeouts(Timeouts::MERGE)
            .keeping(&self.kept);
        StagedSlice::begin(session, slice).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::BoxFuture;
    use tidemark::error::{Failure, Fault, Role};
    use tidemark::model::sink::SqlServerSink;
    use tidemark::ports::secrets::{ReadSecrets, Secret};
    use tidemark::ports::sink_table::Newest;

    use super::*;

    /// A store of secrets that fails for now.
    #[derive(Debug)]
    struct Throttled;

    impl ReadSecrets for Throttled {
        fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
            assert_eq!(name, "allowed", "no other secret is read");
            Box::pin(async { Err(Failure::new(Fault::Unreachable, "throttled")) })
        }
    }

    #[tokio::test]
    async fn only_secrets_that_the_deployment_names_are_opened() {
        let sinks = Sinks::new(
            &Logins::new(Arc::new(Throttled)),
            ServerSettings::default(),
            vec!["allowed".to_owned()],
            &KeptConnection::default(),
        );
        let stage = async |secret: &str| {
            let sink: SqlServerSink = serde_json::from_value(serde_json::json!({ "secret_arn": secret })).unwrap();
            let slice = SliceToMerge {
                source: &"t".parse().unwrap(),
                sink: &sink,
                columns: &[],
                newest: Newest::Version,
            };
            sinks.stage(&slice).await.unwrap_err().of(Role::Sink)
        };
        let error = stage("other").await;
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        for named in ["other", "SinkSecretArns", "SINK_SECRET_ARNS"] {
            assert!(error.to_string().contains(named), "{error}");
        }
        let error = stage("allowed").await;
        assert_eq!(
            (error.code(), error.to_string()),
            (ErrorCode::SinkUnavailable, "sink: throttled".to_owned())
        );
    }
}

//! Connects the step `copy-delta` to its environment.

mod event;

use std::process::ExitCode;

use serde_json::Value;
use tidemark::error::{OfRole, Result, Role};
use tidemark::ledger::Place;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopyAnswer, CopyPorts, copy};
use tidemark_aws::clients::Aws;
use tidemark_files::encoder::Files;
use tidemark_lambda::config::{CopyConfig, Environment};
use tidemark_lambda::runner;
use tidemark_sqlserver::login::Logins;
use tidemark_sqlserver::masks::MaskSecret;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{KeptConnection, Mssql, Timeouts};
use tidemark_sqlserver::sink::Sinks;
use tracing::Instrument;

#[tokio::main]
async fn main() -> ExitCode {
    runner::run(Function::wired(), Function::step).await
}

/// The parts that a warm process keeps, including the connections to the source and to the sink that were used last.
struct Function {
    config: CopyConfig,
    aws: Aws,
    logins: Logins,
    source: KeptConnection<Mssql>,
    sinks: Sinks,
}

impl Function {
    fn wired() -> Result<Self> {
        let config = CopyConfig::read(Environment::from_process())?;
        let aws = Aws::from_environment()?;
        let logins = Logins::with_tokens(aws.secrets.clone(), aws.tokens.clone());
        let (settings, allowed) = (config.sinks.clone(), config.sink_secret_arns.clone());
        Ok(Self {
            sinks: Sinks::new(&logins, settings, allowed, &KeptConnection::default()),
            source: KeptConnection::default(),
            config,
            aws,
            logins,
        })
    }

    async fn step(&self, event: Value, context: RunContext) -> Result<CopyAnswer> {
        let request = event::decode(event)?;
        let span = request.span();
        let timeouts = Timeouts {
            silence: self.config.silence,
            ..Timeouts::ROWS
        };
        let sink = &self.config.sink;
        let context = RunContext {
            budget: self.config.budget,
            ..context
        };
        let masks = self.config.mask_secret.clone();
        let masks = masks.map(|name| MaskSecret::new(self.aws.secrets.clone(), name));
        let login = self
            .logins
            .credential(&self.config.source)
            .await
            .of(Role::Source)?
            .masking(masks);
        let store = self.aws.store(&sink.bucket).with_facts(sink.facts.clone());
        let ports = CopyPorts {
            reader: &mut RowReader::new(login).with_timeouts(timeouts).keeping(&self.source),
            files: &Files,
            sinks: &self.sinks,
            place: Place::new(&store, &sink.prefix),
            part_bytes: self.config.part_bytes,
        };
        Box::pin(copy(ports, request, context)).instrument(span).await
    }
}

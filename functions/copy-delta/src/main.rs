//! The function `copy-delta`: wires the step to the environment.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use copy_delta::{Request, Response, handle};
use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::mssql::{KeptClient, MssqlRows};
use tidemark::adapters::sinks::Sinks;
use tidemark::adapters::sqlserver::KeptConnection;
use tidemark::config::{CopyConfig, Environment, Timeouts};
use tidemark::error::Result;
use tidemark::runner::{self, RunContext};
use tracing::Instrument;

#[tokio::main]
async fn main() -> ExitCode {
    let config = CopyConfig::read(Environment::from_process());
    let aws = Aws::from_environment();
    let kept = Connections::default();
    runner::run(|event, context| step(&config, &aws, &kept, event, context)).await
}

/// What a warm process keeps open: the source, and the sink used last.
#[derive(Default)]
struct Connections {
    source: KeptClient,
    sink: KeptConnection,
}

async fn step(
    config: &Result<CopyConfig>,
    aws: &Result<Aws>,
    kept: &Connections,
    event: Value,
    context: RunContext,
) -> Result<Response> {
    let CopyConfig {
        sink,
        source,
        silence,
        part_bytes,
    } = config.as_ref().map_err(Clone::clone)?;
    let aws = aws.as_ref().map_err(Clone::clone)?;
    let request: Request = runner::decode(event)?;
    let span = request.span();
    let timeouts = Timeouts {
        silence: *silence,
        ..Timeouts::ROWS
    };
    let login = aws.secrets.credential(source).await?;
    let mut rows = MssqlRows::new(login).with_timeouts(timeouts).keeping(&kept.source);
    let store = aws.store(&sink.bucket);
    let sinks = Sinks::new(&aws.secrets, source.tls, &kept.sink);
    handle(&mut rows, &sinks, &store, &sink.prefix, *part_bytes, request, context)
        .instrument(span)
        .await
}

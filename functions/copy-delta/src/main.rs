//! The function `copy-delta`: wires the step to the environment.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use copy_delta::{Request, Response, handle};
use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::secrets;
use tidemark::adapters::sinks::Sinks;
use tidemark::config::{CopyConfig, Environment, Timeouts};
use tidemark::error::Result;
use tidemark::runner::{self, RunContext};
use tracing::Instrument;

#[tokio::main]
async fn main() -> ExitCode {
    let config = CopyConfig::read(Environment::from_process());
    let aws = Aws::from_environment();
    runner::run(|event, context| step(&config, &aws, event, context)).await
}

async fn step(config: &Result<CopyConfig>, aws: &Aws, event: Value, context: RunContext) -> Result<Response> {
    let CopyConfig {
        sink,
        source,
        silence,
        part_bytes,
    } = config.as_ref().map_err(Clone::clone)?;
    let request: Request = runner::decode(event)?;
    let span = request.span();
    let timeouts = Timeouts {
        silence: *silence,
        ..Timeouts::ROWS
    };
    let mut rows = MssqlRows::new(secrets::login(&aws.secrets, source).await?).with_timeouts(timeouts);
    let store = aws.store(&sink.bucket);
    let sinks = Sinks::new(&aws.secrets, source.tls);
    handle(&mut rows, &sinks, &store, &sink.prefix, *part_bytes, request, context)
        .instrument(span)
        .await
}

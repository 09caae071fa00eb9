//! The function `update-watermark`: wires the step to the environment.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::sqlserver::{KeptConnection, Server};
use tidemark::adapters::watermarks::Watermarks;
use tidemark::config::{Environment, UpdateConfig};
use tidemark::error::Result;
use tidemark::runner::{self, RunContext};
use tracing::Instrument;
use update_watermark::{Event, Outcome};

#[tokio::main]
async fn main() -> ExitCode {
    let config = UpdateConfig::read(Environment::from_process());
    let aws = Aws::from_environment();
    let kept = Connections::default();
    runner::run(|event, context| step(&config, &aws, &kept, event, context)).await
}

/// What a warm process keeps open.
#[derive(Default)]
struct Connections {
    source: KeptConnection,
    watermarks: KeptConnection,
}

async fn step(
    config: &Result<UpdateConfig>,
    aws: &Result<Aws>,
    kept: &Connections,
    event: Value,
    context: RunContext,
) -> Result<Outcome> {
    let UpdateConfig {
        sink,
        source,
        watermarks,
    } = config.as_ref().map_err(Clone::clone)?;
    let aws = aws.as_ref().map_err(Clone::clone)?;
    let request = Event::decode(event)?;
    let span = request.span();
    let store = aws.store(&sink.bucket);
    let source = Server::new(aws.secrets.credential(source).await?).keeping(&kept.source);
    let watermarks = Watermarks::open(watermarks, &aws.secrets, &kept.watermarks, &store, &sink.prefix).await?;
    request
        .handle(&source, &watermarks, &store, &sink.prefix, context)
        .instrument(span)
        .await
}

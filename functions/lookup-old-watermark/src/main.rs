//! The function `lookup-old-watermark`: wires the step to the environment.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use lookup_old_watermark::{Response, handle};
use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::sqlserver::KeptConnection;
use tidemark::adapters::watermarks::Watermarks;
use tidemark::config::{Environment, LookupOldConfig};
use tidemark::error::Result;
use tidemark::runner::{self, RunContext};

#[tokio::main]
async fn main() -> ExitCode {
    let config = LookupOldConfig::read(Environment::from_process());
    let (aws, kept) = (Aws::from_environment(), KeptConnection::default());
    runner::run(|event, context| step(&config, &aws, &kept, event, context)).await
}

async fn step(
    config: &Result<LookupOldConfig>,
    aws: &Result<Aws>,
    kept: &KeptConnection,
    event: Value,
    context: RunContext,
) -> Result<Response> {
    let LookupOldConfig { sink, watermarks } = config.as_ref().map_err(Clone::clone)?;
    let aws = aws.as_ref().map_err(Clone::clone)?;
    let store = aws.store(&sink.bucket);
    let watermarks = Watermarks::open(watermarks, &aws.secrets, kept, &store, &sink.prefix).await?;
    handle(&watermarks, &store, &sink.prefix, runner::decode(event)?, context).await
}

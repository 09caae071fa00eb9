//! The function `lookup-new-watermark`: wires the step to the environment.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use lookup_new_watermark::{Event, Outcome};
use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::sqlserver::{KeptConnection, Server};
use tidemark::config::{Environment, LookupNewConfig};
use tidemark::error::Result;
use tidemark::runner::{self, RunContext};

#[tokio::main]
async fn main() -> ExitCode {
    let config = LookupNewConfig::read(Environment::from_process());
    let (aws, kept) = (Aws::from_environment(), KeptConnection::default());
    runner::run(|event, context| step(&config, &aws, &kept, event, context)).await
}

async fn step(
    config: &Result<LookupNewConfig>,
    aws: &Result<Aws>,
    kept: &KeptConnection,
    event: Value,
    context: RunContext,
) -> Result<Outcome> {
    let LookupNewConfig { sink, source } = config.as_ref().map_err(Clone::clone)?;
    let aws = aws.as_ref().map_err(Clone::clone)?;
    let request = Event::decode(event)?;
    let source = Server::new(aws.secrets.credential(source).await?).keeping(kept);
    let store = aws.store(&sink.bucket);
    request.handle(&source, &store, &sink.prefix, context).await
}

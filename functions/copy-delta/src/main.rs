//! The function `copy-delta`: wires the step to the environment.

use std::process::ExitCode;

use copy_delta::{Response, handle};
use serde_json::Value;
use tidemark::adapters::aws::Aws;
use tidemark::adapters::mssql::{MssqlOptions, MssqlRows, Tls};
use tidemark::adapters::secrets;
use tidemark::config::{self, CopyConfig, Environment};
use tidemark::error::Result;
use tidemark::login::Login;
use tidemark::runner::{self, RunContext};

#[tokio::main]
async fn main() -> ExitCode {
    let config = CopyConfig::read(Environment::from_process());
    let aws = Aws::from_environment().await;
    runner::run(|event, context| step(&config, &aws, event, context)).await
}

async fn step(config: &Result<CopyConfig>, aws: &Aws, event: Value, context: RunContext) -> Result<Response> {
    let CopyConfig { sink, source, part_bytes } = config.as_ref().map_err(Clone::clone)?;
    let request = runner::decode(event)?;
    let login = secrets::login(&aws.secrets, source).await?;
    let tls = match login.tls {
        config::Tls::Verify => Tls::Verify,
        config::Tls::Trust => Tls::Trust,
    };
    let Login { host, port, username, password, database, .. } = login;
    let mut rows = MssqlRows::new(MssqlOptions { host, port, database, username, password, tls, connect_timeout_secs: 15 });
    handle(&mut rows, &aws.store(&sink.bucket), &sink.prefix, *part_bytes, request, context).await
}

//! Connects the step `lookup-new-watermark` to its environment.

mod event;

use std::process::ExitCode;

use serde_json::Value;
use tidemark::error::{OfRole, Result, Role};
use tidemark::ledger::Place;
use tidemark::steps::context::RunContext;
use tidemark_aws::clients::Aws;
use tidemark_lambda::config::{Environment, LookupNewConfig};
use tidemark_lambda::runner;
use tidemark_sqlserver::login::Logins;
use tidemark_sqlserver::masks::MaskSecret;
use tidemark_sqlserver::session::{KeptConnection, Server, Tiberius};

use self::event::{Event, Outcome};

#[tokio::main]
async fn main() -> ExitCode {
    runner::run(Function::wired(), Function::step).await
}

/// The parts that a warm process keeps, including the connection to the source.
struct Function {
    config: LookupNewConfig,
    aws: Aws,
    logins: Logins,
    connection: KeptConnection<Tiberius>,
}

impl Function {
    fn wired() -> Result<Self> {
        let config = LookupNewConfig::read(Environment::from_process())?;
        let aws = Aws::from_environment()?;
        let logins = Logins::with_tokens(aws.secrets.clone(), aws.tokens.clone());
        Ok(Self {
            config,
            aws,
            logins,
            connection: KeptConnection::default(),
        })
    }

    async fn step(&self, event: Value, context: RunContext) -> Result<Outcome> {
        let LookupNewConfig {
            sink,
            source,
            mask_secret,
        } = &self.config;
        // This function only checks that the secret is named. The function that hashes values reads it.
        let masks = mask_secret
            .clone()
            .map(|name| MaskSecret::new(self.aws.secrets.clone(), name));
        let event = Event::decode(event)?;
        let login = self.logins.credential(source).await.of(Role::Source)?.masking(masks);
        let source = Server::new(login).keeping(&self.connection);
        let store = self.aws.store(&sink.bucket).with_facts(sink.facts.clone());
        event.run(&source, Place::new(&store, &sink.prefix), context).await
    }
}

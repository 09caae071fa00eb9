//! Connects the step `update-watermark` to its environment.

mod event;

use std::process::ExitCode;

use serde_json::Value;
use tidemark::error::{OfRole, Result, Role};
use tidemark::ledger::{Place, Pointers};
use tidemark::steps::context::RunContext;
use tidemark::steps::update::UpdatePorts;
use tidemark_aws::clients::Aws;
use tidemark_lambda::config::{Environment, UpdateConfig, WatermarkConfig};
use tidemark_lambda::runner;
use tidemark_lambda::watermark_store::WatermarkStore;
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::Logins;
use tidemark_sqlserver::session::{KeptConnection, Server, Tiberius};
use tracing::Instrument;

use self::event::{Event, Outcome};

#[tokio::main]
async fn main() -> ExitCode {
    runner::run(Function::wired(), Function::step).await
}

/// The parts that a warm process keeps, including the connections to the source and to the control table.
struct Function {
    config: UpdateConfig,
    aws: Aws,
    logins: Logins,
    source: KeptConnection<Tiberius>,
    watermarks: KeptConnection<Tiberius>,
}

impl Function {
    fn wired() -> Result<Self> {
        let config = UpdateConfig::read(Environment::from_process())?;
        let aws = Aws::from_environment()?;
        let logins = Logins::with_tokens(aws.secrets.clone(), aws.tokens.clone());
        Ok(Self {
            config,
            aws,
            logins,
            source: KeptConnection::default(),
            watermarks: KeptConnection::default(),
        })
    }

    async fn step(&self, event: Value, context: RunContext) -> Result<Outcome> {
        let UpdateConfig {
            sink,
            source,
            watermarks,
            budget,
        } = &self.config;
        let context = RunContext {
            budget: *budget,
            ..context
        };
        let event = Event::decode(event)?;
        let span = event.span();
        let (store, prefix) = (
            self.aws.store(&sink.bucket).with_facts(sink.facts.clone()),
            &sink.prefix,
        );
        let source = Server::new(self.logins.credential(source).await.of(Role::Source)?).keeping(&self.source);
        let watermarks = match watermarks {
            WatermarkConfig::S3 => WatermarkStore::Pointers(Pointers::new(Place::new(&store, prefix))),
            WatermarkConfig::Sql(settings) => {
                let login = self
                    .logins
                    .credential(&settings.server)
                    .await
                    .of(Role::WatermarkStore)?;
                let server = Server::new(login).keeping(&self.watermarks);
                WatermarkStore::ControlTable(ControlTable::new(
                    server,
                    settings.table.clone(),
                    settings.procedure.clone(),
                ))
            }
        };
        let ports = UpdatePorts {
            source: &source,
            watermarks: &watermarks,
            place: Place::new(&store, prefix),
        };
        event.run(ports, context).instrument(span).await
    }
}

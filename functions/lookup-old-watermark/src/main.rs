//! Connects the step `lookup-old-watermark` to its environment.

mod event;

use std::process::ExitCode;

use serde_json::Value;
use tidemark::error::{OfRole, Result, Role};
use tidemark::ledger::{Place, Pointers};
use tidemark::steps::context::RunContext;
use tidemark::steps::lookup_old::{OldWatermarks, lookup_old};
use tidemark_aws::clients::Aws;
use tidemark_lambda::config::{Environment, LookupOldConfig, WatermarkConfig};
use tidemark_lambda::runner;
use tidemark_lambda::watermark_store::WatermarkStore;
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::Logins;
use tidemark_sqlserver::session::{KeptConnection, Server, Tiberius};

#[tokio::main]
async fn main() -> ExitCode {
    runner::run(Function::wired(), Function::step).await
}

/// The parts that a warm process keeps, including the connection to the control table.
struct Function {
    config: LookupOldConfig,
    aws: Aws,
    logins: Logins,
    connection: KeptConnection<Tiberius>,
}

impl Function {
    fn wired() -> Result<Self> {
        let config = LookupOldConfig::read(Environment::from_process())?;
        let aws = Aws::from_environment()?;
        let logins = Logins::with_tokens(aws.secrets.clone(), aws.tokens.clone());
        Ok(Self {
            config,
            aws,
            logins,
            connection: KeptConnection::default(),
        })
    }

    async fn step(&self, event: Value, context: RunContext) -> Result<OldWatermarks> {
        let LookupOldConfig { sink, watermarks } = &self.config;
        let request = event::decode(event)?;
        let store = self.aws.store(&sink.bucket).with_facts(sink.facts.clone());
        let watermarks = match watermarks {
            WatermarkConfig::S3 => WatermarkStore::Pointers(Pointers::new(Place::new(&store, &sink.prefix))),
            WatermarkConfig::Sql(settings) => {
                let login = self
                    .logins
                    .credential(&settings.server)
                    .await
                    .of(Role::WatermarkStore)?;
                let server = Server::new(login).keeping(&self.connection);
                WatermarkStore::ControlTable(ControlTable::new(
                    server,
                    settings.table.clone(),
                    settings.procedure.clone(),
                ))
            }
        };
        lookup_old(&watermarks, Place::new(&store, &sink.prefix), request, context).await
    }
}

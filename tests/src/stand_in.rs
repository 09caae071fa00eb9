//! The stand-in server and an S3 server on disk with every adapter as deployed, for tests over real TDS and real S3.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "only tests use it, and they fail by panicking"
)]

use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::{ControlTable, Server};
use tidemark::config::Tls;
use tidemark::login::Login;
use tidemark::ports::watermarks::{MoveWatermarks, ReadWatermarks, WatermarkKey};
use tidemark::table::TableSpec;
use tidemark_sandbox::{Options, Sandbox};

use crate::pipeline::{Outcome, Pipeline};
use crate::s3_server::S3Server;
use crate::tutorial;

/// A stand-in server and an S3 server, reached by the adapters as deployed.
#[expect(missing_debug_implementations, reason = "a server has no form to print")]
pub struct World {
    /// Source and, with [`World::control_table`], watermark store.
    pub sandbox: Sandbox,
    /// Sink.
    pub s3: S3Server,
}

impl World {
    /// Starts both; the script runs first.
    pub async fn new(script: &str) -> Self {
        let script = script.to_owned();
        let start = move || {
            Sandbox::start(Options {
                init: vec![script],
                ..Options::default()
            })
        };
        let sandbox = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
        Self {
            sandbox,
            s3: S3Server::start().await.unwrap(),
        }
    }

    /// The stand-in's authority is unknown to this process; that certificates are verified is shown elsewhere.
    #[must_use]
    pub fn login(&self) -> Login {
        Login {
            host: "127.0.0.1".to_owned(),
            port: self.sandbox.port(),
            username: self.sandbox.username().to_owned(),
            password: self.sandbox.password().to_owned(),
            database: self.sandbox.database().to_owned(),
            tls: Tls::Trust,
        }
    }

    /// The tutorial's control table.
    #[must_use]
    pub fn control_table(&self) -> ControlTable {
        let (table, procedure) = (
            "dbo.watermarktable".parse().unwrap(),
            "dbo.usp_write_watermark".parse().unwrap(),
        );
        ControlTable::new(Server::new(self.login()), table, procedure)
    }

    /// One run as deployed with the `sql` watermark store.
    pub async fn run(&self, run_id: &str, spec: &TableSpec) -> Outcome {
        self.run_with(&self.control_table(), run_id, spec).await
    }

    /// One run in which no table fails, with this watermark store.
    pub async fn run_with<W: MoveWatermarks>(&self, watermarks: &W, run_id: &str, spec: &TableSpec) -> Outcome {
        let (source, store) = (Server::new(self.login()), self.s3.store());
        let rows = MssqlRows::new(self.login());
        let mut pipeline = Pipeline {
            source: &source,
            rows,
            watermarks,
            store: &store,
            prefix: "tidemark",
        };
        let outcome = Box::pin(pipeline.run(run_id, std::slice::from_ref(spec)))
            .await
            .unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// The lines of every visible part, sorted.
    #[must_use]
    pub fn lines(&self, table: &str) -> Vec<String> {
        tutorial::lines(&self.s3, table).unwrap()
    }

    /// The watermark of the tutorial's table.
    pub async fn stored(&self) -> Option<String> {
        let key = WatermarkKey {
            table: "dbo.data_source_table".parse().unwrap(),
            name: None,
        };
        self.control_table().stored(&key).await.unwrap().value
    }

    /// Sandbox scripts run on a thread of their own, as they block.
    pub fn execute(&self, script: &str) {
        self.sandbox.execute(script).unwrap();
    }
}

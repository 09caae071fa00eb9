//! A world of real TDS and real S3 calls for tests: the stand-in server, `s3s-fs`, and every adapter as deployed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "only tests use it, and they fail by panicking"
)]

use std::fmt;
use std::net::SocketAddr;

use arrow_array::RecordBatch;
use tidemark::ledger::Place;
use tidemark::model::table::TableSpec;
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sandbox::{Options, Sandbox};
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;

use crate::s3_server::S3Server;
use crate::tutorial;

/// The size of an upload's pieces in bytes.
pub const PART_BYTES: usize = 5 << 20;

/// The four steps over a server and a bucket.
pub type Steps<'a, W> = Pipeline<'a, Server, RowReader, W, S3Store, Files, NoSinks<RecordBatch>>;

/// A server with what a script makes on it, and a bucket.
pub struct World {
    /// The server of the source and of the control table.
    pub sandbox: Sandbox,
    /// The bucket.
    pub s3: S3Server,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("s3", &self.s3).finish_non_exhaustive()
    }
}

/// Returns the login of a stand-in. It accepts any certificate, because the stand-in's authority is unknown to this
/// process. Other tests show that certificates are verified.
pub fn login_of(sandbox: &Sandbox) -> Login {
    login_at(sandbox, sandbox.addr())
}

fn login_at(sandbox: &Sandbox, address: SocketAddr) -> Login {
    let (username, password, database) = (sandbox.username(), sandbox.password(), sandbox.database());
    Login::new(address.ip().to_string(), address.port(), username, password, database).with_tls(Tls::Trust)
}

impl World {
    /// Starts a server on which `script` is run, and an empty bucket.
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

    /// Returns the login of the stand-in.
    pub fn login(&self) -> Login {
        login_of(&self.sandbox)
    }

    /// Returns a login that was created on the stand-in, in its database.
    pub fn login_as(&self, username: &str, password: &str) -> Login {
        let address = self.sandbox.addr();
        let host = address.ip().to_string();
        Login::new(host, address.port(), username, password, self.sandbox.database()).with_tls(Tls::Trust)
    }

    /// Returns the same login through a proxy at this address.
    pub fn login_at(&self, address: SocketAddr) -> Login {
        login_at(&self.sandbox, address)
    }

    /// Returns the tutorial's control table.
    pub fn control_table(&self) -> ControlTable {
        control_table(
            Server::new(self.login()),
            "dbo.watermarktable",
            "dbo.usp_write_watermark",
        )
    }

    /// Runs the steps once as deployed, with the `sql` watermark store. No table may fail.
    pub async fn run(&self, run_id: &str, spec: &TableSpec) -> RunOutcome {
        self.run_with(&self.control_table(), run_id, spec).await
    }

    /// Runs the steps once with another watermark store. No table may fail.
    pub async fn run_with<W: MoveWatermarks>(&self, watermarks: &W, run_id: &str, spec: &TableSpec) -> RunOutcome {
        let (source, store) = (Server::new(self.login()), self.s3.store());
        let mut pipeline = self.steps(&source, watermarks, &store);
        let outcome = Box::pin(pipeline.run(run_id, std::slice::from_ref(spec)))
            .await
            .unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// Makes the four steps, which take no leases.
    pub fn steps<'a, W>(&self, source: &'a Server, watermarks: &'a W, store: &'a S3Store) -> Steps<'a, W> {
        Pipeline::new(
            source,
            RowReader::new(self.login()),
            watermarks,
            Place::new(store, "tidemark"),
            Files,
            NoSinks::default(),
        )
    }

    /// Returns the lines of every visible part of `table`, sorted.
    pub fn lines(&self, table: &str) -> Vec<String> {
        tutorial::lines(&self.s3, table).unwrap()
    }

    /// Runs a script on the server.
    pub fn execute(&self, script: &str) {
        self.sandbox.execute(script).unwrap();
    }
}

/// Makes a control table and its procedure, by their names.
pub fn control_table(server: Server, table: &str, procedure: &str) -> ControlTable {
    ControlTable::new(server, table.parse().unwrap(), procedure.parse().unwrap())
}

/// The script of the control table that this project ships, and of its procedure.
pub const CONTROL_TABLE: &str = include_str!("../../infra/sql/control-table.sql");

/// Makes the control table that this project ships, and its procedure that compares.
pub fn shipped_control_table(server: Server) -> ControlTable {
    control_table(server, "dbo.tidemark_watermark", "dbo.tidemark_write_watermark")
}

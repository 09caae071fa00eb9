//! The services that the functions call: SQL Server, S3 and Secrets Manager as stand-ins on this machine, each behind
//! TLS.
//!
//! The functions verify certificates against those of this system, some 150, and those of the stand-ins. There is
//! nothing to copy: the lookups are asked for a table that has not changed since its watermark, `copy-delta` for slices
//! whose rows are gone, and `update-watermark` for the windows of those slices.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemark::ledger::Place;
use tidemark::model::table::TableSpec;
use tidemark::ports::sink_table::NoSinks;
use tidemark::testing::pipeline::Pipeline;
use tidemark_bench::tls_front::TlsFront;
use tidemark_files::encoder::Files;
use tidemark_sandbox::{Options, Sandbox};
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::s3_server::{BUCKET, S3Server};
use tidemark_tests::stand_in::{CONTROL_TABLE, login_of, shipped_control_table};

use crate::Failure;

const PREFIX: &str = "start";
/// The number of events of each process, of which the first is cold.
pub const EVENTS: usize = 4;

/// Everything that the functions call.
pub struct Services {
    /// The environment of each function.
    pub environment: BTreeMap<String, String>,
    _files: tempfile::TempDir,
    _sandbox: Sandbox,
    _s3: S3Server,
}

impl Services {
    /// Makes the tables `t0`, `t1`, … with a planned window each, whose rows are gone, for so many processes of each function,
    /// and the table `idle`, which is copied.
    pub async fn set(starts: usize) -> Result<Self, Failure> {
        let tables = starts * EVENTS;
        let script: String = std::iter::once("idle".to_owned())
            .chain((0..tables).map(|table| format!("t{table}")))
            .map(|table| format!("CREATE TABLE {table} (id int NOT NULL, name nvarchar(40)); INSERT INTO {table} VALUES (1, N'a')\nGO\n"))
            .collect();
        let sandbox = tokio::task::spawn_blocking(|| {
            Sandbox::start(Options {
                init: vec![CONTROL_TABLE.to_owned(), script],
                ..Options::default()
            })
        })
        .await??;
        let s3 = S3Server::start().await?;
        let front = TlsFront::start(s3.address()).await?;
        let login = login_of(&sandbox);
        s3.keep_secret(
            json!({ "host": login.host, "port": login.port, "username": login.username(), "password": login.password(),
                    "dbname": login.database })
            .to_string(),
        );
        Self::plan(&login, &s3, tables).await?;
        sandbox.execute(
            &(0..tables)
                .map(|table| format!("DELETE FROM t{table}\nGO\n"))
                .collect::<String>(),
        )?;

        let files = tempfile::tempdir()?;
        let mut environment: BTreeMap<_, _> = s3
            .environment()
            .into_iter()
            .chain(front.environment(files.path(), Some(sandbox.ca_path()))?)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in [
            ("SINK_BUCKET", BUCKET.to_owned()),
            ("SINK_PREFIX", PREFIX.to_owned()),
            ("SOURCE_SECRET_ARN", "source".to_owned()),
            ("WATERMARK_STORE", "sql".to_owned()),
            ("WATERMARK_TABLE", "dbo.tidemark_watermark".to_owned()),
            ("WATERMARK_PROCEDURE", "dbo.tidemark_write_watermark".to_owned()),
        ] {
            environment.insert(name.to_owned(), value);
        }
        Ok(Self {
            environment,
            _files: files,
            _sandbox: sandbox,
            _s3: s3,
        })
    }

    /// Plans a window of every table, and copies and commits that of `idle`.
    async fn plan(login: &Login, s3: &S3Server, tables: usize) -> Result<(), Failure> {
        let (source, store) = (Server::new(login.clone()), s3.store());
        let watermarks: ControlTable = shipped_control_table(Server::new(login.clone()));
        let mut pipeline = Pipeline::new(
            &source,
            RowReader::new(login.clone()),
            &watermarks,
            Place::new(&store, PREFIX),
            Files,
            NoSinks::default(),
        );
        let specs = (0..tables).map(|table| serde_json::from_value(spec(&format!("dbo.t{table}"))));
        let planned = pipeline
            .plan("bench", &specs.collect::<Result<Vec<TableSpec>, _>>()?)
            .await?;
        let idle: TableSpec = serde_json::from_value(spec("dbo.idle"))?;
        let copied = Box::pin(pipeline.run("bench", &[idle])).await?;
        if planned.windows.len() != tables || copied.committed.len() != 1 {
            return Err(format!("the tables cannot be planned: {:?} {:?}", planned.failed, copied.failed).into());
        }
        Ok(())
    }
}

/// A function, and the events that it gets.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// `copy-delta`, which copies slices.
    Copy,
    /// `update-watermark`, which commits their windows in the same order.
    Update,
    /// `lookup-old-watermark`, for the watermark of `idle`.
    LookupOld,
    /// `lookup-new-watermark`, which finds nothing new in it.
    LookupNew,
}

impl Step {
    /// All of them, in the order that their events need.
    pub const ALL: [Self; 4] = [Self::Copy, Self::Update, Self::LookupOld, Self::LookupNew];

    /// Returns the function's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy-delta",
            Self::Update => "update-watermark",
            Self::LookupOld => "lookup-old-watermark",
            Self::LookupNew => "lookup-new-watermark",
        }
    }

    /// Returns its event for a table. A process must get it only once.
    pub fn event(self, table: usize) -> Value {
        let (window, idle) = (format!("dbo.t{table}"), spec("dbo.idle"));
        match self {
            Self::Copy => json!({ "run_id": "bench", "table": window, "window": "initial", "slice": 0 }),
            Self::Update => json!({ "run_id": "bench", "table": window, "window": "initial" }),
            Self::LookupOld => json!({ "run_id": "bench", "tables": [idle] }),
            Self::LookupNew => {
                let stored = json!({ "store_type": "text", "value": "1" });
                json!({ "run_id": "bench", "tables": [{ "spec": idle, "stored": stored }] })
            }
        }
    }

    /// Fails unless the answer says that there was nothing to copy.
    pub fn check(self, answer: &Value) -> Result<(), Failure> {
        let is_done = match self {
            Self::Copy | Self::Update => answer["rows"] == 0,
            Self::LookupOld => answer["tables"][0]["stored"]["value"] == "1",
            Self::LookupNew => answer["unchanged"] == json!(["dbo.idle"]),
        };
        if is_done {
            Ok(())
        } else {
            Err(format!("{} answered {answer}", self.name()).into())
        }
    }
}

fn spec(table: &str) -> Value {
    json!({ "table": table, "tracking": { "watermark": { "column": "id", "settle_seconds": 0 } }, "format": "parquet" })
}

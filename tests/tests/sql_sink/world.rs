//! A source, a sink and a bucket, and runs from the source into the others.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tidemark::error::Error;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::sink_table::{MergeRows, Newest, SliceToMerge, StagedRows};
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sandbox::{Options, Sandbox};
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::Credential;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::{SinkServer, StagedSlice};
use tidemark_tests::mask_key::mask_secret;
use tidemark_tests::s3_server::S3Server;
use tidemark_tests::stand_in::{control_table, login_of};

/// The steps from a server into a sink.
pub type Steps<'a, W, M> = Pipeline<'a, Server, RowReader, W, S3Store, Files, M>;

pub struct World {
    pub source: Sandbox,
    pub sink: Sandbox,
    pub s3: S3Server,
    pub prefix: &'static str,
}

pub async fn stand_in(script: &str) -> Sandbox {
    let init = vec![script.to_owned()];
    let options = Options {
        init,
        ..Options::default()
    };
    tokio::task::spawn_blocking(move || Sandbox::start(options))
        .await
        .unwrap()
        .unwrap()
}

/// Makes the settings of a table with this watermark, into a sink with these settings.
pub fn spec(table: &str, column: &str, sink: Value) -> TableSpec {
    let mut sink = sink;
    sink["secret_arn"] = json!("sink");
    serde_json::from_value(json!({
        "table": table,
        "tracking": { "watermark": { "column": column, "settle_seconds": 0 } },
        "sink": { "sqlserver": sink },
    }))
    .unwrap()
}

impl World {
    pub async fn new(source: &str, sink: &str) -> Self {
        Self {
            source: stand_in(source).await,
            sink: stand_in(sink).await,
            s3: S3Server::start().await.unwrap(),
            prefix: "tidemark",
        }
    }

    /// Returns the control table in the sink's database, as the tutorial has it.
    pub fn control_table(&self) -> ControlTable {
        control_table(
            Server::new(login_of(&self.sink)),
            "dbo.watermarktable",
            "dbo.usp_write_watermark",
        )
    }

    /// Runs the steps once with another watermark store.
    pub async fn run_with<W: MoveWatermarks>(
        &self,
        watermarks: &W,
        run_id: &str,
        specs: &[TableSpec],
    ) -> Result<RunOutcome, Error> {
        let (source, store) = (Server::new(self.source_login()), self.s3.store());
        let sink = SinkServer::new(login_of(&self.sink));
        let mut pipeline = self.steps(&source, watermarks, &store, sink);
        Box::pin(pipeline.run(run_id, specs)).await
    }

    /// Returns the login at the source, with a key for hashes.
    fn source_login(&self) -> Credential {
        Credential::from(login_of(&self.source)).masking(Some(mask_secret()))
    }

    /// Makes the four steps.
    pub fn steps<'a, W, M>(
        &'a self,
        source: &'a Server,
        watermarks: &'a W,
        store: &'a S3Store,
        sinks: M,
    ) -> Steps<'a, W, M> {
        Pipeline::new(
            source,
            RowReader::new(self.source_login()),
            watermarks,
            Place::new(store, self.prefix),
            Files,
            sinks,
        )
    }

    /// Runs the steps once with the pointer in the bucket.
    pub async fn run(&self, run_id: &str, spec: &TableSpec) -> Result<RunOutcome, Error> {
        let store = self.s3.store();
        let pointers = Pointers::new(Place::new(&store, self.prefix));
        self.run_with(&pointers, run_id, std::slice::from_ref(spec)).await
    }

    /// Returns what the sink answers, a line of text for each row.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.sink, sql)
    }
}

/// Returns what a server answers, a line of text for each row.
pub fn rows(sandbox: &Sandbox, sql: &str) -> Vec<String> {
    let sets = sandbox.execute(sql).unwrap();
    let line = |row: &Vec<Option<String>>| {
        let values: Vec<_> = row.iter().map(|value| value.clone().unwrap_or("NULL".into())).collect();
        values.join("|")
    };
    sets.last()
        .map(|set| set.rows.iter().map(line).collect())
        .unwrap_or_default()
}

/// Stages a row for the table `t` with the key 1, this text in column `v` and the watermark 2, ready to be merged.
pub async fn staged_row(sink: &Sandbox, text: &str) -> StagedSlice {
    let columns = [
        ("id", "int", Form::Int32),
        ("v", "varchar(10)", Form::Text),
        ("at", "int", Form::Int32),
    ];
    let columns = columns.map(|(name, sql_type, form)| Column {
        name: name.to_owned(),
        sql_type: TypeName::new(sql_type).unwrap(),
        form,
        nullable: true,
        values: Values::OfSource,
    });
    let sink_of_table: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let slice = SliceToMerge {
        source: &"t".parse().unwrap(),
        sink: &sink_of_table,
        columns: &columns,
        newest: Newest::Watermark(&Identifier::new("at").unwrap()),
    };
    let row: [(_, ArrayRef); 3] = [
        ("id", Arc::new(Int32Array::from(vec![1]))),
        ("v", Arc::new(StringArray::from(vec![text]))),
        ("at", Arc::new(Int32Array::from(vec![2]))),
    ];
    let mut staged = SinkServer::new(login_of(sink)).stage(&slice).await.unwrap();
    staged.load(RecordBatch::try_from_iter(row).unwrap()).await.unwrap();
    staged.lock().await.unwrap();
    staged
}

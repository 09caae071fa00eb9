//! A database with change tracking, and runs of its tables.

use arrow_array::RecordBatch;
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::{Ledger, Place, Pointers};
use tidemark::model::manifest::Manifest;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::NoSinks;
use tidemark::steps::copy::CopyAnswer;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;

/// The steps with the pointers in the bucket.
type Steps<'a> = Pipeline<'a, Server, RowReader, Pointers<'a, S3Store>, S3Store, Files, NoSinks<RecordBatch>>;

/// The prefix in the bucket.
pub const PREFIX: &str = "tidemark";

/// Makes the settings of a tracked table with the tutorials' file format.
pub fn spec(table: &str, more: serde_json::Value) -> TableSpec {
    let mut spec = serde_json::json!({
        "table": table,
        "tracking": { "change_tracking": {} },
        "format": { "csv": { "header": false, "null": "\\N", "quote": "none", "line_end": "\r\n" } },
    });
    let more = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(more);
    serde_json::from_value(spec).unwrap()
}

/// Makes the same without more settings.
pub fn plain(table: &str) -> TableSpec {
    spec(table, serde_json::json!({}))
}

/// The stand-in, and a bucket with the watermarks in it.
pub struct Tracked {
    pub world: World,
    pub store: S3Store,
}

impl Tracked {
    /// Starts a database with change tracking in which `script` is run.
    pub async fn new(script: &str) -> Self {
        Self::untracked(&format!(
            "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON\nGO\n{script}"
        ))
        .await
    }

    pub async fn untracked(script: &str) -> Self {
        let world = World::new(script).await;
        let store = world.s3.store();
        Self { world, store }
    }

    fn source(&self) -> Server {
        Server::new(self.world.login())
    }

    fn watermarks(&self) -> Pointers<'_, S3Store> {
        Pointers::new(Place::new(&self.store, PREFIX))
    }

    /// Makes the four steps, with connections of their own.
    fn pipeline<'a>(&'a self, source: &'a Server, watermarks: &'a Pointers<'a, S3Store>) -> Steps<'a> {
        Pipeline::new(
            source,
            RowReader::new(self.world.login()),
            watermarks,
            Place::new(&self.store, PREFIX),
            Files,
            NoSinks::default(),
        )
    }

    /// Runs one execution. What failed is in the outcome.
    async fn try_run(&self, spec: &TableSpec) -> Result<RunOutcome> {
        let (source, watermarks) = (self.source(), self.watermarks());
        let mut pipeline = self.pipeline(&source, &watermarks);
        Box::pin(pipeline.run("run", std::slice::from_ref(spec))).await
    }

    /// Runs one execution, in which nothing may fail.
    pub async fn run(&self, spec: &TableSpec) -> RunOutcome {
        let outcome = self.try_run(spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// Returns the code and the cause with which the only table fails.
    pub async fn failure(&self, spec: &TableSpec) -> (ErrorCode, String) {
        let outcome = self.try_run(spec).await.unwrap();
        let [failed] = outcome.failed.as_slice() else {
            panic!("{outcome:?}")
        };
        (failed.error, failed.cause.clone())
    }

    /// Does the lookups of one execution, in which the table must have a window.
    pub async fn plan(&self, spec: &TableSpec) -> WindowName {
        let (source, watermarks) = (self.source(), self.watermarks());
        let pipeline = self.pipeline(&source, &watermarks);
        let planned = pipeline.plan("run", std::slice::from_ref(spec)).await.unwrap();
        planned.windows[0].window.clone()
    }

    /// Copies the first slice of a window.
    pub async fn copy(&self, spec: &TableSpec, window: &WindowName) -> Result<CopyAnswer> {
        let (source, watermarks) = (self.source(), self.watermarks());
        let mut pipeline = self.pipeline(&source, &watermarks);
        let window = WindowOfRun {
            table: spec.table.clone(),
            window: window.clone(),
            settings: spec.run_settings(),
        };
        Box::pin(pipeline.copy_slice("run", &window, 0)).await
    }

    /// Returns the committed windows in their order.
    pub async fn chain(&self, spec: &TableSpec) -> Vec<Manifest> {
        let ledger = Ledger::new(Place::new(&self.store, PREFIX), &spec.table);
        let mut chain: Vec<Manifest> = Vec::new();
        let mut at = WindowName::initial();
        while let Some(manifest) = ledger.manifest(&at).await.unwrap() {
            at = manifest.next_window();
            chain.push(manifest);
        }
        chain
    }

    /// Returns the lines of the last committed window, sorted.
    pub async fn lines(&self, spec: &TableSpec) -> Vec<String> {
        let chain = self.chain(spec).await;
        let mut lines = Vec::new();
        for part in &chain.last().unwrap().parts {
            let text = std::fs::read_to_string(self.world.s3.files().join(&part.key)).unwrap();
            lines.extend(text.split_terminator("\r\n").map(str::to_owned));
        }
        lines.sort();
        lines
    }

    pub fn execute(&self, script: &str) {
        self.world.execute(script);
    }

    /// Lets all changes so far expire.
    pub fn expire(&self) {
        self.world.sandbox.expire_change_tracking().unwrap();
    }
}

/// A tracked table with two rows, and another one whose changes move the version of the database.
pub const T: &str = "create table t (id int primary key, v int); insert into t values (1, 10), (2, 20);\
                 alter table t enable change_tracking; create table other (id int primary key);\
                 alter table other enable change_tracking";

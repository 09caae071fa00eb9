//! SQL Server's error numbers through the wire, at every place where a step meets them: the fault of the port's
//! failure, the name that the step answers with, and whether the state machine tries again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod leaks;
mod numbers;

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use serde_json::{Value, json};
use tidemark::error::{Answer, Error, Failure, Fault, Result, Role};
use tidemark::ledger::Place;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::sink::SqlServerSink;
use tidemark::model::table::{RunSettings, TableSpec};
use tidemark::model::types::{Column, Form, TypeName, WantedForms};
use tidemark::model::values::Values;
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::{MergeRows, Merged, Newest, NoSinks, SliceToMerge, StagedRows};
use tidemark::ports::source::ProbeSource;
use tidemark::steps::tables::FailedTable;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::MemoryStore;
use tidemark::testing::pipeline::Pipeline;
use tidemark_files::encoder::Files;
use tidemark_sandbox::{Action, Fault as Ordered, SqlError};
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::errors::fault_of;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::SinkServer;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// The steps over the stand-in and a bucket in memory.
type Steps<'a> = Pipeline<'a, Server, RowReader, ControlTable, MemoryStore, Files, NoSinks<RecordBatch>>;

struct Sources {
    world: World,
    store: MemoryStore,
}

impl Sources {
    async fn new() -> Self {
        let tables = "create table t (v int, n int); insert into t values (1, 1), (2, 2), (3, 3)\nGO\n\
                      create table copied (v int primary key, n int); insert into copied values (1, 0)";
        Self {
            world: World::new(&format!("{CONTROL_TABLE}\nGO\n{tables}")).await,
            store: MemoryStore::default(),
        }
    }

    /// Lets the next request whose text contains `text` meet this error, after so many rows or before it is run.
    fn raise(&self, text: &str, number: u32, message: &str, after_rows: Option<u64>) {
        self.raise_at_next(1, text, number, message, after_rows);
    }

    /// Lets as many requests meet it.
    fn raise_at_next(&self, times: u32, text: &str, number: u32, message: &str, after_rows: Option<u64>) {
        self.world.sandbox.clear_faults();
        self.world.sandbox.inject(Ordered {
            text: text.to_owned(),
            after_rows,
            action: Action::Error(SqlError::new(i32::try_from(number).unwrap(), message)),
            times,
        });
    }

    /// Runs `work` with new connections, as every invocation has them.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Steps<'_>) -> T) -> T {
        let server = || Server::new(self.world.login());
        let (source, watermarks) = (server(), shipped_control_table(server()));
        let mut pipeline = Pipeline::new(
            &source,
            RowReader::new(self.world.login()),
            &watermarks,
            Place::new(&self.store, "p"),
            Files,
            NoSinks::default(),
        );
        Box::pin(work(&mut pipeline)).await
    }

    async fn plan(&self) {
        let planned = self.with(async |pipeline| pipeline.plan("r", &[spec()]).await).await;
        assert_eq!(planned.unwrap().windows.len(), 1);
    }

    /// Returns the name that a lookup fails with: its own, or that of its only table.
    async fn lookup(&self) -> String {
        match self.with(async |pipeline| pipeline.plan("r", &[spec()]).await).await {
            Ok(planned) => only(&planned.failed).error.to_string(),
            Err(error) => error.code().to_string(),
        }
    }

    async fn copy(&self) -> String {
        name_of(
            self.with(async |pipeline| pipeline.copy_slice("r", &window(), 0).await)
                .await,
        )
    }

    async fn update(&self) -> String {
        name_of(self.with(async |pipeline| pipeline.update("r", &window()).await).await)
    }

    /// Merges a row into the table `copied`.
    async fn merge(&self) -> Answer<Merged> {
        let sink: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
        self.merge_into(&sink).await
    }

    /// Merges a row with other settings of the sink.
    async fn merge_into(&self, sink: &SqlServerSink) -> Answer<Merged> {
        let columns = ["v", "n"].map(|name| Column {
            name: name.to_owned(),
            sql_type: TypeName::new("int").unwrap(),
            form: Form::Int32,
            nullable: true,
            values: Values::OfSource,
        });
        let slice = SliceToMerge {
            source: &"copied".parse().unwrap(),
            sink,
            columns: &columns,
            newest: Newest::Watermark(&Identifier::new("n").unwrap()),
        };
        let row = ["v", "n"].map(|name| (name, Arc::new(Int32Array::from(vec![1])) as ArrayRef));
        let mut staged = SinkServer::new(self.world.login()).stage(&slice).await?;
        staged.load(RecordBatch::try_from_iter(row).unwrap()).await?;
        staged.lock().await?;
        staged.merge().await
    }
}

fn only(failed: &[FailedTable]) -> &FailedTable {
    let [failed] = failed else {
        panic!("{failed:?} is not one failed table")
    };
    failed
}

fn name_of<T>(answer: Result<T>) -> String {
    let error: Error = answer.err().unwrap_or_else(|| panic!("the error was not met"));
    error.code().to_string()
}

fn table() -> ObjectName {
    "t".parse().unwrap()
}

fn window() -> WindowOfRun {
    WindowOfRun {
        table: table(),
        window: WindowName::initial(),
        settings: RunSettings::default(),
    }
}

fn spec() -> TableSpec {
    serde_json::from_value(json!({
        "table": "t", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": "csv",
    }))
    .unwrap()
}

/// Returns the error names that a state of the state machine retries, and how, including backoff and jitter.
fn retried(state: &str) -> Vec<String> {
    fn find<'a>(machine: &'a Value, state: &str) -> Option<&'a Value> {
        machine["States"].as_object()?.iter().find_map(|(name, found)| {
            let inside = || find(&found["ItemProcessor"], state);
            (name == state).then_some(found).or_else(inside)
        })
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/incremental-copy.asl.json");
    let machine: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let retriers = find(&machine, state).unwrap()["Retry"].as_array().unwrap();
    let names = retriers.iter().flat_map(|it| it["ErrorEquals"].as_array().unwrap());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Returns whether a fault may pass by itself.
const fn is_transient(fault: Fault) -> bool {
    matches!(fault, Fault::Conflict | Fault::Unreachable)
}

/// Checks what a state answers with for a number at a database with this role, and whether it is retried.
fn check(state: &str, number: u32, fault: Fault, met: &str, role: Role) {
    let (transient, permanent) = match role {
        Role::Source => ("SourceUnavailable", "SourceRejected"),
        Role::Sink => ("SinkUnavailable", "SinkRejected"),
        Role::WatermarkStore => ("WatermarkStoreUnavailable", "WatermarkRejected"),
    };
    let expected = if is_transient(fault) { transient } else { permanent };
    assert_eq!(met, expected, "{state}: {number}");
    let is_retried = retried(state).iter().any(|name| name == met);
    assert_eq!(is_retried, is_transient(fault), "{state}: {number} ({met})");
}

/// Checks what a port says of a number.
fn check_failure(failure: &Failure, number: u32, fault: Fault) {
    let said = (failure.fault(), failure.number(), failure.is_transient());
    assert_eq!(said, (fault, Some(number), is_transient(fault)), "{number}: {failure}");
}

#[test]
fn the_table_holds_every_number_that_is_classed() {
    assert_eq!(numbers::all().count(), 191);
    for number in 0..70_000 {
        let listed = numbers::all().find(|(listed, ..)| *listed == number);
        let listed = listed.map(|(.., fault)| fault);
        let classed = fault_of(number);
        assert_eq!(
            is_transient(listed.unwrap_or(Fault::Refused)),
            is_transient(classed),
            "{number}"
        );
        if let Some(listed) = listed {
            assert_eq!(listed, classed, "{number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_lookup() {
    let sources = Sources::new().await;
    let wanted = WantedForms::exact();
    for (number, text, fault) in numbers::all() {
        for request in ["SELECT TOP 0 [", "MAX("] {
            sources.raise(request, number, text, None);
            let met = sources.lookup().await;
            check("LookupNewWatermark", number, fault, &met, Role::Source);
        }
        sources.raise("SELECT TOP 0 * FROM [dbo].[t]", number, text, None);
        let asked = Server::new(sources.world.login());
        let asked = asked.columns(&table(), None, None, wanted).await;
        check_failure(&asked.unwrap_err(), number, fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_login() {
    let sources = Sources::new().await;
    sources.plan().await;
    for (number, text, fault) in numbers::all() {
        // A database that cannot be opened is asked for once more.
        let logins = if number == 4060 { 2 } else { 1 };
        let raise = || sources.raise_at_next(logins, "LOGIN", number, text, None);
        raise();
        let met = sources.lookup().await;
        check("LookupOldWatermark", number, fault, &met, Role::WatermarkStore);
        raise();
        check("CopyDelta", number, fault, &sources.copy().await, Role::Source);
        raise();
        check_failure(&sources.merge().await.unwrap_err(), number, fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_be_opened_a_moment_later_is_no_error() {
    let sources = Sources::new().await;
    sources.raise("LOGIN", 4060, "cannot open the database", None);
    sources.plan().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_rows() {
    let sources = Sources::new().await;
    sources.plan().await;
    for (number, text, fault) in numbers::all() {
        for after_rows in [None, Some(0), Some(2)] {
            sources.raise("FROM [dbo].[t]", number, text, after_rows);
            let met = sources.copy().await;
            check("CopyDelta", number, fault, &met, Role::Source);
        }
    }
    assert_eq!(sources.store.pending_uploads(), 0, "what was begun is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_merge() {
    let sources = Sources::new().await;
    for (number, text, fault) in numbers::all() {
        for request in [
            "sys.columns",
            "INSERT BULK",
            "sp_getapplock",
            "UPDATE [t]",
            "INSERT INTO [dbo].[copied]",
        ] {
            sources.raise(request, number, text, None);
            let failure = sources.merge().await.unwrap_err();
            check_failure(&failure, number, fault);
            let error = failure.of(Role::Sink);
            check("CopyDelta", number, fault, error.code().name(), Role::Sink);
        }
    }
    let rows = sources.world.sandbox.execute("SELECT n FROM copied").unwrap();
    assert_eq!(rows[0].rows, [[Some("0".to_owned())]], "what failed left nothing");
    sources.world.sandbox.clear_faults();
    assert_eq!(sources.merge().await.unwrap().updated, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_control_table() {
    let sources = Sources::new().await;
    for (number, text, fault) in numbers::all() {
        // The table has no row yet, so it is asked for by itself after all tables were.
        sources.raise("WHERE [TableName] =", number, text, None);
        let met = sources.lookup().await;
        check("LookupOldWatermark", number, fault, &met, Role::WatermarkStore);
    }
    let copied = sources
        .with(async |pipeline| {
            pipeline.plan("r", &[spec()]).await?;
            pipeline.copy_slice("r", &window(), 0).await
        })
        .await;
    copied.unwrap();
    for (number, text, fault) in numbers::all() {
        for request in ["[TableName]", "EXEC [dbo].[tidemark_write_watermark]"] {
            sources.raise(request, number, text, None);
            let met = sources.update().await;
            check("UpdateWatermark", number, fault, &met, Role::WatermarkStore);
        }
    }
    sources.world.sandbox.clear_faults();
    sources
        .with(async |pipeline| pipeline.run("r", &[spec()]).await)
        .await
        .unwrap();
    let rows = sources
        .world
        .sandbox
        .execute("SELECT WatermarkValue FROM dbo.tidemark_watermark")
        .unwrap();
    assert_eq!(rows[0].rows.len(), 1, "the pointer moved in the end");
}

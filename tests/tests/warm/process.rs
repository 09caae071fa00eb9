//! Warm processes and the server that they ask.

use arrow_array::RecordBatch;
use tidemark::error::{Answer, Error};
use tidemark::ledger::Place;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, Form, TypeName, WantedForms};
use tidemark::model::values::Values;
use tidemark::model::watermark::Watermark;
use tidemark::ports::rows::{ReadRows, TakeBatches};
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::source::{DeclaredColumn, ProbeSource};
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_aws::bucket::S3Store;
use tidemark_files::encoder::Files;
use tidemark_sandbox::{Action, Fault};
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{KeptConnection, Mssql, Server, Tiberius};
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};
use tidemark_tests::tutorial;

/// The number of connections of a run: that of the lookups and commits to the source, that of the rows, and that of the
/// watermarks.
pub const CONNECTIONS: usize = 3;
/// A text in the question that a kept connection is asked before it is used.
pub const PROBE: &str = "@@TRANCOUNT";

/// The steps of one invocation.
pub type Steps<'a> = Pipeline<'a, Server, RowReader, ControlTable, S3Store, Files, NoSinks<RecordBatch>>;

/// What warm processes keep, as the functions' `main` does.
#[derive(Default)]
pub struct Process {
    pub source: KeptConnection<Tiberius>,
    pub rows: KeptConnection<Mssql>,
    pub watermarks: KeptConnection<Tiberius>,
}

impl Process {
    /// Runs `work` as one invocation: with adapters of its own, over connections through `login`.
    pub async fn invoke<T>(&self, world: &World, login: &Login, work: impl AsyncFnOnce(&mut Steps<'_>) -> T) -> T {
        let server = |kept| Server::new(login.clone()).keeping(kept);
        let (source, watermarks) = (server(&self.source), shipped_control_table(server(&self.watermarks)));
        let store = world.s3.store();
        let mut pipeline = Pipeline::new(
            &source,
            RowReader::new(login.clone()).keeping(&self.rows),
            &watermarks,
            Place::new(&store, "tidemark"),
            Files,
            NoSinks::default(),
        );
        Box::pin(work(&mut pipeline)).await
    }

    pub async fn run_at(&self, world: &World, login: &Login, spec: &TableSpec) -> Result<RunOutcome, Error> {
        let specs = std::slice::from_ref(spec);
        self.invoke(world, login, async |pipeline| pipeline.run("r", specs).await)
            .await
    }

    pub async fn run(&self, world: &World, spec: &TableSpec) -> RunOutcome {
        let outcome = self.run_at(world, &world.login(), spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }
}

/// Starts a server with a table `t` of three numbers, and this project's control table.
pub async fn world() -> World {
    let table = "create table t (v int not null); insert t values (1), (2), (3)";
    World::new(&format!("{CONTROL_TABLE}\nGO\n{table}")).await
}

pub fn table() -> ObjectName {
    "t".parse().unwrap()
}

pub fn spec() -> TableSpec {
    tutorial::spec("t", "v").unwrap()
}

/// Returns the number of logins since the server started.
pub fn logins(world: &World) -> usize {
    usize::try_from(number(world, "SELECT @@CONNECTIONS")).unwrap()
}

/// Returns the number that a script answers.
pub fn number(world: &World, sql: &str) -> i64 {
    let sets = world.sandbox.execute(sql).unwrap();
    sets[0].rows[0][0].as_deref().unwrap().parse().unwrap()
}

pub fn fault(world: &World, text: &str, action: Action, times: u32) {
    world.sandbox.inject(Fault {
        text: text.into(),
        after_rows: None,
        action,
        times,
    });
}

/// Asks for the columns of `t`.
pub async fn columns(server: &Server) -> Answer<Vec<DeclaredColumn>> {
    let wanted = WantedForms::exact();
    server.columns(&table(), None, None, wanted).await
}

pub fn int_type() -> TypeName {
    TypeName::new("int").unwrap()
}

pub fn int(name: &str) -> Column {
    Column {
        name: name.into(),
        sql_type: int_type(),
        form: Form::Int32,
        nullable: true,
        values: Values::OfSource,
    }
}

struct Forgotten;

impl TakeBatches<RecordBatch> for Forgotten {
    async fn take(&mut self, _batch: RecordBatch) -> Answer<()> {
        Ok(())
    }
}

/// Reads all rows of `t`.
pub async fn read(reader: &mut RowReader) -> Answer<u64> {
    let greatest = Watermark::new(int_type(), i32::MAX.to_string()).unwrap();
    let rows = Rows::Interval(Interval {
        table: &table(),
        column: &Identifier::new("v").unwrap(),
        old: None,
        new: &greatest,
        closed: tidemark::model::rows::Closed::default(),
        with_nulls: false,
        key: None,
        filter: None,
    });
    Ok(reader.read(&rows, &[int("v")], &mut Forgotten).await?.rows)
}

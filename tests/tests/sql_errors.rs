//! SQL Server's error numbers through the wire, at every place a step meets them: the name the step answers with, and
//! whether the state machine tries again.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::Value;
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::{ControlTable, Server};
use tidemark::error::{Error, Result};
use tidemark::ledger::WindowName;
use tidemark::sqlserver_errors::code_of;
use tidemark::steps::FailedTable;
use tidemark::table::TableSpec;
use tidemark::testing::MemoryStore;
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_tests::pipeline::Pipeline;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// Errors that pass by themselves, with what SQL Server says of them, shortened.
const TRANSIENT: [(i32, &str); 73] = [
    (64, "the network name is no longer available"),
    (596, "the session is in the kill state"),
    (601, "could not continue the scan due to data movement"),
    (615, "could not find the database; wait a few minutes"),
    (617, "a work table is missing an entry; rerun the query"),
    (669, "the row object is inconsistent; rerun the query"),
    (701, "insufficient memory to run this query"),
    (802, "insufficient memory in the buffer pool"),
    (845, "time-out while waiting for a buffer latch"),
    (913, "could not find the database; it may be in transition"),
    (921, "the database has not been recovered yet; wait"),
    (922, "the database is being recovered"),
    (926, "the database has been marked suspect by recovery"),
    (927, "the database is in the middle of a restore"),
    (929, "unable to close a database that is not open; reconnect"),
    (941, "the database is not started; retry when it is"),
    (952, "the database is in transition; try later"),
    (955, "database mirroring lacks quorum"),
    (956, "database mirroring has not yet synchronized; try later"),
    (976, "the availability group's database is not accessible for queries"),
    (982, "no online secondary replica is enabled for reads; wait"),
    (983, "the replica is not in the primary or secondary role; try later"),
    (988, "the database lacks a quorum of nodes; try later"),
    (992, "failed to get the shared lock on the database"),
    (997, "failed to get the update lock on the database"),
    (1203, "attempted to unlock a resource it does not own; retry"),
    (1204, "cannot obtain a LOCK resource at this time; rerun"),
    (1205, "chosen as the deadlock victim; rerun"),
    (1221, "releasing locks that are not held; retry"),
    (1222, "lock request time out period exceeded"),
    (
        3952,
        "snapshot isolation is not allowed in the database, which had just said that it is; retry",
    ),
    (
        3957,
        "snapshot isolation was not allowed when the transaction started; retry",
    ),
    (3960, "snapshot isolation: update conflict; retry"),
    (3961, "snapshot isolation: the table was changed since"),
    (3966, "rolled back when accessing the version store; retry"),
    (4060, "cannot open the database requested by the login"),
    (4221, "login to read-secondary failed due to a long wait"),
    (6005, "SHUTDOWN is in progress"),
    (8628, "a time out occurred while waiting to optimize the query; rerun"),
    (8645, "a timeout occurred while waiting for memory; rerun"),
    (8651, "the memory grant was not available; rerun"),
    (9515, "an XML schema has been altered or dropped; rerun"),
    (10051, "the network is unreachable"),
    (10053, "the connection was aborted"),
    (10054, "the connection was reset"),
    (10060, "the connection timed out"),
    (10061, "the connection was refused"),
    (10922, "failed; rerun the statement"),
    (10928, "a limit of the database has been reached"),
    (10929, "the server is too busy to support more than the guarantee"),
    (10936, "the request limit of the elastic pool has been reached"),
    (14355, "the service is busy; retry later"),
    (17142, "the service has been paused"),
    (17187, "not ready to accept new client connections; wait"),
    (17189, "failed to spawn a thread for a new login"),
    (17197, "login failed due to timeout; reduce the load and retry"),
    (17809, "the maximum number of user connections has been reached"),
    (18401, "the server is in script upgrade mode"),
    (20041, "could not execute trigger; retry your transaction"),
    (40143, "the service has encountered an error; try again"),
    (40166, "the service has encountered an error; try again"),
    (40197, "the service has encountered an error; try again"),
    (40501, "the service is currently busy; retry after 10 seconds"),
    (40540, "the service has encountered an error; try again"),
    (40613, "the database is not currently available; retry"),
    (40627, "an operation on the database is in progress; wait"),
    (40642, "the server is currently too busy; try again later"),
    (40648, "too many requests have been performed; retry later"),
    (40671, "unable to reach the server; retry the connection later"),
    (40675, "the service is currently too busy; try again later"),
    (40825, "unable to complete the request now; try again later"),
    (42109, "the SQL pool is warming up; try again"),
    (41301, "in-memory tables: a commit dependency failed"),
];

/// The rest of them, split because a table of them all is as long as it is dull.
const TRANSIENT_TOO: [(i32, &str); 9] = [
    (41302, "in-memory tables: the record was updated since"),
    (41305, "in-memory tables: repeatable read validation failed"),
    (41325, "in-memory tables: serializable validation failed"),
    (41839, "in-memory tables: too many commit dependencies"),
    (49918, "not enough resources to process the request"),
    (49919, "too many create or update operations in progress"),
    (49920, "too many operations in progress"),
    (49977, "the elastic pool is busy with another operation"),
    (49983, "the operation failed to complete; retry it"),
];

/// Errors that somebody has to do something about.
const PERMANENT: [(i32, &str); 57] = [
    (102, "incorrect syntax"),
    (105, "unclosed quotation mark"),
    (121, "more items in the select list than in the insert list"),
    (137, "must declare the scalar variable"),
    (156, "incorrect syntax near the keyword"),
    (201, "the procedure expects a parameter which was not supplied"),
    (206, "operand type clash"),
    (207, "invalid column name"),
    (208, "invalid object name"),
    (209, "ambiguous column name"),
    (229, "permission was denied on the object"),
    (230, "permission was denied on the column"),
    (233, "the column cannot be null"),
    (241, "conversion failed when converting date and time"),
    (242, "the conversion resulted in an out-of-range value"),
    (245, "conversion failed when converting a value"),
    (248, "the conversion overflowed an int column"),
    (258, "cannot call methods on a type"),
    (262, "permission denied in database"),
    (297, "the user does not have permission"),
    (300, "permission was denied on the object"),
    (515, "cannot insert the value NULL"),
    (547, "conflicted with a constraint"),
    (911, "the database does not exist"),
    (916, "the principal is not able to access the database"),
    (942, "the database is offline"),
    (978, "accessible only with read-only application intent"),
    (979, "read only connections are not allowed"),
    (1088, "cannot find the object"),
    (2601, "cannot insert duplicate key row"),
    (2627, "violation of a primary key constraint"),
    (2628, "string or binary data would be truncated"),
    (2812, "could not find stored procedure"),
    (3906, "failed to update the database: it is read-only"),
    (3951, "snapshot isolation is not compatible with the transaction"),
    (3958, "the row version was not found; tempdb is out of space"),
    (8114, "error converting data type"),
    (8115, "arithmetic overflow"),
    (8134, "divide by zero"),
    (8144, "too many arguments specified"),
    (8178, "the parameterized query expects a parameter"),
    (9002, "the transaction log is full"),
    (18452, "login failed: untrusted domain"),
    (18456, "login failed"),
    (18470, "login failed: the account is disabled"),
    (18486, "login failed: the account is locked out"),
    (18487, "login failed: the password has expired"),
    (18488, "login failed: the password must be changed"),
    (22105, "change tracking is not enabled on the table"),
    (40532, "cannot open the server requested by the login"),
    (40544, "the database has reached its size quota"),
    (40549, "terminated: a long-running transaction"),
    (40551, "terminated: excessive tempdb usage"),
    (40553, "terminated: excessive memory usage"),
    (40615, "the client's address is not allowed"),
    (42108, "the SQL pool is paused; resume it"),
    (50000, "raised by a procedure"),
];

/// Every number with whether it passes by itself.
fn cases() -> impl Iterator<Item = (i32, &'static str, bool)> {
    let transient = TRANSIENT.into_iter().chain(TRANSIENT_TOO);
    let transient = transient.map(|(number, text)| (number, text, true));
    transient.chain(PERMANENT.into_iter().map(|(number, text)| (number, text, false)))
}

struct Sources {
    world: World,
    store: MemoryStore,
}

impl Sources {
    async fn new() -> Self {
        let table = "create table t (v int, n int); insert into t values (1, 1), (2, 2), (3, 3)";
        Self {
            world: World::new(&format!("{CONTROL_TABLE}\nGO\n{table}")).await,
            store: MemoryStore::default(),
        }
    }

    /// The next request whose text contains `text` meets this error, after so many rows or before it is run.
    fn raise(&self, text: &str, number: i32, message: &str, after_rows: Option<u64>) {
        self.world.sandbox.clear_faults();
        self.world.sandbox.inject(Fault {
            text: text.to_owned(),
            after_rows,
            action: Action::Error(SqlError::new(number, message)),
            times: 1,
        });
    }

    /// Runs `work` with new connections, as every invocation has them.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Pipeline<'_, Server, MssqlRows, ControlTable, MemoryStore>) -> T,
    ) -> T {
        let server = || Server::new(self.world.login());
        let (source, watermarks) = (server(), shipped_control_table(server()));
        let mut pipeline = Pipeline {
            source: &source,
            rows: MssqlRows::new(self.world.login()),
            watermarks: &watermarks,
            store: &self.store,
            prefix: "p",
            sinks: (),
        };
        work(&mut pipeline).await
    }

    /// The name a lookup fails with: its own, or that of its only table.
    async fn lookup(&self) -> String {
        match self.with(async |pipeline| pipeline.plan("r", &[spec()]).await).await {
            Ok(planned) => only(&planned.failed).error.clone(),
            Err(error) => error.code().to_string(),
        }
    }

    async fn copy(&self) -> String {
        let window = WindowName::initial();
        name_of(
            self.with(async |pipeline| pipeline.copy_slice("r", "dbo.t", &window, 0).await)
                .await,
        )
    }

    async fn update(&self) -> String {
        let window = WindowName::initial();
        name_of(
            self.with(async |pipeline| pipeline.update("r", "dbo.t", &window).await)
                .await,
        )
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

fn spec() -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": "t", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": "csv",
    }))
    .unwrap()
}

/// The error names a state of the state machine tries again, and how: backoff and jitter are part of it.
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

/// What a state answers with for every number, and whether it is tried again.
fn check(state: &str, number: i32, is_transient: bool, met: &str, transient: &str, permanent: &str) {
    let expected = if is_transient { transient } else { permanent };
    assert_eq!(met, expected, "{state}: {number}");
    let is_retried = retried(state).iter().any(|name| name == met);
    assert_eq!(is_retried, is_transient, "{state}: {number} ({met})");
}

const SOURCE: (&str, &str) = ("SourceUnavailable", "SourceRejected");
const STORE: (&str, &str) = ("WatermarkStoreUnavailable", "WatermarkRejected");

#[test]
fn the_table_holds_every_number_that_is_classed_as_transient() {
    for number in 0..70_000 {
        let listed = cases().find(|(listed, ..)| *listed == number).map(|(.., it)| it);
        let classed = code_of(number.unsigned_abs()).is_retryable();
        assert_eq!(listed.unwrap_or(false), classed, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_lookup() {
    let sources = Sources::new().await;
    for (number, text, is_transient) in cases() {
        for request in ["SELECT TOP 0 * FROM [dbo].[t]", "MAX("] {
            sources.raise(request, number, text, None);
            let met = sources.lookup().await;
            check("LookupNewWatermark", number, is_transient, &met, SOURCE.0, SOURCE.1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_login() {
    let sources = Sources::new().await;
    sources
        .with(async |pipeline| pipeline.plan("r", &[spec()]).await)
        .await
        .unwrap();
    for (number, text, is_transient) in cases() {
        sources.raise("LOGIN", number, text, None);
        let met = sources.lookup().await;
        check("LookupOldWatermark", number, is_transient, &met, STORE.0, STORE.1);
        sources.raise("LOGIN", number, text, None);
        check(
            "CopyDelta",
            number,
            is_transient,
            &sources.copy().await,
            SOURCE.0,
            SOURCE.1,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_rows() {
    let sources = Sources::new().await;
    sources
        .with(async |pipeline| pipeline.plan("r", &[spec()]).await)
        .await
        .unwrap();
    for (number, text, is_transient) in cases() {
        for after_rows in [None, Some(0), Some(2)] {
            sources.raise("FROM [dbo].[t]", number, text, after_rows);
            let met = sources.copy().await;
            check("CopyDelta", number, is_transient, &met, SOURCE.0, SOURCE.1);
        }
    }
    assert_eq!(sources.store.pending_uploads(), 0, "what was begun is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_control_table() {
    let sources = Sources::new().await;
    for (number, text, is_transient) in cases() {
        sources.raise("[TableName]", number, text, None);
        let met = sources.lookup().await;
        check("LookupOldWatermark", number, is_transient, &met, STORE.0, STORE.1);
    }
    let copied = sources
        .with(async |pipeline| {
            pipeline.plan("r", &[spec()]).await?;
            pipeline.copy_slice("r", "dbo.t", &WindowName::initial(), 0).await
        })
        .await;
    copied.unwrap();
    for (number, text, is_transient) in cases() {
        for request in ["[TableName]", "EXEC [dbo].[tidemark_write_watermark]"] {
            sources.raise(request, number, text, None);
            let met = sources.update().await;
            check("UpdateWatermark", number, is_transient, &met, STORE.0, STORE.1);
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

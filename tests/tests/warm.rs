//! What a warm process keeps between invocations, over real TDS: one connection for each role, replaced when it is of no use
//! any more, and nothing of one invocation seen by the next.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use serde_json::json;
use tidemark::adapters::mssql::{KeptClient, MssqlRows};
use tidemark::adapters::s3::S3Store;
use tidemark::adapters::sqlserver::{ControlTable, KeptConnection, Server, SinkServer, StagedSlice};
use tidemark::config::{ServerConfig, Timeouts, Tls};
use tidemark::error::{Error, ErrorCode};
use tidemark::format::{Format, Timestamps};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::WindowName;
use tidemark::login::Login;
use tidemark::merging::Newest;
use tidemark::ports::merge::{MergeRows, SliceToMerge, StagedRows};
use tidemark::ports::rows::{BatchSink, RowSource};
use tidemark::ports::source::ProbeSource;
use tidemark::ports::watermarks::{MoveWatermarks, ReadWatermarks};
use tidemark::query::Query;
use tidemark::shape::Shape;
use tidemark::sink::SqlServerSink;
use tidemark::table::TableSpec;
use tidemark::types::Column;
use tidemark::watermark::Watermark;
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::stand_in::{CONTROL_TABLE, World, control_table, shipped_control_table};
use tidemark_tests::tutorial;

/// The lookups' and commits' connection to the source, that of the rows, and that of the watermarks.
const CONNECTIONS: usize = 3;
/// What a kept connection is asked before it is used.
const PROBE: &str = "@@TRANCOUNT";
/// Places in what passes each way at which a warm run is cut.
const PLACES: u64 = 12;
/// How long it has to answer, in `adapters::kept`.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What warm processes keep, as the functions' `main` does.
#[derive(Default)]
struct Process {
    source: KeptConnection,
    rows: KeptClient,
    watermarks: KeptConnection,
}

impl Process {
    /// `work` as one invocation: with adapters of its own, over connections through `login`.
    async fn invoke<T>(
        &self,
        world: &World,
        login: &Login,
        work: impl AsyncFnOnce(&mut Pipeline<'_, Server, MssqlRows, ControlTable, S3Store>) -> T,
    ) -> T {
        let server = |kept| Server::new(login.clone()).keeping(kept);
        let (source, watermarks) = (server(&self.source), shipped_control_table(server(&self.watermarks)));
        let store = world.s3.store();
        let mut pipeline = Pipeline {
            source: &source,
            rows: MssqlRows::new(login.clone()).keeping(&self.rows),
            watermarks: &watermarks,
            store: &store,
            prefix: "tidemark",
            sinks: (),
        };
        Box::pin(work(&mut pipeline)).await
    }

    async fn run_at(&self, world: &World, login: &Login, spec: &TableSpec) -> Result<Outcome, Error> {
        let specs = std::slice::from_ref(spec);
        self.invoke(world, login, async |pipeline| pipeline.run("r", specs).await)
            .await
    }

    async fn run(&self, world: &World, spec: &TableSpec) -> Outcome {
        let outcome = self.run_at(world, &world.login(), spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }
}

async fn world() -> World {
    let table = "create table t (v int not null); insert t values (1), (2), (3)";
    World::new(&format!("{CONTROL_TABLE}\nGO\n{table}")).await
}

fn spec() -> TableSpec {
    tutorial::spec("t", "v").unwrap()
}

/// Logins since the server started.
fn logins(world: &World) -> usize {
    usize::try_from(number(world, "SELECT @@CONNECTIONS")).unwrap()
}

fn number(world: &World, sql: &str) -> i64 {
    let sets = world.sandbox.execute(sql).unwrap();
    sets[0].rows[0][0].as_deref().unwrap().parse().unwrap()
}

fn fault(world: &World, text: &str, action: Action, times: u32) {
    world.sandbox.inject(Fault {
        text: text.into(),
        after_rows: None,
        action,
        times,
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_warm_processes_log_in_once() {
    let (world, process) = (world().await, Process::default());
    assert_eq!(process.run(&world, &spec()).await.committed[0].rows, 3);
    assert_eq!(logins(&world), CONNECTIONS);
    for v in 4..7 {
        world.execute(&format!("insert t values ({v})"));
        assert_eq!(process.run(&world, &spec()).await.committed[0].rows, 1);
    }
    assert_eq!(process.run(&world, &spec()).await.committed.len(), 0);
    assert_eq!(logins(&world), CONNECTIONS);
    drop(process);
    assert_eq!(world.lines("dbo.t"), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_a_tracked_table_are_read_over_one_connection() {
    let table = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON
        GO\ncreate table t (id int not null primary key, v int); alter table t enable change_tracking; insert t values (1, 1)";
    let world = World::new(&format!("{CONTROL_TABLE}\nGO\n{table}")).await;
    let process = Process::default();
    let spec: TableSpec = serde_json::from_value(json!({
        "table": "t", "tracking": { "change_tracking": {} }, "format": { "csv": { "header": false } },
    }))
    .unwrap();
    assert_eq!(process.run(&world, &spec).await.committed[0].rows, 1);
    for v in 2..5 {
        world.execute(&format!("update t set v = {v}"));
        assert_eq!(process.run(&world, &spec).await.committed[0].rows, 1);
    }
    assert_eq!(logins(&world), CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_between_two_invocations_is_replaced_by_one() {
    let world = world().await;
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let (login, process) = (world.login_at(proxy.address()), Process::default());
    process.run_at(&world, &login, &spec()).await.unwrap();
    let died: [(&str, usize, &dyn Fn()); 4] = [
        ("ended by the server", CONNECTIONS, &|| world.sandbox.disconnect_all()),
        ("reset at the first use", 1, &|| {
            proxy.order(Way::Requests, 0, Disturbance::Cut);
        }),
        ("forgotten by a gateway", CONNECTIONS, &|| proxy.forget()),
        ("of a server that failed over", CONNECTIONS, &|| {
            let moved = SqlError::new(40613, "Database is not currently available.");
            fault(&world, PROBE, Action::Error(moved), 3);
        }),
    ];
    for (v, (what, replaced, happens)) in (4..).zip(died) {
        world.execute(&format!("insert t values ({v})"));
        let (before, begun) = (logins(&world), Instant::now());
        happens();
        let outcome = process.run_at(&world, &login, &spec()).await.unwrap();
        assert!(outcome.failed.is_empty(), "{what}: {:?}", outcome.failed);
        assert_eq!(outcome.committed[0].rows, 1, "{what}");
        assert_eq!(logins(&world) - before, replaced, "{what}");
        // One silence for each connection, and none that is as long as a statement may take.
        let limit = PROBE_TIMEOUT * 3 + Duration::from_secs(10);
        assert!(begun.elapsed() < limit, "{what}: {:?}", begun.elapsed());
    }
    assert_eq!(world.lines("dbo.t"), ["1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_said_to_be_gone() {
    let world = world().await;
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let (login, process) = (world.login_at(proxy.address()), Process::default());
    process.run_at(&world, &login, &spec()).await.unwrap();
    let timeouts = Timeouts {
        connect: Duration::from_millis(500),
        ..Timeouts::LOOKUP
    };
    let ask = async || {
        let server = Server::new(login.clone()).with_timeouts(timeouts);
        let server = server.keeping(&process.source);
        server.columns(&"t".parse().unwrap(), None).await
    };
    proxy.order(Way::Requests, 0, Disturbance::Silence);
    let begun = Instant::now();
    assert_eq!(ask().await.unwrap_err().code(), ErrorCode::SourceUnavailable);
    assert!(begun.elapsed() < PROBE_TIMEOUT + Duration::from_secs(3));
    proxy.clear();
    assert_eq!(ask().await.unwrap().len(), 1);

    // Failing over and not back yet: what the server says counts, not that something was kept.
    let moved = || Action::Error(SqlError::new(40613, "Database is not currently available."));
    fault(&world, PROBE, moved(), 1);
    fault(&world, "LOGIN", moved(), 1);
    let error = ask().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    assert!(error.report().contains("40613"), "{}", error.report());
    assert_eq!(ask().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_leaves_no_connection_to_the_next_invocation() {
    let world = world().await;
    let (process, window) = (Process::default(), WindowName::initial());
    let (login, specs) = (world.login(), [spec()]);
    let plan = process.invoke(&world, &login, async |pipeline| pipeline.plan("r", &specs).await);
    assert_eq!(plan.await.unwrap().windows.len(), 1);
    let copy = async || {
        process
            .invoke(&world, &login, async |pipeline| {
                pipeline.copy_slice("r", "dbo.t", &window, 0).await
            })
            .await
    };
    let before = logins(&world);
    let actions = [
        Action::Disconnect,
        Action::Error(SqlError::new(1205, "Transaction was deadlocked.")),
        Action::Error(SqlError::new(8115, "Arithmetic overflow.")),
    ];
    for (number, action) in (1..).zip(actions) {
        world.sandbox.inject(Fault {
            text: "[t]".into(),
            after_rows: Some(1),
            action,
            times: 1,
        });
        copy().await.unwrap_err();
        assert_eq!(logins(&world) - before, number);
    }
    copy().await.unwrap();
    assert_eq!(logins(&world) - before, 4);
    process.run(&world, &spec()).await;
    assert_eq!(world.lines("dbo.t"), ["1", "2", "3"]);
}

struct Rows(u64);

impl BatchSink for Rows {
    async fn push(&mut self, batch: RecordBatch) -> Result<(), Error> {
        self.0 += batch.num_rows() as u64;
        Ok(())
    }
}

fn int(name: &str) -> Column {
    Column {
        name: name.into(),
        sql_type: "int".parse().unwrap(),
        nullable: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_as_after_a_login_when_it_is_used_again() {
    let (world, kept) = (world().await, KeptClient::default());
    let shape = Shape::new(&[int("a")], &Format::default(), Timestamps::Us).unwrap();
    let read = async |sql: &str| {
        let query = Query {
            sql: sql.into(),
            parameters: Vec::new(),
        };
        let mut rows = MssqlRows::new(world.login()).keeping(&kept);
        let mut sink = Rows(0);
        rows.read(&query, &shape, &mut sink).await.unwrap()
    };
    // What outlives a statement: a lock of the session.
    let lock = "DECLARE @a int; EXEC @a = sp_getapplock @Resource = N'r', @LockMode = N'Exclusive', \
                @LockOwner = N'Session', @LockTimeout = 0; SELECT @a AS [a]";
    read(lock).await;
    assert_eq!(number(&world, lock), -1, "the kept session holds it");
    read("SELECT 1 AS [a]").await;
    assert_eq!(logins(&world), 1);
    assert_eq!(number(&world, lock), 0, "it was reset before the second statement");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_not_handed_on() {
    let world = world().await;
    world.execute(
        "create procedure leaves_open @v nvarchar(64), @n nvarchar(517) as begin transaction; update t set v = 9 where v = 1",
    );
    let kept = KeptConnection::default();
    let key = spec().watermark_key();
    let store = || {
        control_table(
            Server::new(world.login()).keeping(&kept),
            "dbo.tidemark_watermark",
            "dbo.leaves_open",
        )
    };
    let none = store().stored(&key).await.unwrap();
    let one = Watermark::new("int".parse().unwrap(), "1").unwrap();
    store().advance(&key, &none, &one).await.unwrap_err();
    store().stored(&key).await.unwrap();
    assert_eq!(logins(&world), 2);
    // Nobody holds the row, and what was not committed is undone.
    world.execute("SET LOCK_TIMEOUT 2000; update t set v = 8 where v = 1");
    assert_eq!(number(&world, "SELECT MAX(v) FROM t"), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_invocations_at_once_have_a_connection_each_and_leave_one() {
    let (world, kept) = (world().await, KeptConnection::default());
    let table: ObjectName = "t".parse().unwrap();
    for logins_after in [2, 3] {
        let servers = [(); 2].map(|()| Server::new(world.login()).keeping(&kept));
        let [one, other] = &servers;
        let (one, other) = tokio::join!(one.columns(&table, None), other.columns(&table, None));
        assert_eq!((one.unwrap().len(), other.unwrap().len()), (1, 1));
        assert_eq!(logins(&world), logins_after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_given_up_leaves_nothing() {
    let (world, kept) = (world().await, KeptConnection::default());
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let table: ObjectName = "t".parse().unwrap();
    let server = || Server::new(world.login_at(proxy.address())).keeping(&kept);
    server().columns(&table, None).await.unwrap();
    let given_up = server();
    given_up.columns(&table, None).await.unwrap();
    proxy.order(Way::Answers, 0, Disturbance::Stall);
    let limit = Duration::from_millis(300);
    tokio::time::timeout(limit, given_up.columns(&table, None))
        .await
        .unwrap_err();
    drop(given_up);
    assert_eq!(logins(&world), 1);
    server().columns(&table, None).await.unwrap();
    assert_eq!(logins(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_the_watermark_that_breaks_is_not_repeated() {
    let (world, process) = (world().await, Process::default());
    process.run(&world, &spec()).await;
    world.execute("insert t values (4)");
    let before = logins(&world);
    fault(&world, "EXEC [dbo].[tidemark_write_watermark]", Action::Disconnect, 1);
    let error = process.run_at(&world, &world.login(), &spec()).await.unwrap_err();
    // A second call would not have met the fault, and gone well.
    assert_eq!(error.code(), ErrorCode::WatermarkStoreUnavailable, "{}", error.report());
    assert_eq!(logins(&world) - before, 1, "to see what was written");
    assert_eq!(process.run(&world, &spec()).await.committed[0].rows, 1);
    assert_eq!(logins(&world) - before, 1);
    let stored = shipped_control_table(Server::new(world.login()));
    let stored = stored.stored(&spec().watermark_key()).await.unwrap();
    assert_eq!(stored.value.as_deref(), Some("4"));
}

/// The error a run or its only table ends with.
fn ended(run: Result<Outcome, Error>) -> Result<(), ErrorCode> {
    let outcome = run.map_err(|error| error.code())?;
    let named = |name: &str| ErrorCode::ALL.into_iter().find(|code| code.name() == name).unwrap();
    outcome
        .failed
        .first()
        .map_or(Ok(()), |failed| Err(named(&failed.error)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_run_that_is_cut_at_any_byte_ends_exact() {
    let world = world().await;
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let (login, process) = (world.login_at(proxy.address()), Process::default());
    let run = async || process.run_at(&world, &login, &spec()).await;
    run().await.unwrap();
    world.execute("insert t values (4)");
    let before = [Way::Requests, Way::Answers].map(|way| proxy.passed(way));
    run().await.unwrap();
    let passed = [Way::Requests, Way::Answers].map(|way| proxy.passed(way));
    let (mut v, mut failed) = (4, 0);
    for (way, total) in [
        (Way::Requests, passed[0] - before[0]),
        (Way::Answers, passed[1] - before[1]),
    ] {
        for place in 0..PLACES {
            v += 1;
            world.execute(&format!("insert t values ({v})"));
            proxy.order(way, total * place / PLACES, Disturbance::Cut);
            let mut tries = 0;
            while let Err(code) = ended(run().await) {
                assert!(code.is_retryable(), "{way:?} {place}: {code}");
                tries += 1;
                assert!(tries < 3, "{way:?} {place}: the next runs do not get through");
            }
            failed += u32::from(tries > 0);
            let stored = shipped_control_table(Server::new(world.login()));
            let stored = stored.stored(&spec().watermark_key()).await.unwrap();
            assert_eq!(stored.value, Some(v.to_string()), "{way:?} {place}");
        }
    }
    assert!(
        failed > 0 && failed < 2 * u32::try_from(PLACES).unwrap(),
        "{failed} failed runs"
    );
    let mut expected: Vec<_> = (1..=v).map(|v| v.to_string()).collect();
    expected.sort();
    assert_eq!(world.lines("dbo.t"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_rotated_is_read_again_once() {
    let world = world().await;
    let login = world.login();
    let secret = |password: &str| {
        let Login {
            host,
            port,
            username,
            database,
            ..
        } = &login;
        json!({ "host": host, "port": port, "username": username, "password": password, "dbname": database })
    };
    let config = ServerConfig {
        secret_arn: "source".into(),
        tls: Tls::Trust,
    };
    let (kept, kept_rows) = (KeptConnection::default(), KeptClient::default());
    let secrets = &world.s3.aws().secrets;
    let table: ObjectName = "t".parse().unwrap();
    let shape = Shape::new(&[int("a")], &Format::default(), Timestamps::Us).unwrap();
    let query = Query {
        sql: "SELECT 1 AS [a]".into(),
        parameters: Vec::new(),
    };
    let probe = async || {
        let server = Server::new(secrets.credential(&config).await.unwrap()).keeping(&kept);
        server.columns(&table, None).await.map(drop)
    };
    let read = async || {
        let mut rows = MssqlRows::new(secrets.credential(&config).await.unwrap()).keeping(&kept_rows);
        rows.read(&query, &shape, &mut Rows(0)).await.map(drop)
    };

    world.s3.keep_secret(secret("old").to_string());
    // Just read, so it is not read again; from then on it is remembered, and read again once for each invocation.
    assert_eq!(probe().await.unwrap_err().code(), ErrorCode::SourceRejected);
    assert_eq!((world.s3.secrets_read(), logins(&world)), (1, 1));
    assert_eq!(probe().await.unwrap_err().code(), ErrorCode::SourceRejected);
    assert_eq!(read().await.unwrap_err().code(), ErrorCode::SourceRejected);
    assert_eq!(
        (world.s3.secrets_read(), logins(&world)),
        (3, 3),
        "what was refused is not tried again"
    );

    world.s3.keep_secret(secret(&login.password).to_string());
    probe().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 5));
    read().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 6));
    for _ in 0..3 {
        probe().await.unwrap();
        read().await.unwrap();
    }
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 6));

    // The session outlives its password until the new one is known.
    world.s3.keep_secret(secret("next").to_string());
    probe().await.unwrap();
    assert_eq!((world.s3.secrets_read(), logins(&world)), (4, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_with_the_password_of_today() {
    let world = world().await;
    let Login {
        host,
        port,
        username,
        password,
        database,
        ..
    } = world.login();
    let secret = |password: &str| {
        json!({ "host": host, "port": port, "username": username, "password": password, "dbname": database })
            .to_string()
    };
    let config = ServerConfig {
        secret_arn: "source".into(),
        tls: Tls::Trust,
    };
    let secrets = &world.s3.aws().secrets;
    world.s3.keep_secret(secret("old"));
    secrets.credential(&config).await.unwrap();
    world.s3.keep_secret(secret(&password));
    let mut rows = MssqlRows::new(secrets.credential(&config).await.unwrap());
    let shape = Shape::new(&[int("a")], &Format::default(), Timestamps::Us).unwrap();
    let query = Query {
        sql: "SELECT 1 AS [a]".into(),
        parameters: Vec::new(),
    };
    assert_eq!(rows.read(&query, &shape, &mut Rows(0)).await.unwrap(), 1);
    assert_eq!((world.s3.secrets_read(), logins(&world)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_are_merged_one_after_another_over_one_connection() {
    let world = World::new("create table t (id int primary key, at int)").await;
    let kept = KeptConnection::default();
    let shape = Shape::exact(&[int("id"), int("at")]).unwrap();
    let sink: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let (table, at): (ObjectName, _) = ("t".parse().unwrap(), Identifier::new("at").unwrap());
    let slice = SliceToMerge {
        source: &table,
        sink: &sink,
        shape: &shape,
        newest: Newest::Watermark(&at),
    };
    let staged = async |id: i32| -> Result<StagedSlice, Error> {
        let columns = [id, id].map(|value| Arc::new(Int32Array::from(vec![value])) as ArrayRef);
        let batch = RecordBatch::try_new(shape.schema().clone(), columns.to_vec()).unwrap();
        let server = SinkServer::new(world.login()).keeping(&kept);
        let mut staged = server.stage(&slice).await?;
        staged.load(&batch).await?;
        Ok(staged)
    };
    for id in 0..3 {
        let mut slice = staged(id).await.unwrap();
        slice.lock().await.unwrap();
        assert_eq!(slice.merge().await.unwrap().inserted, 1);
        slice.release().await;
    }
    // One without the lock, as for a slice that has no rows.
    staged(3).await.unwrap().release().await;
    assert_eq!(logins(&world), 1);
    assert_eq!(number(&world, "SELECT COUNT(*) FROM t"), 3);

    // The lock went with the release: the next one does not wait for it, over whichever connection.
    let mut holder = staged(4).await.unwrap();
    holder.lock().await.unwrap();
    let mut waiter = staged(5).await.unwrap();
    assert_eq!(logins(&world), 2);
    holder.release().await;
    let granted = tokio::time::timeout(Duration::from_secs(5), waiter.lock()).await;
    granted.unwrap().unwrap();
    assert_eq!(waiter.merge().await.unwrap().inserted, 1);

    // Dropped, it leaves neither lock nor rows nor connection; nor does one that failed.
    drop(waiter);
    fault(
        &world,
        "INSERT INTO [dbo].[t]",
        Action::Error(SqlError::new(547, "Conflict.")),
        1,
    );
    let mut failed = staged(6).await.unwrap();
    assert_eq!(logins(&world), 2, "the released one");
    failed.lock().await.unwrap();
    failed.merge().await.unwrap_err();
    drop(failed);
    let mut last = staged(6).await.unwrap();
    assert_eq!(logins(&world), 3);
    last.lock().await.unwrap();
    assert_eq!(last.merge().await.unwrap().inserted, 1);
    last.release().await;
    assert_eq!(number(&world, "SELECT COUNT(*) FROM t"), 5);
}

//! What an invocation leaves to the next one, and what it does not.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::watermark::Watermark;
use tidemark::ports::sink_table::{MergeRows, Newest, SliceToMerge, StagedRows};
use tidemark::ports::watermarks::{MoveWatermarks, ReadWatermarks};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{KeptConnection, Server};
use tidemark_sqlserver::sink::SinkServer;
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::stand_in::{control_table, shipped_control_table};

use crate::process::{Process, columns, fault, int, int_type, logins, number, read, spec, table, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_leaves_no_connection_to_the_next_invocation() {
    let world = world().await;
    let process = Process::default();
    let (login, specs) = (world.login(), [spec()]);
    let plan = process.invoke(&world, &login, async |pipeline| pipeline.plan("r", &specs).await);
    let planned = plan.await.unwrap();
    let [window] = planned.windows.as_slice() else {
        panic!("{planned:?}")
    };
    let window = WindowOfRun::from(window);
    let copy = async || {
        process
            .invoke(&world, &login, async |pipeline| {
                pipeline.copy_slice("r", &window, 0).await
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

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_as_after_a_login_when_it_is_used_again() {
    let (world, kept) = (world().await, KeptConnection::default());
    // A lock of the session outlives a statement, and a procedure may leave one.
    let lock = "DECLARE @a int; EXEC @a = sp_getapplock @Resource = N'r', @LockMode = N'Exclusive', \
                @LockOwner = N'Session', @LockTimeout = 0";
    world.execute("create type numbers as table (v int)");
    world.execute(&format!("create procedure locks @t numbers readonly as {lock}"));
    let sink = json!({ "secret_arn": "sink", "procedure": "locks", "table_type": "numbers" });
    let sink: SqlServerSink = serde_json::from_value(sink).unwrap();
    let slice = SliceToMerge {
        source: &table(),
        sink: &sink,
        columns: &[int("v")],
        newest: Newest::Watermark(&Identifier::new("v").unwrap()),
    };
    let mut staged = SinkServer::new(world.login())
        .keeping(&kept)
        .stage(&slice)
        .await
        .unwrap();
    let rows = [("v", Arc::new(Int32Array::from(vec![1])) as ArrayRef)];
    staged.load(RecordBatch::try_from_iter(rows).unwrap()).await.unwrap();
    staged.merge().await.unwrap();
    staged.release().await;
    let granted = || number(&world, &format!("{lock}; SELECT @a AS [a]"));
    assert_eq!(granted(), -1, "the kept session holds it");

    let mut reader = RowReader::new(world.login()).keeping(&kept);
    assert_eq!(read(&mut reader).await.unwrap(), 3);
    assert_eq!(logins(&world), 1);
    assert_eq!(granted(), 0, "it was reset before the next statement");
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
    let one = Watermark::new(int_type(), "1").unwrap();
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
    for logins_after in [2, 3] {
        let servers = [(); 2].map(|()| Server::new(world.login()).keeping(&kept));
        let [one, other] = &servers;
        let (one, other) = tokio::join!(columns(one), columns(other));
        assert_eq!((one.unwrap().len(), other.unwrap().len()), (1, 1));
        assert_eq!(logins(&world), logins_after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_given_up_leaves_nothing() {
    let (world, kept) = (world().await, KeptConnection::default());
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let server = || Server::new(world.login_at(proxy.address())).keeping(&kept);
    columns(&server()).await.unwrap();
    let given_up = server();
    columns(&given_up).await.unwrap();
    proxy.order(Way::Answers, 0, Disturbance::Stall);
    let limit = Duration::from_millis(300);
    tokio::time::timeout(limit, columns(&given_up)).await.unwrap_err();
    drop(given_up);
    assert_eq!(logins(&world), 1);
    columns(&server()).await.unwrap();
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
    // A second call would not have met the fault, and would have succeeded.
    assert_eq!(error.code(), ErrorCode::WatermarkStoreUnavailable, "{}", error.report());
    assert_eq!(logins(&world) - before, 1, "to see what was written");
    assert_eq!(process.run(&world, &spec()).await.committed[0].rows, 1);
    assert_eq!(logins(&world) - before, 1);
    let stored = shipped_control_table(Server::new(world.login()));
    let stored = stored.stored(&spec().watermark_key()).await.unwrap();
    assert_eq!(stored.value.as_deref(), Some("4"));
}

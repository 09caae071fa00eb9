//! A warm function uses its connections to SQL Server again: which are used again, and which are not.

use std::time::{Duration, Instant};

use serde_json::json;
use tidemark::error::{ErrorCode, Role};
use tidemark::model::table::TableSpec;
use tidemark_sandbox::{Action, SqlError};
use tidemark_sqlserver::session::{Server, Timeouts};
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::stand_in::{CONTROL_TABLE, World};

use crate::process::{CONNECTIONS, PROBE, Process, columns, fault, logins, spec, world};

/// How long a kept connection has to answer, in the sessions of `tidemark-sqlserver`.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

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
        // There is one silence for each connection, and none is as long as a statement may take.
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
        columns(&server.keeping(&process.source)).await
    };
    proxy.order(Way::Requests, 0, Disturbance::Silence);
    let begun = Instant::now();
    let error = ask().await.unwrap_err().of(Role::Source);
    assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    assert!(begun.elapsed() < PROBE_TIMEOUT + Duration::from_secs(3));
    proxy.clear();
    assert_eq!(ask().await.unwrap().len(), 1);

    // While the server fails over, its own error counts, whether or not a connection was kept.
    let moved = || Action::Error(SqlError::new(40613, "Database is not currently available."));
    fault(&world, PROBE, moved(), 1);
    fault(&world, "LOGIN", moved(), 1);
    let error = ask().await.unwrap_err().of(Role::Source);
    assert_eq!(error.code(), ErrorCode::SourceUnavailable);
    assert!(error.report().contains("40613"), "{}", error.report());
    assert_eq!(ask().await.unwrap().len(), 1);
}

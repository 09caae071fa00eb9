//! Statements that nobody waits for any longer do not run on: the server is told, with either driver. Where the connection is
//! only closed, the stand-in goes on, as the server does for as long as it has nothing to send.

use std::time::Duration;

use tidemark::error::{Answer, Fault};
use tidemark::model::names::Identifier;
use tidemark::model::rows::{Closed, Interval, Rows};
use tidemark::model::watermark::Watermark;
use tidemark::ports::source::CountRows;
use tidemark_sandbox::OpenSession;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{Server, Timeouts};
use tidemark_tests::stand_in::World;

use crate::process::{int_type, read, table, world};

/// Limits that a statement which waits for a lock exceeds.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    silence: Duration::from_millis(200),
};

/// Starts a server on which everybody who reads `t` waits for the session that is returned.
async fn locked() -> (World, OpenSession) {
    let world = world().await;
    world.execute("alter database current set read_committed_snapshot off");
    let mut session = world.sandbox.session().unwrap();
    session.execute("begin transaction; update t set v = v + 10").unwrap();
    (world, session)
}

async fn count(server: &Server) -> Answer<u64> {
    let greatest = Watermark::new(int_type(), i32::MAX.to_string()).unwrap();
    let rows = Rows::Interval(Interval {
        table: &table(),
        column: &Identifier::new("v").unwrap(),
        old: None,
        new: &greatest,
        closed: Closed::default(),
        with_nulls: false,
        key: None,
        filter: None,
    });
    server.count(&rows).await
}

/// Returns whether as many requests are running within a second.
async fn are_running(world: &World, requests: usize) -> bool {
    for _ in 0..100 {
        if world.sandbox.running() == requests {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_no_longer_runs() {
    let (world, _lock) = locked().await;
    let server = Server::new(world.login()).with_timeouts(SHORT);
    let failure = count(&server).await.unwrap_err();
    assert_eq!(failure.fault(), Fault::TimedOut, "{failure}");
    assert!(failure.to_string().contains("it may wait for a lock"), "{failure}");
    assert!(are_running(&world, 0).await, "tiberius");

    let mut reader = RowReader::new(world.login()).with_timeouts(SHORT);
    read(&mut reader).await.unwrap_err();
    assert!(are_running(&world, 0).await, "mssql-tds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_future_is_dropped_no_longer_runs() {
    let (world, _lock) = locked().await;
    let server = Server::new(world.login());
    {
        let mut waits = Box::pin(count(&server));
        tokio::select! {
            counted = &mut waits => panic!("{counted:?}"),
            waits = are_running(&world, 1) => assert!(waits),
        }
    }
    assert!(are_running(&world, 0).await, "tiberius");

    let mut reader = RowReader::new(world.login());
    {
        let mut waits = Box::pin(read(&mut reader));
        tokio::select! {
            rows = &mut waits => panic!("{rows:?}"),
            waits = are_running(&world, 1) => assert!(waits),
        }
    }
    assert!(are_running(&world, 0).await, "mssql-tds");
}

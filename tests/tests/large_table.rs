//! The replaying server's large table: the pace at which it sends rows to a connection, and what it counts.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use serde_json::json;
use tidemark::ledger::{Place, Pointers};
use tidemark::ports::sink_table::NoSinks;
use tidemark::testing::MemoryStore;
use tidemark::testing::pipeline::Pipeline;
use tidemark_files::encoder::Files;
use tidemark_replay::certificate::Certificate;
use tidemark_replay::drain::{Address, Drain};
use tidemark_replay::large_table::{LargeTable, SlowKeys};
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tables;
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;

const ALL: &str = "SELECT [id] FROM [dbo].[large]";

fn connect(server: &Replay) -> Drain {
    Drain::connect(Address {
        host: "127.0.0.1",
        port: server.port(),
        username: "reader",
        password: "replay",
        database: "db",
    })
    .unwrap()
}

/// Returns the time that a connection takes to receive all rows.
fn received(server: &Replay) -> Duration {
    let mut drain = connect(server);
    let begun = Instant::now();
    drain.run(ALL).unwrap();
    begun.elapsed()
}

fn table() -> LargeTable {
    LargeTable::new(&tables::narrow(), 1_000)
}

#[test]
fn a_connection_gets_no_more_rows_in_a_second_than_the_pace() {
    let server = Replay::start(Answer::Table(table().at_most(5_000)));
    assert!(received(&server) >= Duration::from_millis(200));
}

#[test]
fn rows_that_are_read_slowly_have_a_pace_of_their_own() {
    let slow = SlowKeys {
        keys: 1_000..1_001,
        rows_per_s: 5_000,
    };
    let server = Replay::start(Answer::Table(table().at_most(1_000_000).with_slow(slow)));
    assert!(received(&server) >= Duration::from_millis(200));
}

#[test]
fn connections_and_statements_are_counted() {
    let server = Replay::start(Answer::Table(table()));
    let (mut one, mut other) = (connect(&server), connect(&server));
    one.run(ALL).unwrap();
    one.run("SELECT COUNT_BIG(*) FROM [dbo].[large]").unwrap();
    other.run(ALL).unwrap();
    assert_eq!((server.connections(), server.statements()), (2, 3));
}

/// A statement that the server does not know any more, or answers in another form than is asked for, fails here and not in
/// a benchmark that nobody runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_of_it_is_cut_copied_and_counted_again() {
    let server = Certificate::new().unwrap().serve(Answer::Table(table()));
    let login = Login::new("127.0.0.1", server.port(), "reader", "replay", "db").with_tls(Tls::Trust);
    let (source, store) = (Server::new(login.clone()), MemoryStore::default());
    let watermarks = Pointers::new(Place::new(&store, "p"));
    let place = Place::new(&store, "p");
    let mut pipeline = Pipeline::new(
        &source,
        RowReader::new(login),
        &watermarks,
        place,
        Files,
        NoSinks::default(),
    );
    let tracking = json!({ "watermark": { "column": "id", "settle_seconds": 0 } });
    let spec = json!({ "table": "dbo.large", "tracking": tracking, "slice_rows": 100 });
    let outcome = Box::pin(pipeline.run("load", &[serde_json::from_value(spec).unwrap()]))
        .await
        .unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let [committed] = &outcome.committed[..] else {
        unreachable!("{:?}", outcome.committed);
    };
    assert_eq!(
        (committed.rows, committed.objects, committed.late_rows),
        (1_000, 10, Some(0))
    );
}

//! The network between the steps and SQL Server is cut, delayed and silent at any byte, and every run ends with the
//! exact outcome.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use futures::stream::{self, StreamExt};
use tidemark::error::{ErrorCode, Fault};
use tidemark::ledger::Place;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::table::{Clock, TableSpec};
use tidemark::model::types::TypeName;
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::source::{ProbeSource, WatermarkColumn};
use tidemark::testing::pipeline::Pipeline;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{Server, Timeouts};
use tidemark_tests::end_state::EndState;
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// The number of places at which a run is disturbed, unless `PROPTEST_CASES` says otherwise.
const CUTS: u64 = 32;
/// The number of disturbed runs at once.
const AT_ONCE: usize = 4;
/// More executions than a single disturbance can need.
const RUNS: usize = 3;

/// The timeouts are short, because the disturbed server is on this machine.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    silence: Duration::from_millis(500),
};

fn cuts() -> u64 {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    cases.unwrap_or(CUTS)
}

/// Makes a table whose rows take a few packets.
async fn world() -> World {
    let world = World::new(&format!(
        "{CONTROL_TABLE}\nGO\ncreate table t (v int not null, body varchar(200))"
    ))
    .await;
    for hundred in 0..12 {
        let rows: Vec<_> = (1..=100)
            .map(|n| hundred * 100 + n)
            .map(|v: u32| format!("({v}, 'row {v} {}')", "x".repeat((v % 90) as usize)))
            .collect();
        world.execute(&format!("insert into t values {}", rows.join(",")));
    }
    world
}

/// A run with a prefix and a row in the control table of its own, so that it is independent of all others.
struct Case<'a> {
    world: &'a World,
    name: String,
}

impl Case<'_> {
    fn spec(&self) -> TableSpec {
        serde_json::from_value(serde_json::json!({
            "table": "t", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } },
            "format": { "csv": { "header": false } }, "watermark_name": self.name,
        }))
        .unwrap()
    }

    /// Runs one execution over connections through `login`. Returns the name of the error that it or its table fails
    /// with.
    async fn run(&self, login: &Login) -> Result<(), ErrorCode> {
        let server = || Server::new(login.clone()).with_timeouts(TIMEOUTS);
        let (source, watermarks) = (server(), shipped_control_table(server()));
        let store = self.world.s3.store();
        let mut pipeline = Pipeline::new(
            &source,
            RowReader::new(login.clone()).with_timeouts(TIMEOUTS),
            &watermarks,
            Place::new(&store, &self.name),
            Files,
            NoSinks::default(),
        );
        let outcome = Box::pin(pipeline.run(&self.name, &[self.spec()])).await;
        let outcome = outcome.map_err(|error| error.code())?;
        outcome.failed.first().map_or(Ok(()), |failed| Err(failed.error))
    }

    async fn end_state(&self) -> EndState {
        let pointer = shipped_control_table(Server::new(self.world.login()));
        let (key, first) = (self.spec().watermark_key(), WindowName::initial());
        EndState::of(&self.world.s3, &self.name, &key, &pointer, &first)
            .await
            .unwrap()
    }
}

/// Returns the end of an undisturbed run, and the bytes that passed in it.
async fn undisturbed(world: &World) -> (EndState, [u64; 2]) {
    let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
    let case = Case {
        world,
        name: "undisturbed".into(),
    };
    case.run(&world.login_at(proxy.address())).await.unwrap();
    let end = case.end_state().await;
    assert_eq!((end.windows.len(), end.windows[0].parts[0].1), (1, 1200));
    (end, [Way::Requests, Way::Answers].map(|way| proxy.passed(way)))
}

/// Returns places spread over `total` bytes, each somewhere in its share of them.
fn places(total: u64) -> impl Iterator<Item = u64> {
    let share = (total / cuts()).max(1);
    // Any sequence will do that does not keep in step with packets.
    (0..cuts()).map(move |number| number * share + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % share)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_any_byte_is_tried_again_and_ends_exact() {
    let world = &world().await;
    let (expected, [requests, answers]) = undisturbed(world).await;
    let expected = &expected;
    let disturbances = places(answers)
        .map(|at| (Way::Answers, at, Disturbance::Cut))
        .chain(
            places(requests)
                .step_by(2)
                .map(|at| (Way::Requests, at, Disturbance::Cut)),
        )
        .chain(
            places(answers)
                .step_by(8)
                .map(|at| (Way::Answers, at, Disturbance::Delay(Duration::from_millis(100)))),
        );
    let met = stream::iter(disturbances)
        .map(async |(way, at, disturbance)| {
            let case = Case {
                world,
                name: format!("{way:?}-{at}-{disturbance:?}"),
            };
            let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
            proxy.order(way, at, disturbance);
            let login = world.login_at(proxy.address());
            let mut failed = 0;
            while let Err(code) = case.run(&login).await {
                // An error that the state machine does not retry would end the run for a cut network cable.
                assert!(code.is_retryable(), "{}: {code}", case.name);
                failed += 1;
                assert!(failed < RUNS, "{}: the next runs do not get through", case.name);
            }
            assert_eq!(&case.end_state().await, expected, "{}", case.name);
            (u64::from(proxy.has_happened()), u64::from(failed > 0), disturbance)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let of_cuts = met.iter().filter(|(.., disturbance)| *disturbance == Disturbance::Cut);
    let (happened, failed) = of_cuts.fold((0, 0), |sum, (happened, failed, _)| (sum.0 + happened, sum.1 + failed));
    // A run needs a few bytes less than another now and then, and some cuts are recovered within it.
    assert!(
        happened > cuts() && failed > cuts() / 2,
        "{happened} cuts, {failed} failed runs"
    );
    let delayed = met.iter().filter(|(.., disturbance)| *disturbance != Disturbance::Cut);
    assert!(delayed.clone().count() > 0 && delayed.clone().all(|(_, failed, _)| *failed == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_at_any_byte_ends_the_run_in_time_and_by_name() {
    let world = &world().await;
    let (expected, [_, answers]) = undisturbed(world).await;
    let expected = &expected;
    stream::iter(places(answers).step_by(3))
        .map(async |at| {
            let case = Case {
                world,
                name: format!("silent-{at}"),
            };
            let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
            proxy.order(Way::Answers, at, Disturbance::Silence);
            let login = world.login_at(proxy.address());
            let met = tokio::time::timeout(10 * TIMEOUTS.silence, case.run(&login)).await;
            let met = met.unwrap_or_else(|_| panic!("{} does not end", case.name));
            if proxy.has_happened() {
                let expected = [ErrorCode::SourceUnavailable, ErrorCode::WatermarkStoreUnavailable];
                // A count of late rows that gets no answer does not stop a commit.
                assert!(
                    met.is_err_and(|code| expected.contains(&code)) || met.is_ok(),
                    "{}: {met:?}",
                    case.name
                );
            }
            proxy.clear();
            assert_eq!(case.run(&login).await, Ok(()), "{}", case.name);
            assert_eq!(&case.end_state().await, expected, "{}", case.name);
        })
        .buffer_unordered(2 * AT_ONCE)
        .collect::<()>()
        .await;
}

#[tokio::test]
async fn a_statement_that_is_not_answered_is_told_from_a_server_that_is_gone() {
    let world = world().await;
    let (table, name): (ObjectName, _) = ("t".parse().unwrap(), Identifier::new("v").unwrap());
    let sql_type = TypeName::new("int").unwrap();
    let column = WatermarkColumn {
        table: &table,
        name: &name,
        sql_type: &sql_type,
        nullable: false,
        clock: Clock::Utc,
        filter: None,
    };
    for (disturbance, expected) in [
        (Disturbance::Stall, Fault::TimedOut),
        (Disturbance::Silence, Fault::Unreachable),
        (Disturbance::Cut, Fault::Unreachable),
    ] {
        let proxy = Proxy::start(world.sandbox.addr()).await.unwrap();
        let source = Server::new(world.login_at(proxy.address())).with_timeouts(TIMEOUTS);
        source.growth(&column, None).await.unwrap();
        proxy.order(Way::Answers, 0, disturbance);
        let failure = source.growth(&column, None).await.unwrap_err();
        assert_eq!(failure.fault(), expected, "{disturbance:?}: {failure}");
        proxy.clear();
        if disturbance == Disturbance::Silence {
            // A server that could not be reached is not tried again for a second.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        source.growth(&column, None).await.unwrap();
    }
}

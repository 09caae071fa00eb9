//! Connections that break at any byte of a warm run.

use tidemark::error::{Error, ErrorCode};
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::testing::pipeline::RunOutcome;
use tidemark_sqlserver::session::Server;
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::stand_in::shipped_control_table;

use crate::process::{Process, spec, world};

/// The number of places in what passes each way at which a warm run is cut.
const PLACES: u64 = 12;

/// Returns the error that a run or its only table ends with.
fn ended(run: Result<RunOutcome, Error>) -> Result<(), ErrorCode> {
    let outcome = run.map_err(|error| error.code())?;
    outcome.failed.first().map_or(Ok(()), |failed| Err(failed.error))
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

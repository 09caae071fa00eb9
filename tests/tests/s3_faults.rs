//! S3 is busy, broken, cut and silent at any request and any byte, and every run ends with the exact outcome.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_types::sdk_config;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tidemark::error::ErrorCode;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::table::TableSpec;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::Watermark;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::{CreateObjects, Created};
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::watermarks::{MoveWatermarks, ReadWatermarks};
use tidemark::testing::pipeline::Pipeline;
use tidemark_aws::bucket::S3Store;
use tidemark_aws::clients::Aws;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::end_state::EndState;
use tidemark_tests::proxy::{Disturbance, Proxy, Way};
use tidemark_tests::s3_faults::S3Fault;
use tidemark_tests::s3_server::{BUCKET, S3Server, config_at};
use tidemark_tests::stand_in::World;

/// The number of places at which an upload is cut, unless `PROPTEST_CASES` says otherwise.
const CUTS: u64 = 8;
/// The number of disturbed runs at once.
const AT_ONCE: usize = 4;
/// More executions than a single disturbance can need.
const RUNS: usize = 3;
/// How often a client tries.
const ATTEMPTS: usize = 3;
/// The read timeout, which is long enough for any request to a server on this machine.
const READ_TIMEOUT: Duration = Duration::from_millis(700);
const PREFIX: &str = "lake/raw";

/// Returns how many cases a long test tries, when `PROPTEST_CASES` asks for one.
fn soak() -> Option<u64> {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
}

/// Makes a small table, and one that takes an upload of two pieces.
async fn world() -> World {
    World::new(
        "create table small (v int, n int); insert into small values (10, 1), (11, 2), (12, 3)\nGO\n\
         create table large (v int, body varchar(max))\nGO\n\
         insert into large values (9, ''), (11, ''), (12, '')\nGO\n\
         update large set body = replicate(cast('tidemark ' as varchar(max)), 333333)",
    )
    .await
}

/// Returns clients as deployed, except for their timeouts and waits, because a server on this machine needs less.
fn impatient(config: sdk_config::Builder) -> sdk_config::Builder {
    let timeouts = TimeoutConfig::builder().read_timeout(READ_TIMEOUT).build();
    let retries = RetryConfig::standard()
        .with_max_attempts(u32::try_from(ATTEMPTS).unwrap())
        .with_initial_backoff(Duration::from_millis(5));
    config.timeout_config(timeouts).retry_config(retries)
}

fn spec(table: &str) -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": table, "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } },
        "format": { "csv": { "header": false } },
    }))
    .unwrap()
}

/// Returns where the pointer stands before a run.
fn ten() -> Watermark {
    Watermark::new(TypeName::new("int").unwrap(), "10").unwrap()
}

/// A bucket in which the table's pointer stands at 10, so that moving it replaces an object.
struct Case<'a> {
    world: &'a World,
    s3: S3Server,
    table: &'a str,
}

impl<'a> Case<'a> {
    async fn new(world: &'a World, table: &'a str) -> Self {
        let s3 = S3Server::start_with(impatient).await.unwrap();
        let store = s3.store();
        let (pointers, key) = (Pointers::new(Place::new(&store, PREFIX)), spec(table).watermark_key());
        let none = pointers.stored(&key).await.unwrap();
        pointers.advance(&key, &none, &ten()).await.unwrap();
        Self { world, s3, table }
    }

    /// Runs one execution with this client. Returns the error that it or its table fails with.
    async fn run(&self, store: &S3Store) -> Result<(), ErrorCode> {
        let source = Server::new(self.world.login());
        let pointers = Pointers::new(Place::new(store, PREFIX));
        let mut pipeline = Pipeline::new(
            &source,
            RowReader::new(self.world.login()),
            &pointers,
            Place::new(store, PREFIX),
            Files,
            NoSinks::default(),
        );
        let outcome = Box::pin(pipeline.run("r", &[spec(self.table)])).await;
        let failed = outcome.map_err(|error| error.code())?.failed;
        assert!(failed.is_empty(), "{failed:?}");
        Ok(())
    }

    /// Runs until a run gets through. Returns how many did not.
    async fn runs(&self, name: &str, store: &S3Store) -> usize {
        let mut failed = 0;
        while let Err(code) = self.run(store).await {
            assert_eq!(code, ErrorCode::SinkUnavailable, "{name}");
            failed += 1;
            assert!(failed < RUNS, "{name}: the next runs do not get through");
        }
        failed
    }

    async fn end_state(&self) -> EndState {
        self.s3.faults().clear();
        let store = self.s3.store();
        let (pointers, key) = (
            Pointers::new(Place::new(&store, PREFIX)),
            spec(self.table).watermark_key(),
        );
        let first = WindowName::after(&ten());
        EndState::of(&self.s3, PREFIX, &key, &pointers, &first).await.unwrap()
    }
}

/// Returns the end of an undisturbed run, and the requests that it made.
async fn undisturbed(world: &World, table: &str) -> (EndState, Vec<String>) {
    let case = Case::new(world, table).await;
    let before = case.s3.faults().requests().len();
    case.run(&case.s3.store()).await.unwrap();
    let requests = case.s3.faults().requests();
    let end = case.end_state().await;
    assert_eq!(
        (end.windows.len(), end.windows[0].parts[0].1, end.watermark.as_deref()),
        (1, 2, Some("12"))
    );
    (end, requests[before..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_request_may_fail_once_or_until_the_client_gives_up() {
    let world = &world().await;
    let (expected, requests) = undisturbed(world, "small").await;
    let expected = &expected;
    assert!(requests.len() > 15, "{requests:#?}");
    // A long test tries every fault at every request. Otherwise each request meets the fault that matters most, and one
    // of the others in turn.
    let cases = (0..requests.len()).flat_map(|number| {
        let others = S3Fault::SHORT.into_iter().enumerate();
        let faults = others.filter(move |(turn, fault)| {
            soak().is_some() || *fault == S3Fault::CutAfter || number % S3Fault::SHORT.len() == *turn
        });
        faults.flat_map(move |(turn, fault)| {
            let once = soak().is_some() || number % 2 == turn % 2;
            let times = [once.then_some(1), Some(ATTEMPTS)];
            times.into_iter().flatten().map(move |times| (number, fault, times))
        })
    });
    let failed = stream::iter(cases)
        .map(async |(number, fault, times)| {
            let case = Case::new(world, "small").await;
            let name = format!("{fault:?} {times} times at request {number}");
            case.s3.faults().order(number, times, fault);
            let failed = case.runs(&name, &case.s3.store()).await;
            assert_eq!(&case.end_state().await, expected, "{name}");
            assert!(times > 1 || failed == 0, "{name}: the client tries again by itself");
            failed
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    // The run gets through where a request is tried several times, or where its failure is only a warning.
    assert!(failed.iter().sum::<usize>() > requests.len(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_at_any_byte_ends_exact() {
    let world = &world().await;
    let (expected, requests) = undisturbed(world, "large").await;
    let expected = &expected;
    let pieces = requests
        .iter()
        .filter(|request| request.contains("partNumber="))
        .count();
    assert_eq!(pieces, 2, "{requests:#?}");
    let cuts = soak().unwrap_or(CUTS);
    let share = expected.windows[0].parts[0].2 / cuts;
    let happened = stream::iter(0..cuts)
        .map(async |number| {
            let case = Case::new(world, "large").await;
            let proxy = Proxy::start(case.s3.address()).await.unwrap();
            let at = number * share + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % share;
            proxy.order(Way::Requests, at, Disturbance::Cut);
            let name = format!("cut after {at} bytes");
            let store = Aws::load(impatient(config_at(proxy.address()))).store(BUCKET);
            case.runs(&name, &store).await;
            assert_eq!(&case.end_state().await, expected, "{name}");
            u64::from(proxy.has_happened())
        })
        .buffer_unordered(2)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(happened.iter().sum::<u64>(), cuts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_ends_the_run_in_time_and_by_name() {
    let world = &world().await;
    let (expected, requests) = undisturbed(world, "small").await;
    let expected = &expected;
    stream::iter((0..requests.len()).step_by(2))
        .map(async |number| {
            let case = Case::new(world, "small").await;
            let name = format!("silent from request {number} on");
            case.s3.faults().order(number, usize::MAX, S3Fault::Silence);
            let store = case.s3.store();
            // Giving the upload up is a request of its own.
            let limit = READ_TIMEOUT * 2 * u32::try_from(ATTEMPTS).unwrap() + Duration::from_secs(2);
            let met = tokio::time::timeout(limit, case.run(&store)).await;
            assert_eq!(
                met.unwrap_or_else(|_| panic!("{name}: it does not end")),
                Err(ErrorCode::SinkUnavailable),
                "{name}"
            );
            case.s3.faults().clear();
            case.run(&store).await.unwrap();
            assert_eq!(&case.end_state().await, expected, "{name}");
        })
        .buffer_unordered(8 * AT_ONCE)
        .collect::<()>()
        .await;
}

#[tokio::test]
async fn the_client_as_deployed_tries_a_busy_bucket_three_times() {
    let s3 = S3Server::start().await.unwrap();
    let before = s3.faults().requests().len();
    s3.faults().order(0, 2, S3Fault::SlowDown);
    let created = s3.store().create("key", Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!((created, s3.faults().requests().len() - before), (Created::Created, 3));
    s3.faults().order(0, 3, S3Fault::SlowDown);
    let error = s3.store().create("other", Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkUnavailable);
    assert!(error.to_string().contains("SlowDown"), "{error}");
}

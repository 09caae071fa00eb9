//! A delta of ten rows, again and again in this process over a connection that is kept: what copying them takes beyond
//! receiving them.

use std::time::{Duration, Instant};

use copy_delta::{Request, Response};
use tidemark::adapters::mssql::MssqlRows;
use tidemark::config::Tls;
use tidemark::ledger::{Ledger, SliceId};
use tidemark::login::Login;
use tidemark::ports::objects::{CreateObjects, ReadObjects, StageObjects};
use tidemark::query::Query;
use tidemark::runner::RunContext;
use tidemark::testing::MemoryStore;
use tidemark_replay::drain::{Address, Drain};
use tidemark_replay::rows::Rows;
use tidemark_replay::tables;
use tidemark_tests::s3_server::S3Server;

use crate::source::{self, Certificate};
use crate::{Failure, copies, stages};

/// Rows of the delta.
const ROWS: u64 = 10;
/// How often it is copied.
const REPETITIONS: usize = 200;

/// Measures and prints.
pub async fn measure(certificate: &Certificate) -> Result<(), Failure> {
    let table = tables::mixed();
    let server = certificate.serve(Rows::new(&table, ROWS));
    let login = Login {
        tls: Tls::Trust,
        ..source::login(&server)
    };
    let drained = tokio::task::spawn_blocking({
        let login = login.clone();
        move || drain(&login)
    })
    .await??;
    let mut rows = MssqlRows::new(login);
    let columns = stages::columns(&table);
    let mut in_memory = Vec::new();
    for _ in 0..REPETITIONS {
        let store = MemoryStore::default();
        in_memory.push(copy(&mut rows, &store, "p", &columns).await?);
    }
    let s3 = S3Server::start().await?;
    let store = s3.store();
    let mut on_s3 = Vec::new();
    for repetition in 0..REPETITIONS {
        on_s3.push(copy(&mut rows, &store, &format!("p{repetition}"), &columns).await?);
    }
    let (in_memory, on_s3) = (median(in_memory), median(on_s3));
    println!("\nA delta of {ROWS} mixed rows over a kept connection, TLS, median of {REPETITIONS}");
    println!("  {:<46} {:>8.2} ms", "bare drain", drained * 1e3);
    println!(
        "  {:<46} {:>8.2} ms   {:+.2} ms beyond the drain",
        "copied into Parquet, store in memory",
        in_memory * 1e3,
        (in_memory - drained) * 1e3
    );
    println!(
        "  {:<46} {:>8.2} ms   {:+.2} ms for the requests to S3",
        "copied into Parquet, S3 server on this machine",
        on_s3 * 1e3,
        (on_s3 - in_memory) * 1e3
    );
    Ok(())
}

fn drain(login: &Login) -> Result<f64, Failure> {
    let mut drain = Drain::connect(Address {
        host: &login.host,
        port: login.port,
        username: &login.username,
        password: &login.password,
        database: &login.database,
    })?;
    let mut times = Vec::new();
    for _ in 0..REPETITIONS {
        let started = Instant::now();
        drain.run("SELECT 1")?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

/// One copy into a fresh ledger.
async fn copy<S>(
    rows: &mut MssqlRows,
    store: &S,
    prefix: &str,
    columns: &serde_json::Value,
) -> Result<Duration, Failure>
where
    S: ReadObjects + CreateObjects + StageObjects,
{
    let query = Query {
        sql: "SELECT 1".to_owned(),
        parameters: Vec::new(),
    };
    let plan = copies::plan(columns, &serde_json::json!({}), &query)?;
    let (table, window) = (plan.table.clone(), plan.window.clone());
    Ledger::new(store, prefix, &table).freeze(plan).await?;
    let request = Request {
        run_id: "bench".to_owned(),
        table,
        window,
        slice: SliceId::planned(0),
        dry_run: false,
    };
    let started = Instant::now();
    let copying = copy_delta::handle(rows, &(), store, prefix, 8 << 20, request, RunContext::unbounded());
    match Box::pin(copying).await? {
        Response::Copied { rows: ROWS, .. } => Ok(started.elapsed()),
        other => Err(format!("not {ROWS} rows: {other:?}").into()),
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

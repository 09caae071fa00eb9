//! A delta of ten rows, copied repeatedly in this process over a connection that is kept: what copying takes beyond
//! receiving the rows.

use std::time::{Duration, Instant};

use serde_json::json;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::slice_id::SliceId;
use tidemark::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use tidemark::ports::sink_table::NoSinks;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopiedSlice, CopyAnswer, CopyPorts, CopyRequest, copy};
use tidemark::testing::MemoryStore;
use tidemark_bench::bare_drain;
use tidemark_files::encoder::Files;
use tidemark_replay::certificate::Certificate;
use tidemark_replay::rows::Rows;
use tidemark_replay::server::Answer;
use tidemark_replay::tables::{self, Table};
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::RowReader;
use tidemark_tests::s3_server::S3Server;

use crate::source;
use crate::{Failure, copies};

/// The rows of the delta.
const ROWS: u64 = 10;
/// How often it is copied.
const REPETITIONS: usize = 200;

/// Measures and prints.
pub async fn measure(certificate: &Certificate) -> Result<(), Failure> {
    let table = tables::mixed();
    let server = certificate.serve(Answer::Rows(Rows::new(&table, ROWS)));
    let login = Login {
        tls: Tls::Trust,
        ..source::login(&server)
    };
    let drained = tokio::task::spawn_blocking({
        let login = login.clone();
        move || drain(&login)
    })
    .await??;
    let mut reader = RowReader::new(login);
    let mut in_memory = Vec::new();
    for _ in 0..REPETITIONS {
        let store = MemoryStore::default();
        in_memory.push(copied(&mut reader, &store, "p", &table).await?);
    }
    let s3 = S3Server::start().await?;
    let store = s3.store();
    let mut on_s3 = Vec::new();
    for repetition in 0..REPETITIONS {
        on_s3.push(copied(&mut reader, &store, &format!("p{repetition}"), &table).await?);
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
    let mut drain = bare_drain::connect(login)?;
    let mut times = Vec::new();
    for _ in 0..REPETITIONS {
        let started = Instant::now();
        drain.run("SELECT 1")?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

/// Does one copy into a fresh ledger, and returns the time that it took.
async fn copied<S>(reader: &mut RowReader, store: &S, prefix: &str, table: &Table) -> Result<Duration, Failure>
where
    S: ReadObjects + CreateObjects + ReplaceObjects + UploadObjects,
{
    let spec = copies::spec(copies::TABLE, &json!({}))?;
    let plan = copies::plan(&spec, table)?;
    let window = plan.window.clone();
    Ledger::new(Place::new(store, prefix), &spec.table).freeze(plan).await?;
    let request = CopyRequest {
        run_id: "bench".to_owned(),
        settings: spec.run_settings(),
        table: spec.table,
        window,
        slice: SliceId::planned(0),
        dry_run: false,
    };
    let ports = CopyPorts {
        reader,
        files: &Files,
        sinks: &NoSinks::default(),
        place: Place::new(store, prefix),
        part_bytes: 8 << 20,
    };
    let started = Instant::now();
    match Box::pin(copy(ports, request, RunContext::unbounded())).await? {
        CopyAnswer::Copied(CopiedSlice { rows: ROWS, .. }) => Ok(started.elapsed()),
        other => Err(format!("not {ROWS} rows: {other:?}").into()),
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

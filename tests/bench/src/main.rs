//! Speed and memory of `copy-delta`: the release binary as deployed, run by hand on a table of a million rows.
//!
//! The rows come over TLS from the stand-in server and go to a real S3 server, both in this process; what is measured is
//! the other process, `copy-delta`, alone: its CPU as the kernel accounts it and its peak memory. The rate of rows is
//! bounded by the stand-in, which reads them from SQLite.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, reason = "the terminal is the reader")]

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::Server;
use tidemark::config::Tls;
use tidemark::ledger::{Pointers, WindowName};
use tidemark::login::Login;
use tidemark::table::TableSpec;
use tidemark_sandbox::{Options, Sandbox};
use tidemark_tests::pipeline::Pipeline;
use tidemark_tests::s3_server::{BUCKET, S3Server};
use update_watermark::Response;

type Failure = Box<dyn Error + Send + Sync>;

const ROWS: u64 = 1_000_000;
/// Where memory is looked at.
const SAMPLE: Duration = Duration::from_millis(5);
/// Length of a clock tick in `/proc/*/stat`; 100 Hz on every Linux this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ten mixed columns, about 150 bytes a row on the wire.
fn script() -> String {
    format!(
        "CREATE TABLE orders (
            id bigint NOT NULL, customer int, status varchar(10), price decimal(18,4), name nvarchar(40),
            ordered datetime2(7), modified datetime, ratio float, code uniqueidentifier, active bit)
GO
        INSERT INTO orders
        SELECT value, value * CAST(7919 AS bigint) % 100000, CASE value % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'shipped' ELSE 'returned' END,
            CAST(value * CAST(31 AS bigint) % 10000000 AS decimal(18,4)) / 10, CONCAT(N'Customer name ', value * CAST(104729 AS bigint) % 1000003),
            DATEADD(second, value * 97 % 86400000, CAST('2019-01-01' AS datetime2(7))),
            DATEADD(second, value, CAST('2020-01-01' AS datetime)), CAST(value AS float) / 3, NEWID(), CAST(value % 2 AS bit)
        FROM GENERATE_SERIES(1, {ROWS})
GO
        CREATE TABLE orders_copy (
            id bigint NOT NULL PRIMARY KEY, customer int, status varchar(10), price decimal(18,4), name nvarchar(40),
            ordered datetime2(7), modified datetime, ratio float, code uniqueidentifier, active bit)"
    )
}

fn main() -> Result<(), Failure> {
    let copy_delta = std::env::current_exe()?.with_file_name("copy-delta");
    if !copy_delta.is_file() {
        return Err(format!("{} is not built: use make bench", copy_delta.display()).into());
    }
    println!("Filling a table of {ROWS} rows of ten mixed columns");
    let sandbox = Sandbox::start(Options {
        init: vec![script()],
        ..Options::default()
    })?;
    // One thread, so that the copying process finds a core of its own beside the stand-in.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let lines = runtime.block_on(measure_all(&sandbox, &copy_delta))?;
    let report = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench.json");
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&report, serde_json::to_vec_pretty(&lines)?)?;
    println!("Written to target/bench.json");
    Ok(())
}

/// What the rows are copied into: a file of each format, and a table of the same stand-in, where the rows are all new.
fn kinds() -> [(&'static str, Value); 4] {
    [
        ("parquet", json!({ "format": "parquet" })),
        ("csv", json!({ "format": "csv" })),
        ("jsonl", json!({ "format": "jsonl" })),
        (
            "sqlserver",
            json!({ "sink": { "sqlserver": { "secret_arn": "sink", "table": "orders_copy" } } }),
        ),
    ]
}

async fn measure_all(sandbox: &Sandbox, copy_delta: &std::path::Path) -> Result<Vec<Value>, Failure> {
    let s3 = S3Server::start().await?;
    let login = Login {
        host: "127.0.0.1".to_owned(),
        port: sandbox.port(),
        username: sandbox.username().to_owned(),
        password: sandbox.password().to_owned(),
        database: sandbox.database().to_owned(),
        tls: Tls::Trust,
    };
    s3.keep_secret(
        json!({ "host": login.host, "port": login.port, "username": login.username, "password": login.password,
                "dbname": login.database })
        .to_string(),
    );
    println!(
        "{:<22} {:>10} {:>8} {:>14} {:>12} {:>9}",
        "", "rows/s", "MB/s", "CPU s/M rows", "peak RSS MB", "file MB"
    );
    let mut lines = Vec::new();
    for (kind, how) in kinds() {
        let (source, store) = (Server::new(login.clone()), s3.store());
        let rows = MssqlRows::new(login.clone());
        let watermarks = Pointers::new(&store, kind);
        let pipeline = Pipeline {
            source: &source,
            rows,
            watermarks: &watermarks,
            store: &store,
            prefix: kind,
            sinks: (),
        };
        let mut spec =
            json!({ "table": "orders", "tracking": { "watermark": { "column": "id", "settle_seconds": 0 } } });
        if let (Some(spec), Value::Object(how)) = (spec.as_object_mut(), how) {
            spec.extend(how);
        }
        let spec: TableSpec = serde_json::from_value(spec)?;
        let planned = pipeline.plan("bench", &[spec]).await?;
        if planned.windows.len() != 1 {
            return Err(format!("no window: {:?}", planned.failed).into());
        }
        let event = json!({ "run_id": "bench", "table": "dbo.orders", "window": "initial", "slice": 0 });
        let mut command = Command::new(copy_delta);
        command
            .envs(s3.environment())
            .env("SSL_CERT_FILE", sandbox.ca_path())
            .env("RUST_LOG", "warn");
        command.envs([
            ("SINK_BUCKET", BUCKET),
            ("SINK_PREFIX", kind),
            ("SOURCE_SECRET_ARN", "source"),
        ]);
        let measured = tokio::task::spawn_blocking(move || measure(command, &event)).await??;
        let copied = &measured.answer;
        let (rows, bytes) = (
            copied["rows"].as_u64().unwrap_or(0),
            copied["bytes"].as_u64().unwrap_or(0),
        );
        let window = WindowName::initial();
        let committed = Box::pin(pipeline.update("bench", "dbo.orders", &window)).await?;
        if rows != ROWS || !matches!(committed, Response::Committed(_)) {
            return Err(format!("{rows} rows were copied instead of {ROWS}").into());
        }
        let millions = rows as f64 / 1e6;
        let megabytes = bytes as f64 / 1e6;
        let line = json!({
            "name": format!("copy/mixed/{kind}"),
            "rows_per_s": (rows as f64 / measured.wall_seconds).round(),
            "mb_per_s": round(megabytes / measured.wall_seconds),
            "cpu_s_per_million_rows": round(measured.cpu_seconds / millions),
            "peak_rss_mb": round(measured.peak_rss_bytes as f64 / 1e6),
        });
        println!(
            "{:<22} {:>10} {:>8} {:>14} {:>12} {:>9.1}",
            line["name"].as_str().unwrap_or_default(),
            line["rows_per_s"],
            line["mb_per_s"],
            line["cpu_s_per_million_rows"],
            line["peak_rss_mb"],
            megabytes
        );
        lines.push(line);
    }
    Ok(lines)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What one process did.
struct Measured {
    answer: Value,
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_rss_bytes: u64,
}

/// Runs `command` with `event` on its standard input to its end.
fn measure(mut command: Command, event: &Value) -> Result<Measured, Failure> {
    let before = children_cpu_seconds()?;
    let started = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = child.stdin.take().ok_or("no standard input")?;
    serde_json::to_writer(input, event)?;
    let mut peak_rss_bytes = 0;
    let status = loop {
        peak_rss_bytes = peak_rss_bytes.max(peak_rss(child.id()));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(SAMPLE),
        }
    };
    let wall_seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = children_cpu_seconds()? - before;
    if !status.success() {
        return Err(format!("copy-delta failed: {status}").into());
    }
    let output = child.stdout.take().ok_or("no standard output")?;
    Ok(Measured {
        answer: serde_json::from_reader(output)?,
        wall_seconds,
        cpu_seconds,
        peak_rss_bytes,
    })
}

/// The high-water mark of a process's resident memory, 0 when it is gone.
fn peak_rss(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes * 1024)
}

/// CPU of the children waited for so far, user and system (`proc(5)`, fields 16 and 17 of `stat`).
fn children_cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64, Failure> {
        Ok(fields
            .get(index)
            .ok_or("an unknown form of /proc/self/stat")?
            .parse::<f64>()?)
    };
    // Counted from field 3, the first after the name.
    Ok((ticks(13)? + ticks(14)?) / TICKS_PER_SECOND)
}

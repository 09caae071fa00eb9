//! Speed and memory of `copy-delta`: `make bench`.
//!
//! A server in this process replays rows faster than they can be read, or at the pace of a real server. What is measured
//! is another process each time: first the bare client, then one layer more of the way at a time, then the release binary
//! of `copy-delta` as it is deployed, with TLS, upload and checksums. CPU is what the kernel accounts to that process,
//! memory its high-water mark.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is the reader")]

mod copies;
mod layers;
mod null;
mod server;
mod small;
mod source;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tidemark_bench::Failure;
use tidemark_bench::process::Measured;
use tidemark_bench::report::{Amount, Report, number};
use tidemark_replay::certificate::Certificate;
use tidemark_replay::rows::Rows;
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tables::{self, Table};

use crate::layers::Link;

/// The rows of mixed columns in a line, unless `BENCH_ROWS` says otherwise. Tables with wider rows have fewer.
const ROWS: u64 = 5_000_000;
/// The most rows with which a server with tables is filled.
const SERVER_ROWS: u64 = 1_000_000;
/// The rows per second of the paced lines, unless `BENCH_PACE` says otherwise. One connection to a real server gave as
/// many.
const PACE: u64 = 1_100_000;
/// The formats.
const FORMATS: [&str; 3] = ["parquet", "csv", "jsonl"];

fn main() -> ExitCode {
    let done = if std::env::args().nth(1).as_deref() == Some(layers::ARGUMENT) {
        // The runtime is the one of copy-delta.
        tokio::runtime::Runtime::new()
            .map_err(Failure::from)
            .and_then(|runtime| runtime.block_on(layers::layer()))
    } else {
        run()
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let copy_delta = std::env::current_exe()?.with_file_name("copy-delta");
    if !copy_delta.is_file() {
        return Err(format!("{} is not built: use make bench", copy_delta.display()).into());
    }
    // There is one thread, so that the measured process finds a core of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(measure_all(&copy_delta))
}

async fn measure_all(copy_delta: &Path) -> Result<(), Failure> {
    let rows = number("BENCH_ROWS", ROWS)?;
    let pace = number("BENCH_PACE", PACE)?;
    let mut report = Report::new(std::env::var("BENCH_ONLY").unwrap_or_default());
    let bench = Bench {
        copy_delta,
        certificate: Certificate::new()?,
    };
    bench.paced(&mut report, &tables::mixed(), rows, pace).await?;
    bench.packets(&mut report, &tables::mixed(), rows)?;
    for (table, rows) in [
        (tables::mixed(), rows),
        (tables::narrow(), rows),
        (tables::wide_text(), (rows / 40).max(1)),
        (tables::max_types(), (rows / 50_000).max(8)),
    ] {
        bench.table(&mut report, &table, rows).await?;
    }
    server::measure(&mut report, copy_delta, rows.min(SERVER_ROWS)).await?;
    if report.wants("ten-rows") {
        small::measure(&bench.certificate).await?;
    }
    report.write()
}

/// What the lines share: the binary that they run, and the certificate of their servers.
struct Bench<'a> {
    copy_delta: &'a Path,
    certificate: Certificate,
}

impl Bench<'_> {
    /// Measures every layer and format of a table, as fast as the client takes the rows.
    async fn table(&self, report: &mut Report, table: &Table, rows: u64) -> Result<(), Failure> {
        let layers = [("drain", None), ("decode", None), ("build", None)]
            .into_iter()
            .chain(FORMATS.map(|format| ("encode", Some(format))));
        let copies = FORMATS.map(|format| format!("copy/{}/{format}", table.name));
        let lines: Vec<_> = layers
            .flat_map(|(layer, format)| {
                let name = match format {
                    Some(format) => format!("{layer}/{}/{format}", table.name),
                    None => format!("{layer}/{}", table.name),
                };
                [
                    (name.clone(), layer, format, true),
                    (name + "/plain", layer, format, false),
                ]
            })
            .collect();
        let mut names = lines.iter().map(|(name, ..)| name).chain(&copies).map(String::as_str);
        if !report.wants_any(&mut names) {
            return Ok(());
        }
        let (bytes_per_row, encrypted) = self.serve(table, rows, true, None);
        let (_, plain) = self.serve(table, rows, false, None);
        report.section(&format!(
            "Table {}: {rows} rows of {bytes_per_row:.0} bytes on the wire, as fast as they are read",
            table.name
        ));
        let mut amount = Amount {
            rows,
            wire_bytes: bytes_per_row * rows as f64,
            file_bytes: None,
        };
        for (name, layer, format, is_encrypted) in &lines {
            // All other lines are compared with the drain.
            if !report.wants(name) && *layer != "drain" {
                continue;
            }
            let login = source::login(if *is_encrypted { &encrypted } else { &plain });
            let link = Link::new(*is_encrypted);
            let measured = layers::run(layer, table, format.unwrap_or("parquet"), &login, link)?;
            check_rows(name, rows, &measured, *layer == "drain")?;
            amount.file_bytes = format.and_then(|_| measured.answer["bytes"].as_u64());
            let drain = format!("drain/{}{}", table.name, if *is_encrypted { "" } else { "/plain" });
            report.line(name, &drain, amount, &measured);
        }
        for (name, format) in copies.iter().zip(FORMATS) {
            if report.wants(name) {
                self.copy(
                    report,
                    name,
                    &format!("drain/{}", table.name),
                    table,
                    format,
                    &encrypted,
                    amount,
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Measures the whole way at a real server's pace, beside the bare drain at the same pace.
    async fn paced(&self, report: &mut Report, table: &Table, rows: u64, pace: u64) -> Result<(), Failure> {
        let (drain, copy) = (
            format!("drain/{}/paced", table.name),
            format!("copy/{}/parquet/paced", table.name),
        );
        if !report.wants_any([drain.as_str(), copy.as_str()].into_iter()) {
            return Ok(());
        }
        let (bytes_per_row, server) = self.serve(table, rows, true, Some(pace));
        report.section(&format!(
            "Table {}: {rows} rows from a server that sends {pace} rows/s at most",
            table.name
        ));
        let amount = Amount {
            rows,
            wire_bytes: bytes_per_row * rows as f64,
            file_bytes: None,
        };
        let measured = layers::run("drain", table, "parquet", &source::login(&server), Link::new(true))?;
        report.line(&drain, &drain, amount, &measured);
        self.copy(report, &copy, &drain, table, "parquet", &server, amount)
            .await
    }

    /// Measures what the size of packets costs.
    fn packets(&self, report: &mut Report, table: &Table, rows: u64) -> Result<(), Failure> {
        let lines = [(4_096, true), (8_000, true), (16_383, true), (16_383, false)];
        let lines = lines.map(|(packet_bytes, is_encrypted)| {
            let plain = if is_encrypted { "" } else { "/plain" };
            let link = Link {
                is_encrypted,
                packet_bytes,
            };
            (format!("packets/{}{plain}/{packet_bytes}", table.name), link)
        });
        if !report.wants_any(&mut lines.iter().map(|(name, _)| name.as_str())) {
            return Ok(());
        }
        report.section(&format!(
            "Table {}: {rows} rows, decoded from packets of these sizes",
            table.name
        ));
        for (name, link) in lines {
            let (bytes_per_row, server) = self.serve(table, rows, link.is_encrypted, None);
            let measured = layers::run("decode", table, "parquet", &source::login(&server), link)?;
            check_rows(&name, rows, &measured, false)?;
            let amount = Amount {
                rows,
                wire_bytes: bytes_per_row * rows as f64,
                file_bytes: None,
            };
            report.line(&name, "", amount, &measured);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a line is")]
    async fn copy(
        &self,
        report: &mut Report,
        name: &str,
        drain: &str,
        table: &Table,
        format: &str,
        server: &Replay,
        amount: Amount,
    ) -> Result<(), Failure> {
        let spec = copies::spec(copies::TABLE, &json!({ "format": format }))?;
        let plan = copies::plan(&spec, table)?;
        let authority = Some(self.certificate.authority());
        let measured = copies::copy(self.copy_delta, authority, &source::login(server), &spec, plan).await?;
        check_rows(name, amount.rows, &measured, false)?;
        let amount = Amount {
            file_bytes: measured.answer["bytes"].as_u64(),
            ..amount
        };
        report.line(name, drain, amount, &measured);
        Ok(())
    }

    fn serve(&self, table: &Table, rows: u64, is_encrypted: bool, pace: Option<u64>) -> (f64, Replay) {
        let rows = Rows::new(table, rows);
        let rows = match pace {
            Some(pace) => rows.at_most(pace),
            None => rows,
        };
        let bytes_per_row = rows.bytes_per_row();
        let server = if is_encrypted {
            self.certificate.serve(Answer::Rows(rows))
        } else {
            Replay::start(Answer::Rows(rows))
        };
        (bytes_per_row, server)
    }
}

/// Fails unless a process that decodes the rows has found all of them.
fn check_rows(name: &str, rows: u64, measured: &Measured, is_drain: bool) -> Result<(), Failure> {
    if is_drain || measured.answer["rows"] == rows {
        return Ok(());
    }
    Err(format!("{name}: not {rows} rows: {}", measured.answer).into())
}

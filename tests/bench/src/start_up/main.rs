//! The time until a function works: from its start to its first poll of the Lambda runtime, and the latency of its
//! first event and of those after it, when there is nothing to copy. `make bench` ends with it.
//!
//! The release binaries run as Lambda runs them, one process after the other.

#![allow(clippy::print_stdout, reason = "the terminal is the reader")]

mod runtime_api;
mod services;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_bench::Failure;
use tidemark_bench::report::{self, number};

use crate::runtime_api::Function;
use crate::services::{EVENTS, Services, Step};

/// The beginning of the names of this program's lines in `bench.json`.
const NAME: &str = "start/";
/// The number of processes of each function, unless `BENCH_STARTS` says otherwise.
const STARTS: u64 = 20;

fn main() -> Result<(), Failure> {
    let binaries = std::env::current_exe()?.with_file_name("");
    // There is one thread, so that the measured process finds a core of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let lines = runtime.block_on(measure_all(&binaries))?;
    add_to_report(lines)
}

async fn measure_all(binaries: &Path) -> Result<Vec<Value>, Failure> {
    let starts = usize::try_from(number("BENCH_STARTS", STARTS)?)?;
    let services = Services::set(starts).await?;
    println!("{:<40} {:>10} {:>8}", "", "median ms", "p95 ms");
    let mut lines = Vec::new();
    for step in Step::ALL {
        let binary = binaries.join(step.name());
        if !binary.is_file() {
            return Err(format!("{} is not built: use make bench", binary.display()).into());
        }
        let (mut polls, mut cold, mut warm) = (Vec::new(), Vec::new(), Vec::new());
        for start in 0..starts {
            let mut function = Function::start(&binary, &services.environment).await?;
            polls.push(function.first_poll);
            for nth in 0..EVENTS {
                let (answer, latency) = function.invoke(step.event(start * EVENTS + nth)).await?;
                step.check(&answer)?;
                if nth == 0 { &mut cold } else { &mut warm }.push(latency);
            }
        }
        for (what, times) in [("first-poll", polls), ("cold", cold), ("warm", warm)] {
            let line = line(&format!("{NAME}{}/{what}", step.name()), times);
            println!(
                "{:<40} {:>10} {:>8}",
                line["name"].as_str().unwrap_or_default(),
                line["median_ms"],
                line["p95_ms"]
            );
            lines.push(line);
        }
    }
    Ok(lines)
}

fn line(name: &str, mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |hundredths: usize| {
        let index = (times.len() * hundredths).div_ceil(100).saturating_sub(1);
        let time = times.get(index).copied().unwrap_or_default();
        (time.as_secs_f64() * 1e4).round() / 10.0
    };
    json!({ "name": name, "median_ms": at(50), "p95_ms": at(95) })
}

/// Writes the lines into the report if it is wanted, in the place of those of an earlier run.
fn add_to_report(lines: Vec<Value>) -> Result<(), Failure> {
    let Some(report) = report::file() else {
        return Ok(());
    };
    let mut all: Vec<Value> = match std::fs::read(&report) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(_) => Vec::new(),
    };
    all.retain(|line| !line["name"].as_str().is_some_and(|name| name.starts_with(NAME)));
    all.extend(lines);
    std::fs::write(&report, serde_json::to_vec_pretty(&all)?)?;
    println!("Added to target/bench.json");
    Ok(())
}

//! The lines on the terminal and in `target/bench.json`.

#![allow(clippy::print_stdout, reason = "the terminal is the reader")]

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Failure;
use crate::process::Measured;

/// A report that collects lines, and prints each as it is measured.
#[derive(Debug)]
pub struct Report {
    /// The text that the names of the wanted lines contain.
    only: String,
    lines: Vec<Value>,
    /// The seconds per row of the bare drains, by their names.
    drains: HashMap<String, f64>,
}

/// The amount that was copied or received.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// The rows.
    pub rows: u64,
    /// The bytes as they came from the source, decrypted.
    pub wire_bytes: f64,
    /// The bytes of the file, if there is one.
    pub file_bytes: Option<u64>,
}

impl Report {
    /// Returns the lines so far.
    #[must_use]
    pub fn lines(&self) -> &[Value] {
        &self.lines
    }

    /// Makes an empty report of the lines whose names contain `only`.
    #[must_use]
    pub fn new(only: String) -> Self {
        Self {
            only,
            lines: Vec::new(),
            drains: HashMap::new(),
        }
    }

    /// Returns whether the line is wanted.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// Returns whether one of the lines `names` is wanted, and with it the bare drain that they are compared with.
    pub fn wants_any<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.any(|name| self.wants(name))
    }

    /// Prints a title and the heads of the columns.
    pub fn section(&self, title: &str) {
        println!("\n{title}");
        println!(
            "  {:<34} {:>10} {:>8} {:>9} {:>13} {:>12} {:>9} {:>11}",
            "", "rows/s", "MB/s", "bytes/row", "CPU s/M rows", "peak RSS MB", "file MB", "time ÷ drain"
        );
    }

    /// Adds a line. A bare drain is what later lines with its name as `drain` are compared with, and says how many bytes
    /// of a row came over the wire.
    pub fn line(&mut self, name: &str, drain: &str, amount: Amount, measured: &Measured) {
        let seconds_per_row = measured.wall_seconds / amount.rows as f64;
        // The process of a drain answers with the bytes that it has received.
        let received = measured.answer["bytes"].as_f64().filter(|_| name == drain);
        let wire_bytes_per_row = received.map(|bytes| rounded(bytes / amount.rows as f64, 1));
        if name == drain {
            self.drains.insert(name.to_owned(), seconds_per_row);
        }
        let rows_per_s = (1.0 / seconds_per_row).round();
        let mb_per_s = amount.wire_bytes / 1e6 / measured.wall_seconds;
        let cpu = measured.cpu_seconds / amount.rows as f64 * 1e6;
        let peak_rss_mb = measured.peak_rss_bytes as f64 / 1e6;
        let file = amount
            .file_bytes
            .map_or(String::new(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
        let drain = self.drains.get(drain);
        let ratio = drain.map_or(String::new(), |drain| format!("{:.2}", seconds_per_row / drain));
        let wire = wire_bytes_per_row.map_or(String::new(), |bytes| format!("{bytes:.1}"));
        println!(
            "  {name:<34} {rows_per_s:>10} {mb_per_s:>8.1} {wire:>9} {cpu:>13.3} {peak_rss_mb:>12.1} {file:>9} {ratio:>11}"
        );
        let mut line = json!({
            "name": name,
            "rows_per_s": rows_per_s,
            "mb_per_s": rounded(mb_per_s, 1),
            "cpu_s_per_million_rows": rounded(cpu, 3),
            "peak_rss_mb": rounded(peak_rss_mb, 1),
        });
        if let Some(bytes) = wire_bytes_per_row {
            line["wire_bytes_per_row"] = json!(bytes);
        }
        self.lines.push(line);
    }

    /// Adds a line of another kind, which was printed by whoever measured it.
    pub fn note(&mut self, line: Value) {
        self.lines.push(line);
    }

    /// Writes `target/bench.json`, unless `BENCH_WRITE` is `no`.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        let Some(path) = file() else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, serde_json::to_vec_pretty(&self.lines)?)?;
        println!("\n{} lines written to target/bench.json", self.lines.len());
        Ok(())
    }
}

/// Returns where the lines are written, or `None` when `BENCH_WRITE` is `no`.
#[must_use]
pub fn file() -> Option<PathBuf> {
    let is_wanted = std::env::var("BENCH_WRITE").as_deref() != Ok("no");
    is_wanted.then(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench.json"))
}

/// Returns the number that a variable of the environment has, or `otherwise`.
///
/// # Errors
///
/// Fails when it is not a number.
pub fn number(name: &str, otherwise: u64) -> Result<u64, Failure> {
    match std::env::var(name) {
        Ok(text) => Ok(text
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{name} is not a number: {text}"))?),
        Err(_) => Ok(otherwise),
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

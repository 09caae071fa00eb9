//! The measurement of what a process costs.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;

/// The interval at which memory is looked at.
const SAMPLE: Duration = Duration::from_millis(5);
/// The clock ticks in a second, in `/proc/*/stat`. It is 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process did, from its start to its end.
#[derive(Debug)]
pub struct Measured {
    /// What it wrote to its standard output.
    pub answer: Value,
    /// The time from its start to its end.
    pub wall_seconds: f64,
    /// The CPU that the kernel accounts to it, user and system.
    pub cpu_seconds: f64,
    /// The high-water mark of its resident memory.
    pub peak_rss_bytes: u64,
}

/// Runs `command` with `input` on its standard input, to its end.
///
/// # Errors
///
/// Fails when the process cannot be started, fails, or does not write JSON.
pub fn measure(mut command: Command, input: &Value) -> Result<Measured, Failure> {
    let before = children_cpu_seconds()?;
    let started = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take().ok_or("no standard input")?;
    serde_json::to_writer(stdin, input)?;
    let peak_rss_bytes = wait(&mut child)?;
    let wall_seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = children_cpu_seconds()? - before;
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .ok_or("no standard output")?
        .read_to_end(&mut output)?;
    Ok(Measured {
        answer: serde_json::from_slice(&output)?,
        wall_seconds,
        cpu_seconds,
        peak_rss_bytes,
    })
}

/// Waits for the end, and returns the peak of the memory in bytes.
fn wait(child: &mut Child) -> Result<u64, Failure> {
    let mut peak = 0;
    loop {
        peak = peak_rss(child.id()).max(peak);
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(peak),
            Some(status) => return Err(format!("the measured process failed: {status}").into()),
            None => std::thread::sleep(SAMPLE),
        }
    }
}

/// Returns the high-water mark of a process's resident memory in bytes, or 0 when it is gone.
fn peak_rss(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes * 1024)
}

/// Returns the CPU of the children waited for so far, user and system (`proc(5)`, fields 16 and 17 of `stat`).
fn children_cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64, Failure> {
        Ok(fields
            .get(index)
            .ok_or("an unknown form of /proc/self/stat")?
            .parse::<f64>()?)
    };
    // The fields are counted from field 3, which is the first after the name.
    Ok((ticks(13)? + ticks(14)?) / TICKS_PER_SECOND)
}

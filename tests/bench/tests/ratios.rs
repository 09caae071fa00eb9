//! The hot loops in a short form: how long each takes beside the others, held against what is stored in `ratios.json`.
//!
//! Times differ between machines and with what else runs on them, ratios hardly do. What is counted is the CPU of this thread,
//! and of several measurements the fastest. The code is that of tests, ours without optimisation, so a ratio says that a loop does more than it
//! did, and not how fast it is. `UPDATE_RATIOS=1` stores what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tidemark_bench::hot_loops;

/// Rows of a batch.
const ROWS: u64 = 2_048;
/// The CPU of one measurement. The kernel counts it in ticks of some milliseconds.
const MEASURED: Duration = Duration::from_millis(150);
/// Measurements of a loop, of which the fastest counts.
const MEASUREMENTS: usize = 3;
/// How much slower a loop may be, beside the others, than is stored.
const SLOWER: f64 = 2.0;
/// How much faster it may be before the stored ratio has to follow.
const FASTER: f64 = 4.0;

/// The CPU that this thread has had.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The CPU of a turn of a loop, in seconds.
fn measured(turn: &mut dyn FnMut()) -> f64 {
    turn();
    let measurement = |_| {
        let (begun, mut turns) = (cpu(), 0.0);
        loop {
            turn();
            turns += 1.0;
            let used = cpu() - begun;
            if used >= MEASURED {
                return used.as_secs_f64() / turns;
            }
        }
    };
    (0..MEASUREMENTS).map(measurement).fold(f64::INFINITY, f64::min)
}

/// Each loop's time, divided by the geometric mean of all.
fn ratios() -> BTreeMap<String, f64> {
    let times: Vec<(String, f64)> = hot_loops(ROWS)
        .into_iter()
        // How fast that is beside the others is a matter of the machine's instructions.
        .filter(|hot_loop| !hot_loop.name.starts_with("checksum/"))
        .map(|mut hot_loop| (hot_loop.name.clone(), measured(&mut *hot_loop.turn)))
        .collect();
    let mean = (times.iter().map(|(_, time)| time.ln()).sum::<f64>() / times.len() as f64).exp();
    times.into_iter().map(|(name, time)| (name, time / mean)).collect()
}

#[test]
fn no_loop_became_slower_beside_the_others() {
    if !Path::new("/proc/thread-self/schedstat").exists() {
        eprintln!("SKIPPED: this system does not say what CPU a thread has had");
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ratios.json");
    let measured = ratios();
    if std::env::var_os("UPDATE_RATIOS").is_some() {
        let rounded: BTreeMap<_, _> = measured
            .iter()
            .map(|(name, ratio)| (name, (ratio * 1000.0).round() / 1000.0))
            .collect();
        std::fs::write(&file, serde_json::to_string_pretty(&rounded).unwrap() + "\n").unwrap();
        return;
    }
    let stored: BTreeMap<String, f64> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        measured.keys().collect::<Vec<_>>(),
        stored.keys().collect::<Vec<_>>(),
        "UPDATE_RATIOS=1 stores the ratios of other loops"
    );
    let mut found = Vec::new();
    for (name, ratio) in &measured {
        let change = ratio / stored[name];
        eprintln!("{name}: {ratio:.3}, {change:.2} times the stored {:.3}", stored[name]);
        if !(1.0 / FASTER..=SLOWER).contains(&change) {
            found.push(format!("{name} is {change:.2} times what is stored"));
        }
    }
    assert!(
        found.is_empty(),
        "{found:?}: if that is meant, UPDATE_RATIOS=1 stores it"
    );
}

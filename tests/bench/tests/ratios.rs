//! The hot loops in a short form: how long each takes in comparison with the others, compared with what is stored in
//! `ratios.json`.
//!
//! Times differ between machines and with what else runs on them, but ratios hardly do. The CPU of this thread is
//! counted, and of several measurements the fastest. The code is compiled as for tests, ours without optimisation, so a
//! ratio tells that a loop does more than it did, and not how fast it is. `UPDATE_RATIOS=1` stores what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tidemark_bench::hot_loops::hot_loops;

/// The rows of a batch.
const ROWS: u64 = 2_048;
/// The CPU of one measurement. The kernel counts it in ticks of some milliseconds.
const MEASURED: Duration = Duration::from_millis(150);
/// The number of measurements of a loop, of which the fastest counts.
const MEASUREMENTS: usize = 3;
/// How many times slower than stored a loop may be, in comparison with the others.
const SLOWER: f64 = 2.0;
/// How many times faster it may be before the stored ratio has to follow.
const FASTER: f64 = 4.0;
/// How many times slower or faster a checksum may be, which goes by instructions that machines have or lack.
const CHECKSUM: f64 = 8.0;

/// Returns the CPU that this thread has had, or zero where the system does not say it.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse().unwrap_or_default())
}

/// Returns why nothing can be measured here, if so.
fn reason_to_skip() -> Option<&'static str> {
    if !cfg!(debug_assertions) {
        return Some("the stored ratios are those of a build with debug assertions");
    }
    // A system may have the file and write only zeros into it.
    for mut hot_loop in hot_loops(ROWS) {
        (hot_loop.turn)();
    }
    (cpu() == Duration::ZERO).then_some("this system does not say what CPU a thread has had")
}

/// Returns the CPU of one turn of a loop, in seconds.
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

fn is_checksum(name: &str) -> bool {
    name.starts_with("checksum/")
}

/// Measures the loops that are wanted. Of a loop that was measured before, the faster time stays.
fn measure(times: &mut BTreeMap<String, f64>, is_wanted: impl Fn(&str) -> bool) {
    for mut hot_loop in hot_loops(ROWS).into_iter().filter(|hot_loop| is_wanted(&hot_loop.name)) {
        let time = measured(&mut *hot_loop.turn);
        let fastest = times.entry(hot_loop.name).or_insert(time);
        *fastest = fastest.min(time);
    }
}

/// Returns each loop's time, divided by the geometric mean of those that every machine does alike.
fn ratios(times: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let alike = times.iter().filter(|(name, _)| !is_checksum(name));
    let logarithms: Vec<_> = alike.map(|(_, time)| time.ln()).collect();
    let mean = (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp();
    times.iter().map(|(name, time)| (name.clone(), time / mean)).collect()
}

/// Returns the loops whose ratio differs from the stored one, and how many times as large it is.
fn changed(measured: &BTreeMap<String, f64>, stored: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let changes = measured
        .iter()
        .map(|(name, ratio)| (name.clone(), ratio / stored[name]));
    let is_changed = |name: &str, change: &f64| {
        let (faster, slower) = if is_checksum(name) {
            (CHECKSUM, CHECKSUM)
        } else {
            (FASTER, SLOWER)
        };
        !(1.0 / faster..=slower).contains(change)
    };
    changes.filter(|(name, change)| is_changed(name, change)).collect()
}

#[test]
fn no_loop_became_slower_beside_the_others() {
    if let Some(why) = reason_to_skip() {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ratios.json");
    let mut times = BTreeMap::new();
    measure(&mut times, |_| true);
    let mut measured = ratios(&times);
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
    let mut found = changed(&measured, &stored);
    if !found.is_empty() {
        eprintln!("{found:?} are measured once more");
        measure(&mut times, |name| found.contains_key(name));
        measured = ratios(&times);
        found = changed(&measured, &stored);
    }
    for (name, ratio) in &measured {
        eprintln!("{name}: {ratio:.3}, stored {:.3}", stored[name]);
    }
    assert!(
        found.is_empty(),
        "{found:?} times what is stored: if that is meant, UPDATE_RATIOS=1 stores it"
    );
}

//! The loops that every row goes through, each measured by itself: `cargo bench --package tidemark-bench --features
//! micro`.

#![allow(missing_docs, reason = "a benchmark")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemark_bench::hot_loops::hot_loops;

/// The rows of a measured batch.
const ROWS: u64 = 16_384;

fn measure(criterion: &mut Criterion) {
    for mut hot_loop in hot_loops(ROWS) {
        let (kind, what) = hot_loop.name.split_once('/').unwrap_or(("loop", &hot_loop.name));
        let mut group = criterion.benchmark_group(kind);
        group.throughput(Throughput::Elements(hot_loop.elements));
        group.bench_function(what, |bencher| bencher.iter(&mut hot_loop.turn));
        group.finish();
    }
}

criterion_group!(loops, measure);
criterion_main!(loops);

//! The lines of the benchmark's report.

use serde_json::json;
use tidemark_bench::process::Measured;
use tidemark_bench::report::{Amount, Report};

fn measured(bytes: u64) -> Measured {
    Measured {
        answer: json!({ "rows": 100, "bytes": bytes }),
        wall_seconds: 2.0,
        cpu_seconds: 1.0,
        peak_rss_bytes: 20_000_000,
    }
}

#[test]
fn a_drain_says_the_bytes_of_a_row_that_it_received_and_other_lines_do_not() {
    let mut report = Report::new(String::new());
    let amount = Amount {
        rows: 100,
        wire_bytes: 15_000.0,
        file_bytes: None,
    };
    report.line("drain/t", "drain/t", amount, &measured(15_322));
    report.line("encode/t", "drain/t", amount, &measured(4_000));
    let [drain, encode] = report.lines() else {
        unreachable!("{:?}", report.lines());
    };
    assert_eq!(drain["wire_bytes_per_row"], 153.2);
    assert!(encode.get("wire_bytes_per_row").is_none(), "{encode}");
}

#[test]
fn a_line_of_another_kind_stands_among_the_others_as_it_is() {
    let mut report = Report::new(String::new());
    let line = json!({ "name": "source/t", "most_locks": { "IS": 1 } });
    report.note(line.clone());
    assert_eq!(report.lines(), [line]);
}

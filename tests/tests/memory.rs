//! The memory of `copy-delta` is bounded by its configuration, and neither by the rows of a slice nor by their values.
//!
//! Memory is measured for a process, so each case runs in a process of its own, which is this test binary again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::Value;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::format::Timestamps;
use tidemark::model::plan::Plan;
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::RunSettings;
use tidemark::model::types::{Column, WantedForms};
use tidemark::model::values::Values;
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::source::ProbeSource;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopiedSlice, CopyAnswer, CopyPorts, CopyRequest, copy};
use tidemark_files::encoder::Files;
use tidemark_replay::rows::Rows;
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tables::{self, Table};
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::{BatchLimits, RowReader};
use tidemark_sqlserver::session::Server;
use tidemark_tests::s3_server::S3Server;
use tidemark_tests::stand_in::World;

const CASE: &str = "TIDEMARK_MEMORY_CASE";
const COLUMNS: &str = "TIDEMARK_MEMORY_COLUMNS";
const TABLE: &str = "dbo.t";
/// The size of an upload's pieces in bytes, as deployed.
const PART_BYTES: usize = 8 * 1024 * 1024;

fn table(name: &str) -> Table {
    tables::all().into_iter().find(|table| table.name == name).unwrap()
}

/// Returns the columns of a table as a plan has them, which is how a server with such a table describes it.
fn columns(name: &str) -> String {
    let table = table(name);
    let columns = table
        .columns
        .iter()
        .map(|column| format!("[{}] {} NULL", column.name, column.sql_type));
    let script = format!("CREATE TABLE t ({})", columns.collect::<Vec<_>>().join(", "));
    let wanted = WantedForms::typed(Timestamps::default());
    let declared = async {
        let world = World::new(&script).await;
        let source = Server::new(world.login());
        source
            .columns(&TABLE.parse().unwrap(), None, None, wanted)
            .await
            .unwrap()
    };
    let declared = tokio::runtime::Runtime::new().unwrap().block_on(declared);
    let columns: Vec<_> = declared
        .into_iter()
        .map(|column| Column {
            name: column.name,
            sql_type: column.sql_type,
            form: column.form.unwrap(),
            nullable: true,
            values: Values::OfSource,
        })
        .collect();
    serde_json::to_string(&columns).unwrap()
}

/// Returns the peak in MB of a process that copies this many rows, including the S3 server.
fn peak(name: &str, rows: u64, format: &str) -> u64 {
    let server = Replay::start(Answer::Rows(Rows::new(&table(name), rows)));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_case", "--ignored", "--nocapture"])
        .env(CASE, format!("{rows} {format} {}", server.port()))
        .env(COLUMNS, columns(name))
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let peak = output.lines().find_map(|line| line.strip_prefix("peak "));
    peak.unwrap_or_else(|| panic!("{output}")).parse().unwrap()
}

#[test]
fn many_rows_take_no_more_memory_than_few() {
    let (few, many) = (peak("mixed", 300_000, "parquet"), peak("mixed", 900_000, "parquet"));
    assert!(few < 128 && many < 128, "{few} MB for few rows, {many} MB for many");
}

#[test]
fn values_of_tens_of_megabytes_take_a_bounded_number_of_times_their_size() {
    // The first has two values of 24 MB and six rows of less; the second has all of it five times.
    let (few, many) = (peak("max-types", 8, "parquet"), peak("max-types", 40, "parquet"));
    assert!(few < 400 && many < 400, "{few} MB for few rows, {many} MB for many");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "one case of the tests above, in a process of its own"]
async fn one_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    let [rows, format, port] = case.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let columns: Value = serde_json::from_str(&std::env::var(COLUMNS).unwrap()).unwrap();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "version": 1, "table": TABLE, "window": "initial", "run_id": "r", "settle_seconds": 0,
        "tracking": { "watermark": { "column": "id" } }, "format": format,
        "content": { "interval": { "column": "id", "with_nulls": false } },
        "new_watermark": { "type": "bigint", "value": rows }, "created_at": "2026-11-22T00:00:00Z",
        "columns": columns, "slices": [{}],
    }))
    .unwrap();
    let s3 = S3Server::start().await.unwrap();
    let store = s3.store();
    let table = TABLE.parse().unwrap();
    let window = plan.window.clone();
    Ledger::new(Place::new(&store, "p"), &table).freeze(plan).await.unwrap();
    let login = Login::new("127.0.0.1", port.parse().unwrap(), "reader", "replay", "db").with_tls(Tls::Trust);
    let request = CopyRequest {
        run_id: "r".to_owned(),
        table,
        window,
        slice: SliceId::planned(0),
        settings: RunSettings::default(),
        dry_run: false,
    };
    let ports = CopyPorts {
        reader: &mut RowReader::unencrypted(login, BatchLimits::default()),
        files: &Files,
        sinks: &NoSinks::default(),
        place: Place::new(&store, "p"),
        part_bytes: PART_BYTES,
    };
    let answer = Box::pin(copy(ports, request, RunContext::unbounded())).await.unwrap();
    let CopyAnswer::Copied(CopiedSlice { rows: copied, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(copied.to_string(), rows);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!("\npeak {}", kibibytes * 1024 / 1_000_000);
}

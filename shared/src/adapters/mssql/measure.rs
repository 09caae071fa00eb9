//! What reading, building and encoding cost; run by hand in a release build:
//! `cargo test --release -p tidemark --features rows -- --ignored --nocapture measure`

use std::time::Instant;

use arrow_array::RecordBatch;
use tokio::sync::mpsc;

use super::replay::{Answer, LATIN1, Replay, characters, columns, cpu_ticks, end, long, row, short, utf16};
use super::tests::options;
use super::*;
use crate::encode::Encoder;
use crate::format::{Format, Timestamps};
use crate::types::Column;

const BLOCK_ROWS: usize = 20_000;
const BLOCKS: usize = 100;

/// Ten mixed columns, 150 bytes a row on the wire.
fn table() -> (Vec<Column>, Vec<u8>, Vec<u8>) {
    let named = [
        ("id", "bigint", vec![0x26, 8]),
        ("customer", "int", vec![0x26, 4]),
        ("status", "varchar(10)", characters(0xA7, 10, LATIN1)),
        ("price", "decimal(18,4)", vec![0x6A, 9, 18, 4]),
        ("name", "nvarchar(40)", characters(0xE7, 80, LATIN1)),
        ("ordered", "datetime2(7)", vec![0x2A, 7]),
        ("modified", "datetime", vec![0x6F, 8]),
        ("ratio", "float", vec![0x6D, 8]),
        ("code", "uniqueidentifier", vec![0x24, 16]),
        ("active", "bit", vec![0x68, 1]),
    ];
    let head: Vec<_> = named.iter().map(|(name, _, info)| (*name, info.clone())).collect();
    let shape = named
        .iter()
        .map(|(name, sql_type, _)| Column {
            name: (*name).to_owned(),
            sql_type: sql_type.parse().unwrap(),
            nullable: true,
        })
        .collect();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut block = Vec::new();
    for index in 0..BLOCK_ROWS as u64 {
        let statuses = [&b"new"[..], b"paid", b"shipped", b"returned"];
        let mut price = vec![1];
        price.extend((random() % 10_000_000).to_le_bytes());
        let mut ordered = (random() % 864_000_000_000).to_le_bytes()[..5].to_vec();
        ordered.extend(&(737_000_u32 + (random() % 2_000) as u32).to_le_bytes()[..3]);
        let mut modified = (43_000 + (random() % 2_000) as i32).to_le_bytes().to_vec();
        modified.extend((random() % 25_920_000).to_le_bytes()[..4].to_vec());
        block.extend(row(&[
            short(&index.to_le_bytes()),
            short(&((random() % 100_000) as i32).to_le_bytes()),
            long(Some(statuses[random() as usize % 4])),
            short(&price),
            long(Some(&utf16(&format!("Customer name {:016x}", random())))),
            short(&ordered),
            short(&modified),
            short(&(random() as f64 / 1e9).to_le_bytes()),
            short(&[random().to_le_bytes(), random().to_le_bytes()].concat()),
            short(&[(random() % 2) as u8]),
        ]));
    }
    (shape, columns(&head), block)
}

struct Discard;

impl BatchSink for Discard {
    async fn push(&mut self, _batch: RecordBatch) -> Result<()> {
        Ok(())
    }
}

struct Channel(mpsc::Sender<RecordBatch>);

impl BatchSink for Channel {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.0
            .send(batch)
            .await
            .map_err(|error| Error::with_source(ErrorCode::Internal, "the encoder is gone", error))
    }
}

fn report(what: &str, server: &Replay, start: (Instant, u64), bytes: usize) {
    let rows = (BLOCK_ROWS * BLOCKS) as f64;
    let ticks = cpu_ticks("/proc/self/stat") - start.1 - server.cpu_ticks();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!(
        "{what}: {:.2} CPU s per million rows, {:.0} rows/s, {bytes} bytes, {peak}",
        ticks as f64 / 100.0 / rows * 1e6,
        rows / start.0.elapsed().as_secs_f64(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement, for a release build"]
async fn measure() {
    let (table, head, block) = table();
    println!("{} bytes a row on the wire", block.len() / BLOCK_ROWS);
    let start_server = || {
        Replay::start(Answer::Tokens {
            head: head.clone(),
            block: block.clone(),
            times: BLOCKS,
            tail: end((BLOCK_ROWS * BLOCKS) as u64),
            hangs_up: false,
        })
    };
    let parquet = Format::default();
    for _ in 0..2 {
        let server = start_server();
        let shape = Shape::new(&table, &parquet, Timestamps::Us).unwrap();
        let start = (Instant::now(), cpu_ticks("/proc/self/stat"));
        let mut rows = MssqlRows::unencrypted(options(server.port), BatchLimits::default());
        rows.read(&query(), &shape, &mut Discard).await.unwrap();
        report("decode and build", &server, start, 0);
    }
    let formats = std::env::var("FORMATS").unwrap_or_else(|_| "parquet,jsonl,csv".to_owned());
    for name in formats.split(',') {
        let server = start_server();
        let format: Format = serde_json::from_value(name.into()).unwrap();
        let shape = Shape::new(&table, &format, Timestamps::Us).unwrap();
        let start = (Instant::now(), cpu_ticks("/proc/self/stat"));
        let (sender, mut receiver) = mpsc::channel::<RecordBatch>(2);
        let mut encoder = Encoder::new(&shape, &format).unwrap();
        let encode = tokio::task::spawn_blocking(move || {
            let mut bytes = 0;
            while let Some(batch) = receiver.blocking_recv() {
                encoder.write(&batch).unwrap();
                if encoder.pending() > 8 << 20 {
                    bytes += encoder.take().len();
                }
            }
            bytes + encoder.finish().unwrap().bytes.len()
        });
        let mut rows = MssqlRows::unencrypted(options(server.port), limits());
        let mut sink = Channel(sender);
        rows.read(&query(), &shape, &mut sink).await.unwrap();
        drop(sink);
        let bytes = encode.await.unwrap();
        report(name, &server, start, bytes);
    }
}

fn query() -> Query {
    Query {
        sql: "SELECT 1".to_owned(),
        parameters: Vec::new(),
    }
}

/// The default limits, or `BATCH_BYTES`.
fn limits() -> BatchLimits {
    let bytes = std::env::var("BATCH_BYTES").ok().and_then(|bytes| bytes.parse().ok());
    let default = BatchLimits::default();
    BatchLimits {
        bytes: bytes.unwrap_or(default.bytes),
        ..default
    }
}

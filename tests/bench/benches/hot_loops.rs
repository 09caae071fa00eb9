//! The loops every row goes through, by themselves: `cargo bench --package tidemark-bench --features micro`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::borrow::Cow;
use std::hint::black_box;

use arrow_array::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mssql_tds::datatypes::column_values::{SqlDateTime2, SqlTime};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_string::EncodingType;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::Answer;
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, TypeName};
use tidemark::model::values::Values;
use tidemark::model::watermark::Watermark;
use tidemark::ports::files::{EncodeFiles, EncodePart};
use tidemark::ports::rows::{ReadRows, TakeBatches};
use tidemark_files::encoder::Files;
use tidemark_replay::rows::Rows as PreparedRows;
use tidemark_replay::server::{Answer as Replayed, Replay};
use tidemark_replay::tables::{self, Table};
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::{BatchBuilder, BatchLimits, RowReader};
use tidemark_sqlserver::types;
use uuid::Uuid;

/// Rows of a measured batch.
const ROWS: u64 = 16_384;
const LIMITS: BatchLimits = BatchLimits {
    rows: ROWS as usize,
    bytes: usize::MAX,
};

/// Columns as the source holds them for files of this format.
fn columns(named: &[(&str, &str)], format: &str) -> Vec<Column> {
    let spec = serde_json::json!({ "table": "t", "tracking": { "watermark": { "column": "id" } }, "format": format });
    let wanted = serde_json::from_value::<TableSpec>(spec).unwrap().wanted_forms();
    let column = |(name, sql_type): &(&str, &str)| {
        let sql_type = TypeName::new(*sql_type).unwrap();
        Column {
            name: (*name).to_owned(),
            form: types::form(&sql_type, wanted).unwrap(),
            sql_type,
            nullable: true,
            values: Values::OfSource,
        }
    };
    named.iter().map(column).collect()
}

/// Decoded values into a record batch, by the kind of value.
fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Elements(ROWS));
    let wide: Vec<u8> = "Theresa Kowalski, 17 Station Road, Lyon"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mixed: Vec<u8> = "Zoë Müller, 3 Hauptstraße, Köln"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let decimal = DecimalParts::new(true, 18, 4, 1_234_567);
    let moment = || SqlDateTime2 {
        days: 738_000,
        time: SqlTime {
            time_nanoseconds: 432_109_876_543,
            scale: 7,
        },
    };
    type Put<'a> = &'a dyn Fn(&mut BatchBuilder, u64);
    let cases: [(&str, &str, Put<'_>); 6] = [
        ("bigint", "bigint", &|batch, row| batch.write_i64(0, row.cast_signed())),
        ("decimal", "decimal(18,4)", &|batch, _| {
            batch.write_decimal(0, decimal.clone())
        }),
        ("datetime2", "datetime2(7)", &|batch, _| {
            batch.write_datetime2(0, moment())
        }),
        ("uniqueidentifier", "uniqueidentifier", &|batch, row| {
            batch.write_uuid(0, Uuid::from_u128(row.into()));
        }),
        ("nvarchar, ASCII", "nvarchar(40)", &|batch, _| {
            batch.write_string(0, Cow::Borrowed(&wide), EncodingType::Utf16);
        }),
        ("nvarchar, accents", "nvarchar(40)", &|batch, _| {
            batch.write_string(0, Cow::Borrowed(&mixed), EncodingType::Utf16);
        }),
    ];
    for (name, sql_type, put) in cases {
        let mut batch = BatchBuilder::new(&columns(&[("a", sql_type)], "parquet"), LIMITS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for row in 0..ROWS {
                    put(&mut batch, black_box(row));
                    batch.end_row();
                }
                black_box(batch.finish().unwrap())
            });
        });
    }
    group.finish();
}

#[derive(Default)]
struct Collected(Vec<RecordBatch>);

impl TakeBatches<RecordBatch> for Collected {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        self.0.push(batch);
        Ok(())
    }
}

/// One batch of a table, read from the replaying server.
fn batch(table: &Table, columns: &[Column]) -> RecordBatch {
    let server = Replay::start(Replayed::Rows(PreparedRows::new(table, ROWS)));
    let login = Login::new("127.0.0.1", server.port(), "reader", "replay", "db").with_tls(Tls::Trust);
    let name: ObjectName = table.name.parse().unwrap();
    let end = Watermark::new(TypeName::new("bigint").unwrap(), i64::MAX.to_string()).unwrap();
    let rows = Rows::Interval(Interval {
        table: &name,
        column: &Identifier::new("id").unwrap(),
        old: None,
        new: &end,
        closed: tidemark::model::rows::Closed::default(),
        with_nulls: false,
        key: None,
        filter: None,
    });
    let mut collected = Collected::default();
    let mut reader = RowReader::unencrypted(login, LIMITS);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(reader.read(&rows, columns, &mut collected)).unwrap();
    collected.0.remove(0)
}

/// A record batch into the bytes of a file.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS));
    for table in [tables::mixed(), tables::narrow()] {
        let named: Vec<_> = table
            .columns
            .iter()
            .map(|column| (column.name, column.sql_type))
            .collect();
        for name in ["parquet", "csv", "jsonl"] {
            let format: Format = serde_json::from_value(name.into()).unwrap();
            let columns = columns(&named, name);
            let batch = batch(&table, &columns);
            group.bench_function(format!("{}/{name}", table.name), |bencher| {
                bencher.iter(|| {
                    let mut encoder = Files.encoder(&columns, &FieldIds::default(), &format).unwrap();
                    encoder.write(&batch).unwrap();
                    black_box(encoder.finish().unwrap())
                });
            });
        }
    }
    group.finish();
}

/// The checksum of a piece of an upload.
fn checksum(criterion: &mut Criterion) {
    let piece: Vec<u8> = (0..1_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let mut group = criterion.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(piece.len() as u64));
    group.bench_function("crc64nvme", |bencher| {
        bencher.iter(|| crc64nvme_base64(black_box(&piece)));
    });
    group.finish();
}

criterion_group!(hot_loops, build, encode, checksum);
criterion_main!(hot_loops);

//! The loops that every row goes through, each by itself: `benches/hot_loops.rs` measures them for a person, and
//! `tests/ratios.rs` compares them with each other on every change.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a benchmark fails by panicking"
)]

use std::borrow::Cow;
use std::fmt;
use std::hint::black_box;

use arrow_array::RecordBatch;
use mssql_tds::datatypes::column_values::{SqlDateTime2, SqlTime};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_string::EncodingType;
use tidemark::checksum::crc64nvme_base64;
use tidemark::error::Answer;
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::rows::Rows;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, TypeName};
use tidemark::model::values::Values;
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

use crate::whole::Whole;

/// A loop over so many rows or bytes.
pub struct HotLoop {
    /// The kind of loop, and what it is measured with.
    pub name: String,
    /// The rows or the bytes of one turn.
    pub elements: u64,
    /// Does one turn.
    pub turn: Box<dyn FnMut()>,
}

impl fmt::Debug for HotLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotLoop")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Makes all loops, with batches of so many rows: values into columns, columns into files, and the checksum of what is
/// uploaded.
#[must_use]
pub fn hot_loops(rows: u64) -> Vec<HotLoop> {
    let limits = BatchLimits {
        rows: usize::try_from(rows).unwrap(),
        bytes: usize::MAX,
    };
    let mut loops = build(rows, limits);
    loops.extend(encode(rows, limits));
    let piece: Vec<u8> = (0..rows * 16).flat_map(u64::to_le_bytes).collect();
    loops.push(HotLoop {
        name: "checksum/crc64nvme".to_owned(),
        elements: piece.len() as u64,
        turn: Box::new(move || {
            black_box(crc64nvme_base64(black_box(&piece)));
        }),
    });
    loops
}

/// Returns columns as the source describes them for files of this format.
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

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Makes the loops from decoded values to a record batch, one for each kind of value.
fn build(rows: u64, limits: BatchLimits) -> Vec<HotLoop> {
    type Put = Box<dyn Fn(&mut BatchBuilder, u64)>;
    let (ascii, accents) = (
        utf16("Theresa Kowalski, 17 Station Road, Lyon"),
        utf16("Zoë Müller, 3 Hauptstraße, Köln"),
    );
    let decimal = DecimalParts::new(true, 18, 4, 1_234_567);
    let moment = || SqlDateTime2 {
        days: 738_000,
        time: SqlTime {
            time_nanoseconds: 432_109_876_543,
            scale: 7,
        },
    };
    let cases: [(&str, &str, Put); 6] = [
        (
            "bigint",
            "bigint",
            Box::new(|batch, row| batch.write_i64(0, row.cast_signed())),
        ),
        (
            "decimal",
            "decimal(18,4)",
            Box::new(move |batch, _| batch.write_decimal(0, decimal)),
        ),
        (
            "datetime2",
            "datetime2(7)",
            Box::new(move |batch, _| batch.write_datetime2(0, moment())),
        ),
        (
            "uniqueidentifier",
            "uniqueidentifier",
            Box::new(|batch, row| batch.write_uuid(0, Uuid::from_u128(row.into()))),
        ),
        (
            "nvarchar, ASCII",
            "nvarchar(40)",
            Box::new(move |batch, _| batch.write_string(0, Cow::Borrowed(&ascii), EncodingType::Utf16)),
        ),
        (
            "nvarchar, accents",
            "nvarchar(40)",
            Box::new(move |batch, _| batch.write_string(0, Cow::Borrowed(&accents), EncodingType::Utf16)),
        ),
    ];
    let cases = cases.into_iter().map(|(name, sql_type, put)| {
        let mut batch = BatchBuilder::new(&columns(&[("a", sql_type)], "parquet"), limits);
        let turn = move || {
            for row in 0..rows {
                put(&mut batch, black_box(row));
                batch.end_row();
            }
            black_box(batch.finish().unwrap());
        };
        HotLoop {
            name: format!("build/{name}"),
            elements: rows,
            turn: Box::new(turn),
        }
    });
    cases.collect()
}

#[derive(Default)]
struct Collected(Vec<RecordBatch>);

impl TakeBatches<RecordBatch> for Collected {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        self.0.push(batch);
        Ok(())
    }
}

/// Reads one batch of a table from the replaying server.
fn batch(table: &Table, columns: &[Column], rows: u64, limits: BatchLimits) -> RecordBatch {
    let server = Replay::start(Replayed::Rows(PreparedRows::new(table, rows)));
    let login = Login::new("127.0.0.1", server.port(), "reader", "replay", "db").with_tls(Tls::Trust);
    let whole = Whole::of(table.name).unwrap();
    let mut collected = Collected::default();
    let mut reader = RowReader::unencrypted(login, limits);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(reader.read(&Rows::Interval(whole.interval()), columns, &mut collected))
        .unwrap();
    collected.0.remove(0)
}

/// Makes the loops from a record batch to the bytes of a file.
fn encode(rows: u64, limits: BatchLimits) -> Vec<HotLoop> {
    let mut loops = Vec::new();
    for table in [tables::mixed(), tables::narrow()] {
        let named: Vec<_> = table
            .columns
            .iter()
            .map(|column| (column.name, column.sql_type))
            .collect();
        for name in ["parquet", "csv", "jsonl"] {
            let format: Format = serde_json::from_value(name.into()).unwrap();
            let columns = columns(&named, name);
            let batch = batch(&table, &columns, rows, limits);
            let turn = move || {
                let mut encoder = Files
                    .encoder(&columns, &FieldIds::default(), &format, Vec::new())
                    .unwrap();
                encoder.write(&batch).unwrap();
                black_box(encoder.finish().unwrap());
            };
            loops.push(HotLoop {
                name: format!("encode/{}/{name}", table.name),
                elements: rows,
                turn: Box::new(turn),
            });
        }
    }
    loops
}

//! Whether `docs/types.md` says what the encoders do.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::{LogicalType, TimeUnit};
use ::parquet::schema::types::ColumnDescriptor;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};

use super::forms::{DAY_TICKS, SECOND_TICKS, UNIX_EPOCH_DAYS};
use super::*;
use crate::format::{CsvOptions, JsonlOptions, Timestamps};
use crate::shape::Held;
use crate::types::{Column, SqlType};

const PAGE: &str = include_str!("../../../docs/types.md");

/// A row of the page's first table.
struct Row {
    /// The names in the first cell.
    names: Vec<String>,
    parquet: String,
    json: String,
    csv: String,
}

fn rows() -> Vec<Row> {
    let table = PAGE.split("## Values").nth(1).unwrap();
    let lines = table.lines().skip_while(|line| !line.starts_with("|---"));
    let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [names, parquet, json, csv, _lost] = cells[..] else {
                panic!("a row with another number of cells: {line}");
            };
            Row {
                names: names.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
                parquet: parquet.to_owned(),
                json: json.to_owned(),
                csv: csv.to_owned(),
            }
        })
        .collect()
}

/// Every type once, with the name the page gives it. A new variant does not compile until it is named here, and has to
/// be put into the chain to be named at all.
fn every_type() -> Vec<(SqlType, &'static str)> {
    let mut all = Vec::new();
    let mut next = Some(SqlType::Bit);
    while let Some(sql_type) = next {
        let (name, following) = match sql_type {
            SqlType::Bit => ("bit", SqlType::TinyInt),
            SqlType::TinyInt => ("tinyint", SqlType::SmallInt),
            SqlType::SmallInt => ("smallint", SqlType::Int),
            SqlType::Int => ("int", SqlType::BigInt),
            SqlType::BigInt => (
                "bigint",
                SqlType::Decimal {
                    precision: 38,
                    scale: 2,
                },
            ),
            SqlType::Decimal { .. } => ("decimal(p,s)", SqlType::Money),
            SqlType::Money => ("money", SqlType::SmallMoney),
            SqlType::SmallMoney => ("smallmoney", SqlType::Real),
            SqlType::Real => ("real", SqlType::Float),
            SqlType::Float => ("float", SqlType::Char(4)),
            SqlType::Char(_) => ("char(n)", SqlType::VarChar(Some(9))),
            SqlType::VarChar(Some(_)) => ("varchar(n)", SqlType::VarChar(None)),
            SqlType::VarChar(None) => ("varchar(max)", SqlType::NChar(4)),
            SqlType::NChar(_) => ("nchar(n)", SqlType::NVarChar(Some(9))),
            SqlType::NVarChar(Some(_)) => ("nvarchar(n)", SqlType::NVarChar(None)),
            SqlType::NVarChar(None) => ("nvarchar(max)", SqlType::Text),
            SqlType::Text => ("text", SqlType::NText),
            SqlType::NText => ("ntext", SqlType::Binary(3)),
            SqlType::Binary(_) => ("binary(n)", SqlType::VarBinary(Some(9))),
            SqlType::VarBinary(Some(_)) => ("varbinary(n)", SqlType::VarBinary(None)),
            SqlType::VarBinary(None) => ("varbinary(max)", SqlType::Image),
            SqlType::Image => ("image", SqlType::Date),
            SqlType::Date => ("date", SqlType::Time(7)),
            SqlType::Time(_) => ("time(n)", SqlType::SmallDateTime),
            SqlType::SmallDateTime => ("smalldatetime", SqlType::DateTime),
            SqlType::DateTime => ("datetime", SqlType::DateTime2(7)),
            SqlType::DateTime2(_) => ("datetime2(n)", SqlType::DateTimeOffset(7)),
            SqlType::DateTimeOffset(_) => ("datetimeoffset(n)", SqlType::UniqueIdentifier),
            SqlType::UniqueIdentifier => ("uniqueidentifier", SqlType::Xml),
            SqlType::Xml => ("xml", SqlType::RowVersion),
            SqlType::RowVersion => ("rowversion", SqlType::HierarchyId),
            SqlType::HierarchyId => ("hierarchyid", SqlType::Geometry),
            SqlType::Geometry => ("geometry", SqlType::Geography),
            SqlType::Geography => {
                all.push((SqlType::Geography, "geography"));
                break;
            }
        };
        all.push((sql_type, name));
        next = Some(following);
    }
    all
}

/// The value that the page shows for a type.
fn shown(sql_type: SqlType, held: Held) -> ArrayRef {
    let moment = 736_572 * DAY_TICKS + 56 * 60 * SECOND_TICKS;
    match held {
        Held::Bool => Arc::new(BooleanArray::from(vec![true])),
        Held::Int16 => Arc::new(Int16Array::from(vec![255])),
        Held::Int32 => Arc::new(Int32Array::from(vec![42])),
        Held::Int64 => Arc::new(Int64Array::from(vec![i64::MAX])),
        Held::Float32 => Arc::new(Float32Array::from(vec![0.1])),
        Held::Float64 => Arc::new(Float64Array::from(vec![1e300])),
        Held::Decimal { precision, scale } => Arc::new(
            Decimal128Array::from(vec![if scale == 4 { 15_000 } else { -150 }])
                .with_precision_and_scale(precision, scale.cast_signed())
                .unwrap(),
        ),
        Held::Text if sql_type == SqlType::Xml => Arc::new(StringArray::from(vec!["<a/>"])),
        Held::Text => Arc::new(StringArray::from(vec!["text"])),
        Held::Binary if sql_type == SqlType::RowVersion => {
            Arc::new(BinaryArray::from(vec![&b"\0\0\0\0\0\0\x07\xD1"[..]]))
        }
        Held::Binary => Arc::new(BinaryArray::from(vec![&b"\x00\xFFM"[..]])),
        Held::Uuid => {
            let guid = 0x6F96_19FF_8B86_D011_B42D_00C0_4FC9_64FF_u128.to_be_bytes();
            Arc::new(FixedSizeBinaryArray::try_from_iter([guid].into_iter()).unwrap())
        }
        Held::Date => Arc::new(Date32Array::from(vec![
            i32::try_from(736_572 - UNIX_EPOCH_DAYS).unwrap(),
        ])),
        Held::TimeTicks => Arc::new(Int64Array::from(vec![moment % DAY_TICKS + 1_234_567])),
        Held::Ticks => Arc::new(Int64Array::from(vec![
            moment
                + match sql_type {
                    SqlType::SmallDateTime => 0,
                    SqlType::DateTime => 30_000,
                    _ => 1_234_567,
                },
        ])),
        Held::TicksAndOffset => {
            let bytes = [&(moment + 1_234_567).to_le_bytes()[..], &120_i16.to_le_bytes()].concat();
            Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap())
        }
        Held::Time(_) | Held::Timestamp(_) | Held::Instant(_) | Held::Iso => panic!("only Parquet holds {held:?}"),
    }
}

fn columns(sql_type: SqlType) -> [Column; 1] {
    [Column {
        name: "c".to_owned(),
        sql_type,
        nullable: true,
    }]
}

/// The value as one field of a line in a text format.
fn in_text(sql_type: SqlType, format: &Format) -> String {
    let shape = Shape::new(&columns(sql_type), format, Timestamps::Us).unwrap();
    let batch = RecordBatch::try_new(shape.schema().clone(), vec![shown(sql_type, shape.held()[0])]).unwrap();
    let mut encoder = Encoder::new(&shape, format).unwrap();
    encoder.write(&batch).unwrap();
    let text = String::from_utf8(encoder.finish().unwrap().bytes).unwrap();
    let line = text.trim_end();
    let value = line.strip_prefix("{\"c\":").and_then(|line| line.strip_suffix('}'));
    value.unwrap_or(line).to_owned()
}

/// The type as the footer of a Parquet file has it, in the page's words.
fn in_parquet(sql_type: SqlType) -> String {
    let format = Format::default();
    let shape = Shape::new(&columns(sql_type), &format, Timestamps::Us).unwrap();
    let array = arrow_array::new_null_array(shape.schema().field(0).data_type(), 1);
    let mut encoder = Encoder::new(&shape, &format).unwrap();
    encoder
        .write(&RecordBatch::try_new(shape.schema().clone(), vec![array]).unwrap())
        .unwrap();
    let bytes = bytes::Bytes::from(encoder.finish().unwrap().bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(
        reader.schema().field(0).metadata()["sqlserver.type"],
        sql_type.to_string()
    );
    words(&reader.metadata().file_metadata().schema_descr().column(0))
}

fn words(column: &ColumnDescriptor) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::MICROS => "microseconds",
        TimeUnit::NANOS | TimeUnit::MILLIS => panic!("not the default"),
    };
    match column.logical_type_ref() {
        None => column.physical_type().to_string(),
        Some(LogicalType::Integer(integer)) => {
            assert!(integer.is_signed);
            format!("INT({}, signed)", integer.bit_width)
        }
        Some(LogicalType::Decimal { .. }) => format!("DECIMAL({},{})", column.type_precision(), column.type_scale()),
        Some(LogicalType::String) => "STRING".to_owned(),
        Some(LogicalType::Uuid) => "UUID".to_owned(),
        Some(LogicalType::Date) => "DATE".to_owned(),
        Some(LogicalType::Time(time)) => format!("TIME, {}", unit(&time.unit)),
        Some(LogicalType::Timestamp(moment)) => {
            let zone = if moment.is_adjusted_to_u_t_c { "UTC" } else { "no zone" };
            format!("TIMESTAMP, {}, {zone}", unit(&moment.unit))
        }
        Some(other) => panic!("the page has no words for {other:?}"),
    }
}

#[test]
fn the_page_of_types_says_what_the_encoders_do() {
    let rows = rows();
    let csv = Format::Csv(CsvOptions {
        header: false,
        null: "\\N".to_owned(),
        ..CsvOptions::default()
    });
    let jsonl = Format::Jsonl(JsonlOptions::default());
    for (sql_type, name) in every_type() {
        let row = rows
            .iter()
            .find(|row| row.names.iter().any(|listed| listed == name))
            .unwrap_or_else(|| panic!("docs/types.md has no row for {name}"));
        assert_eq!(row.json, format!("`{}`", in_text(sql_type, &jsonl)), "{name} in JSON");
        assert_eq!(row.csv, format!("`{}`", in_text(sql_type, &csv)), "{name} in CSV");
        let form = in_parquet(sql_type).replace("(38,2)", "(p,s)");
        let rest = row.parquet.strip_prefix(form.as_str());
        assert!(
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (")),
            "{name} in Parquet is {form}, docs/types.md says {}",
            row.parquet
        );
    }
}

#[test]
fn the_page_of_types_names_no_type_that_is_not_there() {
    let known: Vec<&str> = every_type().into_iter().map(|(_, name)| name).collect();
    let other_names = ["numeric(p,s)", "sysname", "timestamp", "json", "vector"];
    for row in rows() {
        for name in &row.names {
            assert!(
                known.contains(&name.as_str()) || other_names.contains(&name.as_str()),
                "docs/types.md has a row for {name}, which is no type"
            );
        }
    }
}

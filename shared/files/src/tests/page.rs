//! Tests whether `docs/reference/types.md` describes what the encoders write.
//!
//! The source's adapter decides which types there are, and in which form each is held. These tests only compare the
//! page with the encoders.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::{LogicalType, TimeUnit};
use ::parquet::schema::types::ColumnDescriptor;
use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, StringArray,
};
use tidemark::model::format::{CsvOptions, JsonlOptions};
use tidemark::model::types::Fraction;
use tidemark::model::value_text::{DAY_TICKS, SECOND_TICKS, UNIX_EPOCH_DAYS};

use super::*;

const PAGE: &str = include_str!("../../../../docs/reference/types.md");

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

/// The types of the page: the form in text formats, and the form in Parquet if it is another.
const TYPES: [(&str, Form, Option<Form>); 34] = [
    ("bit", Form::Bool, None),
    ("tinyint", Form::Int16, None),
    ("smallint", Form::Int16, None),
    ("int", Form::Int32, None),
    ("bigint", Form::Int64, None),
    (
        "decimal(p,s)",
        Form::Decimal {
            precision: 38,
            scale: 2,
        },
        None,
    ),
    (
        "money",
        Form::Decimal {
            precision: 19,
            scale: 4,
        },
        None,
    ),
    (
        "smallmoney",
        Form::Decimal {
            precision: 10,
            scale: 4,
        },
        None,
    ),
    ("real", Form::Float32, None),
    ("float", Form::Float64, None),
    ("char(n)", Form::Text, None),
    ("varchar(n)", Form::Text, None),
    ("varchar(max)", Form::Text, None),
    ("text", Form::Text, None),
    ("nchar(n)", Form::Text, None),
    ("nvarchar(n)", Form::Text, None),
    ("nvarchar(max)", Form::Text, None),
    ("ntext", Form::Text, None),
    ("xml", Form::Text, None),
    ("binary(n)", Form::Binary, None),
    ("varbinary(n)", Form::Binary, None),
    ("varbinary(max)", Form::Binary, None),
    ("image", Form::Binary, None),
    ("rowversion", Form::RowVersion, None),
    ("hierarchyid", Form::Binary, None),
    ("geometry", Form::Binary, None),
    ("geography", Form::Binary, None),
    ("uniqueidentifier", Form::Uuid, Some(Form::Text)),
    ("date", Form::Date, None),
    ("time(n)", Form::TimeTicks(7), Some(Form::Iso(7))),
    ("smalldatetime", Form::Ticks(0), Some(Form::Timestamp(Fraction::Micros))),
    ("datetime", Form::Ticks(3), Some(Form::Timestamp(Fraction::Micros))),
    ("datetime2(n)", Form::Ticks(7), Some(Form::Timestamp(Fraction::Micros))),
    (
        "datetimeoffset(n)",
        Form::TicksAndOffset(7),
        Some(Form::Instant(Fraction::Micros)),
    ),
];

/// Returns the value that the page shows for a type.
fn shown(name: &str, form: Form) -> ArrayRef {
    let moment = 736_572 * DAY_TICKS + 56 * 60 * SECOND_TICKS;
    match form {
        Form::Bool => Arc::new(BooleanArray::from(vec![true])),
        Form::Int16 => Arc::new(Int32Array::from(vec![255])),
        Form::Int32 => Arc::new(Int32Array::from(vec![42])),
        Form::Int64 => Arc::new(Int64Array::from(vec![i64::MAX])),
        Form::Float32 => Arc::new(Float32Array::from(vec![0.1])),
        Form::Float64 => Arc::new(Float64Array::from(vec![1e300])),
        Form::Decimal { precision, scale } => Arc::new(
            Decimal128Array::from(vec![if scale == 4 { 15_000 } else { -150 }])
                .with_precision_and_scale(precision, scale.cast_signed())
                .unwrap(),
        ),
        Form::Text if name == "xml" => Arc::new(StringArray::from(vec!["<a/>"])),
        Form::Text => Arc::new(StringArray::from(vec!["text"])),
        Form::RowVersion => Arc::new(BinaryArray::from(vec![&b"\0\0\0\0\0\0\x07\xD1"[..]])),
        Form::Binary => Arc::new(BinaryArray::from(vec![&b"\x00\xFFM"[..]])),
        Form::Uuid => {
            let guid = 0x6F96_19FF_8B86_D011_B42D_00C0_4FC9_64FF_u128.to_be_bytes();
            Arc::new(FixedSizeBinaryArray::try_from_iter([guid].into_iter()).unwrap())
        }
        Form::Date => Arc::new(Date32Array::from(vec![
            i32::try_from(736_572 - UNIX_EPOCH_DAYS).unwrap(),
        ])),
        Form::TimeTicks(_) => Arc::new(Int64Array::from(vec![moment % DAY_TICKS + 1_234_567])),
        Form::Ticks(digits) => Arc::new(Int64Array::from(vec![
            moment
                + match digits {
                    0 => 0,
                    3 => 30_000,
                    _ => 1_234_567,
                },
        ])),
        Form::TicksAndOffset(_) => {
            let bytes = [&(moment + 1_234_567).to_le_bytes()[..], &120_i16.to_le_bytes()].concat();
            Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap())
        }
        Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) | Form::Iso(_) => panic!("only Parquet holds {form:?}"),
    }
}

/// Returns the value as the only field of a line in a text format.
fn in_text(name: &str, form: Form, format: &Format) -> String {
    let text = String::from_utf8(encode(&[form], format, vec![shown(name, form)]).unwrap()).unwrap();
    let line = text.trim_end();
    let value = line.strip_prefix("{\"c0\":").and_then(|line| line.strip_suffix('}'));
    value.unwrap_or(line).to_owned()
}

/// Returns the type in the footer of a Parquet file, in the page's words.
fn in_parquet(form: Form) -> String {
    let schema = batch_schema(&columns(&[form]), &FieldIds::default()).unwrap();
    let array = arrow_array::new_null_array(schema.field(0).data_type(), 1);
    let bytes = bytes::Bytes::from(encode(&[form], &Format::default(), vec![array]).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
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
    for (name, exact, typed) in TYPES {
        let row = rows
            .iter()
            .find(|row| row.names.iter().any(|listed| listed == name))
            .unwrap_or_else(|| panic!("docs/reference/types.md has no row for {name}"));
        assert_eq!(
            row.json,
            format!("`{}`", in_text(name, exact, &jsonl)),
            "{name} in JSON"
        );
        assert_eq!(row.csv, format!("`{}`", in_text(name, exact, &csv)), "{name} in CSV");
        let in_parquet = in_parquet(typed.unwrap_or(exact)).replace("(38,2)", "(p,s)");
        let rest = row.parquet.strip_prefix(in_parquet.as_str());
        assert!(
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (")),
            "{name} in Parquet is {in_parquet}, docs/reference/types.md says {}",
            row.parquet
        );
    }
}

#[test]
fn the_page_of_types_says_what_the_native_forms_are() {
    for (name, native) in [
        ("uniqueidentifier", Form::Uuid),
        ("time(n)", Form::Time(Fraction::Micros)),
    ] {
        let rows = rows();
        let row = rows
            .iter()
            .find(|row| row.names.iter().any(|listed| listed == name))
            .unwrap();
        let said = format!("; native {} (", in_parquet(native));
        assert!(row.parquet.contains(&said), "{name}: {}", row.parquet);
    }
}

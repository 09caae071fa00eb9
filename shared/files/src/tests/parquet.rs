//! What Parquet parts say of themselves.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::{LogicalType, Repetition};
use ::parquet::file::metadata::RowGroupMetaData;
use arrow_array::{BinaryArray, Int32Array};
use tidemark::error::ErrorCode;
use tidemark::model::format::{CsvOptions, JsonlOptions};
use tidemark::model::types::Fraction;

use super::*;

fn reader(bytes: Vec<u8>) -> ParquetRecordBatchReaderBuilder<bytes::Bytes> {
    ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap()
}

#[test]
fn a_parquet_part_has_logical_types_and_its_rows() {
    let forms = [
        Form::Uuid,
        Form::Decimal {
            precision: 38,
            scale: 2,
        },
        Form::Timestamp(Fraction::Micros),
        Form::Instant(Fraction::Nanos),
        Form::Time(Fraction::Micros),
        Form::Date,
        Form::Text,
        Form::Iso(7),
    ];
    let schema = batch_schema(&columns(&forms)).unwrap();
    let fields = schema.fields().iter();
    let arrays = fields.map(|field| arrow_array::new_null_array(field.data_type(), 3));
    let reader = reader(encode(&forms, &Format::default(), arrays.collect()).unwrap());
    let footer = reader.metadata().file_metadata();
    assert_eq!(footer.num_rows(), 3);
    assert!(footer.created_by().unwrap().starts_with("tidemark version "));
    let described = footer.schema_descr().columns().iter();
    let logical: Vec<LogicalType> = described
        .map(|column| column.logical_type_ref().unwrap().clone())
        .collect();
    assert!(matches!(logical[0], LogicalType::Uuid), "{logical:?}");
    assert!(format!("{:?}", logical[1]).contains("38"), "{logical:?}");
    for (index, unit, adjusted) in [(2, "MICROS", false), (3, "NANOS", true), (4, "MICROS", false)] {
        let text = format!("{:?}", logical[index]);
        assert!(text.contains(&format!("adjusted_to_u_t_c: {adjusted}")), "{text}");
        assert!(text.contains(unit), "{text}");
    }
    assert!(matches!(logical[5], LogicalType::Date));
    assert!(matches!(logical[6], LogicalType::String));
    assert!(matches!(logical[7], LogicalType::String));
    assert_eq!(reader.schema().field(2).metadata()["sqlserver.type"], "declared(7)");
}

#[test]
fn every_column_is_optional_and_null_is_refused_where_there_is_none() {
    let mut columns = columns(&[Form::Int32, Form::Int32]);
    columns[1].nullable = false;
    let write = |values: [Option<i32>; 2], format: &Format| {
        let arrays = values.map(|value| -> ArrayRef { Arc::new(Int32Array::from(vec![Some(7), value])) });
        let mut encoder = encoder(&columns, format)?;
        encoder.write(&batch(&columns, arrays.to_vec()))?;
        encoder.finish()
    };
    let part = write([None, Some(7)], &Format::default()).unwrap();
    let reader = reader(part.bytes);
    for column in reader.metadata().file_metadata().schema_descr().columns() {
        let repetition = column.self_type().get_basic_info().repetition();
        assert_eq!(repetition, Repetition::OPTIONAL, "{}", column.name());
    }
    let csv = Format::Csv(CsvOptions::default());
    for format in [Format::default(), csv, Format::Jsonl(JsonlOptions::default())] {
        let error = write([Some(7), None], &format).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(error.to_string().contains("'c1'"), "{error}");
    }
}

#[test]
fn row_groups_are_bounded_in_rows_and_in_bytes_however_well_they_are_packed() {
    let groups = |form: Form, batches: usize, make: &dyn Fn() -> ArrayRef| {
        let columns = columns(&[form]);
        let mut encoder = encoder(&columns, &Format::default()).unwrap();
        let mut bytes = Vec::new();
        for _ in 0..batches {
            encoder.write(&batch(&columns, vec![make()])).unwrap();
            bytes.extend(encoder.drain(<[u8]>::to_vec));
        }
        bytes.extend(encoder.finish().unwrap().bytes);
        let groups = reader(bytes).metadata().row_groups().to_vec();
        groups.iter().map(RowGroupMetaData::num_rows).collect::<Vec<_>>()
    };
    let numbers = || -> ArrayRef { Arc::new(Int32Array::from(vec![7; 100_000])) };
    assert_eq!(groups(Form::Int32, 4, &numbers), [131_072, 131_072, 131_072, 6_784]);
    // 30 MiB that pack to almost nothing.
    let zeros = || -> ArrayRef { Arc::new(BinaryArray::from(vec![&vec![0; 10 << 20][..]; 3])) };
    assert_eq!(groups(Form::Binary, 6, &zeros), [15, 3]);
}

#[test]
fn an_empty_parquet_part_is_still_one() {
    let end = encoder(&columns(&[Form::Int32]), &Format::default())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(end.rows, 0);
    assert!(end.bytes.ends_with(b"PAR1"));
}

#[test]
fn two_columns_of_one_name_are_refused_in_every_format() {
    let mut columns = columns(&[Form::Int32, Form::Int32]);
    columns[1].name = columns[0].name.clone();
    let csv = Format::Csv(CsvOptions::default());
    for format in [Format::default(), csv, Format::Jsonl(JsonlOptions::default())] {
        let error = encoder(&columns, &format).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnsupportedType);
    }
}

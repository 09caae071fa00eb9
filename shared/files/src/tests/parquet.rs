//! Tests the metadata of Parquet parts.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::{ColumnOrder, Compression, ConvertedType, GzipLevel, LogicalType, Repetition, ZstdLevel};
use ::parquet::file::metadata::RowGroupMetaData;
use ::parquet::schema::types::ColumnDescPtr;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{BinaryArray, Decimal128Array, Int32Array};
use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::model::format::{CsvOptions, JsonlOptions};
use tidemark::model::types::Fraction;

use super::*;
use crate::batch_schema::data_type;

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
    let reader = reader(encode(&forms, &Format::default(), nulls(&forms)).unwrap());
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
}

/// Returns three rows of NULL.
fn nulls(forms: &[Form]) -> Vec<ArrayRef> {
    let nulls = |form: &Form| arrow_array::new_null_array(&data_type(*form), 3);
    forms.iter().map(nulls).collect()
}

/// Returns every form that a Parquet part can have.
fn every_form() -> Vec<Form> {
    let decimal = |precision, scale| Form::Decimal { precision, scale };
    let [us, ns] = [Fraction::Micros, Fraction::Nanos];
    vec![
        Form::Bool,
        Form::Int16,
        Form::Int32,
        Form::Int64,
        Form::Float32,
        Form::Float64,
        decimal(9, 2),
        decimal(18, 4),
        decimal(38, 10),
        Form::Text,
        Form::Binary,
        Form::RowVersion,
        Form::Uuid,
        Form::Date,
        Form::Time(us),
        Form::Time(ns),
        Form::Timestamp(us),
        Form::Timestamp(ns),
        Form::Instant(us),
        Form::Instant(ns),
        Form::Iso(7),
    ]
}

/// Many current readers cannot open a file with another order than TYPE_ORDER, and parquet 60 writes another for `real`
/// and `float`.
#[test]
fn the_footer_of_a_file_with_every_type_has_what_engines_open() {
    let forms = every_form();
    let reader = reader(encode(&forms, &Format::default(), nulls(&forms)).unwrap());
    let footer = reader.metadata().file_metadata();
    let orders = footer.column_orders().unwrap();
    assert_eq!(orders.len(), forms.len());
    for (order, form) in orders.iter().zip(&forms) {
        assert!(
            matches!(order, ColumnOrder::TYPE_DEFINED_ORDER(_)),
            "{form:?}: {order:?}"
        );
    }
    for (place, column) in footer.schema_descr().columns().iter().enumerate() {
        let info = column.self_type().get_basic_info();
        assert_eq!(info.repetition(), Repetition::OPTIONAL, "{:?}", forms[place]);
        assert!(info.has_id(), "{:?}", forms[place]);
        assert_eq!(info.id(), i32::try_from(place).unwrap() + 1);
        if matches!(forms[place], Form::Int16 | Form::Int32 | Form::Int64) {
            assert_eq!(column.logical_type_ref(), None);
            assert_eq!(column.converted_type(), ConvertedType::NONE);
        }
    }
    let notes = footer.key_value_metadata().unwrap();
    let note = |key: &str| {
        notes
            .iter()
            .find(|note| note.key == key)
            .unwrap()
            .value
            .clone()
            .unwrap()
    };
    assert_eq!(note("org.apache.spark.version"), "3.5.0");
    let types: serde_json::Value = serde_json::from_str(&note("sqlserver.types")).unwrap();
    assert_eq!(types["c0"], "declared(7)");
    assert_eq!(types.as_object().unwrap().len(), forms.len());
    // The fields have no metadata that could change between two windows.
    for field in reader.schema().fields() {
        let others = field
            .metadata()
            .keys()
            .filter(|key| !key.starts_with("ARROW:extension"));
        assert_eq!(others.collect::<Vec<_>>(), ["PARQUET:field_id"]);
    }
}

#[test]
fn pages_are_packed_as_asked_for() {
    for (options, expected) in [
        (json!({}), Compression::ZSTD(ZstdLevel::default())),
        (json!({ "compression": "snappy" }), Compression::SNAPPY),
        (
            json!({ "compression": "gzip" }),
            Compression::GZIP(GzipLevel::default()),
        ),
        (json!({ "compression": "none" }), Compression::UNCOMPRESSED),
    ] {
        let format: Format = serde_json::from_value(json!({ "parquet": options })).unwrap();
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..1000));
        let bytes = encode(&[Form::Int32], &format, vec![numbers.clone()]).unwrap();
        let reader = reader(bytes);
        let column = reader.metadata().row_group(0).column(0).clone();
        assert_eq!(column.compression(), expected, "{options}");
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        assert_eq!(
            batch.column(0).as_primitive::<Int32Type>(),
            numbers.as_primitive::<Int32Type>()
        );
    }
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
        for _ in 0..batches {
            encoder.write(&batch(&columns, vec![make()])).unwrap();
        }
        let groups = reader(encoder.finish().unwrap().bytes).metadata().row_groups().to_vec();
        groups.iter().map(RowGroupMetaData::num_rows).collect::<Vec<_>>()
    };
    let numbers = || -> ArrayRef { Arc::new(Int32Array::from(vec![7; 100_000])) };
    assert_eq!(groups(Form::Int32, 4, &numbers), [131_072, 131_072, 131_072, 6_784]);
    // These are 30 MiB that pack to almost nothing.
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

#[test]
fn decimals_of_few_digits_are_integers_or_bytes_of_a_fixed_length() {
    let decimal = |precision, scale| Form::Decimal { precision, scale };
    let forms = [
        decimal(1, 0),
        decimal(9, 2),
        decimal(18, 4),
        decimal(19, 4),
        decimal(38, 10),
        Form::Int32,
    ];
    let arrays = || {
        let values = [Some(9), None, Some(-9)];
        let decimals = forms[..5].iter().map(|form| {
            let array = Decimal128Array::from_iter(values).with_data_type(data_type(*form));
            Arc::new(array) as ArrayRef
        });
        let mut arrays: Vec<ArrayRef> = decimals.collect();
        arrays.push(Arc::new(Int32Array::from(vec![9, 0, -9])));
        arrays
    };
    for (options, lengths) in [
        (json!("parquet"), [-1, -1, -1, 9, 16, -1]),
        (json!({ "parquet": { "decimals": "fixed" } }), [1, 4, 8, 9, 16, -1]),
    ] {
        let format: Format = serde_json::from_value(options).unwrap();
        let reader = reader(encode(&forms, &format, arrays()).unwrap());
        let described = reader.metadata().file_metadata().schema_descr_ptr();
        let length = |column: &ColumnDescPtr| match column.physical_type() {
            ::parquet::basic::Type::FIXED_LEN_BYTE_ARRAY => column.type_length(),
            _ => -1,
        };
        let found: Vec<i32> = described.columns().iter().map(length).collect();
        assert_eq!(found, lengths, "{format:?}");
        let ids: Vec<i32> = described
            .columns()
            .iter()
            .map(|column| column.self_type().get_basic_info().id())
            .collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        for (column, expected) in batch.columns().iter().zip(arrays()) {
            assert_eq!(column, &expected, "{format:?}");
        }
    }
}

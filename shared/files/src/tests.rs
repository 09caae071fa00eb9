//! Every type in every text format, and what Parquet says of itself.

use std::io::Read;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::LogicalType;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use flate2::read::GzDecoder;

use super::forms::{DAY_TICKS, UNIX_EPOCH_DAYS};
use super::*;
use crate::format::{Compression, CsvOptions, JsonlOptions, LineEnd, Quote, Timestamps};
use crate::types::Column;

const LAST_TICK: i64 = 3_652_059 * DAY_TICKS - 1;

fn columns(types: &[&str]) -> Vec<Column> {
    let types = types.iter().enumerate();
    types
        .map(|(index, sql_type)| Column {
            name: format!("c{index}"),
            sql_type: sql_type.parse().unwrap(),
            nullable: true,
        })
        .collect()
}

fn encode(types: &[&str], format: &Format, arrays: Vec<ArrayRef>) -> Result<Vec<u8>> {
    let shape = Shape::new(&columns(types), format, Timestamps::Us)?;
    let batch = RecordBatch::try_new(shape.schema().clone(), arrays).unwrap();
    let mut encoder = Encoder::new(&shape, format)?;
    encoder.write(&batch)?;
    let mut bytes = encoder.drain(<[u8]>::to_vec);
    assert_eq!(encoder.pending(), 0);
    let end = encoder.finish()?;
    assert_eq!(end.rows, batch.num_rows() as u64);
    bytes.extend(end.bytes);
    Ok(bytes)
}

fn lines(types: &[&str], format: &Format, arrays: Vec<ArrayRef>) -> Vec<String> {
    let text = String::from_utf8(encode(types, format, arrays).unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn csv(change: impl FnOnce(&mut CsvOptions)) -> Format {
    let mut options = CsvOptions {
        header: false,
        ..CsvOptions::default()
    };
    change(&mut options);
    Format::Csv(options)
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn offset_ticks(ticks: i64, minutes: i16) -> ArrayRef {
    let mut bytes = ticks.to_le_bytes().to_vec();
    bytes.extend(minutes.to_le_bytes());
    Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap())
}

/// A type, one value of it, and its CSV and JSON forms.
fn every_type() -> Vec<(&'static str, ArrayRef, &'static str, &'static str)> {
    let decimal = |unscaled: i128, precision, scale| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(vec![unscaled])
                .with_precision_and_scale(precision, scale)
                .unwrap(),
        )
    };
    let ticks = |ticks: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![ticks])) };
    vec![
        ("bit", Arc::new(BooleanArray::from(vec![true])), "1", "true"),
        ("tinyint", Arc::new(Int16Array::from(vec![255])), "255", "255"),
        (
            "smallint",
            Arc::new(Int16Array::from(vec![i16::MIN])),
            "-32768",
            "-32768",
        ),
        (
            "int",
            Arc::new(Int32Array::from(vec![i32::MIN])),
            "-2147483648",
            "-2147483648",
        ),
        (
            "bigint",
            Arc::new(Int64Array::from(vec![i64::MAX])),
            "9223372036854775807",
            "\"9223372036854775807\"",
        ),
        (
            "decimal(38,10)",
            decimal(1 - 10_i128.pow(38), 38, 10),
            "-9999999999999999999999999999.9999999999",
            "\"-9999999999999999999999999999.9999999999\"",
        ),
        (
            "money",
            decimal(i64::MIN.into(), 19, 4),
            "-922337203685477.5808",
            "\"-922337203685477.5808\"",
        ),
        (
            "smallmoney",
            decimal(2_147_483_647, 10, 4),
            "214748.3647",
            "\"214748.3647\"",
        ),
        ("real", Arc::new(Float32Array::from(vec![0.1])), "0.1", "0.1"),
        ("float", Arc::new(Float64Array::from(vec![1e300])), "1e+300", "1e+300"),
        ("varchar(9)", texts(&[Some("aé😀")]), "aé😀", "\"aé😀\""),
        (
            "nvarchar(max)",
            texts(&[Some("a\tb\u{1}")]),
            "a\tb\u{1}",
            "\"a\\tb\\u0001\"",
        ),
        ("xml", texts(&[Some("<a b='c'/>")]), "<a b='c'/>", "\"<a b='c'/>\""),
        (
            "varbinary(9)",
            Arc::new(BinaryArray::from(vec![&b"\x00\xFFM"[..]])),
            "0x00FF4D",
            "\"AP9N\"",
        ),
        (
            "rowversion",
            Arc::new(BinaryArray::from(vec![&b"\0\0\0\0\0\0\x07\xD1"[..]])),
            "0x00000000000007D1",
            "\"0x00000000000007D1\"",
        ),
        (
            "date",
            Arc::new(Date32Array::from(vec![-719_162])),
            "0001-01-01",
            "\"0001-01-01\"",
        ),
        (
            "time(7)",
            ticks(DAY_TICKS - 1),
            "23:59:59.9999999",
            "\"23:59:59.9999999\"",
        ),
        ("time(0)", ticks(0), "00:00:00", "\"00:00:00\""),
        (
            "smalldatetime",
            ticks(UNIX_EPOCH_DAYS * DAY_TICKS),
            "1970-01-01 00:00:00",
            "\"1970-01-01T00:00:00\"",
        ),
        (
            "datetime",
            ticks(UNIX_EPOCH_DAYS * DAY_TICKS + 30_000),
            "1970-01-01 00:00:00.003",
            "\"1970-01-01T00:00:00.003\"",
        ),
        (
            "datetime2(7)",
            ticks(LAST_TICK),
            "9999-12-31 23:59:59.9999999",
            "\"9999-12-31T23:59:59.9999999\"",
        ),
        (
            "datetime2(2)",
            ticks(0),
            "0001-01-01 00:00:00.00",
            "\"0001-01-01T00:00:00.00\"",
        ),
        (
            "datetimeoffset(3)",
            offset_ticks(UNIX_EPOCH_DAYS * DAY_TICKS, -90),
            "1969-12-31 22:30:00.000 -01:30",
            "\"1969-12-31T22:30:00.000-01:30\"",
        ),
        (
            "uniqueidentifier",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[0xAB_u8; 16]].into_iter()).unwrap()),
            "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB",
            "\"ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB\"",
        ),
    ]
}

#[test]
fn every_type_has_one_exact_form_in_csv_and_in_json() {
    for (sql_type, array, in_csv, in_json) in every_type() {
        let types = ["int", sql_type];
        let first: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let written = lines(&types, &csv(|_| ()), vec![first.clone(), array.clone()]);
        assert_eq!(written, [format!("7,{in_csv}")], "{sql_type}");
        let written = lines(&types, &Format::Jsonl(JsonlOptions::default()), vec![first, array]);
        assert_eq!(written, [format!("{{\"c0\":7,\"c1\":{in_json}}}")], "{sql_type}");
        let _: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    }
}

#[test]
fn null_is_not_the_empty_string() {
    let values = [None, Some(""), Some("\\N"), Some("NULL")];
    for (null, expected) in [
        ("", ["1,", "1,\"\"", "1,\\N", "1,NULL"]),
        ("\\N", ["1,\\N", "1,\"\"", "1,\"\\N\"", "1,NULL"]),
        ("NULL", ["1,NULL", "1,\"\"", "1,\\N", "1,\"NULL\""]),
    ] {
        let ones: ArrayRef = Arc::new(Int32Array::from(vec![1; 4]));
        let format = csv(|options| options.null = null.to_owned());
        assert_eq!(
            lines(&["int", "varchar(9)"], &format, vec![ones, texts(&values)]),
            expected
        );
    }
    let json = lines(
        &["varchar(9)"],
        &Format::Jsonl(JsonlOptions::default()),
        vec![texts(&values[..2])],
    );
    assert_eq!(json, ["{\"c0\":null}", "{\"c0\":\"\"}"]);
}

#[test]
fn quotes_survive_delimiters_quotes_and_line_breaks() {
    let format = csv(|options| {
        options.header = true;
        options.delimiter = ';';
    });
    let values = [Some("a;b"), Some("say \"no\""), Some("two\r\nlines"), Some("a,b")];
    let bytes = encode(&["varchar(99)", "int"], &format, {
        let ones: ArrayRef = Arc::new(Int32Array::from(vec![1; 4]));
        vec![texts(&values), ones]
    });
    assert_eq!(
        String::from_utf8(bytes.unwrap()).unwrap(),
        "c0;c1\n\"a;b\";1\n\"say \"\"no\"\"\";1\n\"two\r\nlines\";1\na,b;1\n"
    );
}

#[test]
fn the_options_of_the_tutorials_give_their_bytes() {
    let format = csv(|options| {
        options.null = "\\N".to_owned();
        options.quote = Quote::None;
        options.fraction_digits = Some(7);
        options.line_end = LineEnd::CrLf;
    });
    let day = 736_572 * DAY_TICKS;
    let bytes = encode(
        &["int", "varchar(255)", "datetime"],
        &format,
        vec![
            Arc::new(Int32Array::from(vec![Some(1), None])),
            texts(&[Some("aaaa"), Some("say \"b\"")]),
            Arc::new(Int64Array::from(vec![Some(day + 56 * 60 * 10_000_000), None])),
        ],
    );
    assert_eq!(
        String::from_utf8(bytes.unwrap()).unwrap(),
        "1,aaaa,2017-09-01 00:56:00.0000000\r\n\\N,say \"b\",\\N\r\n"
    );
}

#[test]
fn without_quotes_a_value_that_needs_them_is_an_error_that_does_not_show_it() {
    for value in ["se,cret", "se\ncret", "\\N"] {
        let format = csv(|options| {
            options.null = "\\N".to_owned();
            options.quote = Quote::None;
        });
        let error = encode(&["varchar(99)"], &format, vec![texts(&[Some(value)])]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert!(
            error.to_string().contains("'c0'") && !error.to_string().contains("cret"),
            "{error}"
        );
    }
}

#[test]
fn an_only_column_needs_a_null_text() {
    let error = encode(&["int"], &csv(|_| ()), vec![Arc::new(Int32Array::from(vec![1]))]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
}

#[test]
fn a_packed_part_is_one_gzip_stream_however_it_is_taken() {
    let format = Format::Jsonl(JsonlOptions {
        compression: Compression::Gzip,
    });
    let shape = Shape::new(&columns(&["int"]), &format, Timestamps::Us).unwrap();
    let array: ArrayRef = Arc::new(Int32Array::from_iter_values(0..50_000));
    let batch = RecordBatch::try_new(shape.schema().clone(), vec![array]).unwrap();
    let mut encoder = Encoder::new(&shape, &format).unwrap();
    let mut packed = Vec::new();
    for _ in 0..2 {
        encoder.write(&batch).unwrap();
        packed.extend(encoder.drain(<[u8]>::to_vec));
    }
    let end = encoder.finish().unwrap();
    packed.extend(end.bytes);
    let mut text = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    assert_eq!((end.rows, text.lines().count()), (100_000, 100_000));
    assert_eq!(text.lines().last(), Some("{\"c0\":49999}"));
}

#[test]
fn a_parquet_part_has_logical_types_and_its_rows() {
    let types = [
        "uniqueidentifier",
        "decimal(38,2)",
        "datetime2(7)",
        "datetimeoffset(7)",
        "time(7)",
        "date",
        "nvarchar(9)",
    ];
    let format = Format::default();
    let shape = Shape::new(&columns(&types), &format, Timestamps::Us).unwrap();
    let arrays: Vec<ArrayRef> = shape
        .schema()
        .fields()
        .iter()
        .map(|field| arrow_array::new_null_array(field.data_type(), 3))
        .collect();
    let bytes = encode(&types, &format, arrays).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let footer = reader.metadata().file_metadata();
    assert_eq!(footer.num_rows(), 3);
    assert!(footer.created_by().unwrap().starts_with("tidemark version "));
    let logical: Vec<LogicalType> = footer
        .schema_descr()
        .columns()
        .iter()
        .map(|column| column.logical_type_ref().unwrap().clone())
        .collect();
    assert!(matches!(logical[0], LogicalType::Uuid), "{logical:?}");
    assert!(format!("{:?}", logical[1]).contains("38"), "{logical:?}");
    for (index, adjusted) in [(2, false), (3, true), (4, false)] {
        let text = format!("{:?}", logical[index]);
        assert!(text.contains(&format!("adjusted_to_u_t_c: {adjusted}")), "{text}");
    }
    assert!(matches!(logical[5], LogicalType::Date));
    assert!(matches!(logical[6], LogicalType::String));
    assert_eq!(reader.schema().field(2).metadata()["sqlserver.type"], "datetime2(7)");
}

#[test]
fn row_groups_are_bounded_in_rows_and_in_bytes_however_well_they_are_packed() {
    let groups = |types: &[&str], batches: usize, make: &dyn Fn() -> Vec<ArrayRef>| {
        let format = Format::default();
        let shape = Shape::new(&columns(types), &format, Timestamps::Us).unwrap();
        let mut encoder = Encoder::new(&shape, &format).unwrap();
        let mut bytes = Vec::new();
        for _ in 0..batches {
            let batch = RecordBatch::try_new(shape.schema().clone(), make()).unwrap();
            encoder.write(&batch).unwrap();
            bytes.extend(encoder.drain(<[u8]>::to_vec));
        }
        bytes.extend(encoder.finish().unwrap().bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        let groups = reader.metadata().row_groups().iter();
        groups
            .map(::parquet::file::metadata::RowGroupMetaData::num_rows)
            .collect::<Vec<_>>()
    };
    let numbers = || -> Vec<ArrayRef> { vec![Arc::new(Int32Array::from(vec![7; 100_000]))] };
    assert_eq!(groups(&["int"], 4, &numbers), [131_072, 131_072, 131_072, 6_784]);
    // 30 MiB that pack to almost nothing.
    let zeros = || -> Vec<ArrayRef> { vec![Arc::new(BinaryArray::from(vec![&vec![0; 10 << 20][..]; 3]))] };
    assert_eq!(groups(&["varbinary(max)"], 6, &zeros), [15, 3]);
}

#[test]
fn an_empty_parquet_part_is_still_one() {
    let format = Format::default();
    let shape = Shape::new(&columns(&["int"]), &format, Timestamps::Us).unwrap();
    let end = Encoder::new(&shape, &format).unwrap().finish().unwrap();
    assert_eq!(end.rows, 0);
    assert!(end.bytes.ends_with(b"PAR1"));
}

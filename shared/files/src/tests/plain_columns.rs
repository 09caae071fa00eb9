//! Tests that our column chunks equal those of the crate `parquet`.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use serde_json::json;
use tidemark::model::types::Fraction;

use super::*;
use crate::batch_schema::data_type;

/// A number of rows that needs more than two pages.
const ROWS: usize = 45_000;

fn every_third_missing<T>(index: usize, value: T) -> Option<T> {
    (!index.is_multiple_of(3)).then_some(value)
}

/// Returns numbers in no order, of both signs.
fn number(index: usize) -> i64 {
    (index as i64).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 11
}

fn text(index: usize) -> String {
    match index % 7 {
        0 => String::new(),
        1 => format!("é{index}"),
        2 => "long and longer ".repeat(9) + &index.to_string(),
        3 => "\u{10FFFF}".repeat(12) + &"and longer ".repeat(5),
        _ => format!("text {index}"),
    }
}

fn floats(index: usize) -> f64 {
    match index % 5 {
        0 => f64::NAN,
        1 => -0.0,
        _ => number(index) as f64 / 8.0,
    }
}

/// Returns the forms with their values. A value is NULL where `keep` says no.
fn forms(keep: impl Fn(usize) -> bool) -> Vec<(Form, ArrayRef)> {
    let of = |index: usize| keep(index).then(|| number(index));
    let decimal = |precision, scale, digits: i64| {
        let form = Form::Decimal { precision, scale };
        let values = (0..ROWS).map(|index| of(index).map(|value| i128::from(value % digits)));
        let array = Decimal128Array::from_iter(values).with_data_type(data_type(form));
        (form, Arc::new(array) as ArrayRef)
    };
    let small = |index: usize| of(index).map(|value| i32::try_from(value % 1_000_000).unwrap());
    let bytes = |width: usize| move |index: usize| number(index).to_be_bytes().repeat(2)[..width].to_vec();
    let fixed = |width: usize| {
        let values = (0..ROWS).map(|index| keep(index).then(|| bytes(width)(index)));
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, width as i32).unwrap()) as ArrayRef
    };
    let texts = (0..ROWS).map(|index| keep(index).then(|| text(index)));
    let binary: Vec<Option<Vec<u8>>> = (0..ROWS)
        .map(|index| keep(index).then(|| [vec![u8::MAX; index % 60], vec![7; 9]].concat()))
        .collect();
    let longs = || (0..ROWS).map(of);
    let us = Fraction::Micros;
    let bools = (0..ROWS).map(|index| of(index).map(|value| value % 3 == 0));
    vec![
        (Form::Bool, Arc::new(BooleanArray::from_iter(bools))),
        (Form::Int32, Arc::new(Int32Array::from_iter((0..ROWS).map(small)))),
        (Form::Int64, Arc::new(Int64Array::from_iter(longs()))),
        (Form::Time(us), Arc::new(Time64MicrosecondArray::from_iter(longs()))),
        (
            Form::Timestamp(us),
            Arc::new(TimestampMicrosecondArray::from_iter(longs())),
        ),
        (
            Form::Instant(Fraction::Nanos),
            Arc::new(TimestampNanosecondArray::from_iter(longs()).with_timezone("UTC")),
        ),
        (
            Form::Float32,
            Arc::new(Float32Array::from_iter(
                (0..ROWS).map(|index| keep(index).then(|| floats(index) as f32)),
            )),
        ),
        (
            Form::Float64,
            Arc::new(Float64Array::from_iter(
                (0..ROWS).map(|index| keep(index).then(|| floats(index))),
            )),
        ),
        decimal(9, 2, 1_000_000_000),
        decimal(18, 4, 1_000_000_000_000_000_000),
        decimal(19, 4, i64::MAX),
        decimal(38, 10, i64::MAX),
        (Form::Uuid, fixed(16)),
        (Form::TicksAndOffset(7), fixed(10)),
        (Form::Iso(7), Arc::new(StringArray::from_iter(texts))),
        (Form::Binary, Arc::new(BinaryArray::from_iter(binary))),
    ]
}

fn opened(bytes: Vec<u8>) -> ParquetRecordBatchReaderBuilder<bytes::Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(bytes::Bytes::from(bytes), options).unwrap()
}

/// Writes the same rows with the crate `parquet`.
fn by_the_crate(batch: &RecordBatch) -> ParquetMetaData {
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    opened(writer.into_inner().unwrap()).metadata().as_ref().clone()
}

fn written(forms: &[(Form, ArrayRef)], options: &serde_json::Value) -> (Vec<u8>, RecordBatch) {
    let format: Format = serde_json::from_value(json!({ "parquet": options })).unwrap();
    let (forms, arrays): (Vec<Form>, Vec<ArrayRef>) = forms.iter().cloned().unzip();
    let columns = columns(&forms);
    let batch = batch(&columns, arrays);
    let mut encoder = encoder(&columns, &format).unwrap();
    // The rows are in two batches, neither of which ends where a page does.
    encoder.write(&batch.slice(0, 12_345)).unwrap();
    encoder.write(&batch.slice(12_345, ROWS - 12_345)).unwrap();
    (encoder.finish().unwrap().bytes, batch)
}

#[test]
fn values_of_every_form_are_read_as_they_were_written_in_every_compression() {
    let keep: [fn(usize) -> bool; 4] = [
        |_| true,
        |index| !index.is_multiple_of(3),
        |_| false,
        |index| index < 25_000,
    ];
    for (place, options) in ["zstd", "snappy", "gzip", "none"].into_iter().enumerate() {
        let forms = forms(keep[place]);
        let (bytes, batch) = written(&forms, &json!({ "compression": options }));
        let mut row = 0;
        for read in opened(bytes).with_batch_size(7_000).build().unwrap() {
            let read = read.unwrap();
            for (index, (form, _)) in forms.iter().enumerate() {
                let expected = batch.column(index).slice(row, read.num_rows());
                assert_eq!(
                    &expected.to_data(),
                    &read.column(index).to_data(),
                    "{form:?} from row {row}"
                );
            }
            row += read.num_rows();
        }
        assert_eq!(row, ROWS);
    }
}

#[test]
fn what_a_chunk_says_of_its_values_is_what_the_crate_says() {
    for keep in [
        |_| true,
        |index: usize| every_third_missing(index, ()).is_some(),
        |_| false,
    ] {
        let forms = forms(keep);
        let (bytes, batch) = written(&forms, &json!({}));
        let (ours, theirs) = (opened(bytes).metadata().as_ref().clone(), by_the_crate(&batch));
        for (index, (form, _)) in forms.iter().enumerate() {
            let [our, their] = [&ours, &theirs].map(|file| file.row_group(0).column(index).clone());
            assert_eq!(our.statistics(), their.statistics(), "{form:?}");
            assert_eq!(our.num_values(), their.num_values());
            assert_eq!(our.definition_level_histogram(), their.definition_level_histogram());
            assert_eq!(
                our.unencoded_byte_array_data_bytes(),
                their.unencoded_byte_array_data_bytes()
            );
            let encodings: Vec<Encoding> = our.encodings().collect();
            assert_eq!(encodings, their.encodings().collect::<Vec<_>>(), "{form:?}");
        }
    }
}

#[test]
fn a_large_value_with_nothing_short_above_it_has_no_bounds_and_is_read() {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(["a", &"\u{10FFFF}".repeat(30)]));
    let binary: ArrayRef = Arc::new(BinaryArray::from_iter_values([vec![0], vec![u8::MAX; 65]]));
    let forms = [Form::Iso(7), Form::Binary];
    let bytes = encode(&forms, &Format::default(), vec![texts.clone(), binary.clone()]).unwrap();
    let file = opened(bytes);
    for column in file.metadata().row_group(0).columns() {
        let statistics = column.statistics().unwrap();
        assert_eq!((statistics.min_bytes_opt(), statistics.max_bytes_opt()), (None, None));
    }
    let read = file.build().unwrap().next().unwrap().unwrap();
    assert_eq!(&read.column(0).to_data(), &texts.to_data());
    assert_eq!(&read.column(1).to_data(), &binary.to_data());
}

#[test]
fn values_that_are_larger_than_a_page_are_read_with_others_in_their_row_group() {
    let columns = columns(&[Form::Iso(7)]);
    let texts = |lengths: [usize; 3]| -> RecordBatch {
        let texts = lengths.map(|length| "x".repeat(length));
        batch(&columns, vec![Arc::new(StringArray::from_iter_values(texts))])
    };
    let batches = [texts([1, 2, 3]), texts([1, 3_000_000, 3]), texts([4, 5, 2_500_000])];
    let mut encoder = encoder(&columns, &Format::default()).unwrap();
    for batch in &batches {
        encoder.write(batch).unwrap();
    }
    let file = opened(encoder.finish().unwrap().bytes);
    assert_eq!(file.metadata().num_row_groups(), 1);
    let read: Vec<RecordBatch> = file
        .with_batch_size(3)
        .build()
        .unwrap()
        .map(|read| read.unwrap())
        .collect();
    for (read, batch) in read.iter().zip(&batches) {
        assert_eq!(&read.column(0).to_data(), &batch.column(0).to_data());
    }
    assert_eq!(read.len(), batches.len());
}

#[test]
fn what_the_index_of_pages_says_is_what_the_crate_says() {
    for keep in [
        |_| true,
        |index: usize| every_third_missing(index, ()).is_some(),
        |_| false,
    ] {
        let forms: Vec<_> = forms(keep)
            .into_iter()
            .map(|(form, array)| (form, array.slice(0, 20_000)))
            .collect();
        let (kinds, arrays): (Vec<Form>, Vec<ArrayRef>) = forms.iter().cloned().unzip();
        let columns = columns(&kinds);
        let batch = batch(&columns, arrays.clone());
        let bytes = encode(&kinds, &Format::default(), arrays).unwrap();
        let (ours, theirs) = (opened(bytes).metadata().as_ref().clone(), by_the_crate(&batch));
        let [ours, theirs] = [&ours, &theirs].map(|file| {
            let index = file.column_index().unwrap()[0].clone();
            index.iter().map(|index| format!("{index:?}")).collect::<Vec<_>>()
        });
        for ((our, their), form) in ours.iter().zip(&theirs).zip(&kinds) {
            // The crate ends pages of text by an estimate of their bytes.
            if !matches!(form, Form::Iso(_) | Form::Binary) {
                assert_eq!(our, their, "{form:?}");
            }
        }
    }
}

#[test]
fn a_column_that_does_not_pack_stays_as_it_is() {
    let random = (0..ROWS).map(|index| {
        let halves = [1, 2].map(|half| number(index).wrapping_mul(number(index + half)).to_be_bytes());
        halves.concat()
    });
    let forms: [(Form, ArrayRef); 3] = [
        (Form::Int64, Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        (
            Form::Uuid,
            Arc::new(FixedSizeBinaryArray::try_from_iter(random).unwrap()),
        ),
        (
            Form::Iso(7),
            Arc::new(StringArray::from_iter_values((0..ROWS).map(text))),
        ),
    ];
    let (bytes, _) = written(&forms, &json!({}));
    let file = opened(bytes);
    let packed = file.metadata().row_group(0).columns().iter();
    let packed: Vec<bool> = packed
        .map(|column| column.compression() != Compression::UNCOMPRESSED)
        .collect();
    assert_eq!(packed, [true, false, true]);
}

/// Random digits hold no repetition, but four bits in eight. Sentences hold repetition, which takes them further down.
#[test]
fn random_digits_are_packed_by_their_frequency_and_sentences_by_their_repetition() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let digits: Vec<String> = (0..ROWS)
        .map(|_| format!("{:016x}{:016x}", random(), random()))
        .collect();
    let sentences: Vec<String> = (0..ROWS)
        .map(|index| format!("the order {} of the customer {} was shipped", random() % 1_000, index))
        .collect();
    for (texts, most) in [(digits, 0.62), (sentences, 0.25)] {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let (bytes, batch) = written(&[(Form::Text, texts)], &json!({}));
        let file = opened(bytes);
        let column = file.metadata().row_group(0).column(0).clone();
        assert_eq!(column.dictionary_page_offset(), None);
        let packed = column.compressed_size() as f64 / column.uncompressed_size() as f64;
        assert!(packed < most, "{packed}");
        let mut row = 0;
        for read in file.build().unwrap() {
            let read = read.unwrap();
            let expected = batch.column(0).slice(row, read.num_rows());
            assert_eq!(&expected.to_data(), &read.column(0).to_data());
            row += read.num_rows();
        }
        assert_eq!(row, ROWS);
    }
}

#[test]
fn texts_that_repeat_are_in_a_dictionary_and_others_are_not() {
    let texts = |distinct: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..ROWS).map(|index| format!("text {}", index * 7 % distinct)),
        ))
    };
    let forms = [(Form::Text, texts(50)), (Form::Text, texts(ROWS))];
    let (bytes, _) = written(&forms, &json!({}));
    let file = opened(bytes);
    let dictionaries = file.metadata().row_group(0).columns().iter();
    let dictionaries: Vec<bool> = dictionaries
        .map(|column| column.dictionary_page_offset().is_some())
        .collect();
    assert_eq!(dictionaries, [true, false]);
}

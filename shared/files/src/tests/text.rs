//! Tests what the text formats write.

use std::io::Read;
use std::sync::Arc;

use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, StringArray,
};
use flate2::read::GzDecoder;
use tidemark::error::ErrorCode;
use tidemark::model::format::{Bigint, Compression, CsvOptions, JsonlOptions, LineBreaks, LineEnd, Quote};
use tidemark::model::value_text::{DAY_TICKS, UNIX_EPOCH_DAYS};

use super::*;

const LAST_TICK: i64 = 3_652_059 * DAY_TICKS - 1;

fn lines(forms: &[Form], format: &Format, arrays: Vec<ArrayRef>) -> Vec<String> {
    let text = String::from_utf8(encode(forms, format, arrays).unwrap()).unwrap();
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

/// A form, one value in it, and its texts in CSV and in JSON.
type Written = (Form, ArrayRef, &'static str, &'static str);

fn every_form() -> Vec<Written> {
    [numbers(), texts_and_binaries(), moments_and_identifiers()].concat()
}

fn numbers() -> Vec<Written> {
    let decimal = |unscaled: i128, precision, scale| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(vec![unscaled])
                .with_precision_and_scale(precision, scale)
                .unwrap(),
        )
    };
    vec![
        (Form::Bool, Arc::new(BooleanArray::from(vec![true])), "1", "true"),
        (Form::Int16, Arc::new(Int32Array::from(vec![255])), "255", "255"),
        (
            Form::Int16,
            Arc::new(Int32Array::from(vec![-32_768])),
            "-32768",
            "-32768",
        ),
        (
            Form::Int32,
            Arc::new(Int32Array::from(vec![i32::MIN])),
            "-2147483648",
            "-2147483648",
        ),
        (
            Form::Int64,
            Arc::new(Int64Array::from(vec![i64::MAX])),
            "9223372036854775807",
            "9223372036854775807",
        ),
        (
            Form::Decimal {
                precision: 38,
                scale: 10,
            },
            decimal(1 - 10_i128.pow(38), 38, 10),
            "-9999999999999999999999999999.9999999999",
            "\"-9999999999999999999999999999.9999999999\"",
        ),
        (
            Form::Decimal {
                precision: 19,
                scale: 4,
            },
            decimal(i64::MIN.into(), 19, 4),
            "-922337203685477.5808",
            "\"-922337203685477.5808\"",
        ),
        (
            Form::Decimal {
                precision: 10,
                scale: 4,
            },
            decimal(2_147_483_647, 10, 4),
            "214748.3647",
            "\"214748.3647\"",
        ),
        (Form::Float32, Arc::new(Float32Array::from(vec![0.1])), "0.1", "0.1"),
        (
            Form::Float64,
            Arc::new(Float64Array::from(vec![1e300])),
            "1e+300",
            "1e+300",
        ),
    ]
}

fn texts_and_binaries() -> Vec<Written> {
    vec![
        (Form::Text, texts(&[Some("aé😀")]), "aé😀", "\"aé😀\""),
        (Form::Text, texts(&[Some("a\tb\u{1}")]), "a\tb\u{1}", "\"a\\tb\\u0001\""),
        (
            Form::Iso(7),
            texts(&[Some("2017-09-01T00:56:00.0000000")]),
            "2017-09-01T00:56:00.0000000",
            "\"2017-09-01T00:56:00.0000000\"",
        ),
        (
            Form::Binary,
            Arc::new(BinaryArray::from(vec![&b"\x00\xFFM"[..]])),
            "0x00FF4D",
            "\"AP9N\"",
        ),
        (
            Form::RowVersion,
            Arc::new(BinaryArray::from(vec![&b"\0\0\0\0\0\0\x07\xD1"[..]])),
            "0x00000000000007D1",
            "\"0x00000000000007D1\"",
        ),
    ]
}

fn moments_and_identifiers() -> Vec<Written> {
    let ticks = |ticks: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![ticks])) };
    vec![
        (
            Form::Date,
            Arc::new(Date32Array::from(vec![-719_162])),
            "0001-01-01",
            "\"0001-01-01\"",
        ),
        (
            Form::TimeTicks(7),
            ticks(DAY_TICKS - 1),
            "23:59:59.9999999",
            "\"23:59:59.9999999\"",
        ),
        (Form::TimeTicks(0), ticks(0), "00:00:00", "\"00:00:00\""),
        (
            Form::Ticks(0),
            ticks(UNIX_EPOCH_DAYS * DAY_TICKS),
            "1970-01-01 00:00:00",
            "\"1970-01-01T00:00:00\"",
        ),
        (
            Form::Ticks(3),
            ticks(UNIX_EPOCH_DAYS * DAY_TICKS + 30_000),
            "1970-01-01 00:00:00.003",
            "\"1970-01-01T00:00:00.003\"",
        ),
        (
            Form::Ticks(7),
            ticks(LAST_TICK),
            "9999-12-31 23:59:59.9999999",
            "\"9999-12-31T23:59:59.9999999\"",
        ),
        (
            Form::Ticks(2),
            ticks(0),
            "0001-01-01 00:00:00.00",
            "\"0001-01-01T00:00:00.00\"",
        ),
        (
            Form::TicksAndOffset(3),
            offset_ticks(UNIX_EPOCH_DAYS * DAY_TICKS, -90),
            "1969-12-31 22:30:00.000-01:30",
            "\"1969-12-31T22:30:00.000-01:30\"",
        ),
        (
            Form::Uuid,
            Arc::new(FixedSizeBinaryArray::try_from_iter([[0xAB_u8; 16]].into_iter()).unwrap()),
            "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB",
            "\"ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB\"",
        ),
    ]
}

#[test]
fn every_form_has_one_exact_text_in_csv_and_in_json() {
    for (form, array, in_csv, in_json) in every_form() {
        let forms = [Form::Int32, form];
        let first: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let written = lines(&forms, &csv(|_| ()), vec![first.clone(), array.clone()]);
        assert_eq!(written, [format!("7,{in_csv}")], "{form:?}");
        let written = lines(&forms, &Format::Jsonl(JsonlOptions::default()), vec![first, array]);
        assert_eq!(written, [format!("{{\"c0\":7,\"c1\":{in_json}}}")], "{form:?}");
        let _: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    }
}

#[test]
fn null_is_not_the_empty_string() {
    let values = [None, Some(""), Some("\\N"), Some("NULL")];
    for (null, expected) in [
        ("", ["1,", "1,\"\"", "1,\"\\N\"", "1,\"NULL\""]),
        ("\\N", ["1,\\N", "1,\"\"", "1,\"\\N\"", "1,\"NULL\""]),
        ("NULL", ["1,NULL", "1,\"\"", "1,\"\\N\"", "1,\"NULL\""]),
        ("(none)", ["1,(none)", "1,\"\"", "1,\"\\N\"", "1,\"NULL\""]),
    ] {
        let ones: ArrayRef = Arc::new(Int32Array::from(vec![1; 4]));
        let format = csv(|options| options.null = null.to_owned());
        assert_eq!(
            lines(&[Form::Int32, Form::Text], &format, vec![ones, texts(&values)]),
            expected
        );
    }
    let json = lines(
        &[Form::Text],
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
    let bytes = encode(&[Form::Text, Form::Int32], &format, {
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
        &[Form::Int32, Form::Text, Form::Ticks(3)],
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
        let error = encode(&[Form::Text], &format, vec![texts(&[Some(value)])]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert!(
            error.to_string().contains("'c0'") && !error.to_string().contains("cret"),
            "{error}"
        );
    }
}

#[test]
fn an_only_column_needs_a_null_text() {
    let error = encode(&[Form::Int32], &csv(|_| ()), vec![Arc::new(Int32Array::from(vec![1]))]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
}

#[test]
fn a_packed_part_is_one_stream_however_it_is_taken() {
    let unpack = |packed: &[u8], compression| match compression {
        Compression::Gzip => {
            let mut text = String::new();
            GzDecoder::new(packed).read_to_string(&mut text).unwrap();
            text
        }
        _ => String::from_utf8(zstd::decode_all(packed).unwrap()).unwrap(),
    };
    for compression in [Compression::Gzip, Compression::Zstd] {
        let format = Format::Jsonl(JsonlOptions {
            compression,
            ..JsonlOptions::default()
        });
        let columns = columns(&[Form::Int32]);
        let batch = batch(&columns, vec![Arc::new(Int32Array::from_iter_values(0..50_000))]);
        let mut encoder = encoder(&columns, &format).unwrap();
        for _ in 0..2 {
            encoder.write(&batch).unwrap();
        }
        let end = encoder.finish().unwrap();
        let text = unpack(&end.bytes, compression);
        assert_eq!((end.rows, text.lines().count()), (100_000, 100_000));
        assert_eq!(text.lines().last(), Some("{\"c0\":49999}"));
    }
}

#[test]
fn a_bigint_in_json_is_a_number_or_a_string() {
    for (bigint, expected) in [
        (Bigint::Number, "{\"c0\":-9223372036854775808}"),
        (Bigint::String, "{\"c0\":\"-9223372036854775808\"}"),
    ] {
        let format = Format::Jsonl(JsonlOptions {
            bigint,
            ..JsonlOptions::default()
        });
        let least: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN]));
        assert_eq!(lines(&[Form::Int64], &format, vec![least]), [expected]);
    }
}

#[test]
fn what_readers_take_away_at_the_ends_of_a_text_is_in_quotes() {
    let values = ["a b", " a", "a ", "\ta", "a\t", " ", "\u{feff}a"];
    let format = csv(|options| options.null = "~".to_owned());
    let written = lines(&[Form::Text], &format, vec![texts(&values.map(Some))]);
    assert_eq!(
        written,
        [
            "a b",
            "\" a\"",
            "\"a \"",
            "\"\ta\"",
            "\"a\t\"",
            "\" \"",
            "\"\u{feff}a\""
        ]
    );
    // Without quotes, blanks at the end are written unchanged, like those of `char` in the tutorials' files.
    let format = csv(|options| {
        options.null = "\\N".to_owned();
        options.quote = Quote::None;
    });
    assert_eq!(lines(&[Form::Text], &format, vec![texts(&[Some("a ")])]), ["a "]);
}

#[test]
fn line_breaks_stay_or_become_what_a_reader_of_lines_takes() {
    let values = [Some("a\r\nb\n\nc\rd"), Some("C:\\new"), Some("\\N"), Some("plain")];
    for (line_breaks, expected) in [
        (LineBreaks::Keep, "\"a\r\nb\n\nc\rd\"\nC:\\new\n\"\\N\"\nplain\n"),
        (LineBreaks::Escape, "a\\r\\nb\\n\\nc\\rd\nC:\\\\new\n\\\\N\nplain\n"),
        (LineBreaks::Space, "a b  c d\nC:\\new\n\"\\N\"\nplain\n"),
    ] {
        let format = csv(|options| {
            options.null = "\\N".to_owned();
            options.line_breaks = line_breaks;
        });
        let bytes = encode(&[Form::Text], &format, vec![texts(&values)]).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{line_breaks:?}");
    }
    let failing = csv(|options| {
        options.null = "\\N".to_owned();
        options.line_breaks = LineBreaks::Fail;
    });
    let error = encode(&[Form::Text], &failing, vec![texts(&values)]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(error.to_string().contains("'c0'"), "{error}");
    assert!(encode(&[Form::Text], &failing, vec![texts(&values[1..])]).is_ok());
}

//! Every type on the wire, at its edges.

use tidemark_replay::tokens::{LATIN1, UTF8, characters, chunked, columns, end, long, row, short, utf16};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use tidemark::model::types::Form;
use tidemark::model::value_text::{self, Style, UNIX_EPOCH_DAYS};

use super::tests::{Collected, answer, column, options, read};
use super::*;

/// Formats a value exactly as it is held.
fn text(array: &ArrayRef, form: Form, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    let mut out = Vec::new();
    let int64 = || array.as_primitive::<Int64Type>().value(row);
    match form {
        Form::Bool => value_text::integer(&mut out, u8::from(array.as_boolean().value(row))),
        Form::Int16 | Form::Int32 => value_text::integer(&mut out, array.as_primitive::<Int32Type>().value(row)),
        Form::Int64 => value_text::integer(&mut out, int64()),
        Form::Float32 => value_text::float(&mut out, array.as_primitive::<Float32Type>().value(row)),
        Form::Float64 => value_text::float(&mut out, array.as_primitive::<Float64Type>().value(row)),
        Form::Decimal { scale, .. } => {
            value_text::decimal(&mut out, array.as_primitive::<Decimal128Type>().value(row), scale);
        }
        Form::Text | Form::Iso(_) => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        Form::Binary | Form::RowVersion => value_text::hex(&mut out, array.as_binary::<i32>().value(row)),
        Form::Uuid => value_text::uuid(&mut out, array.as_fixed_size_binary().value(row).first_chunk().unwrap()),
        Form::Date => {
            let days = array.as_primitive::<Date32Type>().value(row);
            value_text::date(&mut out, i64::from(days) + UNIX_EPOCH_DAYS);
        }
        Form::TimeTicks(digits) => value_text::time(&mut out, int64(), digits),
        Form::Ticks(digits) => value_text::timestamp(&mut out, int64(), digits, Style::Sql),
        Form::TicksAndOffset(digits) => {
            let (ticks, offset) = array.as_fixed_size_binary().value(row).split_at(8);
            let ticks = i64::from_le_bytes(ticks.try_into().unwrap());
            let offset = i16::from_le_bytes(offset.try_into().unwrap());
            value_text::timestamp_with_offset(&mut out, ticks, offset, digits, Style::Sql);
        }
        Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) => panic!("{form:?} is not exact"),
    }
    String::from_utf8(out).unwrap()
}

/// Reads a result of one column and returns the text of each value.
async fn read_one(sql_type: &str, form: Form, type_info: Vec<u8>, values: Vec<Vec<u8>>) -> Answer<Vec<String>> {
    let mut head = columns(&[("a", type_info)]);
    let count = values.len() as u64;
    for value in values {
        head.extend(row(&[value]));
    }
    let server = answer(head, end(count), false);
    let mut batches = Collected::default();
    let mut reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
    let rows = read(&mut reader, &column("a", sql_type, form), &mut batches).await?;
    assert_eq!(rows, count);
    let texts = batches.batches.iter().flat_map(|batch| {
        let array = batch.column(0);
        (0..batch.num_rows()).map(move |row| text(array, form, row))
    });
    Ok(texts.collect())
}

fn decimal(precision: u8, scale: u8, unscaled: &str) -> Vec<u8> {
    let unscaled: i128 = unscaled.parse().unwrap();
    let width = match precision {
        ..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    };
    assert!(scale <= precision);
    let mut bytes = vec![u8::from(unscaled >= 0)];
    bytes.extend(&unscaled.unsigned_abs().to_le_bytes()[..width]);
    short(&bytes)
}

fn money(value: i64) -> Vec<u8> {
    let bytes = value.to_le_bytes();
    short(&[&bytes[4..], &bytes[..4]].concat())
}

fn datetime(days: i32, ticks: u32) -> Vec<u8> {
    short(&[days.to_le_bytes(), ticks.to_le_bytes()].concat())
}

fn moment(time: u64, time_bytes: usize, days: u32) -> Vec<u8> {
    [&time.to_le_bytes()[..time_bytes], &days.to_le_bytes()[..3]].concat()
}

#[tokio::test]
async fn what_is_text_in_portable_files_arrives_as_its_text() {
    for (sql_type, form, type_info, value, expected) in [
        (
            "uniqueidentifier",
            Form::Text,
            vec![0x24, 16],
            short(&GUID),
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        ),
        (
            "time(7)",
            Form::Iso(7),
            vec![0x29, 7],
            short(&last_tick_bytes(863_999_999_999)),
            "23:59:59.9999999",
        ),
    ] {
        let texts = read_one(sql_type, form, type_info, vec![value, short(&[])])
            .await
            .unwrap();
        assert_eq!(texts, [expected, "NULL"], "{sql_type}");
    }
}

/// A type, the form of its values, its description on the wire, and its values: the bytes sent and the text read.
type Case = (&'static str, Form, Vec<u8>, Vec<(Vec<u8>, &'static str)>);

/// The last tick of a day.
const LAST_TICK: u64 = 863_999_999_999;

const GUID: [u8; 16] = [
    0xFF, 0x19, 0x96, 0x6F, 0x86, 0x8B, 0x11, 0xD0, 0xB4, 0x2D, 0, 0xC0, 0x4F, 0xC9, 0x64, 0xFF,
];

fn null() -> Vec<u8> {
    short(&[])
}

fn with_offset(bytes: &[u8], offset: i16) -> Vec<u8> {
    short(&[bytes, &offset.to_le_bytes()].concat())
}

fn integers_and_floats() -> Vec<Case> {
    vec![
        (
            "bit",
            Form::Bool,
            vec![0x68, 1],
            vec![(short(&[1]), "1"), (short(&[0]), "0"), (null(), "NULL")],
        ),
        (
            "tinyint",
            Form::Int16,
            vec![0x26, 1],
            vec![(short(&[255]), "255"), (null(), "NULL")],
        ),
        (
            "smallint",
            Form::Int16,
            vec![0x26, 2],
            vec![(short(&i16::MIN.to_le_bytes()), "-32768")],
        ),
        (
            "int",
            Form::Int32,
            vec![0x26, 4],
            vec![(short(&i32::MIN.to_le_bytes()), "-2147483648"), (null(), "NULL")],
        ),
        (
            "int",
            Form::Int32,
            vec![0x38],
            vec![(7_i32.to_le_bytes().to_vec(), "7")],
        ),
        (
            "bigint",
            Form::Int64,
            vec![0x26, 8],
            vec![(short(&i64::MAX.to_le_bytes()), "9223372036854775807")],
        ),
        (
            "real",
            Form::Float32,
            vec![0x6D, 4],
            vec![(short(&0.1_f32.to_le_bytes()), "0.1")],
        ),
        (
            "float",
            Form::Float64,
            vec![0x6D, 8],
            vec![(short(&(-1e-300_f64).to_le_bytes()), "-1e-300"), (null(), "NULL")],
        ),
    ]
}

fn exact_numbers() -> Vec<Case> {
    vec![
        (
            "decimal(38,10)",
            Form::Decimal {
                precision: 38,
                scale: 10,
            },
            vec![0x6A, 17, 38, 10],
            vec![
                (
                    decimal(38, 10, "-99999999999999999999999999999999999999"),
                    "-9999999999999999999999999999.9999999999",
                ),
                (decimal(38, 10, "1"), "0.0000000001"),
                (null(), "NULL"),
            ],
        ),
        (
            "decimal(9,0)",
            Form::Decimal { precision: 9, scale: 0 },
            vec![0x6C, 5, 9, 0],
            vec![(decimal(9, 0, "-999999999"), "-999999999")],
        ),
        (
            "money",
            Form::Decimal {
                precision: 19,
                scale: 4,
            },
            vec![0x6E, 8],
            vec![
                (money(i64::MAX), "922337203685477.5807"),
                (money(i64::MIN), "-922337203685477.5808"),
                (money(-1), "-0.0001"),
            ],
        ),
        (
            "money",
            Form::Decimal {
                precision: 19,
                scale: 4,
            },
            vec![0x6A, 9, 19, 4],
            vec![(decimal(19, 4, "9223372036854775807"), "922337203685477.5807")],
        ),
        (
            "smallmoney",
            Form::Decimal {
                precision: 10,
                scale: 4,
            },
            vec![0x6E, 4],
            vec![(short(&i32::MIN.to_le_bytes()), "-214748.3648")],
        ),
    ]
}

fn moments() -> Vec<Case> {
    vec![
        (
            "date",
            Form::Date,
            vec![0x28],
            vec![
                (short(&[0, 0, 0]), "0001-01-01"),
                (short(&3_652_058_u32.to_le_bytes()[..3]), "9999-12-31"),
            ],
        ),
        (
            "time(7)",
            Form::TimeTicks(7),
            vec![0x29, 7],
            vec![
                (short(&last_tick_bytes(LAST_TICK)), "23:59:59.9999999"),
                (null(), "NULL"),
            ],
        ),
        (
            "time(0)",
            Form::TimeTicks(0),
            vec![0x29, 0],
            vec![(short(&86_399_u32.to_le_bytes()[..3]), "23:59:59")],
        ),
        (
            "smalldatetime",
            Form::Ticks(0),
            vec![0x6F, 4],
            vec![(short(&[0xFF, 0xFF, 0x9F, 0x05]), "2079-06-06 23:59:00")],
        ),
        (
            "datetime",
            Form::Ticks(3),
            vec![0x6F, 8],
            vec![
                (datetime(-53_690, 0), "1753-01-01 00:00:00.000"),
                (datetime(0, 1), "1900-01-01 00:00:00.003"),
                (datetime(0, 2), "1900-01-01 00:00:00.007"),
                (datetime(0, 3), "1900-01-01 00:00:00.010"),
                (datetime(2_958_463, 25_919_999), "9999-12-31 23:59:59.997"),
                (null(), "NULL"),
            ],
        ),
    ]
}

fn wide_moments() -> Vec<Case> {
    vec![
        (
            "datetime2(7)",
            Form::Ticks(7),
            vec![0x2A, 7],
            vec![
                (short(&moment(0, 5, 0)), "0001-01-01 00:00:00.0000000"),
                (short(&moment(LAST_TICK, 5, 3_652_058)), "9999-12-31 23:59:59.9999999"),
            ],
        ),
        (
            "datetime2(3)",
            Form::Ticks(3),
            vec![0x2A, 3],
            vec![(short(&moment(1, 4, 0)), "0001-01-01 00:00:00.001")],
        ),
        (
            "datetimeoffset(7)",
            Form::TicksAndOffset(7),
            vec![0x2B, 7],
            vec![
                (
                    with_offset(&moment(0, 5, 719_162), 840),
                    "1970-01-01 14:00:00.0000000+14:00",
                ),
                (
                    with_offset(&moment(0, 5, 719_162), -210),
                    "1969-12-31 20:30:00.0000000-03:30",
                ),
                (null(), "NULL"),
            ],
        ),
    ]
}

fn identifiers_and_text() -> Vec<Case> {
    vec![
        (
            "uniqueidentifier",
            Form::Uuid,
            vec![0x24, 16],
            vec![(short(&GUID), "6F9619FF-8B86-D011-B42D-00C04FC964FF"), (null(), "NULL")],
        ),
        (
            "varchar(9)",
            Form::Text,
            characters(0xA7, 9, LATIN1),
            vec![
                (long(Some(b"caf\xE9 \x80")), "café €"),
                (long(Some(b"")), ""),
                (long(Some(b"blank ")), "blank "),
                (long(None), "NULL"),
            ],
        ),
        (
            "varchar(9)",
            Form::Text,
            characters(0xA7, 9, UTF8),
            vec![
                (long(Some("é😀".as_bytes())), "é😀"),
                (long(Some(b"a\xFF")), "a\u{FFFD}"),
            ],
        ),
        (
            "nvarchar(9)",
            Form::Text,
            characters(0xE7, 18, LATIN1),
            vec![
                (long(Some(&utf16("aé😀"))), "aé😀"),
                (long(Some(&[0x3D, 0xD8, 0x41, 0])), "\u{FFFD}A"),
                (long(None), "NULL"),
            ],
        ),
        (
            "nvarchar(max)",
            Form::Text,
            characters(0xE7, 0xFFFF, LATIN1),
            vec![
                (chunked(&utf16("known"), true), "known"),
                (chunked(&utf16("unknown"), false), "unknown"),
                (chunked(b"", true), ""),
                (vec![0xFF; 8], "NULL"),
            ],
        ),
    ]
}

fn binaries_and_documents() -> Vec<Case> {
    vec![
        (
            "varbinary(9)",
            Form::Binary,
            vec![0xA5, 9, 0],
            vec![
                (long(Some(&[0, 0xFF])), "0x00FF"),
                (long(Some(&[])), "0x"),
                (long(None), "NULL"),
            ],
        ),
        (
            "varbinary(max)",
            Form::Binary,
            vec![0xA5, 0xFF, 0xFF],
            vec![(chunked(&[1, 2], true), "0x0102"), (vec![0xFF; 8], "NULL")],
        ),
        (
            "rowversion",
            Form::RowVersion,
            vec![0xAD, 8, 0],
            vec![(long(Some(&2001_u64.to_be_bytes())), "0x00000000000007D1")],
        ),
        (
            "xml",
            Form::Text,
            vec![0xF1, 0],
            vec![
                (chunked(&[&[0xFF, 0xFE][..], &utf16("<a/>")].concat(), true), "<a/>"),
                (vec![0xFF; 8], "NULL"),
            ],
        ),
        // The driver of the lookups is told that json and vector are varchar(max).
        (
            "varchar(max)",
            Form::Text,
            vec![0xF4],
            vec![
                (chunked("{\"é\":[1]}".as_bytes(), true), "{\"é\":[1]}"),
                (vec![0xFF; 8], "NULL"),
            ],
        ),
        (
            "varchar(max)",
            Form::Text,
            vec![0xF5, 16, 0, 0],
            vec![
                (long(Some(&vector(&[0.1, -1e30]))), "[0.1,-1e+30]"),
                (long(None), "NULL"),
            ],
        ),
        (
            "hierarchyid",
            Form::Binary,
            vec![0xA5, 0xFF, 0xFF],
            vec![(chunked(&[0x5A, 0xC0], true), "0x5AC0"), (vec![0xFF; 8], "NULL")],
        ),
    ]
}

#[tokio::test]
async fn every_type_arrives_exactly() {
    let cases = [
        integers_and_floats(),
        exact_numbers(),
        moments(),
        wide_moments(),
        identifiers_and_text(),
        binaries_and_documents(),
    ];
    for (sql_type, form, type_info, values) in cases.concat() {
        let (wire, expected): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let read = read_one(sql_type, form, type_info, wire).await;
        assert_eq!(
            read.unwrap_or_else(|error| panic!("{sql_type}: {error}")),
            expected,
            "{sql_type}"
        );
    }
}

/// Encodes a vector of single precision: the header, then its numbers.
fn vector(numbers: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0xA9, 1, u8::try_from(numbers.len()).unwrap(), 0, 0, 0, 0, 0];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

fn last_tick_bytes(ticks: u64) -> Vec<u8> {
    ticks.to_le_bytes()[..5].to_vec()
}

/// Encodes a value of `sql_variant`: its type, the type's properties, and its bytes.
fn variant(base: u8, properties: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(2 + properties.len() + value.len()).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([base, u8::try_from(properties.len()).unwrap()]);
    bytes.extend(properties);
    bytes.extend(value);
    bytes
}

#[tokio::test]
async fn each_value_of_a_variant_arrives_as_the_text_of_its_type() {
    let latin1 = [&LATIN1[..], &[9, 0]].concat();
    let unscaled = |value: i128| [&[u8::from(value >= 0)][..], &value.unsigned_abs().to_le_bytes()].concat();
    let noon = 12 * 3_600 * 10_000_000_u64;
    let offset = [&moment(noon, 5, 719_162)[..], &120_i16.to_le_bytes()].concat();
    let values = [
        (vec![0; 4], "NULL"),
        (variant(0x32, &[], &[1]), "1"),
        (variant(0x30, &[], &[255]), "255"),
        (variant(0x34, &[], &i16::MIN.to_le_bytes()), "-32768"),
        (variant(0x38, &[], &42_i32.to_le_bytes()), "42"),
        (variant(0x7F, &[], &i64::MAX.to_le_bytes()), "9223372036854775807"),
        (variant(0x3B, &[], &0.1_f32.to_le_bytes()), "0.1"),
        (variant(0x3E, &[], &0.1_f64.to_le_bytes()), "0.1"),
        (variant(0x3C, &[], &[0, 0, 0, 0, 1, 0, 0, 0]), "0.0001"),
        (variant(0x7A, &[], &(-15_000_i32).to_le_bytes()), "-1.5000"),
        (variant(0x6C, &[38, 3], &unscaled(-1_500)), "-1.500"),
        (variant(0x28, &[], &719_162_u32.to_le_bytes()[..3]), "1970-01-01"),
        (variant(0x29, &[3], &43_200_001_u32.to_le_bytes()), "12:00:00.001"),
        (variant(0x3A, &[], &[0, 0, 1, 0]), "1900-01-01T00:01:00"),
        (variant(0x3D, &[], &[0, 0, 0, 0, 1, 0, 0, 0]), "1900-01-01T00:00:00.003"),
        (variant(0x2A, &[7], &moment(1, 5, 0)), "0001-01-01T00:00:00.0000001"),
        (variant(0x2B, &[7], &offset), "1970-01-01T14:00:00.0000000+02:00"),
        (variant(0x24, &[], &GUID), "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        (variant(0xA5, &[9, 0], &[0, 0xFF]), "0x00FF"),
        (variant(0xA7, &latin1, b"caf\xE9"), "café"),
        (variant(0xE7, &latin1, &utf16("é😀")), "é😀"),
    ];
    let (wire, expected): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let read = read_one("sql_variant", Form::Text, vec![0x62, 0x49, 0x1F, 0, 0], wire).await;
    assert_eq!(read.unwrap_or_else(|error| panic!("{error}")), expected);
}

//! Tests what masks leave of values of every type, and the audit columns in every form.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use mssql_tds::datatypes::column_values::{SqlDate, SqlDateTime2, SqlMoney, SqlTime};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_string::EncodingType;
use tidemark::model::types::{Form, Fraction};
use tidemark::model::values::{Audit, Mask, Operation, Values};
use tidemark::ports::secrets::Secret;
use uuid::Uuid;

use super::tests::column;
use super::*;
use crate::masks::MaskKey;

fn masked(name: &str, sql_type: &str, mask: Mask) -> Column {
    Column {
        values: Values::Masked(mask),
        ..column(name, sql_type, Form::Text)
    }
}

fn audit(name: &str, form: Form, audit: Audit) -> Column {
    Column {
        values: Values::Audit(audit),
        ..column(name, "nchar(1)", form)
    }
}

/// Builds a batch of one row.
fn batch(columns: &[Column], write: impl FnOnce(&mut BatchBuilder)) -> RecordBatch {
    let key = MaskKey::of(&Secret::new("k".repeat(32))).unwrap();
    let mut builder = BatchBuilder::new(columns, BatchLimits::default()).hashing_by(key);
    write(&mut builder);
    builder.end_row();
    builder.finish().unwrap().unwrap()
}

fn text(batch: &RecordBatch, column: usize) -> Option<String> {
    let texts = batch.column(column).as_string::<i32>();
    (!texts.is_null(0)).then(|| texts.value(0).to_owned())
}

/// Masks a value with `last4`, whose result shows the text of the value.
fn last4(sql_type: &str, write: impl FnOnce(&mut BatchBuilder)) -> Option<String> {
    text(&batch(&[masked("c", sql_type, Mask::Last4)], write), 0)
}

#[test]
fn the_text_that_stands_for_a_value_counts_towards_a_full_batch() {
    let limits = BatchLimits {
        rows: 99,
        bytes: 10_000,
    };
    let mut builder = BatchBuilder::new(&[masked("c", "varbinary(max)", Mask::Last4)], limits);
    builder.write_bytes(0, vec![0; 4_000].into());
    builder.end_row();
    assert!(!builder.is_full());
    builder.write_bytes(0, vec![0; 4_000].into());
    builder.end_row();
    assert!(builder.is_full(), "the text has two digits for each byte");
}

#[test]
fn a_value_of_any_type_is_masked_as_its_text() {
    let seven = SqlTime {
        time_nanoseconds: 1_234_567,
        scale: 7,
    };
    let found = [
        last4("int", |row| row.write_i32(0, 123_456)),
        last4("bit", |row| row.write_bool(0, true)),
        last4("float", |row| row.write_f64(0, 0.12345)),
        last4("decimal(9,2)", |row| {
            row.write_decimal(0, DecimalParts::new(false, 9, 2, 123_456))
        }),
        last4("money", |row| {
            row.write_money(
                0,
                SqlMoney {
                    lsb_part: 12_345_678,
                    msb_part: 0,
                },
            )
        }),
        last4("date", |row| row.write_date(0, SqlDate::create(0).unwrap())),
        last4("time(7)", |row| row.write_time(0, seven.clone())),
        last4("datetime2(7)", |row| {
            row.write_datetime2(
                0,
                SqlDateTime2 {
                    days: 0,
                    time: seven.clone(),
                },
            )
        }),
        last4("uniqueidentifier", |row| row.write_uuid(0, Uuid::from_u128(0xABCD))),
        last4("varbinary(4)", |row| {
            row.write_bytes(0, std::borrow::Cow::Borrowed(&[1, 2, 0xAB]))
        }),
        last4("varchar(20)", |row| {
            row.write_string(0, std::borrow::Cow::Borrowed(b"123-45-6789"), EncodingType::Utf8);
        }),
        last4("int", |row| row.write_null(0)),
    ];
    let expected = [
        Some("3456"),
        Some(""),
        Some("2345"),
        Some("4.56"),
        Some("5678"),
        Some("1-01"),
        Some("4567"),
        Some("4567"),
        Some("ABCD"),
        Some("02AB"),
        Some("6789"),
        None,
    ];
    assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
}

#[test]
fn equal_texts_have_equal_hashes_whatever_their_types_and_other_columns_are_as_they_were() {
    let columns = [
        masked("a", "int", Mask::Hash),
        column("b", "bigint", Form::Int64),
        masked("c", "varchar(9)", Mask::Hash),
        masked("d", "nvarchar(max)", Mask::Null),
        masked("e", "varchar(9)", Mask::Hash),
    ];
    let batch = batch(&columns, |row| {
        row.write_i32(0, 42);
        row.write_i64(1, 42);
        row.write_string(2, std::borrow::Cow::Borrowed(b"42"), EncodingType::Utf8);
        row.write_string(3, std::borrow::Cow::Borrowed(b"secret"), EncodingType::Utf8);
        row.write_null(4);
    });
    let hash = text(&batch, 0).unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(text(&batch, 2), Some(hash));
    assert_eq!((text(&batch, 3), text(&batch, 4)), (None, None));
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 42);
}

#[test]
fn a_hash_without_a_key_is_refused() {
    let mut builder = BatchBuilder::new(&[masked("c", "int", Mask::Hash)], BatchLimits::default());
    builder.write_i32(0, 42);
    builder.end_row();
    let error = builder.finish().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
}

#[test]
fn an_audit_says_the_same_of_every_row_but_for_what_change_tracking_says_of_each() {
    let moment = || Audit::CopiedAt("2026-11-29T12:00:00.000001Z".parse().unwrap());
    let columns = [
        column("o", "nchar(1)", Form::Text),
        audit("w", Form::Text, Audit::Window("from-42".into())),
        audit("t", Form::Instant(Fraction::Micros), moment()),
        audit("i", Form::Iso(6), moment()),
        audit("x", Form::TicksAndOffset(6), moment()),
        audit("l", Form::Text, Audit::Operation(Operation::Load)),
        audit("g", Form::Text, Audit::Operation(Operation::Growth)),
        audit("c", Form::Text, Audit::Operation(Operation::Tracked)),
    ];
    let batch = batch(&columns, |row| {
        row.write_string(0, std::borrow::Cow::Borrowed(b"D"), EncodingType::Utf8);
    });
    let found: Vec<_> = [1, 3, 5, 6, 7]
        .iter()
        .map(|&index| text(&batch, index).unwrap())
        .collect();
    assert_eq!(found, ["from-42", "2026-11-29T12:00:00.000001+00:00", "I", "U", "D"]);
    let micros = batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(micros, 1_795_953_600_000_001);
    let ticks = batch.column(4).as_fixed_size_binary().value(0);
    assert_eq!(ticks[..8], ((micros + 719_162 * 86_400_000_000) * 10).to_le_bytes());
}

//! Writes keys of rows as texts. Equal values have equal texts, whether the batch comes from a source or from a Parquet
//! file.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatchReader};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use serde_json::Value;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::{Form, Fraction};
use tidemark::model::value_text::{self, DAY_TICKS, Style, UNIX_EPOCH_DAYS};

pub use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

/// The character between the values of a key.
const SEPARATOR: char = '\u{1f}';
/// What stands for NULL, so that it is no text of four letters. It is shown as `NULL`.
const NULL: &str = "\u{1e}";
/// The characters that mean something in a key, each with the letter that stands for it in a text, after the last of
/// them.
const ESCAPES: [(char, char); 3] = [('\u{1f}', 's'), ('\u{1e}', 'n'), (ESCAPE, 'e')];
const ESCAPE: char = '\u{1d}';
/// The greatest integer that every reader of JSON reads exactly.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Returns for each row the values of all columns as one text. The texts serve to compare rows and not to be read:
/// points in time are numbers in them.
///
/// # Errors
///
/// `UnsupportedType` for a column whose Arrow type no key has.
pub fn keys(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut keys = vec![String::new(); batch.num_rows()];
    for (number, array) in batch.columns().iter().enumerate() {
        let texts = texts(array.as_ref())?;
        for (key, text) in keys.iter_mut().zip(texts) {
            if number > 0 {
                key.push(SEPARATOR);
            }
            key.push_str(&text);
        }
    }
    Ok(keys)
}

/// Returns a key for people, with a blank between its values.
#[must_use]
pub fn shown(key: &str) -> String {
    let values = key.split(SEPARATOR);
    let shown = values.map(|value| {
        if value == NULL {
            "NULL".to_owned()
        } else {
            unescaped(value)
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Returns the values of a key as JSON: numbers, and texts as text formats have them. An integer that some readers of
/// JSON would round is a text. `forms` are those of the columns of the key.
#[must_use]
pub fn values(key: &str, forms: &[Form]) -> Vec<Value> {
    let values = key.split(SEPARATOR).zip(forms);
    values.map(|(text, form)| value(text, *form)).collect()
}

fn value(text: &str, form: Form) -> Value {
    match form {
        _ if text == NULL => Value::Null,
        Form::Bool => Value::Bool(text == "true"),
        Form::Int16 | Form::Int32 | Form::Int64 => match text.parse::<i64>() {
            Ok(number) if number.abs() <= SAFE_INTEGER => number.into(),
            _ => text.into(),
        },
        Form::Text | Form::Iso(_) => unescaped(text).into(),
        Form::Binary | Form::RowVersion => format!("0x{}", text.to_uppercase()).into(),
        _ => written(text, form).map_or_else(|| text.into(), Value::String),
    }
}

/// Writes a value whose text in a key is a number for its form.
fn written(text: &str, form: Form) -> Option<String> {
    const EPOCH_TICKS: i64 = UNIX_EPOCH_DAYS * DAY_TICKS;
    let number = || text.parse::<i64>().ok();
    let ticks = |fraction| {
        let number = number()?;
        Some(match fraction {
            Fraction::Micros => (number.checked_mul(10)?, 6),
            Fraction::Nanos => (number / 100, 7),
        })
    };
    let mut out = Vec::new();
    match form {
        Form::Decimal { scale, .. } => value_text::decimal(&mut out, text.parse().ok()?, scale),
        Form::Float32 => value_text::float(&mut out, f32::from_bits(text.parse::<i32>().ok()?.cast_unsigned())),
        Form::Float64 => value_text::float(&mut out, f64::from_bits(number()?.cast_unsigned())),
        Form::Uuid => value_text::uuid(&mut out, &u128::from_str_radix(text, 16).ok()?.to_be_bytes()),
        Form::Date => value_text::date(&mut out, number()? + UNIX_EPOCH_DAYS),
        Form::Time(fraction) => {
            let (ticks, digits) = ticks(fraction)?;
            value_text::time(&mut out, ticks, digits);
        }
        Form::Timestamp(fraction) | Form::Instant(fraction) => {
            let (ticks, digits) = ticks(fraction)?;
            value_text::timestamp(&mut out, ticks + EPOCH_TICKS, digits, Style::Iso);
        }
        Form::TimeTicks(digits) => value_text::time(&mut out, number()?, digits),
        Form::Ticks(digits) => value_text::timestamp(&mut out, number()?, digits, Style::Iso),
        _ => return None,
    }
    String::from_utf8(out).ok()
}

/// Returns a text in which no character means something in a key.
fn escaped(text: &str) -> String {
    let stands_for = |c: char| ESCAPES.iter().find(|(meaning, _)| *meaning == c);
    if !text.contains(|c| stands_for(c).is_some()) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match stands_for(c) {
            Some((_, letter)) => escaped.extend([ESCAPE, *letter]),
            None => escaped.push(c),
        }
    }
    escaped
}

/// Returns the text that was escaped.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut unescaped = String::with_capacity(text.len());
    while let Some(c) = characters.next() {
        let letter = if c == ESCAPE { characters.next() } else { None };
        let meant = ESCAPES.iter().find(|(_, stands_for)| Some(*stands_for) == letter);
        unescaped.push(meant.map_or(c, |(meaning, _)| *meaning));
    }
    unescaped
}

/// Reads these columns of a Parquet file, in this order, batch by batch. Of a file on a disk no more than a batch is in
/// memory at once.
///
/// # Errors
///
/// `LedgerInvalid` when it is not a Parquet file, or has no such column.
pub fn of_parquet<R: ChunkReader + 'static>(
    file: R,
    columns: &[String],
) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<R>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
    let reader = builder.with_projection(mask).build().map_err(unreadable)?;
    let schema = reader.schema();
    let places = columns.iter().map(|name| schema.index_of(name));
    let places: Vec<usize> = places.collect::<std::result::Result<_, _>>().map_err(unreadable)?;
    Ok(reader.map(move |batch| batch.and_then(|batch| batch.project(&places)).map_err(unreadable)))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(
        ErrorCode::LedgerInvalid,
        "the file is not what Tidemark wrote there: `tidemark verify` lists all files that differ",
        error,
    )
}

/// Returns the values of a column. A value of fixed width is read as an integer, even if its type is a time.
fn texts(array: &dyn Array) -> Result<Vec<String>> {
    let data = array.to_data();
    let text = |row: usize| -> Option<String> {
        Some(match array.data_type() {
            DataType::Boolean => array.as_boolean().value(row).to_string(),
            DataType::Utf8 => escaped(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => escaped(array.as_string::<i64>().value(row)),
            DataType::Binary => hex(array.as_binary::<i32>().value(row)),
            DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
            other => match other.primitive_width()? {
                1 => data.buffer::<i8>(0).get(row)?.to_string(),
                2 => data.buffer::<i16>(0).get(row)?.to_string(),
                4 => data.buffer::<i32>(0).get(row)?.to_string(),
                8 => data.buffer::<i64>(0).get(row)?.to_string(),
                16 => data.buffer::<i128>(0).get(row)?.to_string(),
                _ => return None,
            },
        })
    };
    let values = (0..array.len()).map(|row| {
        if array.is_null(row) {
            return Ok(NULL.to_owned());
        }
        text(row).ok_or_else(|| {
            let message = format!("a column that files hold as {} cannot be compared", array.data_type());
            Error::new(ErrorCode::UnsupportedType, message)
        })
    });
    values.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, TimestampMicrosecondArray};
    use serde_json::json;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn null_is_not_the_text_null() {
        let names = StringArray::from(vec![Some("NULL"), None]);
        let keys = keys(&batch(vec![("name", Arc::new(names))])).unwrap();
        assert_ne!(keys[0], keys[1]);
        assert_eq!((shown(&keys[0]), shown(&keys[1])), ("NULL".into(), "NULL".into()));
    }

    #[test]
    fn no_text_ends_a_value_of_a_key() {
        let of = |one: &str, other: &str| {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("one", Arc::new(StringArray::from(vec![one]))),
                ("other", Arc::new(StringArray::from(vec![other]))),
            ];
            keys(&batch(columns)).unwrap().remove(0)
        };
        let forms = [Form::Text, Form::Text];
        let texts = ["a", "a\u{1f}", "\u{1f}a", "\u{1e}", "\u{1d}", "\u{1d}s", "", "ä"];
        let mut all = std::collections::BTreeSet::new();
        for (one, other) in texts.iter().flat_map(|one| texts.map(|other| (*one, other))) {
            let key = of(one, other);
            assert_eq!(values(&key, &forms), [one, other]);
            assert!(all.insert(key), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_key_is_shown_as_text_formats_have_its_values() {
        let micros = Form::Timestamp(Fraction::Micros);
        let decimal = Form::Decimal { precision: 9, scale: 2 };
        for (text, form, shown) in [
            ("9", Form::Int32, json!(9)),
            ("9007199254740993", Form::Int64, json!("9007199254740993")),
            ("-9007199254740991", Form::Int64, json!(-9_007_199_254_740_991_i64)),
            ("true", Form::Bool, json!(true)),
            ("-1205", decimal, json!("-12.05")),
            ("1577923200000000", micros, json!("2020-01-02T00:00:00.000000")),
            (
                "0",
                Form::Instant(Fraction::Nanos),
                json!("1970-01-01T00:00:00.0000000"),
            ),
            ("61000000", Form::Time(Fraction::Micros), json!("00:01:01.000000")),
            ("1", Form::Date, json!("1970-01-02")),
            ("00000000000007d1", Form::RowVersion, json!("0x00000000000007D1")),
            (
                "6f9619ff8b86d011b42d00c04fc964ff",
                Form::Uuid,
                json!("6F9619FF-8B86-D011-B42D-00C04FC964FF"),
            ),
            ("1069547520", Form::Float32, json!("1.5")),
            (NULL, Form::Text, json!(null)),
        ] {
            assert_eq!(values(text, &[form]), [shown], "{form:?}");
        }
    }

    #[test]
    fn a_time_and_a_number_of_the_same_value_are_alike_and_null_is_none() {
        let source = batch(vec![
            ("id", Arc::new(Int32Array::from(vec![1, 2]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![10, 20]))),
            ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ]);
        let file = batch(vec![
            ("id", Arc::new(Int32Array::from(vec![1, 2]))),
            ("at", Arc::new(Int64Array::from(vec![10, 20]))),
            ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ]);
        assert_eq!(keys(&source).unwrap(), keys(&file).unwrap());
        assert_eq!(shown(&keys(&source).unwrap()[1]), "2 20 NULL");
        let sliced = source.slice(1, 1);
        assert_eq!(keys(&sliced).unwrap(), keys(&source).unwrap()[1..]);
    }
}

//! Writes keys of rows as texts. Equal values have equal texts, whether the batch comes from a source or from a Parquet
//! file.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatchReader};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use tidemark::error::{Error, ErrorCode, Result};

pub use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

/// The character between the values of a key, which no text of a person contains.
const SEPARATOR: char = '\u{1f}';
/// What stands for NULL, so that it is no text of four letters. It is shown as `NULL`.
const NULL: &str = "\u{1e}";

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
    key.replace(SEPARATOR, " ").replace(NULL, "NULL")
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
            DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
            DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
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

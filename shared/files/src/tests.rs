//! Tests every form in every format, read back from the bytes.

mod page;
mod parquet;
mod plain_columns;
mod text;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::json;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::files::{EncodeFiles, EncodePart, TakeBytes};

use crate::batch_schema::batch_schema;
use crate::encoder::{Encoder, Files};

/// Returns columns `c0`, `c1`, … that may be NULL.
fn columns(forms: &[Form]) -> Vec<Column> {
    let forms = forms.iter().enumerate();
    forms
        .map(|(index, form)| Column {
            name: format!("c{index}"),
            sql_type: TypeName::new("declared(7)").unwrap(),
            form: *form,
            nullable: true,
            values: Values::OfSource,
        })
        .collect()
}

/// Returns ids from 1, in the order of the columns.
fn ids(columns: &[Column]) -> FieldIds {
    let mut ids = FieldIds::default();
    ids.extend(columns);
    ids
}

fn encoder(columns: &[Column], format: &Format) -> Result<Encoder<Vec<u8>>> {
    Files.encoder(columns, &ids(columns), format, Vec::new())
}

fn batch(columns: &[Column], arrays: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(batch_schema(columns, &ids(columns)).unwrap(), arrays).unwrap()
}

/// Returns the bytes of a part with one batch.
fn encode(forms: &[Form], format: &Format, arrays: Vec<ArrayRef>) -> Result<Vec<u8>> {
    let columns = columns(forms);
    let batch = batch(&columns, arrays);
    let mut encoder = encoder(&columns, format)?;
    encoder.write(&batch)?;
    let part = encoder.finish()?;
    assert_eq!(part.rows, batch.num_rows() as u64);
    Ok(part.bytes)
}

/// Takes some bytes, and then no more.
#[derive(Default)]
struct Full(Vec<u8>);

impl TakeBytes for Full {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    fn pass_on(&mut self) -> Result<()> {
        if self.0.len() < 64 * 1024 {
            return Ok(());
        }
        Err(Error::new(ErrorCode::DeadlineExceeded, "there is no room"))
    }
}

#[test]
fn the_error_of_whoever_takes_the_bytes_is_that_of_the_encoder() {
    let columns = columns(&[Form::Int64]);
    // Numbers that no packer makes much smaller.
    let numbers = (0..200_000_i64).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
    let batch = batch(&columns, vec![Arc::new(Int64Array::from_iter_values(numbers))]);
    for format in [
        json!("parquet"),
        json!({ "csv": { "null": "NULL" } }),
        json!({ "csv": { "null": "NULL", "compression": "gzip" } }),
        json!({ "jsonl": { "compression": "zstd" } }),
    ] {
        let format: Format = serde_json::from_value(format).unwrap();
        let mut encoder = Files
            .encoder(&columns, &ids(&columns), &format, Full::default())
            .unwrap();
        let written = encoder.write(&batch).and_then(|()| encoder.finish().map(|_| ()));
        assert_eq!(written.unwrap_err().code(), ErrorCode::DeadlineExceeded, "{format:?}");
    }
}

//! Tests every form in every format, read back from the bytes.

mod page;
mod parquet;
mod plain_columns;
mod text;

use arrow_array::{ArrayRef, RecordBatch};
use tidemark::error::Result;
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::ports::files::{EncodeFiles, EncodePart};

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

fn encoder(columns: &[Column], format: &Format) -> Result<Encoder> {
    Files.encoder(columns, &ids(columns), format)
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
    let mut bytes = encoder.drain(<[u8]>::to_vec);
    assert_eq!(encoder.pending(), 0);
    let end = encoder.finish()?;
    assert_eq!(end.rows, batch.num_rows() as u64);
    bytes.extend(end.bytes);
    Ok(bytes)
}

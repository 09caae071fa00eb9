//! Turns record batches into the bytes of a part.
//!
//! An [`Encoder`] takes batches and passes bytes on as they become final, so that a part of any size needs bounded memory.

use arrow_array::{Array, RecordBatch};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::types::Column;
use tidemark::ports::files::{EncodeFiles, EncodePart, EncodedPart, TakeBytes};

use crate::batch_schema::batch_schema;
use crate::parquet::ParquetEncoder;
use crate::text::TextEncoder;

/// The maker of encoders for every format.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl EncodeFiles for Files {
    type Batch = RecordBatch;
    type Encoder<S: TakeBytes> = Encoder<S>;

    fn encoder<S: TakeBytes>(
        &self,
        columns: &[Column],
        ids: &FieldIds,
        format: &Format,
        bytes: S,
    ) -> Result<Encoder<S>> {
        let schema = batch_schema(columns, ids)?;
        let kind = match format {
            Format::Parquet(options) => Kind::Parquet(Box::new(ParquetEncoder::new(columns, schema, *options, bytes)?)),
            Format::Csv(options) => Kind::Text(Box::new(TextEncoder::csv(columns, options, bytes)?)),
            Format::Jsonl(options) => Kind::Text(Box::new(TextEncoder::jsonl(columns, *options, bytes)?)),
        };
        let required = columns.iter().enumerate().filter(|(_, column)| !column.nullable);
        Ok(Encoder {
            kind,
            required: required.map(|(index, column)| (index, column.name.clone())).collect(),
            rows: 0,
        })
    }
}

/// The encoder of one part, which takes the record batches of a slice.
#[derive(Debug)]
pub struct Encoder<S: TakeBytes> {
    kind: Kind<S>,
    /// The places and names of the columns that are NOT NULL.
    required: Vec<(usize, String)>,
    rows: u64,
}

#[derive(Debug)]
enum Kind<S: TakeBytes> {
    Parquet(Box<ParquetEncoder<S>>),
    Text(Box<TextEncoder<S>>),
}

impl<S: TakeBytes> Encoder<S> {
    /// Refuses a NULL in a column that is NOT NULL, which no format would notice.
    fn check_required(&self, batch: &RecordBatch) -> Result<()> {
        for (index, name) in &self.required {
            if batch
                .columns()
                .get(*index)
                .is_some_and(|column| column.null_count() > 0)
            {
                let message = format!("a NULL was read from column '{name}', which is NOT NULL in the plan");
                return Err(Error::new(ErrorCode::Internal, message));
            }
        }
        Ok(())
    }
}

impl<S: TakeBytes> EncodePart<RecordBatch, S> for Encoder<S> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.check_required(batch)?;
        match &mut self.kind {
            Kind::Parquet(encoder) => encoder.write(batch)?,
            Kind::Text(encoder) => encoder.write(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self) -> Result<EncodedPart<S>> {
        let written = self.rows;
        let encoded = match self.kind {
            Kind::Parquet(encoder) => encoder.finish()?,
            Kind::Text(encoder) => encoder.finish()?,
        };
        if encoded.rows != written {
            let message = format!("{written} rows were encoded but the part holds {}", encoded.rows);
            return Err(Error::new(ErrorCode::Internal, message));
        }
        Ok(encoded)
    }
}

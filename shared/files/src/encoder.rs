//! Turns record batches into the bytes of a part.
//!
//! An [`Encoder`] takes batches and gives out bytes as they become final, so that a part of any size needs bounded
//! memory.

use arrow_array::{Array, RecordBatch};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::types::Column;
use tidemark::ports::files::{EncodeFiles, EncodePart, EncodedPart};

use crate::batch_schema::batch_schema;
use crate::parquet::ParquetEncoder;
use crate::text::TextEncoder;

/// The largest buffer in bytes that an encoder keeps, so that the memory for a value of many megabytes is not held
/// until the end of the part.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// The maker of encoders for every format.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl EncodeFiles for Files {
    type Batch = RecordBatch;
    type Encoder = Encoder;

    fn encoder(&self, columns: &[Column], ids: &FieldIds, format: &Format) -> Result<Encoder> {
        let schema = batch_schema(columns, ids)?;
        let kind = match format {
            Format::Parquet(options) => Kind::Parquet(Box::new(ParquetEncoder::new(columns, schema, *options)?)),
            Format::Csv(options) => Kind::Text(Box::new(TextEncoder::csv(columns, options)?)),
            Format::Jsonl(options) => Kind::Text(Box::new(TextEncoder::jsonl(columns, *options)?)),
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
pub struct Encoder {
    kind: Kind,
    /// The places and names of the columns that are NOT NULL.
    required: Vec<(usize, String)>,
    rows: u64,
}

#[derive(Debug)]
enum Kind {
    Parquet(Box<ParquetEncoder>),
    Text(Box<TextEncoder>),
}

impl Encoder {
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

impl EncodePart<RecordBatch> for Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.check_required(batch)?;
        match &mut self.kind {
            Kind::Parquet(encoder) => encoder.write(batch)?,
            Kind::Text(encoder) => encoder.write(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn pending(&self) -> usize {
        match &self.kind {
            Kind::Parquet(encoder) => encoder.pending(),
            Kind::Text(encoder) => encoder.pending(),
        }
    }

    /// Passes the pending bytes to `take`, and keeps the buffer. A new buffer for every piece would cost more time and
    /// memory than what is written into it.
    fn drain<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        let buffer = match &mut self.kind {
            Kind::Parquet(encoder) => encoder.buffer(),
            Kind::Text(encoder) => encoder.buffer(),
        };
        let taken = take(buffer);
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES);
        taken
    }

    fn finish(self) -> Result<EncodedPart> {
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

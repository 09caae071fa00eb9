//! From record batches to the bytes of a part.
//!
//! An [`Encoder`] is fed batches and gives bytes as they become final, so that a part of any size passes through
//! bounded memory. Where the bytes go is not its business.

pub mod forms;

mod cells;
mod csv;
mod jsonl;
mod parquet;
mod text;

use arrow_array::RecordBatch;

use self::parquet::ParquetEncoder;
use self::text::TextEncoder;
use crate::error::{Error, ErrorCode, Result};
use crate::format::Format;
use crate::shape::Shape;

/// Turns the record batches of one slice into the bytes of one part.
#[derive(Debug)]
pub struct Encoder {
    kind: Kind,
    rows: u64,
}

#[derive(Debug)]
enum Kind {
    Parquet(Box<ParquetEncoder>),
    Text(Box<TextEncoder>),
}

/// What is kept of a buffer, at most: a value of many megabytes does not hold its memory to the end of the part.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What an encoder leaves when it is finished.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes that were not drained yet; the end of the part.
    pub bytes: Vec<u8>,
    /// The rows in the part: for Parquet as its footer says, for text as lines written.
    pub rows: u64,
}

impl Encoder {
    /// An encoder for batches of `shape`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the format cannot hold the shape, with what to change.
    pub fn new(shape: &Shape, format: &Format) -> Result<Self> {
        let kind = match format {
            Format::Parquet(options) => Kind::Parquet(Box::new(ParquetEncoder::new(shape, *options)?)),
            Format::Csv(options) => Kind::Text(Box::new(TextEncoder::csv(shape, options)?)),
            Format::Jsonl(options) => Kind::Text(Box::new(TextEncoder::jsonl(shape, *options))),
        };
        Ok(Self { kind, rows: 0 })
    }

    /// Encodes one batch.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when a CSV value needs quotes and quotes are off; `Internal` when the batch is not of the shape.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.kind {
            Kind::Parquet(encoder) => encoder.write(batch)?,
            Kind::Text(encoder) => encoder.write(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// How many bytes [`drain`](Self::drain) would give.
    #[must_use]
    pub fn pending(&self) -> usize {
        match &self.kind {
            Kind::Parquet(encoder) => encoder.pending(),
            Kind::Text(encoder) => encoder.pending(),
        }
    }

    /// Gives the bytes that are final so far, in order, and forgets them. Their buffer is filled again: one made anew for
    /// every piece costs more time and memory than all that is written into it.
    pub fn drain<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        let buffer = match &mut self.kind {
            Kind::Parquet(encoder) => encoder.buffer(),
            Kind::Text(encoder) => encoder.buffer(),
        };
        let taken = take(buffer);
        buffer.clear();
        buffer.shrink_to(KEPT_BYTES);
        taken
    }

    /// Ends the part.
    ///
    /// # Errors
    ///
    /// `Internal` when the part does not hold the rows written to it.
    pub fn finish(self) -> Result<Encoded> {
        let written = self.rows;
        let encoded = match self.kind {
            Kind::Parquet(encoder) => encoder.finish()?,
            Kind::Text(encoder) => encoder.finish()?,
        };
        if encoded.rows != written {
            return Err(Error::new(
                ErrorCode::Internal,
                format!("{written} rows were encoded but the part holds {}", encoded.rows),
            ));
        }
        Ok(encoded)
    }
}

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;

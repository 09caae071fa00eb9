//! Files in memory: a line of text per row, its values separated by tabs.

use crate::error::Result;
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::types::Column;
use crate::ports::files::{EncodeFiles, EncodePart, EncodedPart, TakeBytes};

/// Rows of a table in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBatch(pub Vec<Vec<MemoryValue>>);

/// A value of a table in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryValue {
    /// NULL.
    Null,
    /// A number.
    Number(i64),
    /// A text.
    Text(&'static str),
}

/// A maker of files of lines, whatever format is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryFiles;

/// The encoder of the lines of one part.
#[derive(Debug)]
pub struct MemoryEncoder<S> {
    bytes: S,
    rows: u64,
}

impl EncodeFiles for MemoryFiles {
    type Batch = MemoryBatch;
    type Encoder<S: TakeBytes> = MemoryEncoder<S>;

    fn encoder<S: TakeBytes>(
        &self,
        _columns: &[Column],
        _ids: &FieldIds,
        _format: &Format,
        bytes: S,
    ) -> Result<MemoryEncoder<S>> {
        Ok(MemoryEncoder { bytes, rows: 0 })
    }
}

impl<S: TakeBytes> EncodePart<MemoryBatch, S> for MemoryEncoder<S> {
    fn write(&mut self, batch: &MemoryBatch) -> Result<()> {
        for row in &batch.0 {
            let values = row.iter().map(|value| match value {
                MemoryValue::Null => "NULL".to_owned(),
                MemoryValue::Number(number) => number.to_string(),
                MemoryValue::Text(text) => (*text).to_owned(),
            });
            let values: Vec<String> = values.collect();
            self.bytes.buffer().extend_from_slice(values.join("\t").as_bytes());
            self.bytes.buffer().push(b'\n');
            self.rows += 1;
        }
        self.bytes.pass_on()
    }

    fn finish(self) -> Result<EncodedPart<S>> {
        let Self { bytes, rows } = self;
        Ok(EncodedPart { rows, bytes })
    }
}

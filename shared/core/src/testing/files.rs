//! Files in memory: a line of text per row, its values separated by tabs.

use crate::error::Result;
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::types::Column;
use crate::ports::files::{EncodeFiles, EncodePart, EncodedPart};

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
#[derive(Debug, Default)]
pub struct MemoryEncoder {
    lines: Vec<u8>,
    rows: u64,
}

impl EncodeFiles for MemoryFiles {
    type Batch = MemoryBatch;
    type Encoder = MemoryEncoder;

    fn encoder(&self, _columns: &[Column], _ids: &FieldIds, _format: &Format) -> Result<MemoryEncoder> {
        Ok(MemoryEncoder::default())
    }
}

impl EncodePart<MemoryBatch> for MemoryEncoder {
    fn write(&mut self, batch: &MemoryBatch) -> Result<()> {
        for row in &batch.0 {
            let values = row.iter().map(|value| match value {
                MemoryValue::Null => "NULL".to_owned(),
                MemoryValue::Number(number) => number.to_string(),
                MemoryValue::Text(text) => (*text).to_owned(),
            });
            let values: Vec<String> = values.collect();
            self.lines.extend_from_slice(values.join("\t").as_bytes());
            self.lines.push(b'\n');
            self.rows += 1;
        }
        Ok(())
    }

    fn pending(&self) -> usize {
        self.lines.len()
    }

    fn drain<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        let taken = take(&self.lines);
        self.lines.clear();
        taken
    }

    fn finish(self) -> Result<EncodedPart> {
        Ok(EncodedPart {
            bytes: self.lines,
            rows: self.rows,
        })
    }
}

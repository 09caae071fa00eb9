//! Parts of lines: CSV and JSON lines, plain or packed.

use std::io::Write;

use arrow_array::RecordBatch;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::{Compression, CsvOptions, JsonlOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::EncodedPart;

use crate::cells::Cells;
use crate::csv::CsvLine;
use crate::jsonl::JsonLine;

/// How many bytes of lines are collected before they are packed.
const PACK_BYTES: usize = 128 * 1024;

/// Writes one line per row.
#[derive(Debug)]
pub struct TextEncoder {
    forms: Vec<Form>,
    line: Line,
    lines: Vec<u8>,
    packed: Option<GzEncoder<Vec<u8>>>,
    rows: u64,
}

#[derive(Debug)]
enum Line {
    Csv(CsvLine),
    Json(JsonLine),
}

impl TextEncoder {
    /// CSV, with its header if there is one.
    pub fn csv(columns: &[Column], options: &CsvOptions) -> Result<Self> {
        let line = CsvLine::new(columns, options)?;
        let mut lines = Vec::new();
        if options.header {
            line.header(&mut lines)?;
        }
        Ok(Self {
            lines,
            ..Self::new(columns, Line::Csv(line), options.compression)
        })
    }

    /// JSON lines.
    pub fn jsonl(columns: &[Column], options: JsonlOptions) -> Self {
        Self::new(columns, Line::Json(JsonLine::new(columns)), options.compression)
    }

    fn new(columns: &[Column], line: Line, compression: Compression) -> Self {
        Self {
            forms: columns.iter().map(|column| column.form).collect(),
            line,
            lines: Vec::new(),
            packed: match compression {
                Compression::None => None,
                Compression::Gzip => Some(GzEncoder::new(Vec::new(), Level::default())),
            },
            rows: 0,
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Cells::of(batch, &self.forms)?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.get(row));
            match &self.line {
                Line::Csv(line) => line.row(&mut self.lines, cells)?,
                Line::Json(line) => line.row(&mut self.lines, cells)?,
            }
            self.rows += 1;
            if self.packed.is_some() && self.lines.len() >= PACK_BYTES {
                self.pack()?;
            }
        }
        Ok(())
    }

    fn pack(&mut self) -> Result<()> {
        if let Some(packed) = &mut self.packed {
            packed.write_all(&self.lines).map_err(packing_failed)?;
            self.lines.clear();
        }
        Ok(())
    }

    pub fn pending(&self) -> usize {
        self.packed
            .as_ref()
            .map_or(self.lines.len(), |packed| packed.get_ref().len())
    }

    /// What is written and not drained.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        match &mut self.packed {
            Some(packed) => packed.get_mut(),
            None => &mut self.lines,
        }
    }

    pub fn finish(mut self) -> Result<EncodedPart> {
        self.pack()?;
        let bytes = match self.packed {
            Some(packed) => packed.finish().map_err(packing_failed)?,
            None => self.lines,
        };
        Ok(EncodedPart { bytes, rows: self.rows })
    }
}

fn packing_failed(error: std::io::Error) -> Error {
    Error::with_source(ErrorCode::Internal, "cannot pack the part", error)
}

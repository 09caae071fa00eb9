//! Writes parts of lines, in CSV and JSON lines, plain or packed.

use std::io::Write;

use arrow_array::RecordBatch;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::{Compression, CsvOptions, JsonlOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::EncodedPart;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::cells::Cells;
use crate::csv::CsvLine;
use crate::jsonl::JsonLine;

/// The bytes of lines that are collected before they are packed.
const PACK_BYTES: usize = 128 * 1024;

/// The encoder of a part that has a line for each row.
#[derive(Debug)]
pub struct TextEncoder {
    forms: Vec<Form>,
    line: Line,
    lines: Vec<u8>,
    packed: Option<Packed>,
    rows: u64,
}

/// The packer of the lines.
enum Packed {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Packed {
    fn new(compression: Compression) -> Result<Option<Self>> {
        Ok(match compression {
            Compression::None => None,
            Compression::Gzip => Some(Self::Gzip(GzEncoder::new(Vec::new(), Level::default()))),
            Compression::Zstd => {
                let encoder = ZstdEncoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL);
                Some(Self::Zstd(encoder.map_err(packing_failed)?))
            }
        })
    }

    fn write(&mut self, lines: &[u8]) -> Result<()> {
        let written = match self {
            Self::Gzip(encoder) => encoder.write_all(lines),
            Self::Zstd(encoder) => encoder.write_all(lines),
        };
        written.map_err(packing_failed)
    }

    fn buffer(&self) -> &Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    fn buffer_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn finish(self) -> Result<Vec<u8>> {
        let finished = match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        };
        finished.map_err(packing_failed)
    }
}

#[derive(Debug)]
enum Line {
    Csv(CsvLine),
    Json(JsonLine),
}

impl TextEncoder {
    /// Makes an encoder for CSV, which begins with a header if the options have one.
    pub fn csv(columns: &[Column], options: &CsvOptions) -> Result<Self> {
        let line = CsvLine::new(columns, options)?;
        let mut lines = Vec::new();
        if options.header {
            line.header(&mut lines)?;
        }
        Ok(Self {
            lines,
            ..Self::new(columns, Line::Csv(line), options.compression)?
        })
    }

    /// Makes an encoder for JSON lines.
    pub fn jsonl(columns: &[Column], options: JsonlOptions) -> Result<Self> {
        let line = JsonLine::new(columns, options.bigint);
        Self::new(columns, Line::Json(line), options.compression)
    }

    fn new(columns: &[Column], line: Line, compression: Compression) -> Result<Self> {
        Ok(Self {
            forms: columns.iter().map(|column| column.form).collect(),
            line,
            lines: Vec::new(),
            packed: Packed::new(compression)?,
            rows: 0,
        })
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
            packed.write(&self.lines)?;
            self.lines.clear();
        }
        Ok(())
    }

    pub fn pending(&self) -> usize {
        self.packed
            .as_ref()
            .map_or(self.lines.len(), |packed| packed.buffer().len())
    }

    /// Returns the bytes that were written and not yet taken.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        match &mut self.packed {
            Some(packed) => packed.buffer_mut(),
            None => &mut self.lines,
        }
    }

    pub fn finish(mut self) -> Result<EncodedPart> {
        self.pack()?;
        let bytes = match self.packed {
            Some(packed) => packed.finish()?,
            None => self.lines,
        };
        Ok(EncodedPart { bytes, rows: self.rows })
    }
}

fn packing_failed(error: std::io::Error) -> Error {
    Error::with_source(ErrorCode::Internal, "the part cannot be compressed", error)
}

//! Writes parts of lines, in CSV and JSON lines, plain or packed.

use std::ops::Range;

use arrow_array::RecordBatch;
use tidemark::error::Result;
use tidemark::model::format::{CsvOptions, JsonlOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::{EncodedPart, TakeBytes};

use crate::cells::Cells;
use crate::csv::CsvLine;
use crate::jsonl::JsonLine;
use crate::packed::Lines;

/// The bytes of lines after which they may be passed on.
const WRITE_BYTES: usize = 64 * 1024;

/// The encoder of a part that has a line for each row. Its bytes go to an `S`.
#[derive(Debug)]
pub struct TextEncoder<S: TakeBytes> {
    rows: Rows,
    lines: Lines<S>,
    written: u64,
}

/// The writer of rows.
#[derive(Debug)]
struct Rows {
    forms: Vec<Form>,
    line: Line,
}

#[derive(Debug)]
enum Line {
    Csv(CsvLine),
    Json(JsonLine),
}

impl<S: TakeBytes> TextEncoder<S> {
    /// Makes an encoder for CSV, which begins with a header if the options have one.
    pub fn csv(columns: &[Column], options: &CsvOptions, bytes: S) -> Result<Self> {
        let line = CsvLine::new(columns, options)?;
        let mut lines = Lines::new(options.compression, bytes)?;
        if options.header {
            line.header(lines.buffer())?;
        }
        Ok(Self::new(columns, Line::Csv(line), lines))
    }

    /// Makes an encoder for JSON lines.
    pub fn jsonl(columns: &[Column], options: JsonlOptions, bytes: S) -> Result<Self> {
        let line = JsonLine::new(columns, options.bigint);
        let lines = Lines::new(options.compression, bytes)?;
        Ok(Self::new(columns, Line::Json(line), lines))
    }

    fn new(columns: &[Column], line: Line, lines: Lines<S>) -> Self {
        let forms = columns.iter().map(|column| column.form).collect();
        Self {
            rows: Rows { forms, line },
            lines,
            written: 0,
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Cells::of(batch, &self.rows.forms)?;
        let mut rows = 0..batch.num_rows();
        while !rows.is_empty() {
            rows.start = self.rows.write(&columns, rows.clone(), self.lines.buffer())?;
            self.lines.pass_on()?;
        }
        self.written += batch.num_rows() as u64;
        Ok(())
    }

    pub fn finish(self) -> Result<EncodedPart<S>> {
        let bytes = self.lines.finish()?;
        let rows = self.written;
        Ok(EncodedPart { rows, bytes })
    }
}

impl Rows {
    /// Writes rows until they may be passed on. Returns the row with which to go on.
    fn write(&self, columns: &[Cells<'_>], rows: Range<usize>, out: &mut Vec<u8>) -> Result<usize> {
        let enough = out.len() + WRITE_BYTES;
        for row in rows.clone() {
            let cells = columns.iter().map(|column| column.get(row));
            match &self.line {
                Line::Csv(line) => line.row(out, cells)?,
                Line::Json(line) => line.row(out, cells)?,
            }
            if out.len() >= enough {
                return Ok(row + 1);
            }
        }
        Ok(rows.end)
    }
}

//! Writes parts of lines, in CSV and JSON lines, plain or packed.

use arrow_array::RecordBatch;
use tidemark::error::Result;
use tidemark::model::format::{CsvOptions, JsonlOptions};
use tidemark::model::types::{Column, Form};
use tidemark::ports::files::{EncodedPart, TakeBytes};

use crate::cells::Cells;
use crate::csv::CsvLine;
use crate::jsonl::JsonLine;
use crate::packed::Lines;

/// The encoder of a part that has a line for each row. Its bytes go to an `S`.
#[derive(Debug)]
pub struct TextEncoder<S: TakeBytes> {
    forms: Vec<Form>,
    line: Line,
    lines: Lines<S>,
    rows: u64,
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
        Ok(Self::new(
            columns,
            Line::Json(line),
            Lines::new(options.compression, bytes)?,
        ))
    }

    fn new(columns: &[Column], line: Line, lines: Lines<S>) -> Self {
        Self {
            forms: columns.iter().map(|column| column.form).collect(),
            line,
            lines,
            rows: 0,
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Cells::of(batch, &self.forms)?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.get(row));
            match &self.line {
                Line::Csv(line) => line.row(self.lines.buffer(), cells)?,
                Line::Json(line) => line.row(self.lines.buffer(), cells)?,
            }
            self.rows += 1;
            self.lines.pass_on()?;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<EncodedPart<S>> {
        let Self { lines, rows, .. } = self;
        let bytes = lines.finish()?;
        Ok(EncodedPart { rows, bytes })
    }
}

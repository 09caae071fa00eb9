//! Writes a row as a line of CSV.

use std::borrow::Cow;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::{CsvOptions, LineBreaks, Quote};
use tidemark::model::types::Column;
use tidemark::model::value_text::{self, Style};

use crate::cells::Cell;

/// The byte-order mark in UTF-8, which readers remove from the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The fields that ClickHouse, Hive and MySQL take for NULL when they have no quotes, whatever the option `null` is.
const NULLS_OF_READERS: [&[u8]; 2] = [b"\\N", b"NULL"];

/// The way to write lines for some columns.
#[derive(Debug)]
pub struct CsvLine {
    delimiter: u8,
    null: Vec<u8>,
    quote: Quote,
    fraction_digits: Option<u8>,
    line_end: &'static [u8],
    line_breaks: LineBreaks,
    names: Vec<String>,
}

impl CsvLine {
    /// Makes lines for these columns.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the only column of a table may be NULL and `null` is empty, because readers skip the empty
    /// line of a NULL.
    pub fn new(columns: &[Column], options: &CsvOptions) -> Result<Self> {
        if let ([column], true) = (columns, options.null.is_empty())
            && column.nullable
        {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!(
                    "a NULL in '{}', the only column, would be an empty line, which readers skip: set the csv option null, for example to \"\\\\N\"",
                    column.name
                ),
            ));
        }
        Ok(Self {
            // The option is one ASCII character.
            delimiter: u8::try_from(options.delimiter).unwrap_or(b','),
            null: options.null.clone().into_bytes(),
            quote: options.quote,
            fraction_digits: options.fraction_digits,
            line_end: options.line_end.as_bytes(),
            line_breaks: options.line_breaks,
            names: columns.iter().map(|column| column.name.clone()).collect(),
        })
    }

    /// Writes the header line.
    pub fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            self.text(out, name, index)?;
        }
        out.extend_from_slice(self.line_end);
        Ok(())
    }

    /// Writes the line of a row.
    pub fn row<'a>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = Option<Cell<'a>>>) -> Result<()> {
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            match cell {
                None => out.extend_from_slice(&self.null),
                Some(Cell::Text(text)) => self.text(out, text, index)?,
                Some(cell) => self.plain(out, cell),
            }
        }
        out.extend_from_slice(self.line_end);
        Ok(())
    }

    /// Writes a value whose text contains no delimiter, quote, line break or NULL text. The validation of the options
    /// ensures this.
    fn plain(&self, out: &mut Vec<u8>, cell: Cell<'_>) {
        let digits = |declared: u8| self.fraction_digits.unwrap_or(declared);
        match cell {
            Cell::Bool(value) => out.push(if value { b'1' } else { b'0' }),
            Cell::Int(value) => value_text::integer(out, value),
            Cell::BigInt(value) => value_text::integer(out, value),
            Cell::Real(value) => value_text::float(out, value),
            Cell::Float(value) => value_text::float(out, value),
            Cell::Decimal { unscaled, scale } => value_text::decimal(out, unscaled, scale),
            Cell::Text(text) => out.extend_from_slice(text.as_bytes()),
            Cell::Binary(bytes) | Cell::RowVersion(bytes) => value_text::hex(out, bytes),
            Cell::Uuid(bytes) => value_text::uuid(out, bytes),
            Cell::Date { days } => value_text::date(out, days),
            Cell::Time {
                ticks,
                digits: declared,
            } => value_text::time(out, ticks, digits(declared)),
            Cell::Timestamp {
                ticks,
                digits: declared,
            } => value_text::timestamp(out, ticks, digits(declared), Style::Sql),
            Cell::TimestampWithOffset {
                ticks,
                offset_minutes,
                digits: declared,
            } => value_text::timestamp_with_offset(out, ticks, offset_minutes, digits(declared), Style::Sql),
        }
    }

    fn text(&self, out: &mut Vec<u8>, text: &str, column: usize) -> Result<()> {
        let text = self.in_lines(text.as_bytes(), column)?;
        let bytes = text.as_ref();
        match self.quote {
            Quote::Minimal if self.needs_quotes(bytes) => {
                // The space is reserved at once, because growing step by step costs many times the size of a large
                // value.
                out.reserve(bytes.len() + 2);
                out.push(b'"');
                for piece in bytes.split_inclusive(|byte| *byte == b'"') {
                    out.extend_from_slice(piece);
                    if piece.ends_with(b"\"") {
                        out.push(b'"');
                    }
                }
                out.push(b'"');
                Ok(())
            }
            Quote::None if self.cannot_stand_bare(bytes) => Err(self.refused(column)),
            Quote::Minimal | Quote::None => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Returns the text with its line breaks written as the options say.
    fn in_lines<'a>(&self, text: &'a [u8], column: usize) -> Result<Cow<'a, [u8]>> {
        if self.line_breaks == LineBreaks::Keep {
            return Ok(Cow::Borrowed(text));
        }
        let is_changed = |byte: &u8| match self.line_breaks {
            LineBreaks::Escape => matches!(byte, b'\r' | b'\n' | b'\\'),
            LineBreaks::Keep | LineBreaks::Space | LineBreaks::Fail => matches!(byte, b'\r' | b'\n'),
        };
        if !text.iter().any(is_changed) {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 8);
        for (index, &byte) in text.iter().enumerate() {
            match (byte, self.line_breaks) {
                (_, LineBreaks::Fail) => return Err(self.breaks_a_line(column)),
                (b'\r', LineBreaks::Escape) => out.extend_from_slice(b"\\r"),
                (b'\n', LineBreaks::Escape) => out.extend_from_slice(b"\\n"),
                (b'\\', LineBreaks::Escape) => out.extend_from_slice(b"\\\\"),
                // The two characters of one line break become one blank.
                (b'\n', LineBreaks::Space) if index > 0 && text.get(index - 1) == Some(&b'\r') => {}
                (b'\r' | b'\n', LineBreaks::Space) => out.push(b' '),
                (other, _) => out.push(other),
            }
        }
        Ok(Cow::Owned(out))
    }

    /// Returns whether a reader would misread the text without quotes.
    fn needs_quotes(&self, bytes: &[u8]) -> bool {
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        let breaks_the_line =
            |byte: &u8| (*byte == self.delimiter) | (*byte == b'"') | (*byte == b'\r') | (*byte == b'\n');
        bytes.is_empty()
            || bytes == self.null
            || NULLS_OF_READERS.contains(&bytes)
            || is_blank(bytes.first())
            || is_blank(bytes.last())
            || bytes.starts_with(BYTE_ORDER_MARK)
            // Every byte is tested: a loop without an early exit handles many bytes at once.
            || bytes.iter().fold(false, |any, byte| any | breaks_the_line(byte))
    }

    /// Returns whether the text cannot be written without quotes. The quote character itself can.
    fn cannot_stand_bare(&self, bytes: &[u8]) -> bool {
        bytes == self.null
            || bytes
                .iter()
                .any(|byte| *byte == self.delimiter || matches!(byte, b'\r' | b'\n'))
    }

    fn breaks_a_line(&self, column: usize) -> Error {
        let name = self.names.get(column).map_or("", String::as_str);
        let message = format!(
            "a value of column '{name}' holds a line break, and the csv option line_breaks is fail: give the window up (docs/how-to/repair.md), and set it to escape, space or keep"
        );
        Error::new(ErrorCode::InvalidInput, message)
    }

    fn refused(&self, column: usize) -> Error {
        Error::new(
            ErrorCode::InvalidInput,
            format!(
                "a value of column '{}' holds the delimiter or a line break, or is the NULL text, and the csv option quote is none: give the window up (docs/how-to/repair.md), and set quote to minimal, or another delimiter or null",
                self.names.get(column).map_or("", String::as_str)
            ),
        )
    }
}

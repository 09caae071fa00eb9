//! Writes a row as a JSON object on a line.
//!
//! Every type has one form: numbers where engines read them exactly (integers, `real`, `float`), and strings where they
//! may not (`decimal`, money). `bigint` is a string if the options say so. Points in time are ISO 8601, binary values
//! are base64 (RFC 4648), and `rowversion` is hexadecimal, as SQL Server shows it. NULL is `null`, so every key is in
//! every line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::Bigint;
use tidemark::model::types::Column;
use tidemark::model::value_text::{self, Style};

use crate::cells::Cell;

/// The way to write lines for some columns.
#[derive(Debug)]
pub struct JsonLine {
    /// The text before the value of each column: `{"a":`, then `,"b":`, ….
    keys: Vec<Vec<u8>>,
    bigint: Bigint,
}

impl JsonLine {
    /// Makes lines for these columns.
    pub fn new(columns: &[Column], bigint: Bigint) -> Self {
        let keys = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let mut key = vec![if index == 0 { b'{' } else { b',' }];
                string(&mut key, &column.name);
                key.push(b':');
                key
            })
            .collect();
        Self { keys, bigint }
    }

    /// Writes the line of a row.
    pub fn row<'a>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = Option<Cell<'a>>>) -> Result<()> {
        for (key, cell) in self.keys.iter().zip(cells) {
            out.extend_from_slice(key);
            match cell {
                None => out.extend_from_slice(b"null"),
                Some(Cell::BigInt(value)) if self.bigint == Bigint::String => {
                    quoted(out, |out| value_text::integer(out, value));
                }
                Some(cell) => value(out, cell)?,
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

fn value(out: &mut Vec<u8>, cell: Cell<'_>) -> Result<()> {
    match cell {
        Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Int(value) => value_text::integer(out, value),
        Cell::BigInt(value) => value_text::integer(out, value),
        Cell::Real(value) if value.is_finite() => value_text::float(out, value),
        Cell::Float(value) if value.is_finite() => value_text::float(out, value),
        // SQL Server stores neither infinities nor NaN.
        Cell::Real(_) | Cell::Float(_) => {
            return Err(Error::new(ErrorCode::Internal, "a float is not finite"));
        }
        Cell::Text(text) => string(out, text),
        Cell::Decimal { unscaled, scale } => quoted(out, |out| value_text::decimal(out, unscaled, scale)),
        Cell::Binary(bytes) => quoted(out, |out| base64(out, bytes)),
        Cell::RowVersion(bytes) => quoted(out, |out| value_text::hex(out, bytes)),
        Cell::Uuid(bytes) => quoted(out, |out| value_text::uuid(out, bytes)),
        Cell::Date { days } => quoted(out, |out| value_text::date(out, days)),
        Cell::Time { ticks, digits } => quoted(out, |out| value_text::time(out, ticks, digits)),
        Cell::Timestamp { ticks, digits } => quoted(out, |out| value_text::timestamp(out, ticks, digits, Style::Iso)),
        Cell::TimestampWithOffset {
            ticks,
            offset_minutes,
            digits,
        } => quoted(out, |out| {
            value_text::timestamp_with_offset(out, ticks, offset_minutes, digits, Style::Iso);
        }),
    }
    Ok(())
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    // The space is reserved at once, because growing step by step costs many times the size of a large value.
    out.reserve(bytes.len().div_ceil(3) * 4);
    // A piece has whole groups of three bytes, so that the encoded text of a large value is never held twice.
    for piece in bytes.chunks(3 * 1024) {
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
    }
}

/// Writes a JSON string: `"`, `\` and control characters are escaped (RFC 8259, section 7), and everything else is
/// unchanged.
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let is_escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Every byte is tested: a loop without an early exit handles many bytes at once.
    if !bytes.iter().fold(false, |any, byte| any | is_escaped(*byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut done = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[done..index]);
        done = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

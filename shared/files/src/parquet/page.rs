//! A data page under construction, in the plain encoding.

use std::ops::Range;

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use parquet::basic::Type as PhysicalType;

use super::bounds::Bounds;
use super::values::Values;

/// The most rows of a page.
pub const PAGE_ROWS: usize = 20_000;
/// The bytes of values at which a page is full.
const PAGE_BYTES: usize = 1024 * 1024;
/// The most bytes of the buffer of a page, unless a single value is larger.
const BUFFER_BYTES: usize = LEVELS_BYTES + 2 * PAGE_BYTES;
/// The most groups of eight levels in a run, as one byte can express.
const RUN_GROUPS: usize = 63;
/// The most bytes of the levels of a full page: their length, and the groups and heads of the runs.
const LEVELS_BYTES: usize = 4 + PAGE_ROWS / 8 + PAGE_ROWS / 8 / RUN_GROUPS + 2;

/// The rows of a page. The values are behind a gap, into which the levels are written at the end, so that nothing is
/// moved.
pub struct Page {
    bytes: Vec<u8>,
    /// Whether each byte of the values becomes a bit.
    is_of_bits: bool,
    pub rows: usize,
    pub nulls: usize,
    /// The validity of the rows. It is filled only from the first NULL on.
    valid: BooleanBufferBuilder,
    pub bounds: Bounds,
}

impl Page {
    pub fn new(physical_type: PhysicalType) -> Self {
        Self {
            bytes: vec![0; LEVELS_BYTES],
            is_of_bits: physical_type == PhysicalType::BOOLEAN,
            rows: 0,
            nulls: 0,
            valid: BooleanBufferBuilder::new(0),
            bounds: Bounds::None,
        }
    }

    pub fn is_full(&self) -> bool {
        self.rows >= PAGE_ROWS || self.bytes.len() >= LEVELS_BYTES + PAGE_BYTES
    }

    /// Returns the bytes of the values.
    pub fn bytes(&self) -> usize {
        self.bytes.len() - LEVELS_BYTES
    }

    /// Frees memory beyond `bytes` bytes of values.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(LEVELS_BYTES + bytes);
    }

    /// Takes as many of the rows as fit, but at least one. Returns their number. A value that is larger than a page goes
    /// into `large`, which all pages share.
    pub fn fill(
        &mut self,
        values: &Values<'_>,
        nulls: Option<&NullBuffer>,
        rows: Range<usize>,
        large: &mut Vec<u8>,
    ) -> usize {
        let room = (LEVELS_BYTES + PAGE_BYTES).saturating_sub(self.bytes.len());
        let most = rows.len().min(PAGE_ROWS - self.rows);
        let taken = rows.start..rows.start + values.rows_within(rows.start, most, room);
        if self.bytes.len() + values.bytes_of(taken.clone()) > BUFFER_BYTES {
            large.clear();
            large.extend_from_slice(&self.bytes);
            std::mem::swap(large, &mut self.bytes);
        }
        match nulls.map(|nulls| nulls.slice(taken.start, taken.len())) {
            Some(nulls) if nulls.null_count() > 0 => {
                self.valid.append_n(self.rows - self.valid.len(), true);
                self.valid.append_buffer(nulls.inner());
                self.nulls += nulls.null_count();
                for (start, end) in nulls.valid_slices() {
                    let there = taken.start + start..taken.start + end;
                    values.append(there, &mut self.bytes, &mut self.bounds);
                }
            }
            _ => values.append(taken.clone(), &mut self.bytes, &mut self.bounds),
        }
        self.rows += taken.len();
        taken.len()
    }

    /// Ends the page. Returns it before packing: the length of the levels, the levels, and the values.
    pub fn body(&mut self) -> &[u8] {
        if self.is_of_bits {
            into_bits(&mut self.bytes, LEVELS_BYTES);
        }
        let mut levels = Vec::with_capacity(LEVELS_BYTES);
        levels.extend_from_slice(&[0; 4]);
        if self.nulls == 0 || self.nulls == self.rows {
            run_of_one_level(self.rows, u8::from(self.nulls == 0), &mut levels);
        } else {
            self.valid.append_n(self.rows - self.valid.len(), true);
            for run in self.valid.as_slice()[..self.rows.div_ceil(8)].chunks(RUN_GROUPS) {
                levels.push(u8::try_from(run.len() << 1).unwrap_or_default() | 1);
                levels.extend_from_slice(run);
            }
        }
        let length = u32::try_from(levels.len() - 4).unwrap_or_default();
        levels[..4].copy_from_slice(&length.to_le_bytes());
        let start = LEVELS_BYTES - levels.len();
        self.bytes[start..LEVELS_BYTES].copy_from_slice(&levels);
        &self.bytes[start..]
    }

    /// Returns the bytes of values of variable length, without their lengths.
    pub fn variable_bytes(&self) -> usize {
        self.bytes.len() - LEVELS_BYTES - 4 * (self.rows - self.nulls)
    }

    /// Begins the next page with the same buffer. That of a large value goes back to `large`.
    pub fn clear(&mut self, large: &mut Vec<u8>) {
        self.bytes.truncate(LEVELS_BYTES);
        if self.bytes.capacity() > BUFFER_BYTES {
            std::mem::swap(large, &mut self.bytes);
            self.bytes.clear();
            self.bytes.resize(LEVELS_BYTES, 0);
        }
        self.rows = 0;
        self.nulls = 0;
        self.valid.truncate(0);
        self.bounds = Bounds::None;
    }
}

/// Makes a bit of each byte from `start` on, the first one the lowest of its byte.
fn into_bits(bytes: &mut Vec<u8>, start: usize) {
    let end = start + (bytes.len() - start).div_ceil(8);
    for place in start..end {
        let first = start + (place - start) * 8;
        let of_place = &bytes[first..bytes.len().min(first + 8)];
        bytes[place] = of_place.iter().rev().fold(0, |bits, bit| bits << 1 | bit);
    }
    bytes.truncate(end);
}

fn run_of_one_level(rows: usize, level: u8, out: &mut Vec<u8>) {
    varint(rows << 1, out);
    out.push(level);
}

/// Writes a number in groups of seven bits, the lowest first.
pub fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7F).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

//! Reads the values of a column from a batch, and appends them in Parquet's plain encoding.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::ColumnDescriptor;

use super::bounds::Bounds;

/// The bytes of the length before a value of variable length.
const LENGTH_BYTES: usize = 4;

/// The values of an array. A number beside them is the bytes of each value in the file.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Each is a byte of its own here, and a bit in the file.
    Bool(&'a BooleanBuffer),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    /// Decimals that are written as little-endian integers.
    SmallDecimal(&'a [i128], usize),
    /// Decimals that are written as big-endian bytes.
    Decimal(&'a [i128], usize),
    Fixed(&'a [u8], usize),
    Variable {
        offsets: &'a [i32],
        bytes: &'a [u8],
    },
}

impl<'a> Values<'a> {
    /// Returns the values of an array for this column, or `None` when its type is not supported here.
    pub fn of(array: &'a ArrayRef, column: &ColumnDescriptor) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().values()),
            DataType::Int32 => Self::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Date32 => Self::Int32(array.as_primitive::<Date32Type>().values()),
            DataType::Int64 => Self::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::Time64(TimeUnit::Microsecond) => {
                Self::Int64(array.as_primitive::<Time64MicrosecondType>().values())
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                Self::Int64(array.as_primitive::<Time64NanosecondType>().values())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Int64(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Self::Int64(array.as_primitive::<TimestampNanosecondType>().values())
            }
            DataType::Float32 => Self::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Self::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(..) => {
                let values = array.as_primitive::<Decimal128Type>().values();
                match column.physical_type() {
                    PhysicalType::INT32 => Self::SmallDecimal(values, 4),
                    PhysicalType::INT64 => Self::SmallDecimal(values, 8),
                    _ => Self::Decimal(values, usize::try_from(column.type_length()).ok()?),
                }
            }
            DataType::FixedSizeBinary(width) => {
                let values = array.as_fixed_size_binary();
                Self::Fixed(values.value_data(), usize::try_from(*width).ok()?)
            }
            DataType::Utf8 => {
                let values = array.as_string::<i32>();
                let (offsets, bytes) = (values.value_offsets(), values.value_data());
                Self::Variable { offsets, bytes }
            }
            DataType::Binary => {
                let values = array.as_binary::<i32>();
                let (offsets, bytes) = (values.value_offsets(), values.value_data());
                Self::Variable { offsets, bytes }
            }
            _ => return None,
        })
    }

    /// Returns how many of the rows from `start` take at most `bytes`, but at least one.
    pub fn rows_within(&self, start: usize, rows: usize, bytes: usize) -> usize {
        if self.bytes_of(start..start + rows) <= bytes {
            return rows;
        }
        let fits = match self.width() {
            Some(width) => bytes / width,
            None => {
                let ends = 1..=rows;
                ends.take_while(|end| self.bytes_of(start..start + end) <= bytes)
                    .count()
            }
        };
        fits.clamp(1, rows)
    }

    /// Returns the bytes that rows take in a page, if none of them is NULL.
    pub fn bytes_of(&self, rows: Range<usize>) -> usize {
        match *self {
            Self::Variable { offsets, .. } => {
                offsets[rows.end].abs_diff(offsets[rows.start]) as usize + LENGTH_BYTES * rows.len()
            }
            _ => self.width().unwrap_or_default() * rows.len(),
        }
    }

    /// Returns the bytes of each value, or `None` when they differ in their length.
    const fn width(&self) -> Option<usize> {
        Some(match *self {
            Self::Bool(_) => 1,
            Self::Int32(_) | Self::Float32(_) => 4,
            Self::Int64(_) | Self::Float64(_) => 8,
            Self::SmallDecimal(_, width) | Self::Decimal(_, width) | Self::Fixed(_, width) => width,
            Self::Variable { .. } => return None,
        })
    }

    /// Appends values, none of which is NULL, and widens the bounds to include them.
    pub fn append(&self, rows: Range<usize>, out: &mut Vec<u8>, bounds: &mut Bounds) {
        if rows.is_empty() {
            return;
        }
        match *self {
            Self::Bool(values) => {
                let values = values.slice(rows.start, rows.len());
                out.extend(values.iter().map(u8::from));
                let trues = values.count_set_bits();
                bounds.widen_ints((trues == values.len()).into(), (trues > 0).into());
            }
            Self::Int32(values) => {
                let values = &values[rows];
                append_all(out, values, |value| value.to_le_bytes());
                let (least, greatest) = extremes(values, i32::MAX, i32::MIN);
                bounds.widen_ints(least.into(), greatest.into());
            }
            Self::Int64(values) => {
                let values = &values[rows];
                append_all(out, values, |value| value.to_le_bytes());
                let (least, greatest) = extremes(values, i64::MAX, i64::MIN);
                bounds.widen_ints(least, greatest);
            }
            Self::Float32(values) => {
                let values = &values[rows];
                append_all(out, values, |value| value.to_le_bytes());
                let (least, greatest) = extremes(values, f32::INFINITY, f32::NEG_INFINITY);
                // There are no bounds if every value is NaN, which has no place in the order.
                if least <= greatest {
                    bounds.widen_floats(least.into(), greatest.into());
                }
            }
            Self::Float64(values) => {
                let values = &values[rows];
                append_all(out, values, |value| value.to_le_bytes());
                let (least, greatest) = extremes(values, f64::INFINITY, f64::NEG_INFINITY);
                if least <= greatest {
                    bounds.widen_floats(least, greatest);
                }
            }
            Self::SmallDecimal(values, width) => small_decimals(&values[rows], width, out, bounds),
            Self::Decimal(values, width) => {
                let values = &values[rows];
                for value in values {
                    out.extend_from_slice(&value.to_be_bytes()[16 - width..]);
                }
                let (least, greatest) = extremes(values, i128::MAX, i128::MIN);
                bounds.widen_decimals(least, greatest);
            }
            Self::Fixed(bytes, width) => fixed(&bytes[rows.start * width..rows.end * width], width, out, bounds),
            Self::Variable { offsets, bytes } => variable(&offsets[rows.start..=rows.end], bytes, out, bounds),
        }
    }
}

#[inline]
fn append_all<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], encoded: impl Fn(T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    let places = out[start..].as_chunks_mut::<N>().0;
    for (place, value) in places.iter_mut().zip(values) {
        *place = encoded(*value);
    }
}

/// Returns the least and the greatest value, without those that cannot be compared.
#[inline]
fn extremes<T: Copy + PartialOrd>(values: &[T], most: T, least: T) -> (T, T) {
    values.iter().fold((most, least), |(low, high), value| {
        (
            if *value < low { *value } else { low },
            if *value > high { *value } else { high },
        )
    })
}

/// Appends decimals that fit into an integer of `width` bytes. The bytes that are cut off only repeat the sign.
#[expect(clippy::cast_possible_truncation, reason = "the precision says that they fit")]
fn small_decimals(values: &[i128], width: usize, out: &mut Vec<u8>, bounds: &mut Bounds) {
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for value in values {
        let value = *value as i64;
        least = least.min(value);
        greatest = greatest.max(value);
    }
    bounds.widen_ints(least, greatest);
    if width == 4 {
        append_all(out, values, |value| (value as i32).to_le_bytes());
    } else {
        append_all(out, values, |value| (value as i64).to_le_bytes());
    }
}

fn fixed(bytes: &[u8], width: usize, out: &mut Vec<u8>, bounds: &mut Bounds) {
    out.extend_from_slice(bytes);
    let numbers = |(least, greatest): (u128, u128), number: u128| (least.min(number), greatest.max(number));
    let none = (u128::MAX, u128::MIN);
    let (least, greatest) = if width == 16 {
        let (values, _) = bytes.as_chunks::<16>();
        values
            .iter()
            .map(|value| u128::from_be_bytes(*value))
            .fold(none, numbers)
    } else {
        let values = bytes.chunks_exact(width).map(|value| {
            let mut number = [0; 16];
            number[..width].copy_from_slice(value);
            u128::from_be_bytes(number)
        });
        values.fold(none, numbers)
    };
    bounds.widen_fixed(least, greatest);
}

/// Returns the first bytes of a value as a number in the order of the values.
#[inline]
fn prefix(value: &[u8]) -> u64 {
    value.first_chunk::<8>().map_or_else(
        || {
            let mut first = [0; 8];
            first[..value.len()].copy_from_slice(value);
            u64::from_be_bytes(first)
        },
        |first| u64::from_be_bytes(*first),
    )
}

fn variable(offsets: &[i32], bytes: &[u8], out: &mut Vec<u8>, bounds: &mut Bounds) {
    let start = |offset: i32| offset.unsigned_abs() as usize;
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return;
    };
    out.reserve(start(last - first) + 4 * offsets.len());
    let mut values = offsets.windows(2).map(|pair| &bytes[start(pair[0])..start(pair[1])]);
    let Some(value) = values.next() else { return };
    let mut put = |value: &[u8]| {
        // A value cannot be longer than its `i32` offsets allow.
        out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(value);
    };
    put(value);
    let (mut least, mut greatest) = ((prefix(value), value), (prefix(value), value));
    for value in values {
        put(value);
        let key = prefix(value);
        if key < least.0 || (key == least.0 && value < least.1) {
            least = (key, value);
        }
        if key > greatest.0 || (key == greatest.0 && value > greatest.1) {
            greatest = (key, value);
        }
    }
    bounds.widen_bytes(least.1, greatest.1);
}

//! A record batch seen value by value, for the text formats.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch, StringArray,
};

use super::forms::UNIX_EPOCH_DAYS;
use crate::error::{Error, ErrorCode, Result};
use crate::shape::{Held, Shape};
use crate::types::SqlType;

/// One value that is not NULL, in SQL Server's terms. Units are those of `forms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Bool(bool),
    Int(i32),
    BigInt(i64),
    Real(f32),
    Float(f64),
    Decimal {
        unscaled: i128,
        scale: u8,
    },
    Text(&'a str),
    Binary(&'a [u8]),
    RowVersion(&'a [u8]),
    Uuid(&'a [u8]),
    Date {
        days: i64,
    },
    Time {
        ticks: i64,
        digits: u8,
    },
    Timestamp {
        ticks: i64,
        digits: u8,
    },
    TimestampWithOffset {
        ticks: i64,
        offset_minutes: i16,
        digits: u8,
    },
}

/// What a column's cells are, decided once.
#[derive(Debug, Clone, Copy)]
pub struct CellKind {
    held: Held,
    digits: u8,
    is_rowversion: bool,
}

impl CellKind {
    /// The kinds of the columns of a shape.
    pub fn of(shape: &Shape) -> Vec<Self> {
        let columns = shape.columns().iter().zip(shape.held());
        columns
            .map(|(column, held)| Self {
                held: *held,
                digits: match column.sql_type {
                    SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => scale,
                    SqlType::DateTime => 3,
                    _ => 0,
                },
                is_rowversion: column.sql_type == SqlType::RowVersion,
            })
            .collect()
    }
}

/// The values of one column in one batch.
pub struct Cells<'a> {
    array: &'a dyn Array,
    values: Values<'a>,
    kind: CellKind,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, u8),
    Date(&'a PrimitiveArray<Date32Type>),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Fixed(&'a FixedSizeBinaryArray),
}

impl<'a> Cells<'a> {
    /// The columns of `batch`.
    ///
    /// # Errors
    ///
    /// `Internal` when a column is not held as its kind says.
    pub fn of(batch: &'a RecordBatch, kinds: &[CellKind]) -> Result<Vec<Self>> {
        let other = || {
            Error::new(
                ErrorCode::Internal,
                "a record batch does not have the shape it is encoded in",
            )
        };
        if batch.num_columns() != kinds.len() {
            return Err(other());
        }
        let columns = batch.columns().iter().zip(kinds);
        columns
            .map(|(array, kind)| {
                Ok(Self {
                    array: array.as_ref(),
                    values: values(array, kind.held).ok_or_else(other)?,
                    kind: *kind,
                })
            })
            .collect()
    }

    /// The value in `row`, `None` for NULL.
    pub fn get(&self, row: usize) -> Option<Cell<'a>> {
        if self.array.is_null(row) {
            return None;
        }
        let digits = self.kind.digits;
        Some(match self.values {
            Values::Bool(array) => Cell::Bool(array.value(row)),
            Values::Int16(array) => Cell::Int(array.value(row).into()),
            Values::Int32(array) => Cell::Int(array.value(row)),
            Values::Int64(array) => match self.kind.held {
                Held::TimeTicks => Cell::Time {
                    ticks: array.value(row),
                    digits,
                },
                Held::Ticks => Cell::Timestamp {
                    ticks: array.value(row),
                    digits,
                },
                _ => Cell::BigInt(array.value(row)),
            },
            Values::Float32(array) => Cell::Real(array.value(row)),
            Values::Float64(array) => Cell::Float(array.value(row)),
            Values::Decimal(array, scale) => Cell::Decimal {
                unscaled: array.value(row),
                scale,
            },
            Values::Date(array) => Cell::Date {
                days: i64::from(array.value(row)) + UNIX_EPOCH_DAYS,
            },
            Values::Text(array) => Cell::Text(array.value(row)),
            Values::Binary(array) if self.kind.is_rowversion => Cell::RowVersion(array.value(row)),
            Values::Binary(array) => Cell::Binary(array.value(row)),
            Values::Fixed(array) => match array.value(row).split_first_chunk::<8>() {
                Some((ticks, &[low, high])) => Cell::TimestampWithOffset {
                    ticks: i64::from_le_bytes(*ticks),
                    offset_minutes: i16::from_le_bytes([low, high]),
                    digits,
                },
                _ => Cell::Uuid(array.value(row)),
            },
        })
    }
}

fn values(array: &ArrayRef, held: Held) -> Option<Values<'_>> {
    if *array.data_type() != held.data_type() {
        return None;
    }
    Some(match held {
        Held::Bool => Values::Bool(array.as_boolean_opt()?),
        Held::Int16 => Values::Int16(array.as_primitive_opt()?),
        Held::Int32 => Values::Int32(array.as_primitive_opt()?),
        Held::Int64 | Held::TimeTicks | Held::Ticks => Values::Int64(array.as_primitive_opt()?),
        Held::Float32 => Values::Float32(array.as_primitive_opt()?),
        Held::Float64 => Values::Float64(array.as_primitive_opt()?),
        Held::Decimal { scale, .. } => Values::Decimal(array.as_primitive_opt()?, scale),
        Held::Date => Values::Date(array.as_primitive_opt()?),
        Held::Text | Held::Iso => Values::Text(array.as_string_opt()?),
        Held::Binary => Values::Binary(array.as_binary_opt()?),
        Held::Uuid | Held::TicksAndOffset => Values::Fixed(array.as_fixed_size_binary_opt()?),
        // Only Parquet holds these, and it does not go through cells.
        Held::Time(_) | Held::Timestamp(_) | Held::Instant(_) => return None,
    })
}

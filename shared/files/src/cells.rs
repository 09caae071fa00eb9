//! Reads record batches value by value, for the text formats.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::NullBuffer;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::{Digits, Form};
use tidemark::model::value_text::UNIX_EPOCH_DAYS;

use crate::batch_schema::data_type;

/// A value that is not NULL. The units are those of `value_text`.
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
    Uuid(&'a [u8; 16]),
    Date {
        days: i64,
    },
    Time {
        ticks: i64,
        digits: Digits,
    },
    Timestamp {
        ticks: i64,
        digits: Digits,
    },
    TimestampWithOffset {
        ticks: i64,
        offset_minutes: i16,
        digits: Digits,
    },
}

/// The values of one column in one batch.
pub struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
    form: Form,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, u8),
    Date(&'a PrimitiveArray<Date32Type>),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    TicksAndOffset(&'a FixedSizeBinaryArray, Digits),
}

impl<'a> Cells<'a> {
    /// Returns the values of each column of `batch`, whose forms are `forms`.
    ///
    /// # Errors
    ///
    /// `Internal` when the number of columns is another one, or a column's array does not have its form.
    pub fn of(batch: &'a RecordBatch, forms: &[Form]) -> Result<Vec<Self>> {
        let other = || {
            Error::new(
                ErrorCode::Internal,
                "a record batch does not have the columns it is encoded by",
            )
        };
        if batch.num_columns() != forms.len() {
            return Err(other());
        }
        let columns = batch.columns().iter().zip(forms);
        columns
            .map(|(array, form)| {
                Ok(Self {
                    nulls: array.nulls(),
                    values: values(array, *form).ok_or_else(other)?,
                    form: *form,
                })
            })
            .collect()
    }

    /// Returns the value in `row`, or `None` for NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<Cell<'a>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match self.values {
            Values::Bool(array) => Cell::Bool(array.value(row)),
            Values::Int32(array) => Cell::Int(array.value(row)),
            Values::Int64(array) => match self.form {
                Form::TimeTicks(digits) => Cell::Time {
                    ticks: array.value(row),
                    digits,
                },
                Form::Ticks(digits) => Cell::Timestamp {
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
            Values::Binary(array) if self.form == Form::RowVersion => Cell::RowVersion(array.value(row)),
            Values::Binary(array) => Cell::Binary(array.value(row)),
            // The array has no value of another length.
            Values::Uuid(array) => Cell::Uuid(array.value(row).first_chunk().unwrap_or(&[0; 16])),
            Values::TicksAndOffset(array, digits) => {
                let (ticks, offset_minutes) = ticks_and_offset(array.value(row));
                Cell::TimestampWithOffset {
                    ticks,
                    offset_minutes,
                    digits,
                }
            }
        })
    }
}

/// Splits the ten bytes of a value in [`Form::TicksAndOffset`] into its two numbers. The array has no value of another
/// length.
fn ticks_and_offset(bytes: &[u8]) -> (i64, i16) {
    let (ticks, offset) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let offset = offset.first_chunk().unwrap_or(&[0; 2]);
    (i64::from_le_bytes(*ticks), i16::from_le_bytes(*offset))
}

fn values(array: &ArrayRef, form: Form) -> Option<Values<'_>> {
    if *array.data_type() != data_type(form) {
        return None;
    }
    Some(match form {
        Form::Bool => Values::Bool(array.as_boolean_opt()?),
        Form::Int16 | Form::Int32 => Values::Int32(array.as_primitive_opt()?),
        Form::Int64 | Form::TimeTicks(_) | Form::Ticks(_) => Values::Int64(array.as_primitive_opt()?),
        Form::Float32 => Values::Float32(array.as_primitive_opt()?),
        Form::Float64 => Values::Float64(array.as_primitive_opt()?),
        Form::Decimal { scale, .. } => Values::Decimal(array.as_primitive_opt()?, scale),
        Form::Date => Values::Date(array.as_primitive_opt()?),
        Form::Text | Form::Iso(_) => Values::Text(array.as_string_opt()?),
        Form::Binary | Form::RowVersion => Values::Binary(array.as_binary_opt()?),
        Form::Uuid => Values::Uuid(array.as_fixed_size_binary_opt()?),
        Form::TicksAndOffset(digits) => Values::TicksAndOffset(array.as_fixed_size_binary_opt()?, digits),
        // Only Parquet holds these forms, and its encoder does not use cells.
        Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) => return None,
    })
}

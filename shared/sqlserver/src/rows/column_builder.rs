//! Collects the values of one column for an Arrow array.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use mssql_tds::datatypes::column_values::SqlTime;
use mssql_tds::datatypes::sql_string::EncodingType;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::{Column, Form, Fraction};
use tidemark::model::value_text::{self, DAY_TICKS, Style, UNIX_EPOCH_DAYS};
use tidemark::model::values::{Mask, Values};

use super::result_columns::CHANGED_SINCE;
use super::wire_text::{UnknownCodePage, WireText};
use crate::masks::{self, MaskKey};
use crate::types::{self, LAST_DAY};

/// The most bytes that are reserved in advance for the text or binary values of a column.
const LIKELY_BYTES: usize = 4 * 1024 * 1024;

/// The values of one column in the current batch.
pub struct ColumnBuilder {
    pub name: String,
    pub nullable: bool,
    form: Form,
    /// Whether values of every type are held as text: where each value has a type of its own, or in a masked column.
    is_text_of_any: bool,
    mask: Option<Mask>,
    pub values: Buffers,
    /// The rows of the batch whose value is NULL. Most columns have few, and a value that is there costs nothing here.
    null_rows: Vec<usize>,
    text: WireText,
    /// The number of texts so far in which something malformed was replaced.
    pub replaced_texts: u64,
}

/// The buffers of a column, by the form of its values.
pub enum Buffers {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Int128(Vec<i128>),
    Variable { offsets: Vec<i32>, bytes: Vec<u8> },
    Fixed { width: usize, bytes: Vec<u8> },
}

/// The reason why a value could not be taken.
pub enum Refusal {
    /// The driver sent a value of another type than the result's description says.
    OtherType,
    /// The value is outside the range of its SQL Server type.
    Invalid,
    /// The time is outside the range that nanoseconds can hold.
    OutsideNanoseconds,
    /// The text or bytes of the column in this batch exceed 2 GiB.
    TooLarge,
    /// The text is in a code page that is not known.
    UnknownCodePage(UnknownCodePage),
}

/// The outcome of appending one value: the bytes it takes beside what every value of its column takes.
pub type Taken = std::result::Result<usize, Refusal>;

impl ColumnBuilder {
    pub fn new(column: &Column) -> Self {
        let mask = match column.values {
            Values::Masked(mask) => Some(mask),
            Values::OfSource | Values::ServerMask | Values::Audit(_) => None,
        };
        Self {
            name: column.name.clone(),
            nullable: column.nullable,
            form: column.form,
            is_text_of_any: mask.is_some() || types::is_of_any_type(&column.sql_type),
            mask,
            values: Buffers::new(column.form, 0, 0),
            null_rows: Vec::new(),
            text: WireText::default(),
            replaced_texts: 0,
        }
    }

    pub fn null(&mut self) {
        self.null_rows.push(self.values.len());
        match &mut self.values {
            Buffers::Bool(values) => values.push(false),
            Buffers::Int32(values) => values.push(0),
            Buffers::Int64(values) => values.push(0),
            Buffers::Float32(values) => values.push(0.0),
            Buffers::Float64(values) => values.push(0.0),
            Buffers::Int128(values) => values.push(0),
            Buffers::Variable { offsets, .. } => offsets.push(offsets.last().copied().unwrap_or(0)),
            Buffers::Fixed { width, bytes } => bytes.resize(bytes.len() + *width, 0),
        }
    }

    /// Appends a time as an integer in the unit of the column's form.
    #[inline]
    pub fn unit(&mut self, value: i64) -> Taken {
        let Buffers::Int64(values) = &mut self.values else {
            return Err(Refusal::OtherType);
        };
        values.push(value);
        Ok(0)
    }

    /// Appends what `write` writes as one text or binary value. Returns its length in bytes.
    pub fn variable(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Taken {
        let Buffers::Variable { offsets, bytes } = &mut self.values else {
            return Err(Refusal::OtherType);
        };
        let start = bytes.len();
        write(bytes);
        offsets.push(i32::try_from(bytes.len()).map_err(|_| Refusal::TooLarge)?);
        Ok(bytes.len() - start)
    }

    /// Appends text as it came over the wire. Returns its length in UTF-8.
    pub fn text(&mut self, value: &[u8], encoding: EncodingType) -> Taken {
        let decoding = self.text.decoding(value, encoding).map_err(Refusal::UnknownCodePage)?;
        let mut was_malformed = false;
        let written = self.variable(|out| was_malformed = decoding.append(out, value))?;
        self.replaced_texts += u64::from(was_malformed);
        Ok(written)
    }

    /// Appends the text of a value to a column that holds values of every type as text; any other column refuses it.
    pub fn of_any_type(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Taken {
        if !self.is_text_of_any {
            return Err(Refusal::OtherType);
        }
        self.variable(write)
    }

    pub fn binary(&mut self, value: Cow<'_, [u8]>) -> Taken {
        if self.is_text_of_any {
            return self.of_any_type(|out| value_text::hex(out, &value));
        }
        self.variable(|out| match value {
            // A value of many megabytes, which fills the batch, is not copied.
            Cow::Owned(value) if out.is_empty() && value.len() > out.capacity() => *out = value,
            value => out.extend_from_slice(&value),
        })
    }

    /// Appends a day, counted from 0001-01-01.
    pub fn date(&mut self, days: i64) -> Taken {
        let days = valid_days(days)?;
        let Buffers::Int32(values) = &mut self.values else {
            return self.of_any_type(|out| value_text::date(out, days));
        };
        values.push(i32::try_from(days - UNIX_EPOCH_DAYS).map_err(|_| Refusal::Invalid)?);
        Ok(0)
    }

    /// Appends a time of day in ticks of 100 ns. `digits` is the number of fractional digits on the wire.
    pub fn time(&mut self, ticks: u64, digits: u8) -> Taken {
        let ticks = valid_time(ticks)?;
        match self.form {
            Form::Time(Fraction::Micros) => self.unit(ticks / 10),
            Form::Time(Fraction::Nanos) => self.unit(ticks * 100),
            Form::TimeTicks(_) => self.unit(ticks),
            Form::Iso(digits) => self.variable(|out| value_text::time(out, ticks, digits)),
            _ => self.of_any_type(|out| value_text::time(out, ticks, digits)),
        }
    }

    /// Appends a point in time without a time zone: the day, counted from 0001-01-01, and the ticks of 100 ns since
    /// midnight. `digits` is the number of fractional digits on the wire.
    pub fn timestamp(&mut self, days: i64, ticks: u64, digits: u8) -> Taken {
        let ticks = valid_days(days)? * DAY_TICKS + valid_time(ticks)?;
        match self.form {
            Form::Timestamp(fraction) => self.unit(since_1970(ticks, fraction)?),
            Form::Ticks(_) => self.unit(ticks),
            Form::Iso(digits) => self.variable(|out| value_text::timestamp(out, ticks, digits, Style::Iso)),
            _ => self.of_any_type(|out| value_text::timestamp(out, ticks, digits, Style::Iso)),
        }
    }

    /// Appends a point in time in UTC, together with the difference from UTC that it was written with.
    pub fn instant(&mut self, days: i64, time: &SqlTime, offset_minutes: i16) -> Taken {
        let ticks = valid_days(days)? * DAY_TICKS + valid_time(time.time_nanoseconds)?;
        let text = |digits| {
            move |out: &mut Vec<u8>| {
                value_text::timestamp_with_offset(out, ticks, offset_minutes, digits, Style::Iso);
            }
        };
        match (self.form, &mut self.values) {
            (Form::Instant(fraction), _) => self.unit(since_1970(ticks, fraction)?),
            (Form::TicksAndOffset(_), Buffers::Fixed { bytes, .. }) => {
                bytes.extend_from_slice(&ticks.to_le_bytes());
                bytes.extend_from_slice(&offset_minutes.to_le_bytes());
                Ok(0)
            }
            (Form::Iso(digits), _) => self.variable(text(digits)),
            _ => self.of_any_type(text(time.scale)),
        }
    }

    /// Appends an exact number: `unscaled` with its last `scale` digits after the point.
    pub fn decimal(&mut self, unscaled: i128, scale: u8) -> Taken {
        let Buffers::Int128(values) = &mut self.values else {
            return self.of_any_type(|out| value_text::decimal(out, unscaled, scale));
        };
        values.push(unscaled);
        Ok(0)
    }

    /// Ends the batch and returns its values as an array, masked where the column is. The column is empty afterwards.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a NULL in a column that is NOT NULL in the plan; `InvalidConfig` for a hash without a key;
    /// `Internal` when the number of values is not `rows`.
    pub fn finish(&mut self, rows: usize, key: Option<&MaskKey>) -> Result<ArrayRef> {
        if self.values.len() != rows {
            return Err(Error::new(
                ErrorCode::Internal,
                format!(
                    "column '{}' has {} values for {rows} rows",
                    self.name,
                    self.values.len()
                ),
            ));
        }
        let nulls = nulls(rows, &std::mem::take(&mut self.null_rows));
        if nulls.is_some() && !self.nullable {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!(
                    "column '{}' is NOT NULL in the plan but holds a NULL; {CHANGED_SINCE}",
                    self.name
                ),
            ));
        }
        // The next batch is likely to need as many bytes, unless one value was very large.
        let bytes = match &self.values {
            Buffers::Variable { bytes, .. } => bytes.len().min(LIKELY_BYTES),
            _ => 0,
        };
        let values = std::mem::replace(&mut self.values, Buffers::new(self.form, rows, bytes));
        let array = values.into_array(self.form, nulls).map_err(arrow_failed)?;
        match self.mask {
            Some(mask) => masked(&array, mask, key),
            None => Ok(array),
        }
    }
}

/// Returns which of the rows have a value; `None` if all have.
fn nulls(rows: usize, null_rows: &[usize]) -> Option<NullBuffer> {
    if null_rows.is_empty() {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(rows);
    valid.append_n(rows, true);
    for row in null_rows {
        valid.set_bit(*row, false);
    }
    Some(NullBuffer::new(valid.finish()))
}

/// Applies a mask to an array of texts.
fn masked(texts: &ArrayRef, mask: Mask, key: Option<&MaskKey>) -> Result<ArrayRef> {
    let other = || Error::new(ErrorCode::Internal, "a masked column is not held as text");
    let texts = texts.as_string_opt::<i32>().ok_or_else(other)?;
    let mut left = StringBuilder::with_capacity(texts.len(), texts.len());
    let mut text = String::new();
    for value in texts {
        text.clear();
        let is_there = match value {
            Some(value) => masks::append(mask, key, value, &mut text)?,
            None => false,
        };
        left.append_option(is_there.then_some(text.as_str()));
    }
    Ok(Arc::new(left.finish()))
}

fn valid_days(days: i64) -> std::result::Result<i64, Refusal> {
    (0..=LAST_DAY).contains(&days).then_some(days).ok_or(Refusal::Invalid)
}

fn valid_time(ticks: u64) -> std::result::Result<i64, Refusal> {
    let ticks = i64::try_from(ticks).map_err(|_| Refusal::Invalid)?;
    (ticks < DAY_TICKS).then_some(ticks).ok_or(Refusal::Invalid)
}

fn since_1970(ticks: i64, fraction: Fraction) -> std::result::Result<i64, Refusal> {
    let ticks = ticks - UNIX_EPOCH_DAYS * DAY_TICKS;
    match fraction {
        Fraction::Micros => Ok(ticks.div_euclid(10)),
        Fraction::Nanos => ticks.checked_mul(100).ok_or(Refusal::OutsideNanoseconds),
    }
}

impl Buffers {
    fn new(form: Form, rows: usize, bytes: usize) -> Self {
        match form {
            Form::Bool => Self::Bool(Vec::with_capacity(rows)),
            Form::Int16 | Form::Int32 | Form::Date => Self::Int32(Vec::with_capacity(rows)),
            Form::Int64
            | Form::TimeTicks(_)
            | Form::Ticks(_)
            | Form::Time(_)
            | Form::Timestamp(_)
            | Form::Instant(_) => Self::Int64(Vec::with_capacity(rows)),
            Form::Float32 => Self::Float32(Vec::with_capacity(rows)),
            Form::Float64 => Self::Float64(Vec::with_capacity(rows)),
            Form::Decimal { .. } => Self::Int128(Vec::with_capacity(rows)),
            Form::Text | Form::Iso(_) | Form::Binary | Form::RowVersion => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Self::Variable {
                    offsets,
                    bytes: Vec::with_capacity(bytes),
                }
            }
            Form::Uuid => Self::Fixed {
                width: 16,
                bytes: Vec::with_capacity(rows * 16),
            },
            Form::TicksAndOffset(_) => Self::Fixed {
                width: 10,
                bytes: Vec::with_capacity(rows * 10),
            },
        }
    }

    /// Returns the number of values.
    const fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Float32(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Int128(values) => values.len(),
            // The first offset is the start of the first value.
            Self::Variable { offsets, .. } => offsets.len() - 1,
            Self::Fixed { width, bytes } => bytes.len() / *width,
        }
    }

    pub const fn fixed_bytes(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Int32(_) | Self::Float32(_) | Self::Variable { .. } => 4,
            Self::Int64(_) | Self::Float64(_) => 8,
            Self::Int128(_) => 16,
            Self::Fixed { width, .. } => *width,
        }
    }

    fn into_array(self, form: Form, nulls: Option<NullBuffer>) -> std::result::Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Self::Int32(values) => match form {
                Form::Date => Arc::new(Date32Array::try_new(values.into(), nulls)?),
                _ => Arc::new(Int32Array::try_new(values.into(), nulls)?),
            },
            Self::Int64(values) => int64_array(values.into(), form, nulls)?,
            Self::Float32(values) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            Self::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Self::Int128(values) => {
                let numbers = PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?;
                Arc::new(match form {
                    Form::Decimal { precision, scale } => {
                        numbers.with_precision_and_scale(precision, scale.cast_signed())?
                    }
                    _ => numbers,
                })
            }
            Self::Variable { offsets, bytes } => {
                let offsets = OffsetBuffer::new(offsets.into());
                let bytes = Buffer::from_vec(bytes);
                match form {
                    Form::Binary | Form::RowVersion => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
                    _ => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
                }
            }
            Self::Fixed { width, bytes } => {
                let width = i32::try_from(width).unwrap_or(i32::MAX);
                Arc::new(FixedSizeBinaryArray::try_new(width, Buffer::from_vec(bytes), nulls)?)
            }
        })
    }
}

fn int64_array(
    values: ScalarBuffer<i64>,
    form: Form,
    nulls: Option<NullBuffer>,
) -> std::result::Result<ArrayRef, ArrowError> {
    Ok(match form {
        Form::Time(Fraction::Micros) => Arc::new(PrimitiveArray::<Time64MicrosecondType>::try_new(values, nulls)?),
        Form::Time(Fraction::Nanos) => Arc::new(PrimitiveArray::<Time64NanosecondType>::try_new(values, nulls)?),
        Form::Timestamp(Fraction::Micros) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?)
        }
        Form::Timestamp(Fraction::Nanos) => {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?)
        }
        Form::Instant(Fraction::Micros) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
        }
        Form::Instant(Fraction::Nanos) => {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_timezone("UTC"))
        }
        _ => Arc::new(Int64Array::try_new(values, nulls)?),
    })
}

pub fn arrow_failed(error: ArrowError) -> Error {
    Error::with_source(ErrorCode::Internal, "the rows do not make a record batch", error)
}

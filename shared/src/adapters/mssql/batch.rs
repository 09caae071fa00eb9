//! Values of the wire into Arrow buffers.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney, SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::SqlVector;
use uuid::Uuid;

use super::BatchLimits;
use super::wire_text::WireText;
use crate::encode::forms::{self, DAY_TICKS, SECOND_TICKS, Style, UNIX_EPOCH_DAYS};
use crate::error::{Error, ErrorCode, Result};
use crate::shape::{Fraction, Held, Shape};
use crate::types::{Column, SqlType};

/// Days from 0001-01-01 to 1900-01-01, where `datetime` and `smalldatetime` count from.
const EPOCH_1900_DAYS: i64 = 693_595;
/// 9999-12-31
const LAST_DAY: i64 = 3_652_058;

/// The most that is reserved ahead for the text or bytes of a column.
const LIKELY_BYTES: usize = 4 * 1024 * 1024;

/// Collects rows until a batch is full.
///
/// The driver's callbacks cannot fail, so the first failure is kept, ends the batch, and comes out of [`finish`].
///
/// [`finish`]: Self::finish
pub struct BatchBuilder {
    columns: Vec<ColumnBuilder>,
    schema: SchemaRef,
    limits: BatchLimits,
    /// Bytes of a row beside its text and binary values.
    fixed_bytes: usize,
    rows: usize,
    variable_bytes: usize,
    replaced_texts: u64,
    failure: Option<Error>,
}

struct ColumnBuilder {
    column: Column,
    held: Held,
    nulls: NullBufferBuilder,
    values: Values,
    text: WireText,
}

enum Values {
    Bool(BooleanBufferBuilder),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Int128(Vec<i128>),
    Variable { offsets: Vec<i32>, bytes: Vec<u8> },
    Fixed { width: usize, bytes: Vec<u8> },
}

/// Why a value could not be taken.
enum Refusal {
    /// The driver sent another type than the result's description says.
    OtherType,
    /// Not a value of SQL Server's type.
    Invalid,
    /// Outside what nanoseconds can hold.
    OutsideNanoseconds,
    /// More than 2 GiB of text or bytes in a batch.
    TooLarge,
}

type Taken = std::result::Result<(), Refusal>;

impl BatchBuilder {
    pub fn new(shape: &Shape, limits: BatchLimits) -> Self {
        let columns: Vec<_> = shape
            .columns()
            .iter()
            .zip(shape.held())
            .map(|(column, held)| ColumnBuilder::new(column.clone(), *held))
            .collect();
        Self {
            fixed_bytes: columns.iter().map(|column| column.values.fixed_bytes()).sum(),
            columns,
            schema: shape.schema().clone(),
            limits,
            rows: 0,
            variable_bytes: 0,
            replaced_texts: 0,
            failure: None,
        }
    }

    /// Whether the batch must be finished before another row.
    pub fn is_full(&self) -> bool {
        self.rows >= self.limits.rows
            || self.variable_bytes + self.rows * self.fixed_bytes >= self.limits.bytes
            || self.failure.is_some()
    }

    /// Text values in which malformed text was replaced, so far.
    pub const fn replaced_texts(&self) -> u64 {
        self.replaced_texts
    }

    /// The batch, `None` without rows; the next one begins.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a NULL in a column that is NOT NULL in the plan, or a value that is not of its column's
    /// type; `UnsupportedType` for a value that the format cannot hold.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let rows = std::mem::take(&mut self.rows);
        self.variable_bytes = 0;
        if rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            arrays.push(column.finish(rows)?);
        }
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(arrow_failed)?;
        Ok(Some(batch))
    }

    #[inline]
    fn put(&mut self, col: usize, put: impl FnOnce(&mut ColumnBuilder) -> Taken) {
        let taken = self.columns.get_mut(col).map_or(Err(Refusal::OtherType), put);
        if let Err(refusal) = taken {
            self.refuse(col, &refusal);
        }
    }

    #[cold]
    fn refuse(&mut self, col: usize, refusal: &Refusal) {
        let name = self.columns.get(col).map_or("?", |column| column.column.name.as_str());
        let error = match refusal {
            Refusal::OtherType => Error::new(
                ErrorCode::SchemaMismatch,
                format!("column '{name}' holds a value of another type than the result announced"),
            ),
            Refusal::Invalid => Error::new(
                ErrorCode::SchemaMismatch,
                format!("column '{name}' holds a value that is not one of its type"),
            ),
            Refusal::OutsideNanoseconds => Error::new(
                ErrorCode::UnsupportedType,
                format!(
                    "column '{name}' holds a time outside 1677-09-22 to 2262-04-11, which nanoseconds cannot hold: set timestamps to us or text"
                ),
            ),
            Refusal::TooLarge => Error::new(
                ErrorCode::UnsupportedType,
                format!("column '{name}' holds a value of 2 GiB, more than a batch can hold"),
            ),
        };
        self.failure.get_or_insert(error);
    }
}

impl ColumnBuilder {
    fn new(column: Column, held: Held) -> Self {
        Self {
            values: Values::new(held, 0, 0),
            nulls: NullBufferBuilder::new(0),
            text: WireText::default(),
            column,
            held,
        }
    }

    fn null(&mut self) {
        match &mut self.values {
            Values::Bool(bits) => bits.append(false),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Int128(values) => values.push(0),
            Values::Variable { offsets, .. } => offsets.push(offsets.last().copied().unwrap_or(0)),
            Values::Fixed { width, bytes } => bytes.resize(bytes.len() + *width, 0),
        }
        self.nulls.append_null();
    }

    /// A value of `Int64` that is not a number to the user: a time in some unit.
    #[inline]
    fn unit(&mut self, value: i64) -> Taken {
        let Values::Int64(values) = &mut self.values else {
            return Err(Refusal::OtherType);
        };
        values.push(value);
        self.nulls.append_non_null();
        Ok(())
    }

    /// Appends what `write` writes as one text or binary value, and gives its length.
    fn variable(&mut self, write: impl FnOnce(&mut Vec<u8>, &mut WireText)) -> std::result::Result<usize, Refusal> {
        let Values::Variable { offsets, bytes } = &mut self.values else {
            return Err(Refusal::OtherType);
        };
        let start = bytes.len();
        write(bytes, &mut self.text);
        offsets.push(i32::try_from(bytes.len()).map_err(|_| Refusal::TooLarge)?);
        self.nulls.append_non_null();
        Ok(bytes.len() - start)
    }

    fn time(&mut self, ticks: u64) -> Taken {
        let ticks = valid_time(ticks)?;
        match self.held {
            Held::Time(Fraction::Micros) => self.unit(ticks / 10),
            Held::Time(Fraction::Nanos) => self.unit(ticks * 100),
            Held::TimeTicks => self.unit(ticks),
            Held::Iso => {
                let digits = self.digits();
                self.variable(|out, _| forms::time(out, ticks, digits)).map(drop)
            }
            _ => Err(Refusal::OtherType),
        }
    }

    /// A point in time of a column without an offset.
    fn timestamp(&mut self, days: i64, ticks: u64) -> Taken {
        let ticks = valid_days(days)? * DAY_TICKS + valid_time(ticks)?;
        match self.held {
            Held::Timestamp(fraction) => self.unit(since_1970(ticks, fraction)?),
            Held::Ticks => self.unit(ticks),
            Held::Iso => {
                let digits = self.digits();
                self.variable(|out, _| forms::timestamp(out, ticks, digits, Style::Iso))
                    .map(drop)
            }
            _ => Err(Refusal::OtherType),
        }
    }

    /// A point in time in UTC and the offset it was written with.
    fn instant(&mut self, days: i64, ticks: u64, offset_minutes: i16) -> Taken {
        let ticks = valid_days(days)? * DAY_TICKS + valid_time(ticks)?;
        match (self.held, &mut self.values) {
            (Held::Instant(fraction), _) => self.unit(since_1970(ticks, fraction)?),
            (Held::TicksAndOffset, Values::Fixed { bytes, .. }) => {
                bytes.extend_from_slice(&ticks.to_le_bytes());
                bytes.extend_from_slice(&offset_minutes.to_le_bytes());
                self.nulls.append_non_null();
                Ok(())
            }
            (Held::Iso, _) => {
                let digits = self.digits();
                self.variable(|out, _| {
                    forms::timestamp_with_offset(out, ticks, offset_minutes, digits, Style::Iso);
                })
                .map(drop)
            }
            _ => Err(Refusal::OtherType),
        }
    }

    const fn digits(&self) -> u8 {
        match self.column.sql_type {
            SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => scale,
            SqlType::DateTime => 3,
            _ => 0,
        }
    }

    fn decimal(&mut self, unscaled: i128) -> Taken {
        let Values::Int128(values) = &mut self.values else {
            return Err(Refusal::OtherType);
        };
        values.push(unscaled);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        if nulls.is_some() && !self.column.nullable {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!("column '{}' is NOT NULL in the plan but holds a NULL", self.column.name),
            ));
        }
        // The next batch is likely to be of the same size, unless one value was very large.
        let bytes = match &self.values {
            Values::Variable { bytes, .. } => bytes.len().min(LIKELY_BYTES),
            _ => 0,
        };
        let values = std::mem::replace(&mut self.values, Values::new(self.held, rows, bytes));
        let array = values.into_array(self.held, nulls).map_err(arrow_failed)?;
        if array.len() != rows {
            return Err(Error::new(
                ErrorCode::Internal,
                format!(
                    "column '{}' has {} values for {rows} rows",
                    self.column.name,
                    array.len()
                ),
            ));
        }
        Ok(array)
    }
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

impl Values {
    fn new(held: Held, rows: usize, bytes: usize) -> Self {
        match held {
            Held::Bool => Self::Bool(BooleanBufferBuilder::new(rows)),
            Held::Int16 => Self::Int16(Vec::with_capacity(rows)),
            Held::Int32 | Held::Date => Self::Int32(Vec::with_capacity(rows)),
            Held::Int64 | Held::TimeTicks | Held::Ticks | Held::Time(_) | Held::Timestamp(_) | Held::Instant(_) => {
                Self::Int64(Vec::with_capacity(rows))
            }
            Held::Float32 => Self::Float32(Vec::with_capacity(rows)),
            Held::Float64 => Self::Float64(Vec::with_capacity(rows)),
            Held::Decimal { .. } => Self::Int128(Vec::with_capacity(rows)),
            Held::Text | Held::Iso | Held::Binary => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Self::Variable {
                    offsets,
                    bytes: Vec::with_capacity(bytes),
                }
            }
            Held::Uuid => Self::Fixed {
                width: 16,
                bytes: Vec::with_capacity(rows * 16),
            },
            Held::TicksAndOffset => Self::Fixed {
                width: 10,
                bytes: Vec::with_capacity(rows * 10),
            },
        }
    }

    const fn fixed_bytes(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Int16(_) => 2,
            Self::Int32(_) | Self::Float32(_) | Self::Variable { .. } => 4,
            Self::Int64(_) | Self::Float64(_) => 8,
            Self::Int128(_) => 16,
            Self::Fixed { width, .. } => *width,
        }
    }

    fn into_array(self, held: Held, nulls: Option<NullBuffer>) -> std::result::Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(mut bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Self::Int16(values) => Arc::new(Int16Array::try_new(values.into(), nulls)?),
            Self::Int32(values) => match held {
                Held::Date => Arc::new(Date32Array::try_new(values.into(), nulls)?),
                _ => Arc::new(Int32Array::try_new(values.into(), nulls)?),
            },
            Self::Int64(values) => int64_array(values.into(), held, nulls)?,
            Self::Float32(values) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            Self::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Self::Int128(values) => Arc::new(
                PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?.with_data_type(held.data_type()),
            ),
            Self::Variable { offsets, bytes } => {
                let offsets = OffsetBuffer::new(offsets.into());
                let bytes = Buffer::from_vec(bytes);
                match held {
                    Held::Binary => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
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
    held: Held,
    nulls: Option<NullBuffer>,
) -> std::result::Result<ArrayRef, ArrowError> {
    let data_type: DataType = held.data_type();
    Ok(match held {
        Held::Time(Fraction::Micros) => Arc::new(PrimitiveArray::<Time64MicrosecondType>::try_new(values, nulls)?),
        Held::Time(Fraction::Nanos) => Arc::new(PrimitiveArray::<Time64NanosecondType>::try_new(values, nulls)?),
        Held::Timestamp(Fraction::Micros) | Held::Instant(Fraction::Micros) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_data_type(data_type))
        }
        Held::Timestamp(Fraction::Nanos) | Held::Instant(Fraction::Nanos) => {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_data_type(data_type))
        }
        _ => Arc::new(Int64Array::try_new(values, nulls)?),
    })
}

fn arrow_failed(error: ArrowError) -> Error {
    Error::with_source(ErrorCode::Internal, "cannot build a record batch", error)
}

/// A value that is held as it comes.
macro_rules! held_as_is {
    ($method:ident, $value:ty, $($held:ident => $convert:expr),+) => {
        #[inline]
        fn $method(&mut self, col: usize, val: $value) {
            self.put(col, |column| {
                match &mut column.values {
                    $(Values::$held(values) => values.push($convert(val)),)+
                    _ => return Err(Refusal::OtherType),
                }
                column.nulls.append_non_null();
                Ok(())
            });
        }
    };
}

impl RowWriter for BatchBuilder {
    held_as_is!(write_u8, u8, Int16 => i16::from);
    held_as_is!(write_i16, i16, Int16 => i16::from);
    held_as_is!(write_i32, i32, Int32 => i32::from);
    held_as_is!(write_i64, i64, Int64 => i64::from);
    held_as_is!(write_f32, f32, Float32 => f32::from);
    held_as_is!(write_f64, f64, Float64 => f64::from);

    fn write_null(&mut self, col: usize) {
        self.put(col, |column| {
            column.null();
            Ok(())
        });
    }

    fn write_bool(&mut self, col: usize, val: bool) {
        self.put(col, |column| {
            let Values::Bool(bits) = &mut column.values else {
                return Err(Refusal::OtherType);
            };
            bits.append(val);
            column.nulls.append_non_null();
            Ok(())
        });
    }

    fn write_string(&mut self, col: usize, bytes: Cow<'_, [u8]>, encoding_type: EncodingType) {
        let mut written = 0;
        let mut was_malformed = false;
        self.put(col, |column| {
            written = column.variable(|out, text| was_malformed = text.append(out, &bytes, encoding_type))?;
            Ok(())
        });
        self.variable_bytes += written;
        self.replaced_texts += u64::from(was_malformed);
    }

    fn write_bytes(&mut self, col: usize, bytes: Cow<'_, [u8]>) {
        self.variable_bytes += bytes.len();
        self.put(col, |column| {
            column.variable(|out, _| out.extend_from_slice(&bytes)).map(drop)
        });
    }

    fn write_decimal(&mut self, col: usize, val: DecimalParts) {
        self.put(col, |column| {
            // 38 digits are less than 2^127.
            let magnitude = i128::try_from(val.magnitude()).map_err(|_| Refusal::Invalid)?;
            column.decimal(if val.is_positive { magnitude } else { -magnitude })
        });
    }

    fn write_numeric(&mut self, col: usize, val: DecimalParts) {
        self.write_decimal(col, val);
    }

    fn write_date(&mut self, col: usize, val: SqlDate) {
        self.put(col, |column| {
            let days = valid_days(val.get_days().into())? - UNIX_EPOCH_DAYS;
            let Values::Int32(values) = &mut column.values else {
                return Err(Refusal::OtherType);
            };
            values.push(i32::try_from(days).map_err(|_| Refusal::Invalid)?);
            column.nulls.append_non_null();
            Ok(())
        });
    }

    /// The driver's `time_nanoseconds` counts 100 ns, whatever its name says.
    fn write_time(&mut self, col: usize, val: SqlTime) {
        self.put(col, |column| column.time(val.time_nanoseconds));
    }

    /// A tick of 1/300 s is the millisecond that SQL Server shows: .000, .003, .007.
    fn write_datetime(&mut self, col: usize, val: SqlDateTime) {
        self.put(col, |column| {
            let millis = (u64::from(val.time) * 10 + 1) / 3;
            column.timestamp(i64::from(val.days) + EPOCH_1900_DAYS, millis * 10_000)
        });
    }

    fn write_smalldatetime(&mut self, col: usize, val: SqlSmallDateTime) {
        let ticks = u64::from(val.time) * 60 * SECOND_TICKS.unsigned_abs();
        self.put(col, |column| {
            column.timestamp(i64::from(val.days) + EPOCH_1900_DAYS, ticks)
        });
    }

    fn write_datetime2(&mut self, col: usize, val: SqlDateTime2) {
        self.put(col, |column| {
            column.timestamp(val.days.into(), val.time.time_nanoseconds)
        });
    }

    /// The wire has the point in time in UTC (MS-TDS 2.2.5.5.1.9).
    fn write_datetimeoffset(&mut self, col: usize, val: SqlDateTimeOffset) {
        self.put(col, |column| {
            let moment = &val.datetime2;
            column.instant(moment.days.into(), moment.time.time_nanoseconds, val.offset)
        });
    }

    fn write_money(&mut self, col: usize, val: SqlMoney) {
        self.put(col, |column| {
            let low = i64::from(val.lsb_part.cast_unsigned());
            column.decimal((i64::from(val.msb_part) << 32 | low).into())
        });
    }

    fn write_smallmoney(&mut self, col: usize, val: SqlSmallMoney) {
        self.put(col, |column| column.decimal(val.int_val.into()));
    }

    fn write_uuid(&mut self, col: usize, val: Uuid) {
        self.put(col, |column| {
            let Values::Fixed { width: 16, bytes } = &mut column.values else {
                return Err(Refusal::OtherType);
            };
            bytes.extend_from_slice(val.as_bytes());
            column.nulls.append_non_null();
            Ok(())
        });
    }

    /// UTF-16 with a byte-order mark, which is of the wire and not of the value.
    fn write_xml(&mut self, col: usize, val: SqlXml) {
        let text = val.bytes.strip_prefix(&[0xFF, 0xFE]).unwrap_or(&val.bytes);
        self.write_string(col, Cow::Borrowed(text), EncodingType::Utf16);
    }

    fn write_json(&mut self, col: usize, _val: SqlJson) {
        self.refuse(col, &Refusal::OtherType);
    }

    fn write_vector(&mut self, col: usize, _val: SqlVector) {
        self.refuse(col, &Refusal::OtherType);
    }

    fn end_row(&mut self) {
        self.rows += 1;
    }
}

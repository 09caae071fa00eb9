//! Collects rows of the wire in record batches.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney, SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::{SqlVector, VectorData};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::{Column, of_source};
use tidemark::model::value_text::{self, SECOND_TICKS};
use uuid::Uuid;

use super::audit;
use super::column_builder::{Buffers, ColumnBuilder, Refusal, Taken, arrow_failed};
use super::limits::BatchLimits;
use super::wire_text::UnknownCodePage;
use crate::masks::MaskKey;
use crate::types::{EPOCH_1900_DAYS, MONEY_SCALE, ticks_of_datetime};

/// How many times larger than its limit a batch is that is large.
const LARGE: usize = 2;

/// A record batch under construction, into which the driver writes rows until it is full.
///
/// The driver's callbacks cannot fail, so the first failure is kept, ends the batch, and is returned by [`finish`].
///
/// [`finish`]: Self::finish
pub struct BatchBuilder {
    columns: Vec<ColumnBuilder>,
    /// The columns of the audit, which the source does not have.
    audits: Vec<Column>,
    mask_key: Option<MaskKey>,
    /// The schema of the batches, from the first one on.
    schema: Option<SchemaRef>,
    limits: BatchLimits,
    /// The bytes that every row takes besides the content of its text and binary values.
    fixed_bytes: usize,
    rows: usize,
    variable_bytes: usize,
    failure: Option<Error>,
}

impl BatchBuilder {
    /// Makes an empty batch of these columns.
    #[must_use]
    pub fn new(columns: &[Column], limits: BatchLimits) -> Self {
        let of_source = of_source(columns);
        let audits = columns.get(of_source.len()..).unwrap_or_default().to_vec();
        let columns: Vec<_> = of_source.iter().map(ColumnBuilder::new).collect();
        Self {
            fixed_bytes: columns.iter().map(|column| column.values.fixed_bytes()).sum(),
            columns,
            audits,
            mask_key: None,
            schema: None,
            limits,
            rows: 0,
            variable_bytes: 0,
            failure: None,
        }
    }

    /// Sets the key for hashes. Without it no column can be hashed.
    #[must_use]
    pub fn hashing_by(self, key: MaskKey) -> Self {
        Self {
            mask_key: Some(key),
            ..self
        }
    }

    /// Returns the key for hashes, if there is one.
    pub(super) const fn mask_key(&self) -> Option<&MaskKey> {
        self.mask_key.as_ref()
    }

    /// Returns whether the batch must be finished before another row is written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows >= self.limits.rows || self.bytes() >= self.limits.bytes || self.failure.is_some()
    }

    /// Returns whether a row has made the batch much larger than it should be.
    pub(super) fn is_large(&self) -> bool {
        self.bytes() / LARGE >= self.limits.bytes
    }

    fn bytes(&self) -> usize {
        self.variable_bytes + self.rows * self.fixed_bytes
    }

    /// Returns the columns in which malformed text was replaced, each with the number of such values so far.
    pub fn replaced_texts(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.replaced_texts));
        counts.filter(|(_, values)| *values > 0)
    }

    /// Ends the batch and returns it, or `None` when it has no rows. The next batch begins empty.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a NULL in a column that is NOT NULL in the plan, or for a value that is not of its column's
    /// type; `UnsupportedType` for a value that the format cannot hold; `InvalidConfig` for a column that is to be
    /// hashed without a key.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let rows = std::mem::take(&mut self.rows);
        self.variable_bytes = 0;
        if rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len() + self.audits.len());
        for column in &mut self.columns {
            arrays.push(column.finish(rows, self.mask_key.as_ref())?);
        }
        let last = arrays.last().cloned();
        for column in &self.audits {
            arrays.push(audit::array(column, rows, last.as_ref())?);
        }
        let schema = self.schema.take().unwrap_or_else(|| self.schema_of(&arrays));
        self.schema = Some(schema.clone());
        let batch = RecordBatch::try_new(schema, arrays).map_err(arrow_failed)?;
        Ok(Some(batch))
    }

    /// Returns the schema of these arrays. Which Arrow type has which form's values is said by whoever writes files,
    /// and compared there.
    fn schema_of(&self, arrays: &[ArrayRef]) -> SchemaRef {
        let of_source = self.columns.iter().map(|column| (&column.name, column.nullable));
        let of_audit = self.audits.iter().map(|column| (&column.name, column.nullable));
        let fields = of_source.chain(of_audit).zip(arrays);
        let fields = fields.map(|((name, nullable), array)| Field::new(name, array.data_type().clone(), nullable));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    #[inline]
    fn put(&mut self, col: usize, put: impl FnOnce(&mut ColumnBuilder) -> Taken) {
        match self.columns.get_mut(col).map_or(Err(Refusal::OtherType), put) {
            Ok(variable_bytes) => self.variable_bytes += variable_bytes,
            Err(refusal) => self.refuse(col, &refusal),
        }
    }

    #[cold]
    fn refuse(&mut self, col: usize, refusal: &Refusal) {
        let name = self.columns.get(col).map_or("?", |column| column.name.as_str());
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
            Refusal::UnknownCodePage(UnknownCodePage { collation }) => Error::new(
                ErrorCode::UnsupportedType,
                format!(
                    "column '{name}' holds text in a collation whose code page is not known (locale 0x{:05X}, sort id {}): copy a \
                     view that casts the column to nvarchar, or name it in exclude",
                    collation.info & 0xF_FFFF,
                    collation.sort_id
                ),
            ),
            Refusal::TooLarge => Error::new(
                ErrorCode::UnsupportedType,
                format!("column '{name}' holds a value of 2 GiB, more than a batch can hold: name it in exclude"),
            ),
        };
        self.failure.get_or_insert(error);
    }
}

/// Defines a method for values that are held unchanged, or as text in a column that holds values of every type.
macro_rules! held_as_is {
    ($method:ident, $value:ty, $held:ident => $convert:expr, $text:path) => {
        #[inline]
        fn $method(&mut self, col: usize, val: $value) {
            self.put(col, |column| {
                let Buffers::$held(values) = &mut column.values else {
                    return column.of_any_type(|out| $text(out, val));
                };
                values.push($convert(val));
                Ok(0)
            });
        }
    };
}

impl RowWriter for BatchBuilder {
    held_as_is!(write_u8, u8, Int32 => i32::from, value_text::integer);
    held_as_is!(write_i16, i16, Int32 => i32::from, value_text::integer);
    held_as_is!(write_i32, i32, Int32 => i32::from, value_text::integer);
    held_as_is!(write_i64, i64, Int64 => i64::from, value_text::integer);
    held_as_is!(write_f32, f32, Float32 => f32::from, value_text::float);
    held_as_is!(write_f64, f64, Float64 => f64::from, value_text::float);

    fn write_null(&mut self, col: usize) {
        self.put(col, |column| {
            column.null();
            Ok(0)
        });
    }

    fn write_bool(&mut self, col: usize, val: bool) {
        self.put(col, |column| {
            let Buffers::Bool(values) = &mut column.values else {
                return column.of_any_type(|out| out.push(if val { b'1' } else { b'0' }));
            };
            values.push(val);
            Ok(0)
        });
    }

    fn write_string(&mut self, col: usize, bytes: Cow<'_, [u8]>, encoding_type: EncodingType) {
        self.put(col, |column| column.text(&bytes, encoding_type));
    }

    fn write_bytes(&mut self, col: usize, bytes: Cow<'_, [u8]>) {
        self.put(col, |column| column.binary(bytes));
    }

    fn write_decimal(&mut self, col: usize, val: DecimalParts) {
        self.put(col, |column| {
            // A magnitude of 38 digits is below 2^127.
            let magnitude = i128::try_from(val.magnitude()).map_err(|_| Refusal::Invalid)?;
            column.decimal(if val.is_positive { magnitude } else { -magnitude }, val.scale)
        });
    }

    fn write_numeric(&mut self, col: usize, val: DecimalParts) {
        self.write_decimal(col, val);
    }

    fn write_date(&mut self, col: usize, val: SqlDate) {
        self.put(col, |column| column.date(val.get_days().into()));
    }

    /// Writes a time of day. The driver's `time_nanoseconds` counts 100 ns ticks, in spite of its name.
    fn write_time(&mut self, col: usize, val: SqlTime) {
        self.put(col, |column| column.time(val.time_nanoseconds, val.scale));
    }

    fn write_datetime(&mut self, col: usize, val: SqlDateTime) {
        self.put(col, |column| {
            let ticks = ticks_of_datetime(val.time).unsigned_abs();
            column.timestamp(i64::from(val.days) + EPOCH_1900_DAYS, ticks, 3)
        });
    }

    fn write_smalldatetime(&mut self, col: usize, val: SqlSmallDateTime) {
        let ticks = u64::from(val.time) * 60 * SECOND_TICKS.unsigned_abs();
        self.put(col, |column| {
            column.timestamp(i64::from(val.days) + EPOCH_1900_DAYS, ticks, 0)
        });
    }

    fn write_datetime2(&mut self, col: usize, val: SqlDateTime2) {
        self.put(col, |column| {
            column.timestamp(val.days.into(), val.time.time_nanoseconds, val.time.scale)
        });
    }

    /// Writes a `datetimeoffset`. The wire carries the point in time in UTC (MS-TDS 2.2.5.5.1.9).
    fn write_datetimeoffset(&mut self, col: usize, val: SqlDateTimeOffset) {
        self.put(col, |column| {
            let moment = &val.datetime2;
            column.instant(moment.days.into(), &moment.time, val.offset)
        });
    }

    fn write_money(&mut self, col: usize, val: SqlMoney) {
        self.put(col, |column| {
            let low = i64::from(val.lsb_part.cast_unsigned());
            column.decimal((i64::from(val.msb_part) << 32 | low).into(), MONEY_SCALE)
        });
    }

    fn write_smallmoney(&mut self, col: usize, val: SqlSmallMoney) {
        self.put(col, |column| column.decimal(val.int_val.into(), MONEY_SCALE));
    }

    fn write_uuid(&mut self, col: usize, val: Uuid) {
        self.put(col, |column| {
            let Buffers::Fixed { width: 16, bytes } = &mut column.values else {
                return column.variable(|out| value_text::uuid(out, val.as_bytes()));
            };
            bytes.extend_from_slice(val.as_bytes());
            Ok(0)
        });
    }

    /// Writes XML: UTF-16 with a byte-order mark, which belongs to the wire and not to the value.
    fn write_xml(&mut self, col: usize, val: SqlXml) {
        let text = val.bytes.strip_prefix(&[0xFF, 0xFE]).unwrap_or(&val.bytes);
        self.write_string(col, Cow::Borrowed(text), EncodingType::Utf16);
    }

    fn write_json(&mut self, col: usize, val: SqlJson) {
        self.write_string(col, Cow::Owned(val.bytes), EncodingType::Utf8);
    }

    /// Writes a vector as a JSON array, as the server casts it, with the shortest numbers that read back as the same
    /// `real`.
    fn write_vector(&mut self, col: usize, val: SqlVector) {
        let (VectorData::Float32(numbers) | VectorData::Float16(numbers)) = val.data;
        let mut text = Vec::with_capacity(numbers.len() * 8 + 2);
        text.push(b'[');
        for (index, number) in numbers.into_iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            value_text::float(&mut text, number);
        }
        text.push(b']');
        self.write_string(col, Cow::Owned(text), EncodingType::Utf8);
    }

    fn end_row(&mut self) {
        self.rows += 1;
    }
}

//! Converts values of a record batch exactly to those that a bulk load sends.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use async_trait::async_trait;
use mssql_tds::connection::bulk_copy::BulkLoadRow;
use mssql_tds::core::TdsResult;
use mssql_tds::datatypes::bulk_copy_metadata::SqlDbType;
use mssql_tds::datatypes::column_values::{
    ColumnValues, SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney,
    SqlTime,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::sql_string::{EncodingType, SqlString};
use mssql_tds::error::Error as DriverError;
use mssql_tds::message::bulk_load::StreamingBulkLoadWriter;
use tidemark::model::types::{Digits, Form};
use tidemark::model::value_text::{DAY_TICKS, SECOND_TICKS, UNIX_EPOCH_DAYS};
use uuid::Uuid;

use crate::types::EPOCH_1900_DAYS;

/// The number of 100 ns ticks in a minute.
const MINUTE_TICKS: i64 = 60 * SECOND_TICKS;

/// The values of one column of a batch, in an exact form.
pub(super) struct Cells<'a> {
    array: &'a ArrayRef,
    form: Form,
    wire: SqlDbType,
}

impl<'a> Cells<'a> {
    /// Makes the values of a column whose staging column has the type `wire`.
    pub(super) const fn new(array: &'a ArrayRef, form: Form, wire: SqlDbType) -> Self {
        Self { array, form, wire }
    }

    /// Returns the value in a row, or `None` for a value that its type cannot have, which no server sends.
    fn value(&self, row: usize) -> Option<ColumnValues> {
        if self.array.is_null(row) {
            return Some(ColumnValues::Null);
        }
        let int64 = || self.array.as_primitive_opt::<Int64Type>().map(|array| array.value(row));
        Some(match self.form {
            Form::Bool => ColumnValues::Bit(self.array.as_boolean_opt()?.value(row)),
            Form::Int16 => {
                let value = self.array.as_primitive_opt::<Int32Type>()?.value(row);
                match self.wire {
                    SqlDbType::TinyInt => ColumnValues::TinyInt(u8::try_from(value).ok()?),
                    _ => ColumnValues::SmallInt(i16::try_from(value).ok()?),
                }
            }
            Form::Int32 => ColumnValues::Int(self.array.as_primitive_opt::<Int32Type>()?.value(row)),
            Form::Int64 => ColumnValues::BigInt(int64()?),
            Form::Float32 => ColumnValues::Real(self.array.as_primitive_opt::<Float32Type>()?.value(row)),
            Form::Float64 => ColumnValues::Float(self.array.as_primitive_opt::<Float64Type>()?.value(row)),
            Form::Decimal { precision, scale } => {
                let value = self.array.as_primitive_opt::<Decimal128Type>()?.value(row);
                self.exact_number(value, precision, scale)?
            }
            Form::Text => ColumnValues::String(text(self.array.as_string_opt::<i32>()?.value(row))),
            Form::Binary | Form::RowVersion => {
                ColumnValues::Bytes(self.array.as_binary_opt::<i32>()?.value(row).to_vec())
            }
            Form::Uuid => {
                let bytes = self.array.as_fixed_size_binary_opt()?.value(row);
                ColumnValues::Uuid(Uuid::from_slice(bytes).ok()?)
            }
            Form::Date => {
                let days = self.array.as_primitive_opt::<Date32Type>()?.value(row);
                let days = u32::try_from(i64::from(days) + UNIX_EPOCH_DAYS).ok()?;
                ColumnValues::Date(SqlDate::create(days).ok()?)
            }
            Form::TimeTicks(digits) => ColumnValues::Time(time(int64()?, digits)?),
            Form::Ticks(digits) => self.moment(int64()?, digits)?,
            Form::TicksAndOffset(digits) => {
                let (ticks, offset) = self.array.as_fixed_size_binary_opt()?.value(row).split_first_chunk()?;
                ColumnValues::DateTimeOffset(SqlDateTimeOffset {
                    datetime2: datetime2(i64::from_le_bytes(*ticks), digits)?,
                    offset: i16::from_le_bytes(offset.try_into().ok()?),
                })
            }
            // Rows are not merged in these forms, which lose digits or hold other types as text.
            Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) | Form::Iso(_) => return None,
        })
    }

    fn exact_number(&self, value: i128, precision: u8, scale: u8) -> Option<ColumnValues> {
        Some(match self.wire {
            SqlDbType::SmallMoney => ColumnValues::SmallMoney(SqlSmallMoney {
                int_val: i32::try_from(value).ok()?,
            }),
            SqlDbType::Money => {
                let value = i64::try_from(value).ok()?;
                let [high, low] = [value >> 32, value & 0xFFFF_FFFF];
                ColumnValues::Money(SqlMoney {
                    msb_part: i32::try_from(high).ok()?,
                    lsb_part: u32::try_from(low).ok()?.cast_signed(),
                })
            }
            _ => ColumnValues::Decimal(DecimalParts::new(value >= 0, precision, scale, value.unsigned_abs())),
        })
    }

    /// Converts a point in time in ticks of 100 ns since 0001-01-01.
    fn moment(&self, ticks: i64, digits: Digits) -> Option<ColumnValues> {
        let days = ticks.div_euclid(DAY_TICKS) - EPOCH_1900_DAYS;
        let ticks_of_day = ticks.rem_euclid(DAY_TICKS);
        Some(match self.wire {
            SqlDbType::DateTime => ColumnValues::DateTime(SqlDateTime {
                days: i32::try_from(days).ok()?,
                // The ticks are rounded to the nearest 1/300 s, whether three digits of it are held or more.
                time: u32::try_from((ticks_of_day * 3 + 50_000) / 100_000).ok()?,
            }),
            SqlDbType::SmallDateTime => ColumnValues::SmallDateTime(SqlSmallDateTime {
                days: u16::try_from(days).ok()?,
                time: u16::try_from(ticks_of_day / MINUTE_TICKS).ok()?,
            }),
            _ => ColumnValues::DateTime2(datetime2(ticks, digits)?),
        })
    }
}

/// Encodes a text in UTF-16, which the driver sends unchanged.
fn text(value: &str) -> SqlString {
    let units = value.encode_utf16().flat_map(u16::to_le_bytes);
    SqlString::new(units.collect(), EncodingType::Utf16)
}

/// Makes a time of day. The driver's `time_nanoseconds` counts 100 ns ticks, in spite of its name.
fn time(ticks: i64, digits: Digits) -> Option<SqlTime> {
    Some(SqlTime {
        time_nanoseconds: u64::try_from(ticks).ok()?,
        scale: digits,
    })
}

/// Makes a point in time from ticks of 100 ns since 0001-01-01.
fn datetime2(ticks: i64, digits: Digits) -> Option<SqlDateTime2> {
    Some(SqlDateTime2 {
        days: u32::try_from(ticks.div_euclid(DAY_TICKS)).ok()?,
        time: time(ticks.rem_euclid(DAY_TICKS), digits)?,
    })
}

/// A row of a batch.
pub(super) struct Row<'a> {
    /// The columns of the batch.
    pub(super) cells: &'a [Cells<'a>],
    /// The number of the row, from 0.
    pub(super) row: usize,
}

#[async_trait]
impl BulkLoadRow for Row<'_> {
    async fn write_to_packet(
        &self,
        writer: &mut StreamingBulkLoadWriter<'_>,
        column_index: &mut usize,
    ) -> TdsResult<()> {
        for cells in self.cells {
            match cells.value(self.row) {
                Some(value) => writer.write_column_value(*column_index, &value).await?,
                None => return Err(DriverError::TypeConversionError("a value outside its type".to_owned())),
            }
            *column_index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{FixedSizeBinaryArray, Int64Array};

    use super::*;

    fn value(array: impl Array + 'static, form: Form, wire: SqlDbType) -> Option<ColumnValues> {
        let array: ArrayRef = Arc::new(array);
        Cells::new(&array, form, wire).value(0)
    }

    fn moment(wire: SqlDbType, digits: Digits, ticks: i64) -> Option<ColumnValues> {
        value(Int64Array::from(vec![ticks]), Form::Ticks(digits), wire)
    }

    #[test]
    fn points_in_time_are_sent_in_their_own_units() {
        let day = |days: i64| days * DAY_TICKS;
        // The fractions .003, .007 and .997 are 1, 2 and 299 units of 1/300 s, however many of their digits are held.
        for (ticks, time) in [
            (30_000, 1),
            (33_333, 1),
            (66_667, 2),
            (70_000, 2),
            (9_970_000, 299),
            (9_966_667, 299),
        ] {
            assert_eq!(
                moment(SqlDbType::DateTime, 3, day(EPOCH_1900_DAYS) + ticks),
                Some(ColumnValues::DateTime(SqlDateTime { days: 0, time }))
            );
        }
        assert_eq!(
            moment(SqlDbType::DateTime, 3, day(EPOCH_1900_DAYS - 53_690)),
            Some(ColumnValues::DateTime(SqlDateTime { days: -53_690, time: 0 }))
        );
        let last = day(EPOCH_1900_DAYS + 65_535) + 1439 * MINUTE_TICKS;
        assert_eq!(
            moment(SqlDbType::SmallDateTime, 0, last),
            Some(ColumnValues::SmallDateTime(SqlSmallDateTime {
                days: 65_535,
                time: 1439
            }))
        );
        let datetime2 = |days, time_nanoseconds, scale| {
            let time = SqlTime {
                time_nanoseconds,
                scale,
            };
            Some(ColumnValues::DateTime2(SqlDateTime2 { days, time }))
        };
        assert_eq!(
            moment(SqlDbType::DateTime2, 7, day(3_652_058) + 863_999_999_999),
            datetime2(3_652_058, 863_999_999_999, 7)
        );
        assert_eq!(moment(SqlDbType::DateTime2, 3, 1_230_000), datetime2(0, 1_230_000, 3));
        assert_eq!(moment(SqlDbType::DateTime2, 7, -1), None);
        assert_eq!(moment(SqlDbType::SmallDateTime, 0, 0), None);
    }

    #[test]
    fn an_offset_and_a_guid_keep_their_bytes() {
        let mut bytes = 7_i64.to_le_bytes().to_vec();
        bytes.extend((-840_i16).to_le_bytes());
        let array = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap();
        let time = SqlTime {
            time_nanoseconds: 7,
            scale: 7,
        };
        assert_eq!(
            value(array, Form::TicksAndOffset(7), SqlDbType::DateTimeOffset),
            Some(ColumnValues::DateTimeOffset(SqlDateTimeOffset {
                datetime2: SqlDateTime2 { days: 0, time },
                offset: -840,
            }))
        );
        let guid = Uuid::from_u128(0x6F96_19FF_8B86_D011_B42D_00C0_4FC9_64FF);
        let array = FixedSizeBinaryArray::try_from_iter([guid.as_bytes().to_vec()].into_iter()).unwrap();
        assert_eq!(
            value(array, Form::Uuid, SqlDbType::UniqueIdentifier),
            Some(ColumnValues::Uuid(guid))
        );
    }

    #[test]
    fn an_array_of_another_form_is_no_value() {
        assert_eq!(value(Int64Array::from(vec![1]), Form::Text, SqlDbType::NVarChar), None);
    }
}

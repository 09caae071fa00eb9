//! Values of a record batch as the driver sends them, exact.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, Time};
use tiberius::{ColumnData, Uuid};

use crate::encode::forms::{DAY_TICKS, UNIX_EPOCH_DAYS};
use crate::shape::Held;
use crate::types::SqlType;

/// Days from 0001-01-01 to 1900-01-01, where `datetime` counts from.
const EPOCH_1900_DAYS: i64 = 693_595;

/// One column of a batch, held exactly.
pub(super) struct Cells<'a> {
    array: &'a ArrayRef,
    sql_type: SqlType,
    held: Held,
    hex: bool,
}

impl<'a> Cells<'a> {
    /// The values of a column that is staged as `sql_type`; bytes as hexadecimal text, if `hex`.
    pub(super) const fn new(array: &'a ArrayRef, sql_type: SqlType, held: Held, hex: bool) -> Self {
        Self {
            array,
            sql_type,
            held,
            hex,
        }
    }

    /// The value in a row. None for a value that its type cannot have, which no server sends.
    pub(super) fn value(&self, row: usize) -> Option<ColumnData<'a>> {
        let there = !self.array.is_null(row);
        Some(match self.held {
            Held::Bool => ColumnData::Bit(there.then(|| self.array.as_boolean().value(row))),
            Held::Int16 => {
                let value = there.then(|| self.array.as_primitive::<Int16Type>().value(row));
                match self.sql_type {
                    SqlType::TinyInt => ColumnData::U8(value.map(u8::try_from).transpose().ok()?),
                    _ => ColumnData::I16(value),
                }
            }
            Held::Int32 => ColumnData::I32(there.then(|| self.array.as_primitive::<Int32Type>().value(row))),
            Held::Int64 => ColumnData::I64(there.then(|| self.array.as_primitive::<Int64Type>().value(row))),
            Held::Float32 => ColumnData::F32(there.then(|| self.array.as_primitive::<Float32Type>().value(row))),
            Held::Float64 => ColumnData::F64(there.then(|| self.array.as_primitive::<Float64Type>().value(row))),
            Held::Decimal { scale, .. } => {
                let value = there.then(|| self.array.as_primitive::<Decimal128Type>().value(row));
                ColumnData::Numeric(value.map(|value| Numeric::new_with_scale(value, scale)))
            }
            Held::Text => ColumnData::String(there.then(|| self.array.as_string::<i32>().value(row).into())),
            Held::Binary if self.hex => {
                ColumnData::String(there.then(|| hex(self.array.as_binary::<i32>().value(row)).into()))
            }
            Held::Binary => ColumnData::Binary(there.then(|| self.array.as_binary::<i32>().value(row).into())),
            Held::Uuid => {
                let value = there.then(|| self.array.as_fixed_size_binary().value(row));
                ColumnData::Guid(value.map(Uuid::from_slice).transpose().ok()?)
            }
            Held::Date => {
                let days = there.then(|| i64::from(self.array.as_primitive::<Date32Type>().value(row)));
                ColumnData::Date(days.map(|days| date(days + UNIX_EPOCH_DAYS)).transpose_option()?)
            }
            Held::TimeTicks => {
                let ticks = there.then(|| self.array.as_primitive::<Int64Type>().value(row));
                let time = ticks.map(|ticks| time(ticks, self.fraction_digits()));
                ColumnData::Time(time.transpose_option()?)
            }
            Held::Ticks => self.moment(there.then(|| self.array.as_primitive::<Int64Type>().value(row)))?,
            Held::TicksAndOffset => {
                let value = there.then(|| self.array.as_fixed_size_binary().value(row));
                let moment = value.map(|bytes| {
                    let ticks = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
                    let offset = i16::from_le_bytes(bytes.get(8..)?.try_into().ok()?);
                    Some(DateTimeOffset::new(datetime2(ticks, self.fraction_digits())?, offset))
                });
                ColumnData::DateTimeOffset(moment.transpose_option()?)
            }
            // Forms that lose digits, or are text: not of an exact shape.
            Held::Time(_) | Held::Timestamp(_) | Held::Instant(_) | Held::Iso => return None,
        })
    }

    /// A point in time in units of 100 ns since 0001-01-01.
    fn moment(&self, ticks: Option<i64>) -> Option<ColumnData<'a>> {
        Some(match self.sql_type {
            SqlType::DateTime => {
                let value = ticks.map(|ticks| {
                    let days = i32::try_from(ticks.div_euclid(DAY_TICKS) - EPOCH_1900_DAYS).ok()?;
                    // To the nearest 1/300 s: held are its first three digits, or more.
                    let fragments = (ticks.rem_euclid(DAY_TICKS) * 3 + 50_000) / 100_000;
                    Some(DateTime::new(days, u32::try_from(fragments).ok()?))
                });
                ColumnData::DateTime(value.transpose_option()?)
            }
            _ => {
                let value = ticks.map(|ticks| datetime2(ticks, self.fraction_digits()));
                ColumnData::DateTime2(value.transpose_option()?)
            }
        })
    }

    /// The digits of the column's fractions: the driver sends a value in its own scale, which must be the column's.
    const fn fraction_digits(&self) -> u8 {
        match self.sql_type {
            SqlType::Time(digits) | SqlType::DateTime2(digits) | SqlType::DateTimeOffset(digits) => digits,
            _ => 7,
        }
    }
}

/// `Option<Option<T>>` turned inside out.
trait TransposeOption<T> {
    /// None if there is a value that is none.
    fn transpose_option(self) -> Option<Option<T>>;
}

impl<T> TransposeOption<T> for Option<Option<T>> {
    fn transpose_option(self) -> Option<Option<T>> {
        match self {
            Some(value) => value.map(Some),
            None => Some(None),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |four_bits: u8| char::from(DIGITS[usize::from(four_bits & 0x0F)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Days since 0001-01-01.
fn date(days: i64) -> Option<Date> {
    u32::try_from(days).ok().map(Date::new)
}

/// Units of 100 ns since midnight.
fn time(ticks: i64, digits: u8) -> Option<Time> {
    let unit = 10_u64.pow(u32::from(7_u8.checked_sub(digits)?));
    Some(Time::new(u64::try_from(ticks).ok()? / unit, digits))
}

/// Units of 100 ns since 0001-01-01.
fn datetime2(ticks: i64, digits: u8) -> Option<DateTime2> {
    let date = date(ticks.div_euclid(DAY_TICKS))?;
    Some(DateTime2::new(date, time(ticks.rem_euclid(DAY_TICKS), digits)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{FixedSizeBinaryArray, Int64Array};

    use super::*;

    fn moment(sql_type: &str, ticks: i64) -> ColumnData<'static> {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![ticks]));
        let value = Cells::new(&array, sql_type.parse().unwrap(), Held::Ticks, false).value(0);
        match value.unwrap() {
            ColumnData::DateTime(value) => ColumnData::DateTime(value),
            ColumnData::DateTime2(value) => ColumnData::DateTime2(value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn points_in_time_are_sent_in_their_own_units() {
        let day = |days: i64| days * DAY_TICKS;
        // .003, .007 and .997 are 1, 2 and 299 units of 1/300 s, however many of their digits are held.
        for (ticks, fragments) in [
            (30_000, 1),
            (33_333, 1),
            (66_667, 2),
            (70_000, 2),
            (9_970_000, 299),
            (9_966_667, 299),
        ] {
            assert_eq!(
                moment("datetime", day(EPOCH_1900_DAYS) + ticks),
                ColumnData::DateTime(Some(DateTime::new(0, fragments)))
            );
        }
        assert_eq!(
            moment("datetime", day(EPOCH_1900_DAYS - 53_690)),
            ColumnData::DateTime(Some(DateTime::new(-53_690, 0)))
        );
        // The last smalldatetime, as it is staged.
        assert_eq!(
            moment("datetime2(0)", day(EPOCH_1900_DAYS + 65_535) + 1439 * 600_000_000),
            ColumnData::DateTime2(Some(DateTime2::new(Date::new(759_130), Time::new(1439 * 60, 0))))
        );
        assert_eq!(
            moment("datetime2(7)", day(3_652_058) + 863_999_999_999),
            ColumnData::DateTime2(Some(DateTime2::new(
                Date::new(3_652_058),
                Time::new(863_999_999_999, 7)
            )))
        );
        assert_eq!(
            moment("datetime2(3)", 1_230_000),
            ColumnData::DateTime2(Some(DateTime2::new(Date::new(0), Time::new(123, 3))))
        );
        assert!(
            Cells::new(
                &(Arc::new(Int64Array::from(vec![-1])) as ArrayRef),
                SqlType::DateTime2(7),
                Held::Ticks,
                false
            )
            .value(0)
            .is_none()
        );
    }

    #[test]
    fn an_offset_and_a_guid_keep_their_bytes() {
        let mut bytes = 7_i64.to_le_bytes().to_vec();
        bytes.extend((-840_i16).to_le_bytes());
        let array: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap());
        let cells = Cells::new(&array, SqlType::DateTimeOffset(7), Held::TicksAndOffset, false);
        let moment = DateTimeOffset::new(DateTime2::new(Date::new(0), Time::new(7, 7)), -840);
        assert_eq!(cells.value(0), Some(ColumnData::DateTimeOffset(Some(moment))));

        let guid = Uuid::from_u128(0x6F96_19FF_8B86_D011_B42D_00C0_4FC9_64FF);
        let array: ArrayRef =
            Arc::new(FixedSizeBinaryArray::try_from_iter([guid.as_bytes().to_vec()].into_iter()).unwrap());
        let cells = Cells::new(&array, SqlType::UniqueIdentifier, Held::Uuid, false);
        assert_eq!(cells.value(0), Some(ColumnData::Guid(Some(guid))));
    }
}

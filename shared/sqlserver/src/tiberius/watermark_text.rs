//! Values of the wire as the canonical text of a watermark, without passing through anything less exact.

use tiberius::ColumnData;
use time::{Date, Duration, Time};

/// The canonical text of a value, `None` for NULL. An error says what it is instead of a watermark.
pub(super) fn read(data: &ColumnData<'_>) -> Result<Option<String>, &'static str> {
    match data {
        ColumnData::U8(value) => Ok(value.map(|value| value.to_string())),
        ColumnData::I16(value) => Ok(value.map(|value| value.to_string())),
        ColumnData::I32(value) => Ok(value.map(|value| value.to_string())),
        ColumnData::I64(value) => Ok(value.map(|value| value.to_string())),
        ColumnData::Numeric(value) => Ok(value.map(|value| decimal(value.value(), value.scale()))),
        ColumnData::String(value) => Ok(value.as_ref().map(|value| value.trim_end().to_owned())),
        ColumnData::Date(value) => value.map(|value| date(EPOCH_1, i64::from(value.days()))).transpose(),
        ColumnData::SmallDateTime(value) => value
            .map(|value| {
                let day = date(EPOCH_1900, i64::from(value.days()))?;
                let minutes = u64::from(value.seconds_fragments());
                Ok(format!("{day}T{:02}:{:02}:00", minutes / 60, minutes % 60))
            })
            .transpose(),
        ColumnData::DateTime(value) => value
            .map(|value| {
                let day = date(EPOCH_1900, i64::from(value.days()))?;
                let ticks = u64::from(value.seconds_fragments());
                // 1/300 s as SQL Server shows it: .000, .003, .007.
                let milliseconds = (ticks % 300 * 10 + 1) / 3;
                Ok(format!("{day}T{}.{milliseconds:03}", clock(ticks / 300)))
            })
            .transpose(),
        ColumnData::DateTime2(value) => value
            .map(|value| {
                let day = date(EPOCH_1, i64::from(value.date().days()))?;
                Ok(format!(
                    "{day}T{}",
                    fraction_clock(value.time().increments(), value.time().scale())
                ))
            })
            .transpose(),
        // On the wire the date and time of a datetimeoffset are UTC already (MS-TDS 2.2.5.5.1.9).
        ColumnData::DateTimeOffset(value) => value
            .map(|value| {
                let (day, time) = (value.datetime2().date(), value.datetime2().time());
                let day = date(EPOCH_1, i64::from(day.days()))?;
                Ok(format!("{day}T{}Z", fraction_clock(time.increments(), time.scale())))
            })
            .transpose(),
        // A rowversion, which the wire sends as binary(8).
        ColumnData::Binary(value) => Ok(value.as_ref().map(|bytes| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("0x{digits}")
        })),
        // No watermark, but a key that cuts slices can be one.
        ColumnData::Guid(value) => Ok(value.map(|value| value.to_string())),
        _ => Err("a value of a type that cannot be a watermark"),
    }
}

/// Day 0 of `date`, `datetime2` and `datetimeoffset`.
const EPOCH_1: Date = time::macros::date!(0001 - 01 - 01);
/// Day 0 of `datetime` and `smalldatetime`.
const EPOCH_1900: Date = time::macros::date!(1900 - 01 - 01);

fn date(epoch: Date, days: i64) -> Result<String, &'static str> {
    let date = epoch
        .checked_add(Duration::days(days))
        .ok_or("a date outside 0001 to 9999")?;
    Ok(format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    ))
}

fn clock(seconds: u64) -> String {
    let time = Time::MIDNIGHT + std::time::Duration::from_secs(seconds);
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// `hh:mm:ss` and `scale` digits, from a count of units of 10^-scale seconds.
fn fraction_clock(increments: u64, scale: u8) -> String {
    let unit = 10_u64.pow(u32::from(scale.min(7)));
    let clock = clock(increments / unit);
    let fraction = increments % unit;
    if scale == 0 {
        clock
    } else {
        format!("{clock}.{fraction:0width$}", width = usize::from(scale))
    }
}

fn decimal(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use tiberius::numeric::Numeric;
    use tiberius::time::{DateTime, DateTime2, SmallDateTime};

    use super::*;

    #[test]
    fn values_become_exact_text() {
        let day = |days| tiberius::time::Date::new(days);
        let moment = |days, increments, scale| DateTime2::new(day(days), tiberius::time::Time::new(increments, scale));
        let cases = [
            (ColumnData::I64(Some(i64::MIN)), "-9223372036854775808"),
            (ColumnData::Numeric(Some(Numeric::new_with_scale(-5, 2))), "-0.05"),
            (
                ColumnData::Numeric(Some(Numeric::new_with_scale(i128::from(u64::MAX), 0))),
                "18446744073709551615",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(42_981, 8 * 3600 * 300 + 6 * 60 * 300))),
                "2017-09-05T08:06:00.000",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(-53_690, 1))),
                "1753-01-01T00:00:00.003",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(2_958_463, 25_919_999))),
                "9999-12-31T23:59:59.997",
            ),
            (
                ColumnData::DateTime(Some(DateTime::new(0, 2))),
                "1900-01-01T00:00:00.007",
            ),
            (
                ColumnData::SmallDateTime(Some(SmallDateTime::new(65_535, 1439))),
                "2079-06-06T23:59:00",
            ),
            (
                ColumnData::DateTime2(Some(moment(0, 1, 7))),
                "0001-01-01T00:00:00.0000001",
            ),
            (
                ColumnData::DateTime2(Some(moment(3_652_058, 863_999_999_999, 7))),
                "9999-12-31T23:59:59.9999999",
            ),
            (
                ColumnData::DateTime2(Some(moment(736_576, 86_399, 0))),
                "2017-09-05T23:59:59",
            ),
            (ColumnData::Date(Some(day(736_576))), "2017-09-05"),
        ];
        for (data, expected) in cases {
            assert_eq!(read(&data).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(read(&ColumnData::I32(None)).unwrap(), None);
        assert!(read(&ColumnData::Bit(Some(true))).is_err());
    }
}

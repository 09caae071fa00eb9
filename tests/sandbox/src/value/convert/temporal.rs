//! Conversions of values of any type to dates and times.

use super::{not_allowed, to_f64};
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DATETIME_DAY, DAY, EPOCH_1900, SECOND};
use crate::value::parse::{self, Bad, Moment};
use crate::value::{Datum, Ty};

/// Returns the moment of a date or time of any type: local 100 ns ticks since 0001-01-01, and the offset.
pub(super) fn moment(value: &Datum, from: Ty, to: Ty) -> SqlResult<(i64, i16)> {
    Ok(match value {
        Datum::Date(d) => (d * DAY, 0),
        Datum::Time(t) => (EPOCH_1900 * DAY + t, 0),
        Datum::DateTime(t) => (calendar::from_datetime_ticks(*t), 0),
        Datum::DateTime2(t) => (*t, 0),
        Datum::Offset(utc, minutes) => (utc + i64::from(*minutes) * 60 * SECOND, *minutes),
        Datum::Int(i) if matches!(to, Ty::DateTime | Ty::SmallDateTime) => (
            i.checked_add(EPOCH_1900)
                .and_then(|d| d.checked_mul(DAY))
                .ok_or_else(|| SqlError::overflow(to.name()))?,
            0,
        ),
        Datum::F64(f) if matches!(to, Ty::DateTime | Ty::SmallDateTime) && f.abs() < 4e6 => (
            calendar::from_datetime_ticks((f * DATETIME_DAY as f64).round() as i64),
            0,
        ),
        Datum::Dec(v, s) if matches!(to, Ty::DateTime | Ty::SmallDateTime) => {
            return moment(&Datum::F64(to_f64(*v, *s)), from, to);
        }
        _ => return Err(not_allowed(from, to)),
    })
}

pub(super) fn temporal(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let out_of_range = || SqlError::of(242, &[&from.name(), &to.name()]);
    let legacy = matches!(to, Ty::DateTime | Ty::SmallDateTime);
    let (ticks, offset) = match &value {
        Datum::Str(s) => {
            let read = parse::moment(s)
                .and_then(|m| legacy_rules(m, legacy))
                .map_err(|bad| match bad {
                    Bad::Range if legacy => out_of_range(),
                    _ => SqlError::of(241, &[]),
                })?;
            (
                read.date.unwrap_or(EPOCH_1900) * DAY + read.time,
                read.offset.unwrap_or(0),
            )
        }
        // The stored ticks of datetime are exact. Through 100 ns they would be rounded twice.
        Datum::DateTime(t) if to == Ty::DateTime => return Ok(Datum::DateTime(*t)),
        Datum::Bytes(b) if legacy && b.len() <= 8 => {
            let mut wide = [0; 8];
            wide[8 - b.len()..].copy_from_slice(b);
            let bits = u64::from_be_bytes(wide);
            let (days, rest) = ((bits >> 32) as u32, (bits & 0xFFFF_FFFF) as u32);
            return Ok(Datum::DateTime(
                i64::from(days.cast_signed()) * DATETIME_DAY + i64::from(rest),
            ));
        }
        other => moment(other, from, to)?,
    };
    let last = (calendar::LAST_DAY + 1) * DAY;
    match to {
        Ty::Date => Ok(Datum::Date(ticks.div_euclid(DAY))),
        Ty::Time(n) => Ok(Datum::Time(calendar::round_ticks(ticks.rem_euclid(DAY), n) % DAY)),
        Ty::DateTime2(n) => {
            let rounded = calendar::round_ticks(ticks, n);
            Ok(Datum::DateTime2(if rounded >= last {
                ticks - ticks.rem_euclid(unit(n))
            } else {
                rounded
            }))
        }
        Ty::DateTimeOffset(n) => {
            let utc = calendar::round_ticks(ticks, n) - i64::from(offset) * 60 * SECOND;
            if (0..last).contains(&utc) {
                Ok(Datum::Offset(utc, offset))
            } else {
                Err(out_of_range())
            }
        }
        Ty::DateTime => {
            let result = calendar::to_datetime_ticks(ticks);
            let days = result.div_euclid(DATETIME_DAY) + EPOCH_1900;
            if (calendar::FIRST_DATETIME_DAY..=calendar::LAST_DAY).contains(&days) {
                Ok(Datum::DateTime(result))
            } else {
                Err(out_of_range())
            }
        }
        _ => {
            let minutes = (ticks + 30 * SECOND).div_euclid(60 * SECOND) - EPOCH_1900 * 1440;
            if (0..65_536 * 1440).contains(&minutes) {
                Ok(Datum::DateTime(minutes * 18_000))
            } else {
                Err(out_of_range())
            }
        }
    }
}

pub(super) fn unit(scale: u8) -> i64 {
    10_i64.pow(u32::from(7_u8.saturating_sub(scale)))
}

/// Checks the rules of `datetime`, which takes at most three digits and no offset except `Z`.
pub(super) fn legacy_rules(read: Moment, legacy: bool) -> Result<Moment, Bad> {
    if legacy && (read.digits > 3 || read.offset.is_some_and(|minutes| minutes != 0)) {
        return Err(Bad::Syntax);
    }
    Ok(read)
}

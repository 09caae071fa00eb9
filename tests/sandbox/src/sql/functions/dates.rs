//! The functions on dates: the moment behind an offset, and `DATEADD`.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::{PURE, scalar, strict};
use crate::clock::Zone;
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DATETIME_DAY, DAY, EPOCH_1900, SECOND};
use crate::value::datum::{bad, blob_offset};
use crate::value::{Datum, Ty};

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "t_utc", 1, PURE, |a| match a.raw(0) {
        ValueRef::Blob(b) => Ok(Value::Integer(blob_offset(b)?.0)),
        _ => Ok(Value::Null),
    })?;
    strict(conn, "t_offset", 2, |a| {
        let minutes = i16::try_from(a.int(1)?).unwrap_or_default();
        Ok(Datum::Offset(a.int(0)?, minutes).write())
    })?;
    strict(conn, "t_zone", 2, |a| match a.raw(0) {
        ValueRef::Blob(b) => {
            let utc = blob_offset(b)?.0;
            Ok(Datum::Offset(utc, Zone::named(a.text(1)?)?.offset(utc)).write())
        }
        _ => Err(bad("datetimeoffset")),
    })?;
    strict(conn, "t_tzoffset", 1, |a| match a.raw(0) {
        ValueRef::Blob(b) => Ok(Value::Integer(blob_offset(b)?.1.into())),
        _ => Err(bad("datetimeoffset")),
    })?;
    strict(conn, "t_dateadd", 4, |a| {
        let ty = a.ty(3)?;
        Ok(add(a.text(0)?, a.int(1)?, a.datum(2, ty)?, ty)?.write_as(ty))
    })
}

fn out_of_range() -> SqlError {
    SqlError::of(517, &[])
}

fn add(part: &str, amount: i64, value: Datum, ty: Ty) -> SqlResult<Datum> {
    let months = match part {
        "year" => Some(amount.checked_mul(12).ok_or_else(out_of_range)?),
        "month" => Some(amount),
        _ => None,
    };
    if let (Datum::DateTime(t), None) = (&value, months) {
        // The sum is exact in the type's own ticks, and rounded only below a tick.
        let delta = match part {
            "millisecond" => round_div(i128::from(amount) * 3, 10),
            "microsecond" | "nanosecond" => return Err(no_part(part, ty)),
            _ => i128::from(amount) * i128::from(unit(part, ty)?) * 300 / i128::from(SECOND),
        };
        let sum = i64::try_from(i128::from(*t) + delta).map_err(|_| out_of_range())?;
        return in_range(Datum::DateTime(sum));
    }
    let local = match &value {
        Datum::Date(d) => d * DAY,
        Datum::Time(t) => *t,
        Datum::DateTime(t) => t.div_euclid(DATETIME_DAY) * DAY + EPOCH_1900 * DAY,
        Datum::DateTime2(t) => *t,
        Datum::Offset(utc, minutes) => utc + i64::from(*minutes) * 60 * SECOND,
        _ => return Err(bad(ty.name())),
    };
    let sum = if let Some(months) = months {
        let (y, m, d) = calendar::civil(local.div_euclid(DAY));
        let month = (y * 12 + m - 1).checked_add(months).ok_or_else(out_of_range)?;
        let (y, m) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let day = calendar::days(y, m, d.min(calendar::days_in_month(y, m))).ok_or_else(out_of_range)?;
        day * DAY + local.rem_euclid(DAY)
    } else {
        let delta = if part == "nanosecond" {
            round_div(i128::from(amount), 100)
        } else {
            i128::from(amount) * i128::from(unit(part, ty)?)
        };
        i64::try_from(i128::from(local) + delta).map_err(|_| out_of_range())?
    };
    in_range(match value {
        Datum::Date(_) => Datum::Date(sum.div_euclid(DAY)),
        Datum::Time(_) => Datum::Time(calendar::round_ticks(sum.rem_euclid(DAY), ty.scale()) % DAY),
        Datum::DateTime(t) => {
            Datum::DateTime((sum.div_euclid(DAY) - EPOCH_1900) * DATETIME_DAY + t.rem_euclid(DATETIME_DAY))
        }
        Datum::Offset(_, minutes) => Datum::Offset(
            calendar::round_ticks(sum, ty.scale()) - i64::from(minutes) * 60 * SECOND,
            minutes,
        ),
        _ => Datum::DateTime2(calendar::round_ticks(sum, ty.scale())),
    })
}

fn in_range(value: Datum) -> SqlResult<Datum> {
    let last = (calendar::LAST_DAY + 1) * DAY;
    let ok = match &value {
        Datum::Date(d) => (0..=calendar::LAST_DAY).contains(d),
        Datum::DateTime(t) => {
            let day = t.div_euclid(DATETIME_DAY) + EPOCH_1900;
            (calendar::FIRST_DATETIME_DAY..=calendar::LAST_DAY).contains(&day)
        }
        Datum::DateTime2(t) | Datum::Offset(t, _) => (0..last).contains(t),
        _ => true,
    };
    if ok { Ok(value) } else { Err(out_of_range()) }
}

fn round_div(value: i128, by: i128) -> i128 {
    (value + by / 2).div_euclid(by)
}

fn no_part(part: &str, ty: Ty) -> SqlError {
    SqlError::of(9810, &[&part, &ty.name()])
}

/// Returns the length of a part in 100 ns ticks.
fn unit(part: &str, ty: Ty) -> SqlResult<i64> {
    let ticks = match part {
        "day" => DAY,
        "hour" => 3600 * SECOND,
        "minute" => 60 * SECOND,
        "second" => SECOND,
        "millisecond" => 10_000,
        "microsecond" => 10,
        _ => return Err(no_part(part, ty)),
    };
    if ty == Ty::Date && ticks < DAY || matches!(ty, Ty::Time(_)) && ticks >= DAY {
        return Err(no_part(part, ty));
    }
    Ok(ticks)
}

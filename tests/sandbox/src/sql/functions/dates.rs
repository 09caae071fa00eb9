//! Dates and times.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::numbers::as_text;
use super::{PURE, scalar};
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DATETIME_DAY, DAY, EPOCH_1900, SECOND};
use crate::value::datum::{bad, blob_offset, offset_blob};
use crate::value::format::{self, DEFAULT_STYLE};
use crate::value::{Datum, Ty, convert};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "t_utc", 1, PURE, |a| match a.raw(0) {
        ValueRef::Blob(b) => Ok(Value::Integer(blob_offset(b)?.0)),
        _ => Ok(Value::Null),
    })?;
    scalar(conn, "t_dateadd", 4, PURE, |a| {
        if a.any_null(3) {
            return Ok(Value::Null);
        }
        let ty = a.ty(3)?;
        Ok(add(a.text(0)?, a.int(1)?, a.datum(2, ty)?, ty)?.write_as(ty))
    })?;
    scalar(conn, "t_datediff", 4, PURE, |a| {
        if a.any_null(3) {
            return Ok(Value::Null);
        }
        let difference = difference(a.text(0)?, a.int(1)?, a.int(2)?)?;
        if a.int(3)? == 0 && i32::try_from(difference).is_err() {
            return Err(SqlError::new(
                535,
                "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
            )
            .state(0));
        }
        Ok(Value::Integer(difference))
    })?;
    scalar(conn, "t_datepart", 3, PURE, |a| {
        if a.is_null(1) {
            return Ok(Value::Null);
        }
        let ty = a.ty(2)?;
        part(a.text(0)?, &a.datum(1, ty)?, ty).map(Value::Integer)
    })?;
    scalar(conn, "t_datename", 3, PURE, |a| {
        if a.is_null(1) {
            return Ok(Value::Null);
        }
        let ty = a.ty(2)?;
        let value = part(a.text(0)?, &a.datum(1, ty)?, ty)?;
        let at = usize::try_from(value - 1).unwrap_or(0);
        Ok(Value::Text(match a.text(0)? {
            "month" => MONTHS[at.min(11)].to_owned(),
            "weekday" => WEEKDAYS[at.min(6)].to_owned(),
            _ => as_text(Datum::Int(value), Ty::BigInt)?,
        }))
    })?;
    scalar(conn, "t_eomonth", 2, PURE, |a| {
        if a.any_null(2) {
            return Ok(Value::Null);
        }
        let (y, m, _) = calendar::civil(a.int(0)?);
        let month = y * 12 + m - 1 + a.int(1)?;
        let (y, m) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        calendar::days(y, m, calendar::days_in_month(y, m))
            .map(Value::Integer)
            .ok_or_else(out_of_range)
    })?;
    scalar(conn, "t_fromparts", -1, PURE, |a| {
        if a.any_null(a.len()) {
            return Ok(Value::Null);
        }
        let ty = a.ty(0)?;
        let n = |at: usize| if at < a.len() { a.int(at) } else { Ok(0) };
        let invalid = || {
            SqlError::new(
                289,
                format!(
                    "Cannot construct data type {}, some of the arguments have values which are not valid.",
                    ty.name()
                ),
            )
        };
        let day = calendar::days(n(1)?, n(2)?, n(3)?).ok_or_else(invalid)?;
        let (h, m, s) = (n(4)?, n(5)?, n(6)?);
        if !((0..24).contains(&h) && (0..60).contains(&m) && (0..60).contains(&s)) {
            return Err(invalid());
        }
        let fraction = match ty {
            Ty::DateTime => n(7)? * 10_000,
            Ty::DateTime2(scale) => n(7)? * 10_i64.pow(7 - u32::from(scale.min(7))),
            _ => 0,
        };
        if !(0..SECOND).contains(&fraction) {
            return Err(invalid());
        }
        let moment = Datum::DateTime2(day * DAY + ((h * 60 + m) * 60 + s) * SECOND + fraction);
        Ok(convert::datum(moment, Ty::DateTime2(7), ty, DEFAULT_STYLE)?.write_as(ty))
    })?;
    scalar(conn, "t_zone", 1, PURE, |a| {
        let text = a.text(0)?;
        let read = crate::value::parse::moment(&format!("2000-01-01 00:00 {text}"))
            .ok()
            .and_then(|m| m.offset);
        read.map(|m| Value::Integer(i64::from(m)))
            .ok_or_else(|| SqlError::new(9812, "The timezone provided to builtin function is invalid."))
    })?;
    scalar(conn, "t_switchoffset", 3, PURE, |a| {
        let ValueRef::Blob(blob) = a.raw(0) else {
            return Ok(Value::Null);
        };
        let (utc, old) = blob_offset(blob)?;
        let new = i16::try_from(a.int(1)?).ok().filter(|m| (-840..=840).contains(m));
        let new = new.ok_or_else(|| SqlError::new(9812, "The timezone provided to builtin function is invalid."))?;
        // Switching keeps the moment; setting keeps the local time.
        let utc = if a.int(2)? == 1 {
            utc
        } else {
            utc + i64::from(old - new) * 60 * SECOND
        };
        Ok(Value::Blob(offset_blob(utc, new).to_vec()))
    })
}

fn out_of_range() -> SqlError {
    SqlError::new(517, "Adding a value to a date/time column caused an overflow.")
}

fn add(part: &str, amount: i64, value: Datum, ty: Ty) -> SqlResult<Datum> {
    let months = match part {
        "year" => Some(amount.checked_mul(12).ok_or_else(out_of_range)?),
        "quarter" => Some(amount.checked_mul(3).ok_or_else(out_of_range)?),
        "month" => Some(amount),
        _ => None,
    };
    if let (Datum::DateTime(t), None) = (&value, months) {
        // Exact in the type's own ticks; rounded only below a tick.
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
    SqlError::new(
        9810,
        format!(
            "The datepart {part} is not supported by date function for data type {}.",
            ty.name()
        ),
    )
}

/// The length of a part in 100 ns ticks.
fn unit(part: &str, ty: Ty) -> SqlResult<i64> {
    let ticks = match part {
        "dayofyear" | "day" | "weekday" => DAY,
        "week" => 7 * DAY,
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

fn difference(part: &str, a: i64, b: i64) -> SqlResult<i64> {
    let month = |t: i64| {
        let (y, m, _) = calendar::civil(t.div_euclid(DAY));
        y * 12 + m - 1
    };
    Ok(match part {
        "year" => month(b).div_euclid(12) - month(a).div_euclid(12),
        "quarter" => month(b).div_euclid(3) - month(a).div_euclid(3),
        "month" => month(b) - month(a),
        // Weeks begin on Sunday; 0001-01-01 was a Monday.
        "week" => (b.div_euclid(DAY) + 1).div_euclid(7) - (a.div_euclid(DAY) + 1).div_euclid(7),
        "nanosecond" => b
            .checked_sub(a)
            .and_then(|d| d.checked_mul(100))
            .ok_or_else(out_of_range)?,
        _ => {
            let unit = unit(part, Ty::DateTime2(7))?;
            b.div_euclid(unit) - a.div_euclid(unit)
        }
    })
}

fn part(part: &str, value: &Datum, ty: Ty) -> SqlResult<i64> {
    let (days, shown, _, offset) = format::parts(value, ty);
    let (y, m, d) = calendar::civil(days);
    let has_date = !matches!(ty, Ty::Time(_));
    if !has_date
        && matches!(
            part,
            "year" | "quarter" | "month" | "day" | "dayofyear" | "week" | "weekday" | "iso_week"
        )
    {
        return Err(no_part(part, ty));
    }
    let first = calendar::days(y, 1, 1).unwrap_or(0);
    let seconds = shown / SECOND;
    Ok(match part {
        "year" => y,
        "quarter" => (m + 2) / 3,
        "month" => m,
        "day" => d,
        "dayofyear" => days - first + 1,
        "week" => (days + 1).div_euclid(7) - (first + 1).div_euclid(7) + 1,
        "weekday" => (days + 1).rem_euclid(7) + 1,
        "iso_week" => {
            let thursday = days.div_euclid(7) * 7 + 3;
            let year = calendar::civil(thursday).0;
            (thursday - calendar::days(year, 1, 1).unwrap_or(0)) / 7 + 1
        }
        "hour" => seconds / 3600,
        "minute" => seconds / 60 % 60,
        "second" => seconds % 60,
        "millisecond" => shown % SECOND / 10_000,
        "microsecond" => shown % SECOND / 10,
        "nanosecond" => shown % SECOND * 100,
        "tzoffset" => offset,
        _ => return Err(no_part(part, ty)),
    })
}

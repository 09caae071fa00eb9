//! Conversions of values of any type to numbers.

use super::{cannot, failed, not_allowed};
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::DATETIME_DAY;
use crate::value::datum::{fits, pow10, rescale};
use crate::value::format::{self};
use crate::value::{Datum, Ty};

pub(super) fn range_of(to: Ty) -> (i64, i64) {
    match to {
        Ty::TinyInt => (0, 255),
        Ty::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Ty::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

pub(super) fn integer(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let wide = match value {
        Datum::Int(i) => i128::from(i),
        Datum::Dec(v, s) if matches!(from, Ty::Money | Ty::SmallMoney) => rescale(v, s, 0).unwrap_or(v),
        Datum::Dec(v, s) => v / pow10(s),
        Datum::F64(f) if f.abs() < 1e19 => f.trunc() as i128,
        Datum::F64(_) => return Err(SqlError::overflow(to.name())),
        Datum::Bytes(b) => {
            let tail = &b[b.len().saturating_sub(8)..];
            let bits = tail.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            i128::from(match to {
                Ty::Bit => i64::from(bits != 0),
                Ty::TinyInt => i64::from(bits.to_le_bytes()[0]),
                Ty::SmallInt => i64::from(i16::from_le_bytes([bits.to_le_bytes()[0], bits.to_le_bytes()[1]])),
                Ty::Int => i64::from(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(0).cast_signed()),
                _ => bits.cast_signed(),
            })
        }
        Datum::DateTime(t) => i128::from((t + DATETIME_DAY / 2).div_euclid(DATETIME_DAY)),
        Datum::Str(s) => return integer_text(&s, from, to),
        _ => return Err(not_allowed(from, to)),
    };
    if to == Ty::Bit {
        return Ok(Datum::Int(i64::from(wide != 0)));
    }
    let (low, high) = range_of(to);
    match i64::try_from(wide) {
        Ok(i) if (low..=high).contains(&i) => Ok(Datum::Int(i)),
        _ if from.is_int() && matches!(to, Ty::TinyInt | Ty::SmallInt) => Err(SqlError::of(220, &[&to.name(), &wide])),
        _ => Err(SqlError::overflow(to.name())),
    }
}

pub(super) fn integer_text(s: &str, from: Ty, to: Ty) -> SqlResult<Datum> {
    let text = s.trim();
    if to == Ty::Bit {
        return match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Datum::Int(1)),
            "false" => Ok(Datum::Int(0)),
            other => match other.parse::<i128>() {
                Ok(i) => Ok(Datum::Int(i64::from(i != 0))),
                Err(_) => Err(failed(from, s, to)),
            },
        };
    }
    if text.is_empty() {
        return Ok(Datum::Int(0));
    }
    let (low, high) = range_of(to);
    match text.parse::<i128>() {
        Ok(i) => match i64::try_from(i) {
            Ok(i) if (low..=high).contains(&i) => Ok(Datum::Int(i)),
            _ if to == Ty::Int => Err(SqlError::of(248, &[&from.name(), &s])),
            _ if to == Ty::BigInt => Err(SqlError::overflow("bigint")),
            _ => Err(SqlError::of(
                244,
                &[&from.name(), &s, &(if to == Ty::SmallInt { "INT2" } else { "INT1" })],
            )),
        },
        Err(_) if to == Ty::BigInt => Err(cannot(from, to)),
        Err(_) => Err(failed(from, s, to)),
    }
}

pub(super) fn exact(value: Datum, from: Ty, to: Ty, p: u8, s: u8) -> SqlResult<Datum> {
    let overflow = || SqlError::of(8115, &[&from.message_name(), &to.message_name()]);
    let (unscaled, scale) = match value {
        Datum::Int(i) => (i128::from(i), 0),
        Datum::Dec(v, scale) => (v, scale),
        Datum::F64(f) => {
            let digits = usize::from(s.min(17));
            (
                decimal_text(&format!("{f:.digits$}")).ok_or_else(overflow)?.0,
                s.min(17),
            )
        }
        Datum::Str(text) => {
            let money = matches!(to, Ty::Money | Ty::SmallMoney);
            let cleaned = if money {
                text.trim().replace([',', '$'], "")
            } else {
                text.trim().to_owned()
            };
            let Some(read) = decimal_text(&cleaned) else {
                return Err(if money {
                    SqlError::of(235, &[])
                } else {
                    cannot(from, to)
                });
            };
            read
        }
        Datum::DateTime(t) => (i128::from(t) * pow10(10) / i128::from(DATETIME_DAY), 10),
        Datum::Bytes(_) if matches!(to, Ty::Money | Ty::SmallMoney) => match integer(value, from, Ty::BigInt)? {
            Datum::Int(i) => (i128::from(i), 4),
            _ => return Err(not_allowed(from, to)),
        },
        _ => return Err(not_allowed(from, to)),
    };
    let result = rescale(unscaled, scale, s)
        .filter(|v| fits(*v, p))
        .ok_or_else(overflow)?;
    let in_range = match to {
        Ty::Money => i64::try_from(result).is_ok(),
        Ty::SmallMoney => i32::try_from(result).is_ok(),
        _ => true,
    };
    if in_range {
        Ok(Datum::Dec(result, s))
    } else {
        Err(overflow())
    }
}

/// Reads a plain decimal number without an exponent, of up to 38 digits, as an unscaled value and a scale.
pub fn decimal_text(text: &str) -> Option<(i128, u8)> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if fraction.contains('.') {
        return None;
    }
    let kept = &fraction[..fraction.len().min(38)];
    let joined = format!("{whole}{kept}");
    let significant = joined.trim_start_matches('0');
    let value: i128 = if significant.is_empty() {
        0
    } else {
        significant.parse().ok()?
    };
    Some((if negative { -value } else { value }, u8::try_from(kept.len()).ok()?))
}

/// Converts a decimal to a float through its text, so that it is the nearest one.
pub fn to_f64(value: i128, scale: u8) -> f64 {
    format::decimal(value, scale).parse().unwrap_or(0.0)
}

pub(super) fn approximate(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let f = match value {
        Datum::Int(i) => i as f64,
        Datum::Dec(v, s) => to_f64(v, s),
        Datum::F64(f) => f,
        Datum::Str(s) => match s.trim() {
            "" => 0.0,
            text => text
                .parse::<f64>()
                .ok()
                .filter(|f| f.is_finite() && !text.to_ascii_lowercase().contains("inf"))
                .ok_or_else(|| cannot(from, to))?,
        },
        Datum::DateTime(t) => t as f64 / DATETIME_DAY as f64,
        _ => return Err(not_allowed(from, to)),
    };
    if to == Ty::Real {
        let short = f as f32;
        return if short.is_finite() {
            Ok(Datum::F64(f64::from(short)))
        } else {
            Err(SqlError::overflow("real"))
        };
    }
    if f.is_finite() {
        Ok(Datum::F64(f))
    } else {
        Err(SqlError::overflow("float"))
    }
}

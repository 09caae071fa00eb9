//! `CAST`, `CONVERT` and implicit conversion between any two types.

use rusqlite::types::{Value, ValueRef};

use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DATETIME_DAY, DAY, EPOCH_1900, SECOND};
use crate::value::datum::{fits, pow10, rescale};
use crate::value::format::{self, DEFAULT_STYLE};
use crate::value::parse::{self, Bad, Moment};
use crate::value::{Datum, MAX, Ty, text};

/// Converts a stored value from one type to another, cutting strings that are too long, as `CAST` does.
pub fn convert(value: ValueRef<'_>, from: Ty, to: Ty, style: i64) -> SqlResult<Value> {
    if value == ValueRef::Null {
        return Ok(Value::Null);
    }
    Ok(datum(Datum::read(value, from)?, from, to, style)?.write_as(to))
}

/// Converts for storing into a column: a string that would be cut is error 2628.
pub fn store(value: ValueRef<'_>, from: Ty, to: Ty, column: &str) -> SqlResult<Value> {
    if value == ValueRef::Null {
        return Ok(Value::Null);
    }
    let read = Datum::read(value, from)?;
    if let Some(limit) = to.length().filter(|n| *n != MAX) {
        let limit = usize::from(limit);
        let (long, shown) = match &read {
            Datum::Str(s) if to.is_string() => {
                let kept = s.trim_end_matches(' ');
                (
                    text::units(kept, to.is_unicode()) > limit,
                    text::cut(s, limit, to.is_unicode()).to_owned(),
                )
            }
            Datum::Bytes(b) if to.is_binary() => (b.len() > limit, String::new()),
            _ => (false, String::new()),
        };
        if long {
            let (table, column) = column.split_once('|').unwrap_or(("", column));
            return Err(SqlError::new(
                2628,
                format!(
                    "String or binary data would be truncated in table '{table}', column '{column}'. Truncated value: '{shown}'."
                ),
            ));
        }
    }
    Ok(datum(read, from, to, DEFAULT_STYLE)?.write_as(to))
}

/// True when a stored value of one type is, as it is, a stored value of the other.
pub fn is_noop(from: Ty, to: Ty) -> bool {
    use Ty::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Bit, TinyInt | SmallInt | Int | BigInt)
        | (TinyInt, SmallInt | Int | BigInt)
        | (SmallInt, Int | BigInt)
        | (Int, BigInt)
        | (SmallDateTime, DateTime)
        | (SmallMoney, Money)
        | (Real, Float) => true,
        (Decimal(p, s), Decimal(q, t)) => s == t && q >= p,
        (Time(a), Time(b)) | (DateTime2(a), DateTime2(b)) | (DateTimeOffset(a), DateTimeOffset(b)) => a <= b,
        (VarChar(a) | Char(a), VarChar(b)) | (NVarChar(a) | NChar(a), NVarChar(b)) => b == MAX || (a != MAX && a <= b),
        (VarChar(a) | Char(a), NVarChar(b)) => b == MAX || (a != MAX && a <= b),
        (Text, VarChar(MAX)) | (VarChar(_) | Char(_), Text) => true,
        (VarChar(_) | Char(_) | Text | NVarChar(_) | NChar(_), NText) => true,
        (NText | Xml | Text, NVarChar(MAX)) => true,
        (VarBinary(a) | Binary(a), VarBinary(b)) => b == MAX || (a != MAX && a <= b),
        (RowVersion, VarBinary(b)) => b >= 8,
        (Image, VarBinary(MAX)) | (VarBinary(_) | Binary(_), Image) => true,
        _ => false,
    }
}

/// Converts a value in memory.
pub fn datum(value: Datum, from: Ty, to: Ty, style: i64) -> SqlResult<Datum> {
    if value == Datum::Null {
        return Ok(Datum::Null);
    }
    match to {
        _ if to.is_int() => integer(value, from, to),
        Ty::Decimal(p, s) => exact(value, from, to, p, s),
        Ty::Money => exact(value, from, to, 19, 4),
        Ty::SmallMoney => exact(value, from, to, 10, 4),
        Ty::Float | Ty::Real => approximate(value, from, to),
        _ if to.is_temporal() => temporal(value, from, to),
        _ if to.is_string() => string(value, from, to, style),
        _ if to.is_binary() => binary(value, from, to, style),
        _ => guid(value, from, to),
    }
}

/// 529, a conversion that does not exist.
pub fn not_allowed(from: Ty, to: Ty) -> SqlError {
    SqlError::new(
        529,
        format!(
            "Explicit conversion from data type {} to {} is not allowed.",
            from.name(),
            to.name()
        ),
    )
    .state(1)
}

fn failed(from: Ty, text: &str, to: Ty) -> SqlError {
    SqlError::new(
        245,
        format!(
            "Conversion failed when converting the {} value '{text}' to data type {}.",
            from.name(),
            to.name()
        ),
    )
}

fn cannot(from: Ty, to: Ty) -> SqlError {
    SqlError::new(
        8114,
        format!(
            "Error converting data type {} to {}.",
            from.message_name(),
            to.message_name()
        ),
    )
    .state(5)
}

fn range_of(to: Ty) -> (i64, i64) {
    match to {
        Ty::TinyInt => (0, 255),
        Ty::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Ty::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

fn integer(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let wide = match value {
        Datum::Int(i) => i128::from(i),
        Datum::Dec(v, s) if matches!(from, Ty::Money | Ty::SmallMoney) => rescale(v, s, 0).unwrap_or(v),
        Datum::Dec(v, s) => v / pow10(s),
        #[allow(clippy::cast_possible_truncation)]
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
        return Ok(Datum::Int(i64::from(match value_is_zero(wide) {
            true => 0,
            false => 1,
        })));
    }
    let (low, high) = range_of(to);
    match i64::try_from(wide) {
        Ok(i) if (low..=high).contains(&i) => Ok(Datum::Int(i)),
        _ if from.is_int() && matches!(to, Ty::TinyInt | Ty::SmallInt) => Err(SqlError::new(
            220,
            format!("Arithmetic overflow error for data type {}, value = {wide}.", to.name()),
        )),
        _ => Err(SqlError::overflow(to.name())),
    }
}

fn value_is_zero(wide: i128) -> bool {
    wide == 0
}

fn integer_text(s: &str, from: Ty, to: Ty) -> SqlResult<Datum> {
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
            _ if to == Ty::Int => Err(SqlError::new(
                248,
                format!(
                    "The conversion of the {} value '{s}' overflowed an int column.",
                    from.name()
                ),
            )),
            _ if to == Ty::BigInt => Err(SqlError::overflow("bigint")),
            _ => Err(SqlError::new(
                244,
                format!(
                    "The conversion of the {} value '{s}' overflowed an {} column. Use a larger integer column.",
                    from.name(),
                    if to == Ty::SmallInt { "INT2" } else { "INT1" }
                ),
            )),
        },
        Err(_) if to == Ty::BigInt => Err(cannot(from, to)),
        Err(_) => Err(failed(from, s, to)),
    }
}

fn exact(value: Datum, from: Ty, to: Ty, p: u8, s: u8) -> SqlResult<Datum> {
    let overflow = || {
        SqlError::new(
            8115,
            format!(
                "Arithmetic overflow error converting {} to data type {}.",
                from.message_name(),
                to.message_name()
            ),
        )
        .state(8)
    };
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
                    SqlError::new(
                        235,
                        "Cannot convert a char value to money. The char value has incorrect syntax.",
                    )
                    .state(0)
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

/// Reads a plain decimal number (no exponent) of up to 38 digits: unscaled value and scale.
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

/// A decimal as a float, through its text so that it is the nearest one.
pub fn to_f64(value: i128, scale: u8) -> f64 {
    format::decimal(value, scale).parse().unwrap_or(0.0)
}

fn approximate(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let f = match value {
        #[allow(clippy::cast_precision_loss)]
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
        #[allow(clippy::cast_precision_loss)]
        Datum::DateTime(t) => t as f64 / DATETIME_DAY as f64,
        _ => return Err(not_allowed(from, to)),
    };
    if to == Ty::Real {
        #[allow(clippy::cast_possible_truncation)]
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

/// What a date or time says, whichever of the types it has: local 100 ns ticks since 0001-01-01, offset.
fn moment(value: &Datum, from: Ty, to: Ty) -> SqlResult<(i64, i16)> {
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
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
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

fn temporal(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    let out_of_range = || {
        SqlError::new(
            242,
            format!(
                "The conversion of a {} data type to a {} data type resulted in an out-of-range value.",
                from.name(),
                to.name()
            ),
        )
        .state(3)
    };
    let legacy = matches!(to, Ty::DateTime | Ty::SmallDateTime);
    let (ticks, offset) = match &value {
        Datum::Str(s) => {
            let read = parse::moment(s)
                .and_then(|m| legacy_rules(m, legacy))
                .map_err(|bad| match bad {
                    Bad::Range if legacy => out_of_range(),
                    _ => SqlError::new(
                        241,
                        "Conversion failed when converting date and/or time from character string.",
                    ),
                })?;
            (
                read.date.unwrap_or(EPOCH_1900) * DAY + read.time,
                read.offset.unwrap_or(0),
            )
        }
        // Stored ticks of datetime are exact; through 100 ns they would be rounded twice.
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

fn unit(scale: u8) -> i64 {
    10_i64.pow(u32::from(7_u8.saturating_sub(scale)))
}

/// `datetime` takes at most three digits and no offset but `Z`.
fn legacy_rules(read: Moment, legacy: bool) -> Result<Moment, Bad> {
    if legacy && (read.digits > 3 || read.offset.is_some_and(|minutes| minutes != 0)) {
        return Err(Bad::Syntax);
    }
    Ok(read)
}

fn string(value: Datum, from: Ty, to: Ty, style: i64) -> SqlResult<Datum> {
    let was_number = from.is_number();
    let mut result = match value {
        Datum::Str(s) => s,
        Datum::Bytes(b) if matches!(style, 1 | 2) => {
            let hex: String = b.iter().map(|byte| format!("{byte:02X}")).collect();
            if style == 1 { format!("0x{hex}") } else { hex }
        }
        Datum::Bytes(b) if to.is_unicode() => text::from_utf16(&b),
        Datum::Bytes(b) => text::from_bytes(&b),
        other => format::text(&other, from, style)?,
    };
    if !to.is_unicode() {
        result = text::narrowed(result);
    }
    if let Some(limit) = to.length().filter(|n| *n != MAX) {
        let limit = usize::from(limit);
        let length = text::units(&result, to.is_unicode());
        if length > limit {
            if was_number && from.is_int() && !to.is_unicode() {
                result = "*".to_owned();
            } else if was_number || from == Ty::Guid {
                return Err(if from == Ty::Guid {
                    SqlError::new(
                        8170,
                        "Insufficient result space to convert uniqueidentifier value to char.",
                    )
                } else {
                    SqlError::new(
                        8115,
                        format!(
                            "Arithmetic overflow error converting {} to data type {}.",
                            from.message_name(),
                            to.name()
                        ),
                    )
                    .state(5)
                });
            } else {
                result = text::cut(&result, limit, to.is_unicode()).to_owned();
            }
        }
        if matches!(to, Ty::Char(_) | Ty::NChar(_)) {
            let length = text::units(&result, to.is_unicode());
            result.extend(std::iter::repeat_n(' ', limit.saturating_sub(length)));
        }
    }
    Ok(Datum::Str(result))
}

fn binary(value: Datum, from: Ty, to: Ty, style: i64) -> SqlResult<Datum> {
    let limit = to.length().filter(|n| *n != MAX).map(usize::from);
    let number = from.is_int();
    let mut bytes = match value {
        Datum::Bytes(b) => b,
        Datum::Str(s) if matches!(style, 1 | 2) => {
            hex_bytes(s.strip_prefix("0x").unwrap_or(&s)).ok_or_else(|| cannot(from, to))?
        }
        Datum::Str(s) if from.is_unicode() => text::to_utf16(&s),
        Datum::Str(s) => text::to_bytes(&s),
        Datum::Int(i) => {
            let wide = i.to_be_bytes();
            let width = usize::try_from(from.max_length()).unwrap_or(8);
            wide[8 - width..].to_vec()
        }
        Datum::Guid(g) => g.to_vec(),
        Datum::F64(f) => f.to_be_bytes().to_vec(),
        Datum::DateTime(t) => {
            let days = i32::try_from(t.div_euclid(DATETIME_DAY)).unwrap_or(0);
            let rest = u32::try_from(t.rem_euclid(DATETIME_DAY)).unwrap_or(0);
            [days.to_be_bytes(), rest.to_be_bytes()].concat()
        }
        Datum::Dec(v, _) if matches!(from, Ty::Money) => i64::try_from(v).unwrap_or(0).to_be_bytes().to_vec(),
        _ => return Err(not_allowed(from, to)),
    };
    if let Some(limit) = limit {
        if bytes.len() > limit {
            // Numbers keep their low bytes, everything else its first.
            bytes = if number {
                bytes[bytes.len() - limit..].to_vec()
            } else {
                bytes[..limit].to_vec()
            };
        }
        if matches!(to, Ty::Binary(_) | Ty::RowVersion) && bytes.len() < limit {
            let pad = vec![0; limit - bytes.len()];
            bytes = if number {
                [pad, bytes].concat()
            } else {
                [bytes, pad].concat()
            };
        }
    }
    Ok(Datum::Bytes(bytes))
}

/// Bytes of hexadecimal text of even length.
pub fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn guid(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    match value {
        Datum::Guid(g) => Ok(Datum::Guid(g)),
        Datum::Bytes(b) => {
            let mut wire = [0; 16];
            let n = b.len().min(16);
            wire[..n].copy_from_slice(&b[..n]);
            Ok(Datum::Guid(wire))
        }
        Datum::Str(s) => guid_text(&s).map(Datum::Guid).ok_or_else(|| {
            SqlError::new(
                8169,
                "Conversion failed when converting from a character string to uniqueidentifier.",
            )
            .state(2)
        }),
        _ => Err(not_allowed(from, to)),
    }
}

/// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, with or without braces, into wire bytes.
pub fn guid_text(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text
        .strip_prefix('{')
        .map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    if text.len() < 36 || !text.is_char_boundary(36) {
        return None;
    }
    uuid::Uuid::try_parse(&text[..36]).ok().map(|u| u.to_bytes_le())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(value: Datum, from: Ty, to: Ty) -> Result<Datum, i32> {
        datum(value, from, to, DEFAULT_STYLE).map_err(|e| e.number)
    }

    fn of(text: &str, to: Ty) -> Result<Datum, i32> {
        cast(Datum::Str(text.to_owned()), Ty::NVarChar(100), to)
    }

    #[test]
    fn text_to_datetime_lands_on_ticks_and_refuses_a_fourth_digit() {
        let day = calendar::days(2017, 9, 5).unwrap() - EPOCH_1900;
        assert_eq!(
            of("2017-09-05T00:00:00.001", Ty::DateTime),
            Ok(Datum::DateTime(day * DATETIME_DAY))
        );
        assert_eq!(
            of("2017-09-05T00:00:00.002", Ty::DateTime),
            Ok(Datum::DateTime(day * DATETIME_DAY + 1))
        );
        assert_eq!(
            of("2017-09-05T00:00:00.997", Ty::DateTime),
            Ok(Datum::DateTime(day * DATETIME_DAY + 299))
        );
        assert_eq!(
            of("2017-09-05T23:59:59.999", Ty::DateTime),
            Ok(Datum::DateTime((day + 1) * DATETIME_DAY))
        );
        assert_eq!(of("2017-09-05T00:00:00.1234", Ty::DateTime), Err(241));
        assert_eq!(of("2017-13-05T00:00:00", Ty::DateTime), Err(242));
        assert_eq!(of("2017-13-05T00:00:00", Ty::DateTime2(7)), Err(241));
    }

    #[test]
    fn text_to_numbers_fails_with_the_documented_numbers() {
        assert_eq!(of("abc", Ty::Int), Err(245));
        assert_eq!(of("99999999999", Ty::Int), Err(248));
        assert_eq!(of("abc", Ty::BigInt), Err(8114));
        assert_eq!(of("1.25", Ty::Decimal(3, 1)), Ok(Datum::Dec(13, 1)));
        assert_eq!(of("1000", Ty::Decimal(3, 1)), Err(8115));
        assert_eq!(of("x", Ty::Decimal(3, 1)), Err(8114));
        assert_eq!(cast(Datum::Int(70_000), Ty::Int, Ty::SmallInt), Err(220));
    }

    #[test]
    fn guids_read_and_write_the_mixed_endian_text() {
        let text = "6F9619FF-8B86-D011-B42D-00C04FC964FF";
        let Ok(Datum::Guid(wire)) = of(text, Ty::Guid) else {
            panic!("not a guid")
        };
        assert_eq!(wire[0], 0xFF);
        assert_eq!(format::guid(&wire), text);
    }
}

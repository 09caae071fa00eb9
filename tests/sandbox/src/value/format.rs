//! The text of values, by `CONVERT` style.

use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DATETIME_DAY, DAY, EPOCH_1900, SECOND};
use crate::value::{Datum, Ty};

/// The style when none is given, which is the type's own default.
pub const DEFAULT_STYLE: i64 = -1;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Returns the text of a value that is not NULL, not text and not bytes.
pub fn text(datum: &Datum, ty: Ty, style: i64) -> SqlResult<String> {
    Ok(match datum {
        Datum::Int(i) => i.to_string(),
        Datum::Dec(v, s) if matches!(ty, Ty::Money | Ty::SmallMoney) => money(*v, *s, style),
        Datum::Dec(v, s) => decimal(*v, *s),
        Datum::F64(f) => general(*f),
        Datum::Guid(g) => guid(g),
        Datum::Date(_) | Datum::Time(_) | Datum::DateTime(_) | Datum::DateTime2(_) | Datum::Offset(..) => {
            temporal(datum, ty, style)?
        }
        Datum::Str(s) => s.clone(),
        Datum::Null | Datum::Bytes(_) => String::new(),
    })
}

/// Returns a decimal with exactly its scale.
pub fn decimal(value: i128, scale: u8) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let width = usize::from(scale) + 1;
    let digits = format!("{digits:0>width$}");
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    format!("{sign}{whole}.{fraction}")
}

fn money(value: i128, scale: u8, style: i64) -> String {
    let digits = if style == 2 || style == 126 { 4 } else { 2 };
    decimal(
        crate::value::datum::rescale(value, scale, digits).unwrap_or(value),
        digits,
    )
}

/// Returns a float with six significant digits, in scientific form where the exponent asks for it.
fn general(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.5e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |t: &str| {
        if t.contains('.') {
            t.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            t.to_owned()
        }
    };
    if (-5..15).contains(&exponent) && (exponent < 6) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    format!(
        "{}e{}{:03}",
        trim(mantissa),
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// Returns the text of a uniqueidentifier, whose first three groups are little endian on the wire.
pub fn guid(g: &[u8; 16]) -> String {
    let hex = |bytes: &[usize]| bytes.iter().map(|at| format!("{:02X}", g[*at])).collect::<String>();
    format!(
        "{}-{}-{}-{}-{}",
        hex(&[3, 2, 1, 0]),
        hex(&[5, 4]),
        hex(&[7, 6]),
        hex(&[8, 9]),
        hex(&[10, 11, 12, 13, 14, 15])
    )
}

/// Returns the days, the 100 ns ticks of the day, the fraction digits and the offset of a date or time, in local terms.
pub fn parts(datum: &Datum, ty: Ty) -> (i64, i64, usize, i64) {
    match *datum {
        Datum::Date(d) => (d, 0, 0, 0),
        Datum::Time(t) => (EPOCH_1900, t, usize::from(ty.scale()), 0),
        Datum::DateTime(t) => {
            let rest = t.rem_euclid(DATETIME_DAY);
            let millis = (rest * 10 + 1) / 3;
            (t.div_euclid(DATETIME_DAY) + EPOCH_1900, millis * 10_000, 3, 0)
        }
        Datum::DateTime2(t) => (t.div_euclid(DAY), t.rem_euclid(DAY), usize::from(ty.scale()), 0),
        Datum::Offset(utc, minutes) => {
            let local = utc + i64::from(minutes) * 60 * SECOND;
            (
                local.div_euclid(DAY),
                local.rem_euclid(DAY),
                usize::from(ty.scale()),
                i64::from(minutes),
            )
        }
        _ => (0, 0, 0, 0),
    }
}

fn offset_text(minutes: i64) -> String {
    format!(
        "{}{:02}:{:02}",
        if minutes < 0 { '-' } else { '+' },
        minutes.abs() / 60,
        minutes.abs() % 60
    )
}

/// Returns a date or time in a style of `CONVERT`.
fn temporal(datum: &Datum, ty: Ty, style: i64) -> SqlResult<String> {
    let style = match style {
        DEFAULT_STYLE if matches!(ty, Ty::DateTime | Ty::SmallDateTime) => 0,
        DEFAULT_STYLE => 121,
        other => other,
    };
    let (mut days, mut time, digits, offset) = parts(datum, ty);
    let has_offset = matches!(ty, Ty::DateTimeOffset(_));
    if style == 127 && has_offset {
        let utc = days * DAY + time - offset * 60 * SECOND;
        (days, time) = (utc.div_euclid(DAY), utc.rem_euclid(DAY));
    }
    let (y, mo, d) = calendar::civil(days);
    let seconds = time / SECOND;
    let (h, mi, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = format!("{h:02}:{mi:02}:{s:02}");
    let fraction = match digits {
        0 => String::new(),
        _ => format!(".{}", &format!("{:07}", time % SECOND)[..digits]),
    };
    let (date, between, time) = match style {
        0 | 100 => {
            let month = usize::try_from(mo - 1)
                .ok()
                .and_then(|at| MONTHS.get(at))
                .unwrap_or(&"");
            let (h12, half) = ((h + 11) % 12 + 1, if h < 12 { "AM" } else { "PM" });
            (format!("{month} {d:>2} {y:04}"), " ", format!("{h12:>2}:{mi:02}{half}"))
        }
        112 => return Ok(format!("{y:04}{mo:02}{d:02}")),
        23 => return Ok(format!("{y:04}-{mo:02}-{d:02}")),
        20 | 120 => (format!("{y:04}-{mo:02}-{d:02}"), " ", clock),
        21 | 25 | 121 => (format!("{y:04}-{mo:02}-{d:02}"), " ", clock + &fraction),
        126 | 127 if time % SECOND == 0 => (format!("{y:04}-{mo:02}-{d:02}"), "T", clock),
        126 | 127 => (format!("{y:04}-{mo:02}-{d:02}"), "T", clock + &fraction),
        _ => {
            return Err(SqlError::unsupported(format!(
                "CONVERT of {} with style {style}",
                ty.name()
            )));
        }
    };
    let zone = match style {
        _ if !has_offset => String::new(),
        127 => "Z".to_owned(),
        126 => offset_text(offset),
        _ => format!(" {}", offset_text(offset)),
    };
    Ok(match ty {
        Ty::Time(_) => time,
        Ty::Date => date,
        _ => format!("{date}{between}{time}{zone}"),
    })
}

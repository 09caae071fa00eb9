//! The stand-in binds literals here: it decides their values and types.

use super::Bound;
use crate::error::{SqlError, SqlResult};
use crate::value::convert::decimal_text;
use crate::value::datum::decimal_blob;
use crate::value::{MAX, Ty};

/// Returns the length of a literal's type: at least 1, and `(max)` beyond the limit.
pub fn length(units: usize, limit: u16) -> u16 {
    u16::try_from(units.max(1)).ok().filter(|n| *n <= limit).unwrap_or(MAX)
}

pub(super) fn integer(s: &str) -> Bound {
    if let Ok(value) = s.parse::<i32>() {
        return Bound::required(value.to_string(), Ty::Int);
    }
    let digits = s.trim_start_matches('0');
    let precision = u8::try_from(digits.len()).unwrap_or(38).clamp(1, 38);
    let value = digits.parse::<i128>().unwrap_or(0);
    Bound::required(hex(&decimal_blob(value)), Ty::Decimal(precision, 0))
}

pub(super) fn decimal(s: &str) -> SqlResult<Bound> {
    let (value, scale) = decimal_text(s).ok_or_else(|| SqlError::of(1007, &[&s]))?;
    let whole = s.split('.').next().unwrap_or("").trim_start_matches('0').len();
    let precision = (u8::try_from(whole).unwrap_or(38) + scale).clamp(1, 38);
    Ok(Bound::required(
        hex(&decimal_blob(value)),
        Ty::Decimal(precision, scale),
    ))
}

pub(super) fn float(s: &str) -> SqlResult<Bound> {
    let text = if s.ends_with(['e', 'E', '+', '-']) {
        format!("{s}0")
    } else {
        s.to_owned()
    };
    let value: f64 = text
        .parse()
        .ok()
        .filter(|f: &f64| f.is_finite())
        .ok_or_else(|| SqlError::syntax(s))?;
    Ok(Bound::required(format!("{value:e}"), Ty::Float))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    format!("x'{}'", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

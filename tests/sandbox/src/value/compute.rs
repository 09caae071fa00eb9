//! Arithmetic on values, with the server's overflow and rounding.

use crate::error::{SqlError, SqlResult};
use crate::value::convert::to_f64;
use crate::value::datum::{fits, rescale};
use crate::value::{Datum, Ty};

/// Makes 8134, for a division by zero.
pub fn divided_by_zero() -> SqlError {
    SqlError::of(8134, &[])
}

fn overflow(ty: Ty) -> SqlError {
    SqlError::overflow(ty.message_name())
}

/// Checks that an integer is in the range of its type.
pub fn int_in_range(value: Option<i64>, ty: Ty) -> SqlResult<i64> {
    let value = value.ok_or_else(|| overflow(ty))?;
    let ok = match ty {
        Ty::TinyInt => (0..=255).contains(&value),
        Ty::SmallInt => i16::try_from(value).is_ok(),
        Ty::Int => i32::try_from(value).is_ok(),
        _ => true,
    };
    if ok { Ok(value) } else { Err(overflow(ty)) }
}

/// Computes integer arithmetic.
pub fn integers(op: u8, a: i64, b: i64, ty: Ty) -> SqlResult<i64> {
    let result = match op {
        b'+' => a.checked_add(b),
        b'-' => a.checked_sub(b),
        b'*' => a.checked_mul(b),
        _ if b == 0 => return Err(divided_by_zero()),
        b'/' => a.checked_div(b),
        _ => a.checked_rem(b).or(Some(0)),
    };
    int_in_range(result, ty)
}

/// Computes float arithmetic.
pub fn floats(op: u8, a: f64, b: f64) -> SqlResult<f64> {
    let result = match op {
        b'+' => a + b,
        b'-' => a - b,
        b'*' => a * b,
        _ if b == 0.0 => return Err(divided_by_zero()),
        _ => a / b,
    };
    if result.is_finite() {
        Ok(result)
    } else {
        Err(overflow(Ty::Float))
    }
}

/// Computes money arithmetic on ten-thousandths.
pub fn money(op: u8, a: i64, b: i64) -> SqlResult<i64> {
    let (a, b) = (i128::from(a), i128::from(b));
    let result = match op {
        b'+' => a + b,
        b'-' => a - b,
        b'*' => rescale(a * b, 8, 4).unwrap_or(i128::MAX),
        _ if b == 0 => return Err(divided_by_zero()),
        b'/' => a * 10_000 / b,
        _ => a % b,
    };
    i64::try_from(result).map_err(|_| overflow(Ty::Money))
}

/// Computes decimal arithmetic, of two unscaled values with their scales, in the result's precision and scale.
pub fn decimals(op: u8, a: (i128, u8), b: (i128, u8), precision: u8, scale: u8) -> SqlResult<i128> {
    let ty = Ty::Decimal(precision, scale);
    let result = match op {
        b'+' | b'-' | b'%' => {
            let meet = a.1.max(b.1);
            let (x, y) = (rescale(a.0, a.1, meet), rescale(b.0, b.1, meet));
            let (Some(x), Some(y)) = (x, y) else {
                return Err(overflow(ty));
            };
            let raw = match op {
                b'+' => x.checked_add(y),
                b'-' => x.checked_sub(y),
                _ if y == 0 => return Err(divided_by_zero()),
                _ => x.checked_rem(y),
            };
            raw.and_then(|v| rescale(v, meet, scale))
        }
        b'*' => multiply(a.0, b.0, a.1 + b.1, scale),
        _ if b.0 == 0 => return Err(divided_by_zero()),
        _ => divide(a, b, scale),
    };
    result.filter(|v| fits(*v, precision)).ok_or_else(|| overflow(ty))
}

/// Multiplies. A product of more than 38 digits overflows, even when some of them would be rounded away.
fn multiply(a: i128, b: i128, from: u8, to: u8) -> Option<i128> {
    rescale(a.checked_mul(b)?, from, to)
}

/// Divides by long division, and truncates the quotient to the wanted scale.
fn divide(a: (i128, u8), b: (i128, u8), scale: u8) -> Option<i128> {
    let mut shift = i32::from(scale) + i32::from(b.1) - i32::from(a.1);
    let divisor = b.0.unsigned_abs();
    let dividend = a.0.unsigned_abs();
    let (mut quotient, mut rest) = (dividend / divisor, dividend % divisor);
    while shift > 0 {
        quotient = quotient.checked_mul(10)?;
        // The rest is less than the divisor and so than 10^38, and ten times that still fits in 128 bits.
        rest = rest.checked_mul(10)?;
        quotient = quotient.checked_add(rest / divisor)?;
        rest %= divisor;
        shift -= 1;
    }
    while shift < 0 {
        quotient /= 10;
        shift += 1;
    }
    let magnitude = i128::try_from(quotient).ok()?;
    Some(if (a.0 < 0) == (b.0 < 0) { magnitude } else { -magnitude })
}

/// Returns a number as float.
pub fn as_float(value: &Datum) -> f64 {
    match value {
        Datum::Int(i) => *i as f64,
        Datum::Dec(v, s) => to_f64(*v, *s),
        Datum::F64(f) => *f,
        _ => 0.0,
    }
}

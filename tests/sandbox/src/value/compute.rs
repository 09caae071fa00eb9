//! Arithmetic on values, with the server's overflow and rounding.

use crate::error::{SqlError, SqlResult};
use crate::value::convert::to_f64;
use crate::value::datum::{fits, pow10, rescale};
use crate::value::{Datum, Ty};

/// 8134
pub fn divided_by_zero() -> SqlError {
    SqlError::new(8134, "Divide by zero error encountered.")
}

fn overflow(ty: Ty) -> SqlError {
    SqlError::overflow(ty.message_name())
}

/// Checks an integer against its type.
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

/// Integer arithmetic.
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

/// Float arithmetic.
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

/// Money arithmetic on ten-thousandths.
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

/// Decimal arithmetic: both unscaled values with their scales, into the result's precision and scale.
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

/// A product at the wanted scale; wide products drop digits of the operands' fractions only as far as needed.
fn multiply(a: i128, b: i128, from: u8, to: u8) -> Option<i128> {
    if let Some(product) = a.checked_mul(b) {
        return rescale(product, from, to);
    }
    let (low, high) = wide_product(a.unsigned_abs(), b.unsigned_abs());
    let divisor = pow10(from.saturating_sub(to)).unsigned_abs();
    let magnitude = wide_quotient(high, low, divisor)?;
    let magnitude = i128::try_from(magnitude).ok()?;
    Some(if (a < 0) == (b < 0) { magnitude } else { -magnitude })
}

fn wide_product(a: u128, b: u128) -> (u128, u128) {
    let mask = u128::from(u64::MAX);
    let (a1, a0, b1, b0) = (a >> 64, a & mask, b >> 64, b & mask);
    let (low, mid1, mid2, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
    let mid = (low >> 64) + (mid1 & mask) + (mid2 & mask);
    (
        (low & mask) | (mid << 64),
        high + (mid1 >> 64) + (mid2 >> 64) + (mid >> 64),
    )
}

/// Rounded quotient of a 256-bit number, bit by bit.
fn wide_quotient(high: u128, low: u128, divisor: u128) -> Option<u128> {
    if high >= divisor {
        return None;
    }
    let (mut rest, mut quotient) = (high, 0_u128);
    for bit in (0..128).rev() {
        let carry = rest >> 127;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry == 1 || rest >= divisor {
            rest = rest.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    if rest >= divisor - rest {
        quotient.checked_add(1)
    } else {
        Some(quotient)
    }
}

/// A quotient truncated to the wanted scale by long division.
fn divide(a: (i128, u8), b: (i128, u8), scale: u8) -> Option<i128> {
    let mut shift = i32::from(scale) + i32::from(b.1) - i32::from(a.1);
    let divisor = b.0.unsigned_abs();
    let dividend = a.0.unsigned_abs();
    let (mut quotient, mut rest) = (dividend / divisor, dividend % divisor);
    while shift > 0 {
        quotient = quotient.checked_mul(10)?;
        // rest < divisor < 10^38, and ten times that still fits in 128 bits.
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

/// Rounds (or cuts) a number to digits after, or before, the point.
pub fn round(value: Datum, digits: i64, cut: bool, ty: Ty) -> SqlResult<Datum> {
    let digits = i8::try_from(digits.clamp(-38, 38)).unwrap_or(0);
    let exact = |v: i128, scale: u8| -> Option<i128> {
        let drop = i16::from(scale) - i16::from(digits);
        if drop <= 0 {
            return Some(v);
        }
        if drop > 38 {
            return Some(0);
        }
        let drop = u8::try_from(drop).ok()?;
        let unit = pow10(drop);
        let kept = if cut { v / unit } else { rescale(v, drop, 0)? };
        kept.checked_mul(unit)
    };
    Ok(match value {
        Datum::Int(i) => {
            let result = exact(i128::from(i), 0).and_then(|v| i64::try_from(v).ok());
            Datum::Int(int_in_range(result, ty)?)
        }
        Datum::Dec(v, s) => Datum::Dec(exact(v, s).ok_or_else(|| overflow(ty))?, s),
        Datum::F64(f) => {
            let unit = 10_f64.powi(i32::from(digits));
            let scaled = f * unit;
            let result = if cut { scaled.trunc() } else { scaled.round() } / unit;
            Datum::F64(if result.is_finite() { result } else { f })
        }
        other => other,
    })
}

/// The greatest whole number not above, or the least not below.
pub fn whole(value: Datum, up: bool) -> Datum {
    match value {
        Datum::Dec(v, s) => {
            let unit = pow10(s);
            let floor = v.div_euclid(unit);
            let result = if up && v.rem_euclid(unit) != 0 {
                floor + 1
            } else {
                floor
            };
            Datum::Dec(result, 0)
        }
        Datum::F64(f) => Datum::F64(if up { f.ceil() } else { f.floor() }),
        other => other,
    }
}

/// A number as float.
pub fn as_float(value: &Datum) -> f64 {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Datum::Int(i) => *i as f64,
        Datum::Dec(v, s) => to_f64(*v, *s),
        Datum::F64(f) => *f,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_overflow_at_their_type() {
        assert_eq!(integers(b'+', 2_147_483_647, 1, Ty::Int).unwrap_err().number, 8115);
        assert_eq!(integers(b'/', 7, 2, Ty::Int).unwrap(), 3);
        assert_eq!(integers(b'/', 7, 0, Ty::Int).unwrap_err().number, 8134);
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(decimals(b'/', (1, 0), (3, 0), 18, 6).unwrap(), 333_333);
        assert_eq!(decimals(b'*', (125, 2), (20, 1), 10, 3).unwrap(), 2500);
        let big = 12_345_678_901_234_567_890_123_456_789_i128;
        assert_eq!(
            decimals(b'*', (big, 10), (10_i128.pow(10), 10), 38, 6).unwrap(),
            rescale(big, 10, 6).unwrap()
        );
        assert_eq!(decimals(b'+', (1, 1), (1, 2), 5, 2).unwrap(), 11);
    }
}

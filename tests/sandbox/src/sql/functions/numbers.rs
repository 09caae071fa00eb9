//! Arithmetic and mathematics.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::{Args, IMPURE, PURE, scalar};
use crate::error::{SqlError, SqlResult};
use crate::value::convert::{self, decimal_text};
use crate::value::datum::{bad, blob_decimal, decimal_blob};
use crate::value::{Datum, Ty, compute};

fn arithmetic(op: u8, a: &Args<'_, '_>) -> SqlResult<Value> {
    if a.any_null(2) {
        return Ok(Value::Null);
    }
    let ty = a.ty(2)?;
    match (a.raw(0), a.raw(1), ty) {
        (ValueRef::Integer(x), ValueRef::Integer(y), Ty::Money | Ty::SmallMoney) => {
            compute::money(op, x, y).map(Value::Integer)
        }
        (ValueRef::Integer(x), ValueRef::Integer(y), _) if ty.is_int() => {
            compute::integers(op, x, y, ty).map(Value::Integer)
        }
        (ValueRef::Blob(x), ValueRef::Blob(y), Ty::Decimal(p, s)) => {
            let scale = |at| a.int(at).and_then(|n| u8::try_from(n).map_err(|_| bad("scale")));
            let (x, y) = ((blob_decimal(x)?, scale(3)?), (blob_decimal(y)?, scale(4)?));
            Ok(Value::Blob(decimal_blob(compute::decimals(op, x, y, p, s)?).to_vec()))
        }
        _ => {
            let x = compute::as_float(&a.datum(0, Ty::Float)?);
            let y = compute::as_float(&a.datum(1, Ty::Float)?);
            compute::floats(op, x, y).map(Value::Real)
        }
    }
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    for (name, op) in [
        ("t_add", b'+'),
        ("t_sub", b'-'),
        ("t_mul", b'*'),
        ("t_div", b'/'),
        ("t_mod", b'%'),
    ] {
        scalar(conn, name, -1, PURE, move |a| arithmetic(op, a))?;
    }
    scalar(conn, "t_neg", 2, PURE, |a| {
        let ty = a.ty(1)?;
        Ok(match a.datum(0, ty)? {
            Datum::Int(i) => Value::Integer(compute::int_in_range(i.checked_neg(), ty)?),
            Datum::Dec(v, s) => Datum::Dec(-v, s).write_as(ty),
            Datum::F64(f) => Value::Real(-f),
            other => other.write_as(ty),
        })
    })?;
    scalar(conn, "t_abs", 2, PURE, |a| {
        let ty = a.ty(1)?;
        Ok(match a.datum(0, ty)? {
            Datum::Int(i) => Value::Integer(compute::int_in_range(i.checked_abs(), ty)?),
            Datum::Dec(v, s) => Datum::Dec(v.abs(), s).write_as(ty),
            Datum::F64(f) => Value::Real(f.abs()),
            other => other.write_as(ty),
        })
    })?;
    scalar(conn, "t_sign", 2, PURE, |a| {
        let ty = a.ty(1)?;
        Ok(match a.datum(0, ty)? {
            Datum::Int(i) => Value::Integer(i.signum()),
            Datum::Dec(v, s) => Datum::Dec(v.signum() * crate::value::datum::pow10(s), s).write_as(ty),
            Datum::F64(f) => Value::Real(if f == 0.0 { 0.0 } else { f.signum() }),
            other => other.write_as(ty),
        })
    })?;
    for (name, up) in [("t_ceiling", true), ("t_floor", false)] {
        scalar(conn, name, 2, PURE, move |a| {
            let ty = a.ty(1)?;
            let result = compute::whole(a.datum(0, ty)?, up);
            Ok(match (result, ty) {
                (Datum::Dec(v, _), Ty::Money | Ty::SmallMoney) => Datum::Dec(v * 10_000, 4).write_as(ty),
                (other, _) => other.write_as(ty),
            })
        })?;
    }
    scalar(conn, "t_round", 4, PURE, |a| {
        if a.any_null(3) {
            return Ok(Value::Null);
        }
        let ty = a.ty(3)?;
        Ok(compute::round(a.datum(0, ty)?, a.int(1)?, a.int(2)? != 0, ty)?.write_as(ty))
    })?;
    scalar(conn, "t_power", 2, PURE, |a| {
        if a.any_null(2) {
            return Ok(Value::Null);
        }
        finite(compute::as_float(&a.datum(0, Ty::Float)?).powf(compute::as_float(&a.datum(1, Ty::Float)?)))
    })?;
    scalar(conn, "t_math", 2, PURE, |a| {
        if a.is_null(1) {
            return Ok(Value::Null);
        }
        let x = compute::as_float(&a.datum(1, Ty::Float)?);
        finite(match a.text(0)? {
            "SQRT" => x.sqrt(),
            "EXP" => x.exp(),
            "LOG" => x.ln(),
            "LOG10" => x.log10(),
            "SIN" => x.sin(),
            "COS" => x.cos(),
            _ => x * x,
        })
    })?;
    scalar(conn, "t_limit", 1, PURE, |a| match a.raw(0) {
        ValueRef::Integer(n) if n >= 0 => Ok(Value::Integer(n)),
        _ => Err(SqlError::new(127, "A TOP N or FETCH rowcount value may not be negative.").class(15)),
    })?;
    scalar(conn, "t_isnumeric", 2, PURE, |a| {
        let ty = a.ty(1)?;
        Ok(Value::Integer(i64::from(match a.datum(0, ty)? {
            Datum::Str(s) => decimal_text(s.trim()).is_some() || s.trim().parse::<f64>().is_ok_and(f64::is_finite),
            Datum::Null => false,
            _ => ty.is_number(),
        })))
    })?;
    scalar(conn, "t_checksum", -1, PURE, checksum)?;
    scalar(conn, "t_newid", 0, IMPURE, |_| {
        Ok(Datum::Guid(uuid::Uuid::new_v4().to_bytes_le()).write())
    })?;
    scalar(conn, "t_rand", 0, IMPURE, |_| {
        let bits = u32::from_le_bytes(
            *uuid::Uuid::new_v4()
                .as_bytes()
                .first_chunk()
                .ok_or_else(|| bad("random"))?,
        );
        Ok(Value::Real(f64::from(bits) / f64::from(u32::MAX)))
    })
}

fn finite(x: f64) -> SqlResult<Value> {
    if x.is_finite() {
        Ok(Value::Real(x))
    } else {
        Err(SqlError::new(3623, "An invalid floating point operation occurred."))
    }
}

/// A hash of the arguments. One int is its own checksum, as on the server; the rest has the stand-in's own values.
fn checksum(a: &Args<'_, '_>) -> SqlResult<Value> {
    if a.len() == 2
        && a.ty(1)? == Ty::Int
        && let ValueRef::Integer(i) = a.raw(0)
    {
        return Ok(Value::Integer(i));
    }
    let mut hash: u32 = 0x811C_9DC5;
    let mut mix = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    for at in (0..a.len()).step_by(2) {
        match a.raw(at) {
            ValueRef::Null => mix(0),
            ValueRef::Integer(i) => i.to_le_bytes().into_iter().for_each(&mut mix),
            ValueRef::Real(f) => f.to_le_bytes().into_iter().for_each(&mut mix),
            ValueRef::Text(t) => t.to_ascii_lowercase().into_iter().for_each(&mut mix),
            ValueRef::Blob(b) => b.iter().copied().for_each(&mut mix),
        }
    }
    Ok(Value::Integer(i64::from(hash.cast_signed())))
}

/// Kept beside the functions that need it: a number as text of the given type.
pub(super) fn as_text(value: Datum, ty: Ty) -> SqlResult<String> {
    match convert::datum(
        value,
        ty,
        Ty::NVarChar(crate::value::MAX),
        crate::value::format::DEFAULT_STYLE,
    )? {
        Datum::Str(s) => Ok(s),
        _ => Ok(String::new()),
    }
}

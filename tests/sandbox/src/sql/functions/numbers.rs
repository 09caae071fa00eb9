//! Arithmetic, and the other functions that make numbers.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::{Args, IMPURE, PURE, scalar, strict};
use crate::error::{SqlError, SqlResult};
use crate::value::datum::{bad, blob_decimal, decimal_blob};
use crate::value::{Datum, Ty, compute};

/// Computes `a op b` in the type that the third argument is. Decimals come with their scales.
fn arithmetic(op: u8, a: &Args<'_, '_>) -> SqlResult<Value> {
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

/// Returns the negative of a number.
fn negative(a: &Args<'_, '_>) -> SqlResult<Value> {
    let ty = a.ty(1)?;
    Ok(match a.datum(0, ty)? {
        Datum::Int(i) => Value::Integer(compute::int_in_range(i.checked_neg(), ty)?),
        Datum::Dec(v, s) => Datum::Dec(-v, s).write_as(ty),
        Datum::F64(f) => Value::Real(-f),
        other => other.write_as(ty),
    })
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    for (name, op) in [
        ("t_add", b'+'),
        ("t_sub", b'-'),
        ("t_mul", b'*'),
        ("t_div", b'/'),
        ("t_mod", b'%'),
    ] {
        scalar(conn, name, -1, PURE, move |a| {
            if a.any_null(2) {
                return Ok(Value::Null);
            }
            arithmetic(op, a)
        })?;
    }
    strict(conn, "t_neg", 2, negative)?;
    scalar(conn, "t_limit", 1, PURE, |a| match a.raw(0) {
        ValueRef::Integer(n) if n >= 0 => Ok(Value::Integer(n)),
        _ => Err(SqlError::of(127, &[])),
    })?;
    scalar(conn, "t_newid", 0, IMPURE, |_| {
        Ok(Datum::Guid(uuid::Uuid::new_v4().to_bytes_le()).write())
    })
}

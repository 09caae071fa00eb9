//! One value in memory, and its form in SQLite.
//!
//! The stored form of every type orders as the type does: integers for numbers, dates and times; 16 big-endian bytes
//! with the sign bit flipped for decimals; UTC ticks then offset for `datetimeoffset`; and the server's own byte order
//! for `uniqueidentifier`.

use rusqlite::types::{Value, ValueRef};

use crate::error::{SqlError, SqlResult};
use crate::value::Ty;

/// A value, without the length or scale of its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// NULL
    Null,
    /// A bit or an integer
    Int(i64),
    /// A decimal or money: the unscaled value and the scale
    Dec(i128, u8),
    /// A float or a real
    F64(f64),
    /// Days since 0001-01-01
    Date(i64),
    /// 100 ns ticks since midnight
    Time(i64),
    /// A datetime or smalldatetime, in 1/300 s since 1900-01-01
    DateTime(i64),
    /// 100 ns ticks since 0001-01-01
    DateTime2(i64),
    /// 100 ns ticks since 0001-01-01 UTC, and the offset in minutes
    Offset(i64, i16),
    /// A value of any character type
    Str(String),
    /// A value of any type of bytes
    Bytes(Vec<u8>),
    /// The 16 bytes of a uniqueidentifier on the wire
    Guid([u8; 16]),
}

/// The order in which SQL Server compares the bytes of a uniqueidentifier.
const GUID_ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3];

const SIGN: u128 = 1 << 127;

/// Returns the stored form of a decimal.
pub fn decimal_blob(value: i128) -> [u8; 16] {
    (value.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// Returns the unscaled value of a stored decimal.
pub fn blob_decimal(blob: &[u8]) -> SqlResult<i128> {
    let bytes: [u8; 16] = blob.try_into().map_err(|_| bad("decimal"))?;
    Ok((u128::from_be_bytes(bytes) ^ SIGN).cast_signed())
}

/// Returns the stored form of a `datetimeoffset`.
pub fn offset_blob(utc: i64, offset: i16) -> [u8; 10] {
    let mut blob = [0; 10];
    blob[..8].copy_from_slice(&utc.to_be_bytes());
    blob[8..].copy_from_slice(&(offset + 840).to_be_bytes());
    blob
}

/// Returns the UTC ticks and the offset of a stored `datetimeoffset`.
pub fn blob_offset(blob: &[u8]) -> SqlResult<(i64, i16)> {
    let (Some(utc), Some(offset)) = (blob.first_chunk::<8>(), blob.last_chunk::<2>()) else {
        return Err(bad("datetimeoffset"));
    };
    Ok((i64::from_be_bytes(*utc), i16::from_be_bytes(*offset) - 840))
}

/// Returns the stored form of a uniqueidentifier.
pub fn guid_blob(wire: &[u8; 16]) -> [u8; 16] {
    GUID_ORDER.map(|at| wire[at])
}

/// Returns the wire form of a stored uniqueidentifier.
pub fn blob_guid(blob: &[u8]) -> SqlResult<[u8; 16]> {
    let blob: &[u8; 16] = blob.try_into().map_err(|_| bad("uniqueidentifier"))?;
    let mut wire = [0; 16];
    for (byte, at) in blob.iter().zip(GUID_ORDER) {
        wire[at] = *byte;
    }
    Ok(wire)
}

/// Makes the error of a stored value that does not have its type's form, which is a fault of the stand-in.
pub fn bad(ty: &str) -> SqlError {
    SqlError::of(8624, &[&format!("a stored value is not of type {}", ty)])
}

impl Datum {
    /// Reads a stored value.
    pub fn read(value: ValueRef<'_>, ty: Ty) -> SqlResult<Datum> {
        Ok(match (value, ty) {
            (ValueRef::Null, _) => Datum::Null,
            (ValueRef::Integer(i), _) if ty.is_int() => Datum::Int(i),
            (ValueRef::Integer(i), Ty::Money | Ty::SmallMoney) => Datum::Dec(i128::from(i), 4),
            (ValueRef::Integer(i), Ty::Date) => Datum::Date(i),
            (ValueRef::Integer(i), Ty::Time(_)) => Datum::Time(i),
            (ValueRef::Integer(i), Ty::DateTime | Ty::SmallDateTime) => Datum::DateTime(i),
            (ValueRef::Integer(i), Ty::DateTime2(_)) => Datum::DateTime2(i),
            (ValueRef::Integer(i), Ty::Float | Ty::Real) => Datum::F64(i as f64),
            (ValueRef::Real(f), Ty::Float | Ty::Real) => Datum::F64(f),
            (ValueRef::Text(t), _) if ty.is_string() => Datum::Str(String::from_utf8_lossy(t).into_owned()),
            (ValueRef::Blob(b), Ty::Decimal(_, s)) => Datum::Dec(blob_decimal(b)?, s),
            (ValueRef::Blob(b), Ty::DateTimeOffset(_)) => {
                let (utc, offset) = blob_offset(b)?;
                Datum::Offset(utc, offset)
            }
            (ValueRef::Blob(b), Ty::Guid) => Datum::Guid(blob_guid(b)?),
            (ValueRef::Blob(b), _) if ty.is_binary() => Datum::Bytes(b.to_vec()),
            _ => return Err(bad(ty.name())),
        })
    }

    /// Returns the stored form. The value must be of the type's family.
    pub fn write(self) -> Value {
        match self {
            Datum::Null => Value::Null,
            Datum::Int(i) | Datum::Date(i) | Datum::Time(i) | Datum::DateTime(i) | Datum::DateTime2(i) => {
                Value::Integer(i)
            }
            Datum::Dec(v, _) => Value::Blob(decimal_blob(v).to_vec()),
            Datum::F64(f) => Value::Real(f),
            Datum::Offset(utc, offset) => Value::Blob(offset_blob(utc, offset).to_vec()),
            Datum::Str(s) => Value::Text(s),
            Datum::Bytes(b) => Value::Blob(b),
            Datum::Guid(g) => Value::Blob(guid_blob(&g).to_vec()),
        }
    }

    /// Returns the stored form in a column of the given type, in which money is an integer and decimal is not.
    pub fn write_as(self, ty: Ty) -> Value {
        match (self, ty) {
            (Datum::Dec(v, _), Ty::Money | Ty::SmallMoney) => i64::try_from(v).map_or(Value::Null, Value::Integer),
            (datum, _) => datum.write(),
        }
    }
}

/// Returns ten to the power of a scale.
pub fn pow10(scale: u8) -> i128 {
    10_i128.pow(u32::from(scale.min(38)))
}

/// Changes the scale of an unscaled value, and rounds half away from zero. Returns `None` on overflow.
pub fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(pow10(to - from));
    }
    let unit = pow10(from - to);
    let (quotient, rest) = (value / unit, value % unit);
    Some(if rest.unsigned_abs() * 2 >= unit.unsigned_abs() {
        quotient + value.signum()
    } else {
        quotient
    })
}

/// Returns whether the value has at most `precision` digits.
pub fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < pow10(precision).unsigned_abs()
}

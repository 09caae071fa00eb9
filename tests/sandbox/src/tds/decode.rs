//! Types and values as clients send them: parameters and rows of a bulk load.

use rusqlite::types::Value;
use tidemark_tds::reader::Reader;

use super::incorrect;
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{DATETIME_DAY, DAY};
use crate::value::datum::Datum;
use crate::value::{Collation, MAX, Page, Ty, collation};

/// A type on the wire, and how its values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireType {
    /// The type.
    pub ty: Ty,
    form: Form,
    page: Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Null,
    Fixed(usize),
    Byte,
    Short,
    Plp,
    Pointer,
}

/// Reads TYPE_INFO: the type, and how its values come.
///
/// Fails with 8009 for a type that is unknown, and with 40510 for one that is not offered.
pub fn type_info(r: &mut Reader<'_>) -> SqlResult<WireType> {
    let token = r.u8()?;
    let plain = |ty: Ty, form: Form| {
        let page = collation::DEFAULT.page(ty);
        Ok(WireType { ty, form, page })
    };
    if let Some(ty) = Ty::of_token(token, None) {
        let bytes = usize::try_from(ty.max_length()).map_err(|_| incorrect())?;
        return plain(ty, Form::Fixed(bytes));
    }
    match token {
        0x1F => plain(Ty::Int, Form::Null),
        0x24 | 0x26 | 0x68 | 0x6D..=0x6F => {
            let ty = Ty::of_token(token, Some(r.u8()?)).ok_or_else(|| unknown(token))?;
            plain(ty, Form::Byte)
        }
        0x28 => plain(Ty::Date, Form::Byte),
        0x29..=0x2B | 0x37 | 0x3F | 0x6A | 0x6C => plain(digits(r, token)?, Form::Byte),
        0xA5 | 0xA7 | 0xAD | 0xAF | 0xE7 | 0xEF => sized(r, token),
        0x22 | 0x23 | 0x63 => {
            r.u32()?;
            let ty = match token {
                0x22 => return plain(Ty::Image, Form::Pointer),
                0x23 => Ty::Text,
                _ => Ty::NText,
            };
            let page = Collation::of_wire(r.bytes(5)?).page(ty);
            let form = Form::Pointer;
            Ok(WireType { ty, form, page })
        }
        0xF1 => {
            if r.u8()? != 0 {
                r.b_varchar()?;
                r.b_varchar()?;
                r.us_varchar()?;
            }
            plain(Ty::Xml, Form::Plp)
        }
        0x62 => Err(SqlError::unsupported("sql_variant parameters")),
        0xF3 => Err(SqlError::unsupported("table-valued parameters of clients")),
        0xF0 => Err(SqlError::unsupported("CLR type parameters")),
        _ => Err(unknown(token)),
    }
}

/// Reads a type with a precision or a scale.
fn digits(r: &mut Reader<'_>, token: u8) -> SqlResult<Ty> {
    if token > 0x2B {
        r.u8()?;
        let (p, s) = (r.u8()?, r.u8()?);
        let fits = (1..=38).contains(&p) && s <= p;
        return if fits {
            Ok(Ty::Decimal(p, s))
        } else {
            Err(unknown(token))
        };
    }
    match (token, r.u8()?) {
        (0x29, scale @ 0..=7) => Ok(Ty::Time(scale)),
        (0x2A, scale @ 0..=7) => Ok(Ty::DateTime2(scale)),
        (_, scale @ 0..=7) => Ok(Ty::DateTimeOffset(scale)),
        _ => Err(unknown(token)),
    }
}

/// Reads a type of characters or bytes with a length, or `(max)`.
fn sized(r: &mut Reader<'_>, token: u8) -> SqlResult<WireType> {
    let n = r.u16()?.max(1);
    let units = if n == MAX { MAX } else { (n / 2).max(1) };
    let ty = match token {
        0xA5 => Ty::VarBinary(n),
        0xAD => Ty::Binary(n),
        0xA7 => Ty::VarChar(n),
        0xAF => Ty::Char(n),
        0xE7 => Ty::NVarChar(units),
        _ => Ty::NChar(units),
    };
    let collation = if ty.is_string() {
        Collation::of_wire(r.bytes(5)?)
    } else {
        collation::DEFAULT
    };
    let page = collation.page(ty);
    let form = if n == MAX { Form::Plp } else { Form::Short };
    Ok(WireType { ty, form, page })
}

fn unknown(token: u8) -> SqlError {
    SqlError::of(8009, &[&format!("{token:02X}")])
}

/// Reads a value in a row of a bulk load, where text and image come with pointers.
///
/// Fails with 4002 when the bytes are not a value of the type.
pub fn value(r: &mut Reader<'_>, ty: WireType) -> SqlResult<Value> {
    let bytes = match ty.form {
        Form::Pointer => {
            let pointer = usize::from(r.u8()?);
            if pointer == 0 {
                return Ok(Value::Null);
            }
            r.bytes(pointer + 8)?;
            let length = r.u32()?;
            Some(r.bytes(usize::try_from(length).map_err(|_| incorrect())?)?.to_vec())
        }
        _ => raw(r, ty.form)?,
    };
    read(bytes, ty)
}

/// Reads the value of a parameter, where text and image come with a length only.
///
/// Fails with 4002 when the bytes are not a value of the type.
pub fn parameter(r: &mut Reader<'_>, ty: WireType) -> SqlResult<Value> {
    let bytes = match ty.form {
        Form::Pointer => match r.u32()? {
            u32::MAX => None,
            length => Some(r.bytes(usize::try_from(length).map_err(|_| incorrect())?)?.to_vec()),
        },
        form => raw(r, form)?,
    };
    read(bytes, ty)
}

fn raw(r: &mut Reader<'_>, form: Form) -> SqlResult<Option<Vec<u8>>> {
    Ok(match form {
        Form::Null => None,
        Form::Fixed(count) => Some(r.bytes(count)?.to_vec()),
        Form::Byte => match usize::from(r.u8()?) {
            0 => None,
            count => Some(r.bytes(count)?.to_vec()),
        },
        Form::Short => match r.u16()? {
            u16::MAX => None,
            count => Some(r.bytes(usize::from(count))?.to_vec()),
        },
        Form::Plp => {
            if r.u64()? == u64::MAX {
                return Ok(None);
            }
            let mut all = Vec::new();
            loop {
                match usize::try_from(r.u32()?).map_err(|_| incorrect())? {
                    0 => return Ok(Some(all)),
                    count => all.extend_from_slice(r.bytes(count)?),
                }
            }
        }
        Form::Pointer => return Err(incorrect()),
    })
}

fn number(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    let count = bytes.len().min(8);
    wide[..count].copy_from_slice(&bytes[..count]);
    i64::from_le_bytes(wide)
}

/// Returns a little-endian number with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len().clamp(1, 8);
    number(bytes) << unused >> unused
}

fn read(bytes: Option<Vec<u8>>, wire: WireType) -> SqlResult<Value> {
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    let ty = wire.ty;
    let fixed = Ty::of_token(ty.tokens().0, None).is_some() || ty == Ty::Date;
    if fixed && i64::try_from(bytes.len()) != Ok(ty.max_length()) {
        return Err(incorrect());
    }
    let datum = match ty {
        Ty::Bit => Datum::Int(i64::from(number(&bytes) != 0)),
        Ty::TinyInt | Ty::BigInt => Datum::Int(number(&bytes)),
        Ty::SmallInt | Ty::Int => Datum::Int(signed(&bytes)),
        Ty::SmallMoney => Datum::Dec(i128::from(signed(&bytes)), 4),
        Ty::Money => Datum::Dec(i128::from(number(&bytes).rotate_left(32)), 4),
        Ty::Real => Datum::F64(f64::from(f32::from_bits(number(&bytes) as u32))),
        Ty::Float => Datum::F64(f64::from_bits(number(&bytes).cast_unsigned())),
        Ty::Decimal(_, s) => {
            let (sign, magnitude) = bytes.split_first().ok_or_else(incorrect)?;
            let mut wide = [0; 16];
            if magnitude.len() > 16 {
                return Err(incorrect());
            }
            wide[..magnitude.len()].copy_from_slice(magnitude);
            let value = i128::from_le_bytes(wide);
            Datum::Dec(if *sign == 0 { -value } else { value }, s)
        }
        Ty::Date => Datum::Date(number(&bytes)),
        Ty::Time(n) => Datum::Time(ticks(&bytes, n)),
        Ty::DateTime2(n) => {
            let (time, date) = bytes
                .split_at_checked(bytes.len().wrapping_sub(3))
                .ok_or_else(incorrect)?;
            Datum::DateTime2(number(date) * DAY + ticks(time, n))
        }
        Ty::DateTimeOffset(n) => {
            let (time, rest) = bytes
                .split_at_checked(bytes.len().wrapping_sub(5))
                .ok_or_else(incorrect)?;
            let offset = i16::from_le_bytes([rest[3], rest[4]]);
            Datum::Offset(number(&rest[..3]) * DAY + ticks(time, n), offset)
        }
        Ty::SmallDateTime => Datum::DateTime((number(&bytes[..2]) * 1440 + number(&bytes[2..])) * 18_000),
        Ty::DateTime => Datum::DateTime(signed(&bytes[..4]) * DATETIME_DAY + number(&bytes[4..])),
        Ty::Guid => Datum::Guid(bytes.try_into().map_err(|_| incorrect())?),
        _ if ty.is_binary() => Datum::Bytes(bytes),
        _ if ty.is_unicode() => {
            if bytes.len() % 2 != 0 {
                return Err(incorrect());
            }
            let bytes = bytes
                .strip_prefix(&[0xFF, 0xFE])
                .filter(|_| ty == Ty::Xml)
                .unwrap_or(&bytes);
            Datum::Str(wire.page.decode(bytes))
        }
        _ => Datum::Str(wire.page.decode(&bytes)),
    };
    Ok(datum.write_as(ty))
}

fn ticks(bytes: &[u8], scale: u8) -> i64 {
    number(bytes) * 10_i64.pow(7 - u32::from(scale.min(7)))
}

//! Types and values as clients send them: parameters and rows of a bulk load.

use rusqlite::types::Value;

use super::reader::{Reader, incorrect};
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{DATETIME_DAY, DAY};
use crate::value::datum::Datum;
use crate::value::{MAX, Ty, text};

/// A type on the wire: which it is and how its values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireType {
    /// The type.
    pub ty: Ty,
    form: Form,
    utf8: bool,
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

/// Reads TYPE_INFO.
///
/// # Errors
/// 8009 for a type that is not known, 40510 for one that the stand-in does not have.
pub fn type_info(r: &mut Reader<'_>) -> SqlResult<WireType> {
    let token = r.u8()?;
    let plain = |ty: Ty, form: Form| Ok(WireType { ty, form, utf8: false });
    let fixed = |ty: Ty, bytes: usize| plain(ty, Form::Fixed(bytes));
    match token {
        0x1F => plain(Ty::Int, Form::Null),
        0x30 => fixed(Ty::TinyInt, 1),
        0x32 => fixed(Ty::Bit, 1),
        0x34 => fixed(Ty::SmallInt, 2),
        0x38 => fixed(Ty::Int, 4),
        0x7F => fixed(Ty::BigInt, 8),
        0x3A => fixed(Ty::SmallDateTime, 4),
        0x3D => fixed(Ty::DateTime, 8),
        0x3B => fixed(Ty::Real, 4),
        0x3E => fixed(Ty::Float, 8),
        0x3C => fixed(Ty::Money, 8),
        0x7A => fixed(Ty::SmallMoney, 4),
        0x24 => {
            r.u8()?;
            plain(Ty::Guid, Form::Byte)
        }
        0x26 => match r.u8()? {
            1 => plain(Ty::TinyInt, Form::Byte),
            2 => plain(Ty::SmallInt, Form::Byte),
            4 => plain(Ty::Int, Form::Byte),
            8 => plain(Ty::BigInt, Form::Byte),
            _ => Err(unknown(token)),
        },
        0x68 => {
            r.u8()?;
            plain(Ty::Bit, Form::Byte)
        }
        0x6D => plain(if r.u8()? == 4 { Ty::Real } else { Ty::Float }, Form::Byte),
        0x6E => plain(if r.u8()? == 4 { Ty::SmallMoney } else { Ty::Money }, Form::Byte),
        0x6F => plain(if r.u8()? == 4 { Ty::SmallDateTime } else { Ty::DateTime }, Form::Byte),
        0x37 | 0x3F | 0x6A | 0x6C => {
            r.u8()?;
            let (p, s) = (r.u8()?, r.u8()?);
            if !(1..=38).contains(&p) || s > p {
                return Err(unknown(token));
            }
            plain(Ty::Decimal(p, s), Form::Byte)
        }
        0x28 => plain(Ty::Date, Form::Byte),
        0x29..=0x2B => {
            let scale = r.u8()?;
            if scale > 7 {
                return Err(unknown(token));
            }
            plain(
                match token {
                    0x29 => Ty::Time(scale),
                    0x2A => Ty::DateTime2(scale),
                    _ => Ty::DateTimeOffset(scale),
                },
                Form::Byte,
            )
        }
        0xA5 | 0xAD => {
            let n = r.u16()?;
            let ty = if token == 0xAD {
                Ty::Binary(n.max(1))
            } else {
                Ty::VarBinary(n.max(1))
            };
            plain(ty, if n == MAX { Form::Plp } else { Form::Short })
        }
        0xA7 | 0xAF | 0xE7 | 0xEF => {
            let n = r.u16()?;
            let collation = r.bytes(5)?;
            let utf8 = collation[3] & 0x04 != 0;
            let units = if n == MAX { MAX } else { (n / 2).max(1) };
            let ty = match token {
                0xA7 => Ty::VarChar(n.max(1)),
                0xAF => Ty::Char(n.max(1)),
                0xE7 => Ty::NVarChar(units),
                _ => Ty::NChar(units),
            };
            Ok(WireType {
                ty,
                form: if n == MAX { Form::Plp } else { Form::Short },
                utf8: utf8 && token < 0xE0,
            })
        }
        0x22 => {
            r.u32()?;
            plain(Ty::Image, Form::Pointer)
        }
        0x23 | 0x63 => {
            r.u32()?;
            r.bytes(5)?;
            plain(if token == 0x23 { Ty::Text } else { Ty::NText }, Form::Pointer)
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
        0xF0 => Err(SqlError::unsupported("CLR type parameters")),
        _ => Err(unknown(token)),
    }
}

fn unknown(token: u8) -> SqlError {
    SqlError::new(
        8009,
        format!("The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Data type 0x{token:02X} is unknown."),
    )
    .state(1)
}

/// Reads a value in a row of a bulk load, where text and image come with pointers.
///
/// # Errors
/// 4002 when the bytes are not a value of the type.
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
/// # Errors
/// 4002 when the bytes are not a value of the type.
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

fn read(bytes: Option<Vec<u8>>, wire: WireType) -> SqlResult<Value> {
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    let ty = wire.ty;
    let need = |count: usize| if bytes.len() == count { Ok(()) } else { Err(incorrect()) };
    let datum = match ty {
        Ty::Bit => Datum::Int(i64::from(number(&bytes) != 0)),
        Ty::TinyInt => Datum::Int(number(&bytes)),
        Ty::SmallInt => {
            need(2)?;
            Datum::Int(i64::from(i16::from_le_bytes([bytes[0], bytes[1]])))
        }
        Ty::Int | Ty::SmallMoney => {
            need(4)?;
            let value = i64::from(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            if ty == Ty::Int {
                Datum::Int(value)
            } else {
                Datum::Dec(i128::from(value), 4)
            }
        }
        Ty::BigInt => {
            need(8)?;
            Datum::Int(number(&bytes))
        }
        Ty::Money => {
            need(8)?;
            let high = i64::from(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            Datum::Dec(i128::from(high << 32 | (number(&bytes[4..]) & 0xFFFF_FFFF)), 4)
        }
        Ty::Real => {
            need(4)?;
            Datum::F64(f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        }
        Ty::Float => {
            need(8)?;
            Datum::F64(f64::from_bits(number(&bytes).cast_unsigned()))
        }
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
        Ty::Date => {
            need(3)?;
            Datum::Date(number(&bytes))
        }
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
        Ty::SmallDateTime => {
            need(4)?;
            Datum::DateTime((number(&bytes[..2]) * 1440 + number(&bytes[2..])) * 18_000)
        }
        Ty::DateTime => {
            need(8)?;
            let days = i64::from(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            Datum::DateTime(days * DATETIME_DAY + number(&bytes[4..]))
        }
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
            Datum::Str(text::from_utf16(bytes))
        }
        _ if wire.utf8 => Datum::Str(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Datum::Str(text::from_bytes(&bytes)),
    };
    Ok(datum.write_as(ty))
}

fn ticks(bytes: &[u8], scale: u8) -> i64 {
    number(bytes) * 10_i64.pow(7 - u32::from(scale.min(7)))
}

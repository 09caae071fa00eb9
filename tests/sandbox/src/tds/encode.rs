//! Types and values as the server sends them.

use rusqlite::types::ValueRef;

use crate::error::SqlResult;
use crate::value::calendar::{DATETIME_DAY, DAY};
use crate::value::datum::{bad, blob_decimal, blob_guid, blob_offset};
use crate::value::ty::{decimal_bytes, time_bytes};
use crate::value::{Clr, MAX, Ty, text};

/// `SQL_Latin1_General_CP1_CI_AS`.
pub const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// Bytes of a `(max)` value in a chunk at most. Clients refuse chunks of many megabytes.
const CHUNK: usize = 8_000;

/// Writes text with a length byte.
pub fn b_varchar(out: &mut Vec<u8>, s: &str) {
    let units: Vec<u16> = s.encode_utf16().take(255).collect();
    out.push(units.len().to_le_bytes()[0]);
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// Writes text with a two-byte length.
pub fn us_varchar(out: &mut Vec<u8>, s: &str) {
    let units: Vec<u16> = s.encode_utf16().take(65_535).collect();
    out.extend_from_slice(&u16::try_from(units.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// The user type of COLMETADATA: 80 for rowversion, 0 for all others.
pub fn user_type(ty: Ty) -> u32 {
    if ty == Ty::RowVersion { 80 } else { 0 }
}

/// Writes TYPE_INFO. Columns that are never NULL have the fixed-length types where there are such.
pub fn type_info(out: &mut Vec<u8>, ty: Ty, nullable: bool) {
    let sized = |out: &mut Vec<u8>, token: u8, bytes: u16, collated: bool| {
        out.push(token);
        out.extend_from_slice(&bytes.to_le_bytes());
        if collated {
            out.extend_from_slice(&COLLATION);
        }
    };
    let long = |out: &mut Vec<u8>, token: u8, limit: u32, collated: bool| {
        out.push(token);
        out.extend_from_slice(&limit.to_le_bytes());
        if collated {
            out.extend_from_slice(&COLLATION);
        }
    };
    let double = |n: u16| if n == MAX { MAX } else { n * 2 };
    match (ty, nullable) {
        (Ty::Bit, false) => out.push(0x32),
        (Ty::Bit, true) => out.extend([0x68, 1]),
        (Ty::TinyInt, false) => out.push(0x30),
        (Ty::TinyInt, true) => out.extend([0x26, 1]),
        (Ty::SmallInt, false) => out.push(0x34),
        (Ty::SmallInt, true) => out.extend([0x26, 2]),
        (Ty::Int, false) => out.push(0x38),
        (Ty::Int, true) => out.extend([0x26, 4]),
        (Ty::BigInt, false) => out.push(0x7F),
        (Ty::BigInt, true) => out.extend([0x26, 8]),
        (Ty::Decimal(p, s), _) => out.extend([0x6A, decimal_bytes(p).to_le_bytes()[0], p, s]),
        (Ty::SmallMoney, false) => out.push(0x7A),
        (Ty::SmallMoney, true) => out.extend([0x6E, 4]),
        (Ty::Money, false) => out.push(0x3C),
        (Ty::Money, true) => out.extend([0x6E, 8]),
        (Ty::Real, false) => out.push(0x3B),
        (Ty::Real, true) => out.extend([0x6D, 4]),
        (Ty::Float, false) => out.push(0x3E),
        (Ty::Float, true) => out.extend([0x6D, 8]),
        (Ty::Date, _) => out.push(0x28),
        (Ty::Time(n), _) => out.extend([0x29, n]),
        (Ty::SmallDateTime, false) => out.push(0x3A),
        (Ty::SmallDateTime, true) => out.extend([0x6F, 4]),
        (Ty::DateTime, false) => out.push(0x3D),
        (Ty::DateTime, true) => out.extend([0x6F, 8]),
        (Ty::DateTime2(n), _) => out.extend([0x2A, n]),
        (Ty::DateTimeOffset(n), _) => out.extend([0x2B, n]),
        (Ty::Char(n), _) => sized(out, 0xAF, n, true),
        (Ty::VarChar(n), _) => sized(out, 0xA7, n, true),
        (Ty::NChar(n), _) => sized(out, 0xEF, double(n), true),
        (Ty::NVarChar(n), _) => sized(out, 0xE7, double(n), true),
        (Ty::Binary(n), _) => sized(out, 0xAD, n, false),
        (Ty::VarBinary(n), _) => sized(out, 0xA5, n, false),
        (Ty::RowVersion, _) => sized(out, 0xAD, 8, false),
        (Ty::Text, _) => long(out, 0x23, 0x7FFF_FFFF, true),
        (Ty::NText, _) => long(out, 0x63, 0x7FFF_FFFE, true),
        (Ty::Image, _) => long(out, 0x22, 0x7FFF_FFFF, false),
        (Ty::Guid, _) => out.extend([0x24, 16]),
        (Ty::Xml, _) => out.extend([0xF1, 0]),
        (Ty::Clr(clr), _) => clr_info(out, clr),
    }
}

/// UDT_INFO in COLMETADATA (MS-TDS 2.2.5.5.2.1).
fn clr_info(out: &mut Vec<u8>, clr: Clr) {
    let ty = Ty::Clr(clr);
    let limit = u16::try_from(ty.max_length()).unwrap_or(MAX);
    out.push(0xF0);
    out.extend_from_slice(&limit.to_le_bytes());
    for name in ["master", "sys", ty.name()] {
        b_varchar(out, name);
    }
    let class = clr.class();
    us_varchar(
        out,
        &format!(
            "Microsoft.SqlServer.Types.{class}, Microsoft.SqlServer.Types, Version=11.0.0.0, Culture=neutral, PublicKeyToken=89845dcd8080cc91"
        ),
    );
}

/// Writes a NULL.
fn null(out: &mut Vec<u8>, ty: Ty) {
    match ty {
        Ty::VarChar(MAX) | Ty::NVarChar(MAX) | Ty::VarBinary(MAX) | Ty::Xml | Ty::Clr(_) => out.extend([0xFF; 8]),
        Ty::Char(_)
        | Ty::VarChar(_)
        | Ty::NChar(_)
        | Ty::NVarChar(_)
        | Ty::Binary(_)
        | Ty::VarBinary(_)
        | Ty::RowVersion => out.extend([0xFF; 2]),
        _ => out.push(0),
    }
}

/// Writes one value of a row.
///
/// # Errors
/// 8624 when the stored value does not have the column's type: a fault of the stand-in.
pub fn value(out: &mut Vec<u8>, ty: Ty, nullable: bool, value: ValueRef<'_>) -> SqlResult<()> {
    match value {
        ValueRef::Null if nullable => null(out, ty),
        ValueRef::Null => return Err(bad(&format!("{} not null", ty.name()))),
        ValueRef::Integer(i) => integer(out, ty, nullable, i)?,
        ValueRef::Real(f) => real(out, ty, nullable, f)?,
        ValueRef::Text(t) => {
            let s = std::str::from_utf8(t).map_err(|_| bad(ty.name()))?;
            string(out, ty, s)?;
        }
        ValueRef::Blob(b) => blob(out, ty, b)?,
    }
    Ok(())
}

fn prefixed(out: &mut Vec<u8>, nullable: bool, bytes: &[u8]) {
    if nullable {
        out.push(bytes.len().to_le_bytes()[0]);
    }
    out.extend_from_slice(bytes);
}

fn integer(out: &mut Vec<u8>, ty: Ty, nullable: bool, i: i64) -> SqlResult<()> {
    let bytes = i.to_le_bytes();
    match ty {
        Ty::Bit => prefixed(out, nullable, &[u8::from(i != 0)]),
        Ty::TinyInt => prefixed(out, nullable, &bytes[..1]),
        Ty::SmallInt => prefixed(out, nullable, &bytes[..2]),
        Ty::Int => prefixed(out, nullable, &bytes[..4]),
        Ty::BigInt => prefixed(out, nullable, &bytes),
        Ty::Money => {
            let swapped = [
                bytes[4], bytes[5], bytes[6], bytes[7], bytes[0], bytes[1], bytes[2], bytes[3],
            ];
            prefixed(out, nullable, &swapped);
        }
        Ty::SmallMoney => prefixed(out, nullable, &bytes[..4]),
        Ty::Date => prefixed(out, true, &bytes[..3]),
        Ty::Time(n) => {
            out.push(time_bytes(n));
            time(out, i, n);
        }
        Ty::DateTime => {
            let days = i32::try_from(i.div_euclid(DATETIME_DAY)).map_err(|_| bad("datetime"))?;
            let rest = u32::try_from(i.rem_euclid(DATETIME_DAY)).map_err(|_| bad("datetime"))?;
            if nullable {
                out.push(8);
            }
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&rest.to_le_bytes());
        }
        Ty::SmallDateTime => {
            let minutes = i / 18_000;
            let days = u16::try_from(minutes / 1440).map_err(|_| bad("smalldatetime"))?;
            let rest = u16::try_from(minutes % 1440).map_err(|_| bad("smalldatetime"))?;
            if nullable {
                out.push(4);
            }
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&rest.to_le_bytes());
        }
        Ty::DateTime2(n) => {
            out.push(time_bytes(n) + 3);
            time(out, i.rem_euclid(DAY), n);
            out.extend_from_slice(&i.div_euclid(DAY).to_le_bytes()[..3]);
        }
        #[allow(clippy::cast_precision_loss)]
        Ty::Float | Ty::Real => real(out, ty, nullable, i as f64)?,
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

fn time(out: &mut Vec<u8>, ticks: i64, scale: u8) {
    let units = ticks / 10_i64.pow(7 - u32::from(scale.min(7)));
    out.extend_from_slice(&units.to_le_bytes()[..usize::from(time_bytes(scale))]);
}

fn real(out: &mut Vec<u8>, ty: Ty, nullable: bool, f: f64) -> SqlResult<()> {
    match ty {
        Ty::Float => prefixed(out, nullable, &f.to_le_bytes()),
        #[allow(clippy::cast_possible_truncation)]
        Ty::Real => prefixed(out, nullable, &(f as f32).to_le_bytes()),
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

fn utf16(out: &mut Vec<u8>, s: &str) {
    if s.is_ascii() {
        out.reserve(s.len() * 2);
        for b in s.bytes() {
            out.extend_from_slice(&[b, 0]);
        }
    } else {
        out.extend(s.encode_utf16().flat_map(u16::to_le_bytes));
    }
}

fn narrow(out: &mut Vec<u8>, s: &str) {
    if s.is_ascii() {
        out.extend_from_slice(s.as_bytes())
    } else {
        out.extend(s.chars().map(text::byte_of))
    }
}

fn fill_text(out: &mut Vec<u8>, ty: Ty, s: &str) {
    if ty.is_unicode() { utf16(out, s) } else { narrow(out, s) }
}

fn string(out: &mut Vec<u8>, ty: Ty, s: &str) -> SqlResult<()> {
    match ty {
        Ty::VarChar(MAX) | Ty::NVarChar(MAX) | Ty::Xml => large(out, |out| fill_text(out, ty, s)),
        Ty::Char(_) | Ty::VarChar(_) | Ty::NChar(_) | Ty::NVarChar(_) => {
            let at = out.len();
            out.extend([0, 0]);
            fill_text(out, ty, s);
            let length = u16::try_from(out.len() - at - 2).map_err(|_| bad(ty.name()))?;
            out[at..at + 2].copy_from_slice(&length.to_le_bytes());
        }
        Ty::Text | Ty::NText => legacy(out, |out| fill_text(out, ty, s)),
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

/// A `(max)` value: total length, chunks, end.
fn large(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 12]);
    fill(out);
    let length = out.len() - at - 12;
    out[at..at + 8].copy_from_slice(&(length as u64).to_le_bytes());
    if length <= CHUNK {
        match u32::try_from(length) {
            Ok(length) if length > 0 => out[at + 8..at + 12].copy_from_slice(&length.to_le_bytes()),
            _ => out.truncate(at + 8),
        }
    } else {
        let whole = out.split_off(at + 12);
        out.truncate(at + 8);
        out.reserve(length + length / CHUNK * 4 + 8);
        for chunk in whole.chunks(CHUNK) {
            out.extend_from_slice(&u32::try_from(chunk.len()).unwrap_or(0).to_le_bytes());
            out.extend_from_slice(chunk);
        }
    }
    out.extend([0; 4]);
}

/// A text, ntext or image value: text pointer, timestamp, length.
fn legacy(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(16);
    out.extend(*b"dummy textptr\0\0\0");
    out.extend(*b"dummyTS\0");
    let at = out.len();
    out.extend([0; 4]);
    fill(out);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn blob(out: &mut Vec<u8>, ty: Ty, b: &[u8]) -> SqlResult<()> {
    match ty {
        Ty::Decimal(p, _) => {
            let value = blob_decimal(b)?;
            let width = usize::try_from(decimal_bytes(p)).unwrap_or(17);
            out.push(width.to_le_bytes()[0]);
            out.push(u8::from(value >= 0));
            out.extend_from_slice(&value.unsigned_abs().to_le_bytes()[..width - 1]);
        }
        Ty::DateTimeOffset(n) => {
            let (utc, offset) = blob_offset(b)?;
            out.push(time_bytes(n) + 5);
            time(out, utc.rem_euclid(DAY), n);
            out.extend_from_slice(&utc.div_euclid(DAY).to_le_bytes()[..3]);
            out.extend_from_slice(&offset.to_le_bytes());
        }
        Ty::Guid => {
            out.push(16);
            out.extend_from_slice(&blob_guid(b)?);
        }
        Ty::VarBinary(MAX) | Ty::Clr(_) => large(out, |out| out.extend_from_slice(b)),
        Ty::Binary(_) | Ty::VarBinary(_) | Ty::RowVersion => {
            let length = u16::try_from(b.len()).map_err(|_| bad(ty.name()))?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(b);
        }
        Ty::Image => legacy(out, |out| out.extend_from_slice(b)),
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

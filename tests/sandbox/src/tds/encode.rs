//! Types and values as the server sends them.

use rusqlite::types::ValueRef;
use tidemark_tds::tokens::{b_varchar, us_varchar};

use crate::error::SqlResult;
use crate::value::calendar::{DATETIME_DAY, DAY};
use crate::value::datum::{bad, blob_decimal, blob_guid, blob_offset};
use crate::value::ty::{decimal_bytes, time_bytes};
use crate::value::{Collation, MAX, Page, Ty};

/// The most bytes of a `(max)` value in one piece. Clients refuse pieces of many megabytes.
const CHUNK: usize = 8_000;

/// Returns the user type of COLMETADATA: 80 for rowversion, 0 for all others.
pub fn user_type(ty: Ty) -> u32 {
    if ty == Ty::RowVersion { 80 } else { 0 }
}

/// Writes TYPE_INFO of a column or an output value.
pub fn type_info(out: &mut Vec<u8>, ty: Ty, nullable: bool, collation: Collation) {
    let (fixed, varying) = ty.tokens();
    if fixed != 0 && !nullable {
        out.push(fixed);
        return;
    }
    out.push(varying);
    match ty {
        Ty::Date => {}
        Ty::Decimal(p, s) => out.extend([decimal_bytes(p).to_le_bytes()[0], p, s]),
        Ty::Time(n) | Ty::DateTime2(n) | Ty::DateTimeOffset(n) => out.push(n),
        Ty::Xml => out.push(0),
        Ty::NText => out.extend_from_slice(&0x7FFF_FFFE_u32.to_le_bytes()),
        Ty::Text | Ty::Image => out.extend_from_slice(&0x7FFF_FFFF_u32.to_le_bytes()),
        _ if ty.is_clr() => clr_info(out, ty),
        _ if ty.is_string() || ty.is_binary() => out.extend_from_slice(&bytes(ty)),
        _ => out.push(ty.max_length().to_le_bytes()[0]),
    }
    if ty.is_string() && ty != Ty::Xml {
        out.extend_from_slice(&collation.wire());
    }
}

/// Returns the largest length in bytes, 0xFFFF for `(max)`.
fn bytes(ty: Ty) -> [u8; 2] {
    u16::try_from(ty.max_length()).unwrap_or(MAX).to_le_bytes()
}

/// Writes the names of a CLR type.
fn clr_info(out: &mut Vec<u8>, ty: Ty) {
    out.extend_from_slice(&bytes(ty));
    for name in ["master", "sys", ty.name()] {
        b_varchar(out, name);
    }
    let class = match ty {
        Ty::HierarchyId => "SqlHierarchyId",
        Ty::Geometry => "SqlGeometry",
        _ => "SqlGeography",
    };
    us_varchar(
        out,
        &format!(
            "Microsoft.SqlServer.Types.{class}, Microsoft.SqlServer.Types, Version=11.0.0.0, Culture=neutral, PublicKeyToken=89845dcd8080cc91"
        ),
    );
}

/// Writes NULL.
fn null(out: &mut Vec<u8>, ty: Ty) {
    match ty {
        Ty::Text | Ty::NText | Ty::Image => out.push(0),
        _ if ty == Ty::Xml || ty.is_clr() || ty.length() == Some(MAX) => out.extend([0xFF; 8]),
        _ if ty.length().is_some() => out.extend([0xFF; 2]),
        _ => out.push(0),
    }
}

/// Writes one value of a row, text in the code page.
///
/// Fails with 8624 when the stored value does not have the column's type, which is a fault of the stand-in.
pub fn value(out: &mut Vec<u8>, ty: Ty, nullable: bool, page: Page, value: ValueRef<'_>) -> SqlResult<()> {
    match value {
        ValueRef::Null if nullable => null(out, ty),
        ValueRef::Null => return Err(bad(&format!("{} not null", ty.name()))),
        ValueRef::Integer(i) => integer(out, ty, nullable, i)?,
        ValueRef::Real(f) => real(out, ty, nullable, f)?,
        ValueRef::Text(t) => {
            let s = std::str::from_utf8(t).map_err(|_| bad(ty.name()))?;
            string(out, ty, page, s)?;
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
        Ty::Int | Ty::SmallMoney => prefixed(out, nullable, &bytes[..4]),
        Ty::BigInt => prefixed(out, nullable, &bytes),
        Ty::Money => prefixed(out, nullable, &i.rotate_left(32).to_le_bytes()),
        Ty::Date => prefixed(out, true, &bytes[..3]),
        Ty::Time(n) => {
            out.push(time_bytes(n));
            time(out, i, n);
        }
        Ty::DateTime => {
            let days = i32::try_from(i.div_euclid(DATETIME_DAY)).map_err(|_| bad("datetime"))?;
            let rest = u32::try_from(i.rem_euclid(DATETIME_DAY)).map_err(|_| bad("datetime"))?;
            prefixed(out, nullable, &[days.to_le_bytes(), rest.to_le_bytes()].concat());
        }
        Ty::SmallDateTime => {
            let minutes = i / 18_000;
            let days = u16::try_from(minutes / 1440).map_err(|_| bad("smalldatetime"))?;
            let rest = u16::try_from(minutes % 1440).map_err(|_| bad("smalldatetime"))?;
            prefixed(out, nullable, &[days.to_le_bytes(), rest.to_le_bytes()].concat());
        }
        Ty::DateTime2(n) => {
            out.push(time_bytes(n) + 3);
            time(out, i.rem_euclid(DAY), n);
            out.extend_from_slice(&i.div_euclid(DAY).to_le_bytes()[..3]);
        }
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
        Ty::Real => prefixed(out, nullable, &(f as f32).to_le_bytes()),
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

fn fill_text(out: &mut Vec<u8>, page: Page, s: &str) {
    match page {
        Page::Utf16 if s.is_ascii() => out.extend(s.bytes().flat_map(|b| [b, 0])),
        _ if s.is_ascii() => out.extend_from_slice(s.as_bytes()),
        _ => out.extend_from_slice(&page.encode(s)),
    }
}

fn string(out: &mut Vec<u8>, ty: Ty, page: Page, s: &str) -> SqlResult<()> {
    match ty {
        Ty::VarChar(MAX) | Ty::NVarChar(MAX) | Ty::Xml => large(out, |out| fill_text(out, page, s)),
        Ty::Char(_) | Ty::VarChar(_) | Ty::NChar(_) | Ty::NVarChar(_) => {
            let at = out.len();
            out.extend([0, 0]);
            fill_text(out, page, s);
            let length = u16::try_from(out.len() - at - 2).map_err(|_| bad(ty.name()))?;
            out[at..at + 2].copy_from_slice(&length.to_le_bytes());
        }
        Ty::Text | Ty::NText => legacy(out, |out| fill_text(out, page, s)),
        _ => return Err(bad(ty.name())),
    }
    Ok(())
}

/// Writes a `(max)` value: the total length, the pieces, the end.
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

/// Writes a text, ntext or image value: the text pointer, a timestamp, the length.
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
        _ if ty.is_clr() || ty == Ty::VarBinary(MAX) => large(out, |out| out.extend_from_slice(b)),
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

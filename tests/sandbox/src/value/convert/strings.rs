//! Conversions of values of any type to text, bytes and uniqueidentifier.

use super::{cannot, not_allowed};
use crate::error::{SqlError, SqlResult};
use crate::value::calendar::DATETIME_DAY;
use crate::value::format::{self};
use crate::value::{Datum, MAX, Page, Ty};

pub(super) fn string(value: Datum, from: Ty, to: Ty, page: Page, style: i64) -> SqlResult<Datum> {
    let page = if to.is_unicode() { Page::Utf16 } else { page };
    let mut result = match value {
        Datum::Str(s) => s,
        Datum::Bytes(b) if matches!(style, 1 | 2) => {
            let hex: String = b.iter().map(|byte| format!("{byte:02X}")).collect();
            if style == 1 { format!("0x{hex}") } else { hex }
        }
        Datum::Bytes(b) => page.decode(&b),
        other => format::text(&other, from, style)?,
    };
    result = page.narrowed(result);
    if let Some(limit) = to.length().filter(|n| *n != MAX) {
        let limit = usize::from(limit);
        let length = page.units(&result);
        if length > limit {
            if from.is_int() && !to.is_unicode() {
                result = "*".to_owned();
            } else if from == Ty::Guid {
                return Err(SqlError::of(8170, &[]));
            } else if from.is_number() {
                return Err(SqlError::of(8115, &[&from.message_name(), &to.name()]));
            } else {
                result = page.cut(&result, limit).to_owned();
            }
        }
        if matches!(to, Ty::Char(_) | Ty::NChar(_)) {
            let length = page.units(&result);
            result.extend(std::iter::repeat_n(' ', limit.saturating_sub(length)));
        }
    }
    Ok(Datum::Str(result))
}

pub(super) fn binary(value: Datum, from: Ty, to: Ty, page: Page, style: i64) -> SqlResult<Datum> {
    let limit = to.length().filter(|n| *n != MAX).map(usize::from);
    let number = from.is_int();
    let mut bytes = match value {
        Datum::Bytes(b) => b,
        Datum::Str(s) if matches!(style, 1 | 2) => {
            hex_bytes(s.strip_prefix("0x").unwrap_or(&s)).ok_or_else(|| cannot(from, to))?
        }
        Datum::Str(s) if from.is_unicode() => Page::Utf16.encode(&s),
        Datum::Str(s) => page.encode(&s),
        Datum::Int(i) => {
            let wide = i.to_be_bytes();
            let width = usize::try_from(from.max_length()).unwrap_or(8);
            wide[8 - width..].to_vec()
        }
        Datum::Guid(g) => g.to_vec(),
        Datum::F64(f) => f.to_be_bytes().to_vec(),
        Datum::DateTime(t) => {
            let days = i32::try_from(t.div_euclid(DATETIME_DAY)).unwrap_or(0);
            let rest = u32::try_from(t.rem_euclid(DATETIME_DAY)).unwrap_or(0);
            [days.to_be_bytes(), rest.to_be_bytes()].concat()
        }
        Datum::Dec(v, _) if matches!(from, Ty::Money) => i64::try_from(v).unwrap_or(0).to_be_bytes().to_vec(),
        _ => return Err(not_allowed(from, to)),
    };
    if let Some(limit) = limit {
        if bytes.len() > limit {
            // A number keeps its low bytes, everything else its first.
            bytes = if number {
                bytes[bytes.len() - limit..].to_vec()
            } else {
                bytes[..limit].to_vec()
            };
        }
        if matches!(to, Ty::Binary(_) | Ty::RowVersion) && bytes.len() < limit {
            let pad = vec![0; limit - bytes.len()];
            bytes = if number {
                [pad, bytes].concat()
            } else {
                [bytes, pad].concat()
            };
        }
    }
    Ok(Datum::Bytes(bytes))
}

/// Returns the bytes of hexadecimal text of even length.
pub fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

pub(super) fn guid(value: Datum, from: Ty, to: Ty) -> SqlResult<Datum> {
    match value {
        Datum::Guid(g) => Ok(Datum::Guid(g)),
        Datum::Bytes(b) => {
            let mut wire = [0; 16];
            let n = b.len().min(16);
            wire[..n].copy_from_slice(&b[..n]);
            Ok(Datum::Guid(wire))
        }
        Datum::Str(s) => guid_text(&s).map(Datum::Guid).ok_or_else(|| SqlError::of(8169, &[])),
        _ => Err(not_allowed(from, to)),
    }
}

/// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, with or without braces, into wire bytes.
pub fn guid_text(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text
        .strip_prefix('{')
        .map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    if text.len() < 36 || !text.is_char_boundary(36) {
        return None;
    }
    uuid::Uuid::try_parse(&text[..36]).ok().map(|u| u.to_bytes_le())
}

//! The functions of T-SQL on text.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::{PURE, scalar, strict};
use crate::error::{SqlError, SqlResult};
use crate::value::{Datum, MAX, Page, text};

fn text_value(s: impl Into<String>) -> SqlResult<Value> {
    Ok(Value::Text(s.into()))
}

/// Computes `SUBSTRING` in characters, counted from 1. Positions before the first count and have no character.
fn slice(s: &str, start: i64, count: i64) -> SqlResult<Value> {
    if count < 0 {
        return Err(SqlError::of(537, &[]));
    }
    let end = start.saturating_add(count).max(1);
    let start = start.max(1);
    let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let take = usize::try_from((end - start).max(0)).unwrap_or(usize::MAX);
    text_value(s.chars().skip(skip).take(take).collect::<String>())
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    strict(conn, "t_len", 2, |a| {
        let text = a.text(0)?.trim_end_matches(' ');
        let units = if a.ty(1)?.is_unicode() {
            Page::Utf16.units(text)
        } else {
            text.chars().count()
        };
        Ok(Value::Integer(i64::try_from(units).unwrap_or(0)))
    })?;
    strict(conn, "t_datalength", 2, |a| {
        let ty = a.ty(1)?;
        let length = match a.datum(0, ty)? {
            Datum::Str(s) => a.page(1)?.encode(&s).len(),
            Datum::Bytes(b) => b.len(),
            _ => usize::try_from(ty.max_length()).unwrap_or(0),
        };
        Ok(Value::Integer(i64::try_from(length).unwrap_or(0)))
    })?;
    strict(conn, "t_parsename", 2, |a| {
        let parts = crate::sql::parser::name(a.text(0)?).unwrap_or_default();
        let at = parts.len().checked_sub(usize::try_from(a.int(1)?).unwrap_or(0));
        let part = at.and_then(|at| parts.get(at)).filter(|part| !part.is_empty());
        Ok(part.map_or(Value::Null, |part| Value::Text(part.clone())))
    })?;
    strict(conn, "t_upper", 1, |a| text_value(a.text(0)?.to_uppercase()))?;
    strict(conn, "t_lower", 1, |a| text_value(a.text(0)?.to_lowercase()))?;
    strict(conn, "t_substring", 3, |a| slice(a.text(0)?, a.int(1)?, a.int(2)?))?;
    strict(conn, "t_replicate", 3, |a| {
        let (s, count, ty) = (a.text(0)?, a.int(1)?, a.ty(2)?);
        let Ok(count) = usize::try_from(count) else {
            return Ok(Value::Null);
        };
        let limit = match ty.length() {
            Some(MAX) | None => 1 << 30,
            Some(length) => usize::from(length),
        };
        let full = s.repeat(count.min(limit / s.chars().count().max(1) + 1));
        text_value(a.page(2)?.cut(&full, limit))
    })?;
    strict(conn, "t_nchar", 1, |a| {
        let c = u32::try_from(a.int(0)?).ok().and_then(char::from_u32);
        Ok(c.map_or(Value::Null, |c| Value::Text(c.to_string())))
    })?;
    scalar(conn, "t_like", 3, PURE, |a| {
        if a.any_null(2) {
            return Ok(Value::Null);
        }
        let escape = match a.raw(2) {
            ValueRef::Null => None,
            _ => {
                let mut chars = a.text(2)?.chars();
                let (first, rest) = (chars.next(), chars.next());
                Some(
                    first
                        .filter(|_| rest.is_none())
                        .ok_or_else(|| SqlError::of(506, &[&chars.as_str()]))?,
                )
            }
        };
        Ok(Value::Integer(i64::from(text::like(a.text(0)?, a.text(1)?, escape))))
    })
}

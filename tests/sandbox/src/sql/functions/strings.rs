//! Text.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::{Args, PURE, scalar};
use crate::error::{SqlError, SqlResult};
use crate::value::{Datum, MAX, text};

fn text_value(s: impl Into<String>) -> SqlResult<Value> {
    Ok(Value::Text(s.into()))
}

/// Characters from one position (from 1) for a count, as `SUBSTRING` counts.
fn slice(s: &str, start: i64, count: i64) -> SqlResult<String> {
    if count < 0 {
        return Err(SqlError::new(
            537,
            "Invalid length parameter passed to the LEFT or SUBSTRING function.",
        )
        .state(3));
    }
    let end = start.saturating_add(count).max(1);
    let start = start.max(1);
    let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let take = usize::try_from((end - start).max(0)).unwrap_or(usize::MAX);
    Ok(s.chars().skip(skip).take(take).collect())
}

/// Registers a function that is NULL when any argument is.
fn strict<F>(conn: &Connection, name: &str, count: i32, function: F) -> SqlResult<()>
where
    F: Fn(&Args<'_, '_>) -> SqlResult<Value> + Send + 'static,
{
    scalar(conn, name, count, PURE, move |a| {
        if a.any_null(a.len()) {
            Ok(Value::Null)
        } else {
            function(a)
        }
    })
}

pub(super) fn register(conn: &Connection) -> SqlResult<()> {
    strict(conn, "t_len", 2, |a| {
        let units = text::units(a.text(0)?.trim_end_matches(' '), a.ty(1)?.is_unicode());
        Ok(Value::Integer(i64::try_from(units).unwrap_or(0)))
    })?;
    strict(conn, "t_datalength", 2, |a| {
        let ty = a.ty(1)?;
        let length = match a.datum(0, ty)? {
            Datum::Str(s) => text::units(&s, ty.is_unicode()) * if ty.is_unicode() { 2 } else { 1 },
            Datum::Bytes(b) => b.len(),
            _ => usize::try_from(ty.max_length()).unwrap_or(0),
        };
        Ok(Value::Integer(i64::try_from(length).unwrap_or(0)))
    })?;
    strict(conn, "t_upper", 1, |a| text_value(a.text(0)?.to_uppercase()))?;
    strict(conn, "t_lower", 1, |a| text_value(a.text(0)?.to_lowercase()))?;
    strict(conn, "t_left", 2, |a| text_value(slice(a.text(0)?, 1, a.int(1)?)?))?;
    strict(conn, "t_right", 2, |a| {
        let s = a.text(0)?;
        let count = a.int(1)?;
        if count < 0 {
            return Err(SqlError::new(
                536,
                "Invalid length parameter passed to the right function.",
            ));
        }
        let length = i64::try_from(s.chars().count()).unwrap_or(i64::MAX);
        text_value(slice(s, (length - count).max(0) + 1, count)?)
    })?;
    strict(conn, "t_substring", 3, |a| {
        text_value(slice(a.text(0)?, a.int(1)?, a.int(2)?)?)
    })?;
    strict(conn, "t_subbytes", 3, |a| {
        let ValueRef::Blob(bytes) = a.raw(0) else {
            return Ok(Value::Null);
        };
        let (start, count) = (a.int(1)?, a.int(2)?.max(0));
        let end = usize::try_from((start + count - 1).max(0))
            .unwrap_or(0)
            .min(bytes.len());
        let begin = usize::try_from((start - 1).max(0)).unwrap_or(0).min(end);
        Ok(Value::Blob(bytes[begin..end].to_vec()))
    })?;
    strict(conn, "t_replace", 3, |a| {
        text_value(replace(a.text(0)?, a.text(1)?, a.text(2)?))
    })?;
    strict(conn, "t_replicate", 3, |a| {
        let (s, count, ty) = (a.text(0)?, a.int(1)?, a.ty(2)?);
        let Ok(count) = usize::try_from(count) else {
            return Ok(Value::Null);
        };
        let limit = if ty.length() == Some(MAX) {
            1 << 30
        } else if ty.is_unicode() {
            4000
        } else {
            8000
        };
        let count = if s.is_empty() {
            0
        } else {
            count.min(limit / s.chars().count() + 1)
        };
        let full = s.repeat(count);
        text_value(text::cut(&full, limit, ty.is_unicode()))
    })?;
    strict(conn, "t_charindex", 3, |a| {
        let needle: Vec<char> = a.text(0)?.chars().flat_map(char::to_lowercase).collect();
        let hay: Vec<char> = a.text(1)?.chars().flat_map(char::to_lowercase).collect();
        let from = usize::try_from(a.int(2)?.max(1) - 1).unwrap_or(0);
        let found = if needle.is_empty() || from >= hay.len() {
            None
        } else {
            hay[from..]
                .windows(needle.len())
                .position(|w| w == needle)
                .map(|at| at + from + 1)
        };
        Ok(Value::Integer(i64::try_from(found.unwrap_or(0)).unwrap_or(0)))
    })?;
    strict(conn, "t_stuff", 4, |a| {
        let s: Vec<char> = a.text(0)?.chars().collect();
        let (start, count) = (a.int(1)?, a.int(2)?);
        let Some(from) = usize::try_from(start - 1)
            .ok()
            .filter(|from| *from < s.len() && count >= 0)
        else {
            return Ok(Value::Null);
        };
        let until = from.saturating_add(usize::try_from(count).unwrap_or(0)).min(s.len());
        let head: String = s[..from].iter().collect();
        let tail: String = s[until..].iter().collect();
        text_value(format!("{head}{}{tail}", a.text(3)?))
    })?;
    strict(conn, "t_reverse", 1, |a| {
        text_value(a.text(0)?.chars().rev().collect::<String>())
    })?;
    strict(conn, "t_char", 2, |a| {
        let code = a.int(0)?;
        let c = if a.int(1)? == 1 {
            u32::try_from(code).ok().and_then(char::from_u32)
        } else {
            u8::try_from(code).ok().map(text::char_of)
        };
        Ok(c.map_or(Value::Null, |c| Value::Text(c.to_string())))
    })?;
    strict(conn, "t_code", 2, |a| {
        let unicode = a.int(1)? == 1;
        Ok(a.text(0)?.chars().next().map_or(Value::Null, |c| {
            Value::Integer(if unicode {
                i64::from(u32::from(c))
            } else {
                i64::from(text::byte_of(c))
            })
        }))
    })?;
    strict(conn, "t_quotename", 2, |a| {
        let (s, mark) = (a.text(0)?, a.text(1)?);
        if s.chars().count() > 128 {
            return Ok(Value::Null);
        }
        Ok(match mark {
            "[" | "]" => Value::Text(format!("[{}]", s.replace(']', "]]"))),
            "'" | "\"" => Value::Text(format!("{mark}{}{mark}", s.replace(mark, &mark.repeat(2)))),
            _ => Value::Null,
        })
    })?;
    scalar(conn, "t_concat_ws", -1, PURE, |a| {
        let separator = a.text(0)?;
        let parts: Vec<&str> = (1..a.len())
            .filter(|at| !a.is_null(*at))
            .map(|at| a.text(at))
            .collect::<SqlResult<_>>()?;
        text_value(parts.join(separator))
    })?;
    scalar(conn, "t_like", 3, PURE, |a| {
        if a.any_null(2) {
            return Ok(Value::Null);
        }
        let escape = if a.is_null(2) {
            None
        } else {
            let mut chars = a.text(2)?.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => Some(c),
                _ => {
                    return Err(SqlError::new(
                        506,
                        format!(
                            "The invalid escape character \"{}\" was specified in a LIKE predicate.",
                            a.text(2)?
                        ),
                    ));
                }
            }
        };
        Ok(Value::Integer(i64::from(text::like(a.text(0)?, a.text(1)?, escape))))
    })?;
    Ok(())
}

/// Replaces without regard to case, as the collation compares.
fn replace(s: &str, from: &str, to: &str) -> String {
    if from.is_empty() {
        return s.to_owned();
    }
    if s.is_ascii() && from.is_ascii() {
        let (low, needle) = (s.to_ascii_lowercase(), from.to_ascii_lowercase());
        let mut out = String::with_capacity(s.len());
        let mut at = 0;
        while let Some(found) = low[at..].find(&needle) {
            out.push_str(&s[at..at + found]);
            out.push_str(to);
            at += found + needle.len();
        }
        out.push_str(&s[at..]);
        return out;
    }
    s.replace(from, to)
}

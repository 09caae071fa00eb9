//! The conversions between any two types, of `CAST`, `CONVERT` and implicit ones.

mod numbers;
mod strings;
mod temporal;

use numbers::{approximate, exact, integer};
pub use numbers::{decimal_text, to_f64};
pub use strings::hex_bytes;
use strings::{binary, guid, string};
use temporal::temporal;

use rusqlite::types::{Value, ValueRef};

use crate::error::{SqlError, SqlResult};
use crate::value::format::DEFAULT_STYLE;
use crate::value::{Datum, MAX, Page, Ty};

/// Converts a stored value from one type to another in the default style, in the code page of the database.
pub fn convert(value: ValueRef<'_>, from: Ty, to: Ty) -> SqlResult<Value> {
    cast(value, from, to, Page::Windows1252, DEFAULT_STYLE)
}

/// Converts a stored value from one type to another, and cuts strings that are too long, as `CAST` does. Text that is
/// not Unicode is in the code page.
pub fn cast(value: ValueRef<'_>, from: Ty, to: Ty, page: Page, style: i64) -> SqlResult<Value> {
    if value == ValueRef::Null {
        return Ok(Value::Null);
    }
    Ok(datum(Datum::read(value, from)?, from, to, page, style)?.write_as(to))
}

/// Converts for storing into a column. Fails with 2628 for a string that would be cut.
pub fn store(value: ValueRef<'_>, from: Ty, to: Ty, page: Page, column: &str) -> SqlResult<Value> {
    if value == ValueRef::Null {
        return Ok(Value::Null);
    }
    let read = Datum::read(value, from)?;
    if let Some(limit) = to.length().filter(|n| *n != MAX) {
        let limit = usize::from(limit);
        let (long, shown) = match &read {
            Datum::Str(s) if to.is_string() => {
                let page = if to.is_unicode() { Page::Utf16 } else { page };
                let length = page.units(s.trim_end_matches(' '));
                (length > limit, page.cut(s, limit).to_owned())
            }
            Datum::Bytes(b) if to.is_binary() => (b.len() > limit, String::new()),
            _ => (false, String::new()),
        };
        if long {
            let (table, column) = column.split_once('|').unwrap_or(("", column));
            return Err(SqlError::of(2628, &[&table, &column, &shown]));
        }
    }
    Ok(datum(read, from, to, page, DEFAULT_STYLE)?.write_as(to))
}

/// Returns whether a stored value of one type is a stored value of the other without a change.
pub fn is_noop(from: Ty, to: Ty) -> bool {
    use Ty::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Bit, TinyInt | SmallInt | Int | BigInt)
        | (TinyInt, SmallInt | Int | BigInt)
        | (SmallInt, Int | BigInt)
        | (Int, BigInt)
        | (SmallDateTime, DateTime)
        | (SmallMoney, Money)
        | (Real, Float) => true,
        (Decimal(p, s), Decimal(q, t)) => s == t && q >= p,
        (Time(a), Time(b)) | (DateTime2(a), DateTime2(b)) | (DateTimeOffset(a), DateTimeOffset(b)) => a <= b,
        (VarChar(a) | Char(a), VarChar(b)) | (NVarChar(a) | NChar(a), NVarChar(b)) => b == MAX || (a != MAX && a <= b),
        (VarChar(a) | Char(a), NVarChar(b)) => b == MAX || (a != MAX && a <= b),
        (Text, VarChar(MAX)) | (VarChar(_) | Char(_), Text) => true,
        (VarChar(_) | Char(_) | Text | NVarChar(_) | NChar(_), NText) => true,
        (NText | Xml | Text, NVarChar(MAX)) => true,
        (VarBinary(a) | Binary(a), VarBinary(b)) => b == MAX || (a != MAX && a <= b),
        (RowVersion, VarBinary(b)) => b >= 8,
        (Image, VarBinary(MAX)) | (VarBinary(_) | Binary(_), Image) => true,
        _ => false,
    }
}

/// Converts a value in memory.
pub fn datum(value: Datum, from: Ty, to: Ty, page: Page, style: i64) -> SqlResult<Datum> {
    if value == Datum::Null {
        return Ok(Datum::Null);
    }
    // A CLR type turns into its bytes and back. Its text forms are not offered.
    if (from.is_clr() || to.is_clr()) && !(from.is_binary() && to.is_binary()) {
        return Err(not_allowed(from, to));
    }
    match to {
        _ if to.is_int() => integer(value, from, to),
        Ty::Decimal(p, s) => exact(value, from, to, p, s),
        Ty::Money => exact(value, from, to, 19, 4),
        Ty::SmallMoney => exact(value, from, to, 10, 4),
        Ty::Float | Ty::Real => approximate(value, from, to),
        _ if to.is_temporal() => temporal(value, from, to),
        _ if to.is_string() => string(value, from, to, page, style),
        _ if to.is_binary() => binary(value, from, to, page, style),
        _ => guid(value, from, to),
    }
}

/// Makes 529, for a conversion that does not exist.
pub fn not_allowed(from: Ty, to: Ty) -> SqlError {
    SqlError::of(529, &[&from.name(), &to.name()])
}

fn failed(from: Ty, text: &str, to: Ty) -> SqlError {
    SqlError::of(245, &[&from.name(), &text, &to.name()])
}

fn cannot(from: Ty, to: Ty) -> SqlError {
    SqlError::of(8114, &[&from.message_name(), &to.message_name()])
}

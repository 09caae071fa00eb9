//! The functions that translated statements call in SQLite, all named `t_…`.

mod dates;
mod numbers;
mod strings;
mod totals;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use crate::engine::{Engine, Local};
use crate::error::{SqlError, SqlResult};
use crate::value::convert;
use crate::value::datum::bad;
use crate::value::{Datum, Page, Ty};

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);
const IMPURE: FunctionFlags = FunctionFlags::SQLITE_UTF8;

/// The arguments of a call.
struct Args<'a, 'c>(&'a Context<'c>);

impl<'a> Args<'a, '_> {
    fn raw(&self, at: usize) -> ValueRef<'a> {
        self.0.get_raw(at)
    }

    fn is_null(&self, at: usize) -> bool {
        self.raw(at) == ValueRef::Null
    }

    fn any_null(&self, until: usize) -> bool {
        (0..until).any(|at| self.is_null(at))
    }

    fn int(&self, at: usize) -> SqlResult<i64> {
        match self.raw(at) {
            ValueRef::Integer(i) => Ok(i),
            ValueRef::Null => Ok(0),
            _ => Err(bad("int")),
        }
    }

    fn text(&self, at: usize) -> SqlResult<&'a str> {
        match self.raw(at) {
            ValueRef::Text(t) => std::str::from_utf8(t).map_err(|_| bad("nvarchar")),
            ValueRef::Null => Ok(""),
            _ => Err(bad("varchar")),
        }
    }

    fn ty(&self, at: usize) -> SqlResult<Ty> {
        Ty::from_code(self.int(at)?).ok_or_else(|| bad("type"))
    }

    /// Reads the code page that goes with a type.
    fn page(&self, at: usize) -> SqlResult<Page> {
        Ok(if self.ty(at)?.is_unicode() {
            Page::Utf16
        } else {
            Page::of_code(self.int(at)?)
        })
    }

    fn datum(&self, at: usize, ty: Ty) -> SqlResult<Datum> {
        Datum::read(self.raw(at), ty)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Registers one function, whose errors are those of the server.
fn scalar<F>(conn: &Connection, name: &str, count: i32, flags: FunctionFlags, function: F) -> SqlResult<()>
where
    F: Fn(&Args<'_, '_>) -> SqlResult<Value> + Send + 'static,
{
    conn.create_scalar_function(name, count, flags, move |ctx| {
        function(&Args(ctx)).map_err(rusqlite::Error::from)
    })?;
    Ok(())
}

/// Registers one function that is NULL when an argument is NULL.
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

/// Registers everything on a connection.
pub fn register(conn: &Connection, engine: &Arc<Engine>, local: &Arc<Local>) -> SqlResult<()> {
    conversions(conn)?;
    numbers::register(conn)?;
    strings::register(conn)?;
    dates::register(conn)?;
    totals::register(conn)?;
    counters(conn, engine, local)?;
    recording(conn, engine, local)
}

fn conversions(conn: &Connection) -> SqlResult<()> {
    scalar(conn, "t_cv", 4, PURE, |a| {
        let page = Page::of_code(a.int(1)?);
        convert::cast(a.raw(0), a.ty(1)?, a.ty(2)?, page, a.int(3)?)
    })?;
    scalar(conn, "t_store", 4, PURE, |a| {
        convert::store(a.raw(0), a.ty(1)?, a.ty(2)?, a.page(2)?, a.text(3)?)
    })?;
    scalar(conn, "t_type", 3, PURE, |a| type_fact(a.ty(0)?, a.text(1)?, a.text(2)?))
}

fn rowversion(value: u64) -> Value {
    Value::Blob(value.to_be_bytes().to_vec())
}

fn counters(conn: &Connection, engine: &Arc<Engine>, local: &Arc<Local>) -> SqlResult<()> {
    let (shared, own) = (Arc::clone(engine), Arc::clone(local));
    scalar(conn, "t_rowversion", 1, IMPURE, move |a| {
        Ok(rowversion(shared.next_rowversion(a.text(0)?, own.tx.load(Relaxed))))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_dbts", 1, IMPURE, move |a| {
        Ok(rowversion(shared.rowversion(a.text(0)?)))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_min_active", 1, IMPURE, move |a| {
        Ok(rowversion(shared.min_active_rowversion(a.text(0)?)))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_identity", 3, IMPURE, move |a| {
        Ok(Value::Integer(shared.next_identity(a.int(0)?, a.int(1)?, a.int(2)?)))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_note_identity", 3, IMPURE, move |a| {
        shared.note_identity(a.int(1)?, a.int(0)?, a.int(2)?);
        Ok(Value::Integer(a.int(0)?))
    })
}

/// Registers the functions that the logs of changes call.
fn recording(conn: &Connection, engine: &Arc<Engine>, local: &Arc<Local>) -> SqlResult<()> {
    let own = Arc::clone(local);
    scalar(conn, "t_recording", 0, IMPURE, move |_| {
        Ok(Value::Integer(i64::from(own.recording.load(Relaxed))))
    })?;
    let own = Arc::clone(local);
    scalar(conn, "t_tx", 0, IMPURE, move |_| {
        Ok(Value::Integer(i64::try_from(own.tx.load(Relaxed)).unwrap_or(i64::MAX)))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_change", 0, IMPURE, move |_| {
        Ok(Value::Integer(shared.next_change()))
    })?;
    let own = Arc::clone(local);
    scalar(conn, "t_statement", 0, IMPURE, move |_| {
        Ok(Value::Integer(own.statement.load(Relaxed)))
    })?;
    let own = Arc::clone(local);
    scalar(conn, "t_keyed", 0, IMPURE, move |_| {
        Ok(Value::Integer(i64::from(own.keyed.load(Relaxed))))
    })?;
    let own = Arc::clone(local);
    scalar(conn, "t_row", 0, IMPURE, move |_| {
        Ok(Value::Integer(own.row.fetch_add(1, Relaxed) + 1))
    })
}

/// Returns a property of a type for the catalog views, as the type was declared.
fn type_fact(ty: Ty, fact: &str, declared: &str) -> SqlResult<Value> {
    let numeric = declared.eq_ignore_ascii_case("numeric");
    let number = match fact {
        "system" | "user" if numeric => 108,
        "user" if declared.eq_ignore_ascii_case("sysname") => 256,
        "system" => ty.system_type_id(),
        "user" => ty.user_type_id(),
        "length" => ty.max_length(),
        "precision" => ty.precision(),
        "scale" => i64::from(ty.scale()),
        other => return Err(SqlError::unsupported(other)),
    };
    Ok(Value::Integer(number))
}

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

use crate::engine::{Engine, Local, locked};
use crate::error::{SqlError, SqlResult};
use crate::value::convert;
use crate::value::datum::bad;
use crate::value::{Datum, Ty};

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

    fn datum(&self, at: usize, ty: Ty) -> SqlResult<Datum> {
        Datum::read(self.raw(at), ty)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Registers one function that can fail like the server.
fn scalar<F>(conn: &Connection, name: &str, count: i32, flags: FunctionFlags, function: F) -> SqlResult<()>
where
    F: Fn(&Args<'_, '_>) -> SqlResult<Value> + Send + 'static,
{
    conn.create_scalar_function(name, count, flags, move |ctx| {
        function(&Args(ctx)).map_err(rusqlite::Error::from)
    })?;
    Ok(())
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
        convert::convert(a.raw(0), a.ty(1)?, a.ty(2)?, a.int(3)?)
    })?;
    scalar(conn, "t_try", 4, PURE, |a| {
        match convert::convert(a.raw(0), a.ty(1)?, a.ty(2)?, a.int(3)?) {
            Err(e) if e.number == 529 => Err(e),
            result => Ok(result.unwrap_or(Value::Null)),
        }
    })?;
    scalar(conn, "t_store", 4, PURE, |a| {
        convert::store(a.raw(0), a.ty(1)?, a.ty(2)?, a.text(3)?)
    })?;
    scalar(conn, "t_typename", 1, PURE, |a| {
        let id = if a.is_null(0) { None } else { Some(a.int(0)?) };
        Ok(crate::sql::sysviews::type_name(id).map_or(Value::Null, |name| Value::Text(name.to_owned())))
    })?;
    scalar(conn, "t_type", 3, PURE, |a| type_fact(a.ty(0)?, a.text(1)?, a.text(2)?))
}

fn rowversion(value: u64) -> Value {
    Value::Blob(value.to_be_bytes().to_vec())
}

fn counters(conn: &Connection, engine: &Arc<Engine>, local: &Arc<Local>) -> SqlResult<()> {
    let (shared, own) = (Arc::clone(engine), Arc::clone(local));
    scalar(conn, "t_rowversion", 0, IMPURE, move |_| {
        Ok(rowversion(shared.next_rowversion(own.tx.load(Relaxed))))
    })?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_dbts", 0, IMPURE, move |_| Ok(rowversion(shared.rowversion())))?;
    let shared = Arc::clone(engine);
    scalar(conn, "t_min_active", 0, IMPURE, move |_| {
        Ok(rowversion(shared.min_active_rowversion()))
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

/// What the logs of changes ask for.
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
    scalar(conn, "t_columns", 0, IMPURE, move |_| {
        Ok(locked(&own.columns).clone().map_or(Value::Null, Value::Text))
    })?;
    let own = Arc::clone(local);
    scalar(conn, "t_context", 0, IMPURE, move |_| {
        Ok(locked(&own.context).clone().map_or(Value::Null, Value::Blob))
    })?;
    scalar(conn, "t_mask", 1, PURE, |a| Ok(mask(a.text(0)?)))?;
    scalar(conn, "t_in_mask", 2, PURE, |a| in_mask(a.int(0)?, a.raw(1)))?;
    let own = Arc::clone(local);
    scalar(conn, "t_row", 0, IMPURE, move |_| {
        Ok(Value::Integer(own.row.fetch_add(1, Relaxed) + 1))
    })
}

/// A mask of `SYS_CHANGE_COLUMNS` for column numbers: each once, in the order in which they were set.
fn mask(numbers: &str) -> Value {
    let mut ids: Vec<u32> = Vec::new();
    for id in numbers.split(',').filter_map(|n| n.parse().ok()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut bytes = vec![0; 4];
    bytes.extend(ids.into_iter().flat_map(u32::to_le_bytes));
    Value::Blob(bytes)
}

/// `CHANGE_TRACKING_IS_COLUMN_IN_MASK`; without a mask every column is in it.
fn in_mask(column: i64, mask: ValueRef<'_>) -> SqlResult<Value> {
    let bytes = match mask {
        ValueRef::Null => return Ok(Value::Integer(1)),
        ValueRef::Blob(bytes) if bytes.len() >= 8 => bytes,
        _ => {
            return Err(SqlError::new(
                22101,
                "The value supplied for the change_columns argument of CHANGE_TRACKING_IS_COLUMN_IN_MASK function is not valid. The value must be a bitmask returned by the CHANGETABLE(CHANGES ...) function.",
            ));
        }
    };
    let wanted = i32::try_from(column).map(i32::to_le_bytes).unwrap_or_default();
    let found = bytes[..4] == [0; 4] && bytes[4..].chunks_exact(4).any(|id| id == wanted);
    Ok(Value::Integer(i64::from(found)))
}

/// A fact of a type for the catalog views.
fn type_fact(ty: Ty, fact: &str, declared: &str) -> SqlResult<Value> {
    let declared = declared.to_ascii_lowercase();
    let text = |t: &str| Ok(Value::Text(t.to_owned()));
    let number = |n: i64| Ok(Value::Integer(n));
    let characters = match ty {
        Ty::Text | Ty::Image => Some(2_147_483_647),
        Ty::NText => Some(1_073_741_823),
        Ty::RowVersion => None,
        Ty::Xml => Some(-1),
        _ => ty
            .length()
            .map(|n| if n == crate::value::MAX { -1 } else { i64::from(n) }),
    };
    match fact {
        "system" if declared == "numeric" => number(108),
        "system" => number(ty.system_type_id()),
        "user" if declared == "numeric" => number(108),
        "user" if declared == "sysname" => number(256),
        "user" => number(ty.user_type_id()),
        "length" => number(ty.max_length()),
        "precision" => number(ty.precision()),
        "scale" => number(i64::from(ty.scale())),
        "name" if declared == "numeric" => text("numeric"),
        "name" => text(ty.name()),
        "characters" => Ok(characters.map_or(Value::Null, Value::Integer)),
        "octets" => Ok(characters.map_or(Value::Null, |n| {
            Value::Integer(if n > 0 && matches!(ty, Ty::NChar(_) | Ty::NVarChar(_)) {
                n * 2
            } else {
                n
            })
        })),
        "numeric_precision" if ty.is_number() && ty != Ty::Bit => number(ty.precision()),
        "numeric_scale" if ty.is_number() && ty != Ty::Bit && !ty.is_approx() => number(i64::from(ty.scale())),
        "datetime_precision" if ty.is_temporal() => number(i64::from(ty.scale())),
        "charset" if ty.is_string() && ty != Ty::Xml => text(if ty.is_unicode() { "UNICODE" } else { "iso_1" }),
        "numeric_precision" | "numeric_scale" | "datetime_precision" | "charset" => Ok(Value::Null),
        other => Err(SqlError::unsupported(other)),
    }
}

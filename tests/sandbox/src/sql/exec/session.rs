//! The state of one connection, and short queries of the storage.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::Options;
use super::bulk::BulkLoad;
use super::statement::Need;
use super::table_types::Frame;
use super::transaction::Savepoint;
use super::versions::Writer;
use crate::attention::Attention;
use crate::engine::{Engine, Local};
use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{Expr, Name, TABLE_VARIABLE};
use crate::sql::bind::{Binder, Bound, types};
use crate::sql::catalog::{self, Place, Table};
use crate::sql::connection;
use crate::value::convert::{self, is_noop};
use crate::value::{MAX, Page, Ty};

/// A variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its type.
    pub ty: Ty,
    /// Its value in stored form.
    pub value: Value,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// The shared state.
    pub engine: Arc<Engine>,
    conn: Connection,
    /// The part of the state that the SQLite functions use.
    pub(super) local: Arc<Local>,
    /// The attentions of its client.
    pub attention: Arc<Attention>,
    /// `@@SPID`
    pub spid: u16,
    /// The current database.
    pub db: String,
    /// The database of the login, to which a reset returns.
    pub home: String,
    /// The login, or `None` for the one that may do everything.
    pub(super) login: Option<String>,
    /// Whether a view is read, which may read what its owner may.
    pub(super) in_view: Cell<bool>,
    /// `HOST_NAME()`
    pub client_host: String,
    /// `APP_NAME()`
    pub client_app: String,
    /// The options.
    pub options: Options,
    /// `@@TRANCOUNT`
    pub trancount: i64,
    /// Whether the transaction is one of SQLite, because it has changed definitions.
    pub(super) held: bool,
    /// Whether a statement's transaction of SQLite is open.
    pub(super) inside: Cell<bool>,
    /// Whether the transaction has logged changes.
    pub(super) touched: Cell<bool>,
    pub(super) savepoints: Vec<Savepoint>,
    /// The temporary tables that the transaction created, each with the number of the logged change at that time.
    pub(super) created: Vec<(i64, Place)>,
    /// The tables that the transaction has defined anew.
    pub(super) defined: RefCell<Vec<i64>>,
    /// The transactions that had versions of rows when the statement began.
    pub(super) writers: RefCell<Vec<Writer>>,
    /// Whether the transaction began under SNAPSHOT.
    pub(super) began_snapshot: bool,
    /// The last commit that a SNAPSHOT transaction sees, once it has read.
    pub(super) snapshot: Cell<Option<i64>>,
    /// The versions of the databases with change tracking that a SNAPSHOT transaction sees.
    pub(super) snapshot_versions: RefCell<Vec<(String, i64)>>,
    /// The tracked tables that the transaction has changed.
    pub(super) tracked: RefCell<Vec<i64>>,
    /// The lock that the statement takes on the tables it reads.
    pub(super) lock: Cell<Option<Mode>>,
    /// The lock or the moment that the statement needs before it can run again.
    pub(super) need: Cell<Option<Need>>,
    /// The descriptor of the open transaction, 0 for none.
    pub descriptor: u64,
    /// Whether an error has made the transaction uncommittable.
    pub(super) doomed: bool,
    /// `@@ROWCOUNT`
    pub rowcount: i64,
    /// `@@ERROR`
    pub last_error: i32,
    /// The errors of the `CATCH` blocks that are running.
    pub caught: Vec<SqlError>,
    /// `@@NESTLEVEL`
    pub nesting: i64,
    pub(super) tries: usize,
    pub(super) frames: Vec<Frame>,
    pub(super) procedure: String,
    pub(super) prepared: HashMap<i32, (String, String)>,
    pub(super) next_prepared: i32,
    pub(super) next_table: u64,
    pub(super) bulk: Option<BulkLoad>,
}

impl Session {
    /// Makes a session of the engine.
    ///
    /// Fails when the storage cannot be opened.
    pub fn new(engine: &Arc<Engine>) -> SqlResult<Session> {
        let local = Arc::default();
        Ok(Session {
            conn: connection::connect(engine, &local)?,
            local,
            attention: Arc::default(),
            spid: engine.session_id(),
            db: engine.database.clone(),
            home: engine.database.clone(),
            engine: Arc::clone(engine),
            login: None,
            in_view: Cell::new(false),
            client_host: String::new(),
            client_app: String::new(),
            options: Options::default(),
            trancount: 0,
            held: false,
            inside: Cell::new(false),
            touched: Cell::new(false),
            savepoints: Vec::new(),
            created: Vec::new(),
            defined: RefCell::default(),
            writers: RefCell::default(),
            began_snapshot: false,
            snapshot: Cell::new(None),
            snapshot_versions: RefCell::default(),
            tracked: RefCell::default(),
            lock: Cell::new(None),
            need: Cell::new(None),
            descriptor: 0,
            doomed: false,
            rowcount: 0,
            last_error: 0,
            caught: Vec::new(),
            nesting: 0,
            tries: 0,
            frames: vec![Frame::default()],
            procedure: String::new(),
            prepared: HashMap::new(),
            next_prepared: 1,
            next_table: 0,
            bulk: None,
        })
    }

    /// Returns the storage connection.
    pub fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Returns a variable's type and value.
    ///
    /// Fails with 137 if it is not declared.
    pub fn variable(&self, name: &str) -> SqlResult<(Ty, Value)> {
        let found = self.frames.last().and_then(|f| f.variables.get(&name.to_lowercase()));
        found.map(|v| (v.ty, v.value.clone())).ok_or_else(|| undeclared(name))
    }

    /// Assigns a value to a variable, and converts it to the variable's type.
    pub(super) fn assign(&mut self, name: &str, ty: Ty, value: &Value) -> SqlResult<()> {
        let target = self.variable(name)?.0;
        if *value != Value::Null {
            types::check_implicit(ty, target)?;
        }
        let value = convert::convert(value.into(), ty, target)?;
        self.declare(name, Variable { ty: target, value });
        Ok(())
    }

    pub(super) fn declare(&mut self, name: &str, variable: Variable) {
        if let Some(frame) = self.frames.last_mut() {
            frame.variables.insert(name.to_lowercase(), variable);
        }
    }

    /// Returns the place of a name of one to four parts.
    ///
    /// Fails with 7202 for a linked server, and with 1087 for a table variable that is not declared.
    pub fn place(&self, name: &[String]) -> SqlResult<Place> {
        let or = |part: &str, default: &str| if part.is_empty() { default } else { part }.to_owned();
        let (db, schema, name) = match name {
            [name] if name.starts_with(TABLE_VARIABLE) => {
                (self.db.clone(), "dbo".to_owned(), self.table_variable(name)?)
            }
            [name] => (self.db.clone(), "dbo".to_owned(), name.clone()),
            [schema, name] => (self.db.clone(), or(schema, "dbo"), name.clone()),
            [db, schema, name] => (or(db, &self.db), or(schema, "dbo"), name.clone()),
            [server, ..] => return Err(SqlError::of(7202, &[&server])),
            [] => return Err(SqlError::syntax(".")),
        };
        Ok(Place { db, schema, name })
    }

    /// Returns the place of a new object. Its schema must exist, and is spelled as it was created.
    pub(super) fn new_place(&self, name: &[String]) -> SqlResult<Place> {
        let mut place = self.place(name)?;
        if place.is_temp() {
            return Ok(place);
        }
        let no_database = SqlError::of(911, &[&place.db]);
        place.db = catalog::database(&self.conn, &place.db)?.ok_or(no_database)?;
        let missing = SqlError::of(2760, &[&place.schema]);
        place.schema = catalog::schema(&self.conn, &place.db, &place.schema)?.ok_or(missing)?;
        Ok(place)
    }

    /// Returns a table.
    ///
    /// Fails with 208 if there is none.
    pub fn table(&self, place: &Place, written: &str) -> SqlResult<Table> {
        catalog::table(&self.conn, place)?.ok_or_else(|| SqlError::no_object(written))
    }

    /// Returns a table by its name as written.
    pub(super) fn table_named(&self, name: &Name) -> SqlResult<Table> {
        self.table(&self.place(name)?, &name.join("."))
    }

    /// Returns one number from the catalog.
    pub(crate) fn lookup_id(&self, sql: &str, key: &str) -> SqlResult<Option<i64>> {
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row([key], |r| r.get(0))
            .optional()?)
    }

    /// Returns the value of an expression without sources.
    ///
    /// Fails with the error of binding or computing it.
    pub fn evaluate(&self, e: &Expr) -> SqlResult<(Ty, Value)> {
        self.read(|| {
            let mut binder = Binder::new(self);
            let bound = binder.expr(e)?;
            self.run_bound(binder, &bound)
        })
    }

    fn run_bound(&self, binder: Binder<'_>, bound: &Bound) -> SqlResult<(Ty, Value)> {
        let params = binder.params;
        let mut statement = self.conn.prepare_cached(&format!("SELECT {}", bound.sql))?;
        let value = statement.query_row(params_from_iter(params), |r| r.get(0))?;
        Ok((bound.ty, value))
    }

    /// Returns the value of an expression in a type.
    pub(crate) fn evaluate_as(&self, e: &Expr, ty: Ty) -> SqlResult<Value> {
        self.read(|| {
            let mut binder = Binder::new(self);
            let bound = binder.expr(e)?;
            let bound = types::implicit(bound, ty)?;
            Ok(self.run_bound(binder, &bound)?.1)
        })
    }

    /// Returns the value of an expression as text.
    pub(crate) fn evaluate_text(&self, e: &Expr) -> SqlResult<Option<String>> {
        let (ty, value) = self.evaluate(e)?;
        match convert::convert((&value).into(), ty, Ty::NVarChar(MAX))? {
            Value::Text(s) => Ok(Some(s)),
            _ => Ok(None),
        }
    }

    /// Returns the value of an expression as a number.
    pub(super) fn evaluate_int(&self, e: &Expr) -> SqlResult<Option<i64>> {
        match self.evaluate_as(e, Ty::BigInt)? {
            Value::Integer(i) => Ok(Some(i)),
            _ => Ok(None),
        }
    }

    /// Returns whether a condition is true.
    pub(super) fn holds(&self, e: &Expr) -> SqlResult<bool> {
        self.read(|| {
            let mut binder = Binder::new(self);
            let sql = format!("SELECT {}", binder.condition(e)?);
            let params = std::mem::take(&mut binder.params);
            let value: Option<bool> = self
                .conn
                .prepare_cached(&sql)?
                .query_row(params_from_iter(params), |r| r.get(0))?;
            Ok(value == Some(true))
        })
    }

    /// Returns the SQLite form of a value that is written to a column.
    pub(super) fn stored(value: Bound, column: &catalog::Column, table: &Table) -> SqlResult<String> {
        if value.null {
            return Ok("NULL".to_owned());
        }
        types::check_implicit(value.ty, column.ty)?;
        let code = column.collation.code(column.ty);
        if is_noop(value.ty, column.ty)
            && (column.ty.is_unicode() || Page::of_code(value.code()) == Page::of_code(code))
        {
            return Ok(value.sql);
        }
        let label = catalog::literal(&format!("{}.{}.{}|{}", table.db, table.schema, table.name, column.name));
        Ok(format!("t_store({}, {}, {code}, {label})", value.sql, value.code()))
    }
}

/// Makes 137, for a variable that is not declared.
pub(super) fn undeclared(name: &str) -> SqlError {
    SqlError::of(137, &[&name])
}

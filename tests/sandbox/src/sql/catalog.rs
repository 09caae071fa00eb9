//! The catalog: databases, schemas, tables, columns, indexes and procedures, kept beside the data so that DDL is
//! transactional. Tables are stored under the name `database.schema.table`.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Period;
use crate::value::collation::{self, Collation, Label};
use crate::value::{Page, Ty};

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its number, from 1.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// The type's name as declared, which tells numeric from decimal.
    pub type_name: String,
    /// The collation, which is the default for a column that is not text.
    pub collation: Collation,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// The seed and the increment of an identity column.
    pub identity: Option<(i64, i64)>,
    /// The default, as written.
    pub default: Option<String>,
    /// The expression of a computed column, as written.
    pub computed: Option<String>,
    /// The end of a row's valid time that it is.
    pub period: Option<Period>,
    /// Whether it is left out of `*`.
    pub hidden: bool,
    /// The mask that a user without the right to unmask it sees.
    pub mask: Option<String>,
    /// [`COLUMN_SET`](crate::sql::ast::COLUMN_SET), [`ENCRYPTED`](crate::sql::ast::ENCRYPTED) or 0.
    pub special: i64,
}

impl Column {
    /// Returns whether its values are text that is compared.
    pub fn is_collated(&self) -> bool {
        self.ty.is_string() && self.ty != Ty::Xml
    }

    /// Returns the collation of an expression that is nothing but the column.
    pub fn label(&self) -> Option<Label> {
        self.is_collated().then_some(Label {
            collation: self.collation,
            explicit: false,
        })
    }

    /// Returns how its characters become bytes.
    pub fn page(&self) -> Page {
        self.collation.page(self.ty)
    }

    /// Returns the declaration in SQLite of a column of its type and collation.
    pub fn sqlite_decl(&self) -> String {
        if self.ty.is_string() {
            format!("TEXT COLLATE {}", self.collation.in_sqlite(self.ty))
        } else {
            self.ty.sqlite_decl().to_owned()
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `object_id`
    pub id: i64,
    /// Its database.
    pub db: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns in order.
    pub columns: Vec<Column>,
}

/// An index or a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Its `index_id`, and the `stats_id` of its statistics.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its key columns.
    pub columns: Vec<String>,
    /// `UNIQUE`
    pub unique: bool,
    /// `PRIMARY KEY`
    pub primary: bool,
    /// Whether it belongs to a constraint.
    pub constraint: bool,
}

/// A procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Procedure {
    /// `object_id`
    pub id: i64,
    /// Its database.
    pub db: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its text.
    pub definition: String,
}

/// The place at which an object is or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The database
    pub db: String,
    /// The schema
    pub schema: String,
    /// The name
    pub name: String,
}

impl Place {
    /// Returns whether it is a table of one session.
    pub fn is_temp(&self) -> bool {
        self.name.starts_with('#')
    }

    /// Returns whether it is a temporary table of the server's own, such as a table variable, which transactions do not
    /// affect.
    pub fn is_variable(&self) -> bool {
        self.name.starts_with(OWN)
    }

    /// Returns the SQLite schema that holds the object and its catalog rows.
    pub fn store(&self) -> &'static str {
        if self.is_temp() { "temp" } else { "main" }
    }

    /// Returns `schema.name`, as messages have it.
    pub fn two_part(&self) -> String {
        if self.is_temp() {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }

    /// Returns the name of the table in SQLite, quoted and qualified.
    pub fn physical(&self) -> String {
        format!("{}.{}", self.store(), quote(&self.stored_name()))
    }

    /// Returns the name of the table in SQLite.
    pub fn stored_name(&self) -> String {
        if self.is_temp() {
            self.name.clone()
        } else {
            format!("{}.{}.{}", self.db, self.schema, self.name)
        }
    }
}

impl Table {
    /// Returns its place.
    pub fn place(&self) -> Place {
        Place {
            db: self.db.clone(),
            schema: self.schema.clone(),
            name: self.name.clone(),
        }
    }

    /// Returns the SQLite SQL of the next rowversion of its database.
    pub fn next_rowversion(&self) -> String {
        format!("t_rowversion({})", literal(&self.db))
    }

    /// Returns a column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| crate::value::text::same(&c.name, name))
    }

    /// Returns the columns that are stored, which are all except the computed ones.
    pub fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.computed.is_none())
    }
}

/// The beginning of the names of the server's own temporary tables. No statement can write it.
pub const OWN: &str = "#\u{1}";

/// Returns a name in double quotes.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the table that takes the earlier values of a table's rows.
pub fn history(conn: &Connection, table: i64) -> SqlResult<Option<Table>> {
    let sql = "SELECT history FROM main._storage WHERE object_id = ?1 AND history IS NOT NULL";
    let id = conn.query_row(sql, [table], |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| table_by_id(conn, "main", id))
}

/// Returns a text in single quotes.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Creates the catalog's own tables in the main or the session's schema.
pub fn create(conn: &Connection, store: &str) -> SqlResult<()> {
    conn.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {store}._database(id INTEGER PRIMARY KEY, name TEXT COLLATE TSQL UNIQUE, created INT, read_only INT DEFAULT 0);
         CREATE TABLE IF NOT EXISTS {store}._versioning(db TEXT COLLATE TSQL PRIMARY KEY, read_committed INT, snapshot INT);
         CREATE TABLE IF NOT EXISTS {store}._schema(id INTEGER PRIMARY KEY, db TEXT COLLATE TSQL, name TEXT COLLATE TSQL,
           UNIQUE(db, name));
         CREATE TABLE IF NOT EXISTS {store}._object(id INTEGER PRIMARY KEY, db TEXT COLLATE TSQL, schema TEXT COLLATE TSQL,
           name TEXT COLLATE TSQL, type TEXT, definition TEXT, created INT, modified INT, UNIQUE(db, schema, name));
         CREATE TABLE IF NOT EXISTS {store}._column(object_id INT, id INT, name TEXT COLLATE TSQL, ty INT, type_name TEXT,
           nullable INT, identity INT, seed INT, increment INT, dflt TEXT, dflt_name TEXT COLLATE TSQL, computed TEXT,
           collation TEXT, period INT, hidden INT, mask TEXT, special INT, PRIMARY KEY(object_id, id)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS {store}._boundary(db TEXT COLLATE TSQL, name TEXT COLLATE TSQL, is_right INT, value);
         CREATE TABLE IF NOT EXISTS {store}._storage(object_id INTEGER PRIMARY KEY, scheme TEXT COLLATE TSQL, part TEXT, history INT, memory INT, external INT);
         CREATE TABLE IF NOT EXISTS {store}._predicate(object_id INT, target INT, definition TEXT);
         CREATE TABLE IF NOT EXISTS {store}._login(name TEXT COLLATE TSQL PRIMARY KEY, password TEXT);
         CREATE TABLE IF NOT EXISTS {store}._user(db TEXT COLLATE TSQL, name TEXT COLLATE TSQL, login TEXT COLLATE TSQL,
           PRIMARY KEY(db, name), UNIQUE(db, login));
         CREATE TABLE IF NOT EXISTS {store}._right(db TEXT COLLATE TSQL, user TEXT COLLATE TSQL, securable INT, column_id INT,
           name TEXT, granted INT, PRIMARY KEY(db, user, securable, column_id, name)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS {store}._index(object_id INT, id INT, name TEXT COLLATE TSQL, columns TEXT,
           uniq INT, prim INT, cons INT, PRIMARY KEY(object_id, id)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS {store}._histogram(object_id INT, stats_id INT, step INT, key, range_rows INT,
           equal_rows INT, range_values INT, PRIMARY KEY(object_id, stats_id, step)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS {store}._ct_database(db TEXT COLLATE TSQL PRIMARY KEY, enabled INT, auto_cleanup INT,
           period INT, unit INT, version INT);
         CREATE TABLE IF NOT EXISTS {store}._ct_table(table_id INTEGER PRIMARY KEY, columns INT);
         CREATE TABLE IF NOT EXISTS {store}._ct_valid(id INTEGER PRIMARY KEY, table_id INT, number INT, min_valid INT,
           begin_version INT, cleanup INT);
         CREATE TABLE IF NOT EXISTS {store}._tx(id INTEGER PRIMARY KEY, committed INT);
         CREATE TABLE IF NOT EXISTS {store}._versioned(table_id INT, tx INT, PRIMARY KEY(table_id, tx)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS {store}._parameter(object_id INT, id INT, name TEXT COLLATE TSQL, ty INT, output INT,
           has_default INT, table_type INT, PRIMARY KEY(object_id, id)) WITHOUT ROWID;"
    ))?;
    Ok(())
}

/// Adds a database with its schemas, unless it exists.
pub fn create_database(conn: &Connection, name: &str) -> SqlResult<()> {
    let now = now();
    let added = conn.execute(
        "INSERT OR IGNORE INTO main._database(name, created) VALUES(?1, ?2)",
        params![name, now],
    )?;
    if added == 1 {
        for schema in ["dbo", "guest", "INFORMATION_SCHEMA", "sys"] {
            create_schema(conn, name, schema)?;
        }
    }
    Ok(())
}

/// The settings of a database for row versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versioning {
    /// `READ_COMMITTED_SNAPSHOT`
    pub read_committed: bool,
    /// `ALLOW_SNAPSHOT_ISOLATION`
    pub snapshot: bool,
}

/// Returns the settings of a database for row versions.
pub fn versioning(conn: &Connection, db: &str) -> SqlResult<Versioning> {
    let set = conn
        .prepare_cached("SELECT read_committed, snapshot FROM main._versioning WHERE db = ?1")?
        .query_row([db], |r| {
            Ok(Versioning {
                read_committed: r.get(0)?,
                snapshot: r.get(1)?,
            })
        })
        .optional()?;
    // The default is that of Azure SQL Database, where both are on unless they were set.
    Ok(set.unwrap_or(Versioning {
        read_committed: true,
        snapshot: true,
    }))
}

/// Returns whether the owner of a database has set it to read-only.
pub fn is_read_only(conn: &Connection, db: &str) -> SqlResult<bool> {
    let mut statement = conn.prepare_cached("SELECT read_only FROM main._database WHERE name = ?1")?;
    Ok(statement.query_row([db], |r| r.get(0))?)
}

/// Sets the settings of a database for row versions.
pub fn set_versioning(conn: &Connection, db: &str, to: Versioning) -> SqlResult<()> {
    conn.execute(
        "INSERT OR REPLACE INTO main._versioning(db, read_committed, snapshot) VALUES(?1, ?2, ?3)",
        params![db, to.read_committed, to.snapshot],
    )?;
    Ok(())
}

/// Adds a schema, unless it exists.
pub fn create_schema(conn: &Connection, db: &str, name: &str) -> SqlResult<()> {
    let next: i64 = conn.query_row(
        "SELECT coalesce(max(id), 0) + 1 FROM main._schema WHERE db = ?1",
        [db],
        |r| r.get(0),
    )?;
    // Ids are unique in a database. The row id has the number of the database in its high part.
    let base: i64 = conn.query_row("SELECT id * 65536 FROM main._database WHERE name = ?1", [db], |r| {
        r.get(0)
    })?;
    let id = if next <= 1 { base + 1 } else { next };
    conn.execute(
        "INSERT OR IGNORE INTO main._schema(id, db, name) VALUES(?1, ?2, ?3)",
        params![id, db, name],
    )?;
    Ok(())
}

/// Returns a database's name as it was created, if it exists.
pub fn database(conn: &Connection, name: &str) -> SqlResult<Option<String>> {
    Ok(conn
        .prepare_cached("SELECT name FROM main._database WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?)
}

/// Returns a schema's name as it was created, if it exists.
pub fn schema(conn: &Connection, db: &str, name: &str) -> SqlResult<Option<String>> {
    Ok(conn
        .prepare_cached("SELECT name FROM main._schema WHERE db = ?1 AND name = ?2")?
        .query_row([db, name], |r| r.get(0))
        .optional()?)
}

/// Returns the present moment in `datetime` ticks.
pub fn now() -> i64 {
    crate::value::calendar::to_datetime_ticks(crate::value::calendar::utc_now())
}

/// Returns an object's id, type and place as it was created, if it exists.
pub fn object(conn: &Connection, place: &Place) -> SqlResult<Option<(i64, String, Place)>> {
    let store = place.store();
    let sql = if place.is_temp() {
        format!("SELECT id, type, db, schema, name FROM {store}._object WHERE name = ?3 AND ?1 = ?1 AND ?2 = ?2")
    } else {
        format!("SELECT id, type, db, schema, name FROM {store}._object WHERE db = ?1 AND schema = ?2 AND name = ?3")
    };
    Ok(conn
        .prepare_cached(&sql)?
        .query_row([&place.db, &place.schema, &place.name], |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                Place {
                    db: r.get(2)?,
                    schema: r.get(3)?,
                    name: r.get(4)?,
                },
            ))
        })
        .optional()?)
}

/// Returns a table, if it exists.
pub fn table(conn: &Connection, place: &Place) -> SqlResult<Option<Table>> {
    match object(conn, place)? {
        Some((id, _, place)) => table_by_id(conn, place.store(), id),
        None => Ok(None),
    }
}

/// Returns a table by its `object_id`, if it exists.
pub fn table_by_id(conn: &Connection, store: &str, id: i64) -> SqlResult<Option<Table>> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT db, schema, name FROM {store}._object WHERE id = ?1 AND type = 'U'"
        ))?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let Some((db, schema, name)) = found else {
        return Ok(None);
    };
    Ok(Some(Table {
        id,
        db,
        schema,
        name,
        columns: columns(conn, store, id)?,
    }))
}

fn columns(conn: &Connection, store: &str, id: i64) -> SqlResult<Vec<Column>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT id, name, ty, type_name, nullable, identity, seed, increment, dflt, computed, collation, period, hidden, mask, special
         FROM {store}._column
         WHERE object_id = ?1 ORDER BY id"
    ))?;
    let rows = statement.query_map([id], |r| {
        let identity: bool = r.get(5)?;
        let code: i64 = r.get(2)?;
        let collation: Option<String> = r.get(10)?;
        Ok(Column {
            id: r.get(0)?,
            name: r.get(1)?,
            ty: Ty::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, code))?,
            type_name: r.get(3)?,
            collation: collation
                .as_deref()
                .and_then(Collation::named)
                .unwrap_or(collation::DEFAULT),
            nullable: r.get(4)?,
            identity: if identity { Some((r.get(6)?, r.get(7)?)) } else { None },
            default: r.get(8)?,
            computed: r.get(9)?,
            period: match r.get::<_, i64>(11)? {
                1 => Some(Period::Start),
                2 => Some(Period::End),
                _ => None,
            },
            hidden: r.get(12)?,
            mask: r.get(13)?,
            special: r.get(14)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the text of an object that has one.
pub fn definition(conn: &Connection, id: i64) -> SqlResult<String> {
    let mut statement = conn.prepare_cached("SELECT definition FROM main._object WHERE id = ?1")?;
    Ok(statement.query_row([id], |r| r.get(0))?)
}

/// Returns a procedure, if it exists.
pub fn procedure(conn: &Connection, place: &Place) -> SqlResult<Option<Procedure>> {
    let Some((id, _, place)) = object(conn, place)?.filter(|(_, kind, _)| kind == "P") else {
        return Ok(None);
    };
    let definition = definition(conn, id)?;
    Ok(Some(Procedure {
        id,
        db: place.db,
        schema: place.schema,
        name: place.name,
        definition,
    }))
}

/// Returns the indexes of a table.
pub fn indexes(conn: &Connection, table: &Table) -> SqlResult<Vec<Index>> {
    let store = table.place().store();
    let mut statement = conn.prepare_cached(&format!(
        "SELECT name, columns, uniq, prim, cons, id FROM {store}._index WHERE object_id = ?1 ORDER BY id"
    ))?;
    let rows = statement.query_map([table.id], |r| {
        let columns: String = r.get(1)?;
        Ok(Index {
            id: r.get(5)?,
            name: r.get(0)?,
            columns: columns.split('\n').map(str::to_owned).collect(),
            unique: r.get(2)?,
            primary: r.get(3)?,
            constraint: r.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the index that a uniqueness failure of SQLite names: `index 'x'` or `table.column, table.column`.
pub fn violated_index(conn: &Connection, table: &Table, detail: &str) -> SqlResult<Option<Index>> {
    let all = indexes(conn, table)?;
    if let Some(name) = detail.strip_prefix("index '").and_then(|d| d.strip_suffix('\'')) {
        return Ok(all.into_iter().find(|i| name.ends_with(&format!(".{}", i.name))));
    }
    let prefix = format!("{}.", table.place().stored_name());
    let columns: Vec<&str> = detail
        .split(", ")
        .map(|c| c.strip_prefix(prefix.as_str()).unwrap_or(c))
        .collect();
    Ok(all.into_iter().find(|i| i.columns == columns))
}

/// The last id of a temporary table. They are below zero and unique over all sessions, because identities are counted
/// by them.
static LAST_TEMPORARY_ID: AtomicI64 = AtomicI64::new(0);

/// Adds an object, and returns its id.
pub fn add_object(conn: &Connection, place: &Place, kind: &str, definition: Option<&str>) -> SqlResult<i64> {
    let store = place.store();
    if object(conn, place)?.is_some() {
        return Err(SqlError::of(2714, &[&place.name]));
    }
    let id: i64 = if place.is_temp() {
        LAST_TEMPORARY_ID.fetch_sub(1, Ordering::Relaxed) - 1
    } else {
        let next = "SELECT coalesce(max(id), 565577053) + 16 FROM main._object";
        conn.query_row(next, [], |r| r.get(0))?
    };
    conn.execute(
        &format!(
            "INSERT INTO {store}._object(id, db, schema, name, type, definition, created, modified)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)"
        ),
        params![id, place.db, place.schema, place.name, kind, definition, now()],
    )?;
    Ok(id)
}

/// Adds a column to the catalog.
pub fn add_column(conn: &Connection, store: &str, table: i64, column: &Column) -> SqlResult<()> {
    conn.execute(
        &format!(
            "INSERT INTO {store}._column(object_id, id, name, ty, type_name, nullable, identity, seed, increment, dflt,
             dflt_name, computed, collation, period, hidden, mask, special)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        ),
        params![
            table,
            column.id,
            column.name,
            column.ty.code(),
            column.type_name,
            column.nullable,
            column.identity.is_some(),
            column.identity.map(|i| i.0),
            column.identity.map(|i| i.1),
            column.default,
            column
                .default
                .as_ref()
                .map(|_| format!("DF__{}__{table:X}{}", column.name, column.id)),
            column.computed,
            column.is_collated().then(|| column.collation.name()),
            column.period.map_or(0, |period| match period {
                Period::Start => 1,
                Period::End => 2,
            }),
            column.hidden,
            column.mask,
            column.special,
        ],
    )?;
    Ok(())
}

/// Removes an object and everything that belongs to it.
pub fn remove_object(conn: &Connection, store: &str, id: i64) -> SqlResult<()> {
    for table in ["_column", "_index", "_parameter", "_predicate", "_storage"] {
        conn.execute(&format!("DELETE FROM {store}.{table} WHERE object_id = ?1"), [id])?;
    }
    conn.execute(&format!("DELETE FROM {store}._right WHERE securable = ?1"), [id])?;
    conn.execute(&format!("DELETE FROM {store}._object WHERE id = ?1"), [id])?;
    Ok(())
}

//! The binder, which turns statements of the parser into SQLite SQL with typed result columns.

mod aggregate;
mod condition;
mod cte;
mod expr;
mod functions;
mod literal;
pub mod mask;
mod metadata;
mod order;
mod query;
mod references;
mod source;
mod tracking;
pub mod types;

use rusqlite::types::Value;

use crate::clock::Clock;
use crate::error::{SqlError, SqlResult};
use crate::locks::locked;
use crate::sql::exec::Session;
use crate::value::collation::{self, Label};
use crate::value::{Collation, Ty};

/// The column that stands for the identity of a table's row. No statement can write its name.
pub const ROW: &str = "\u{1}row";

/// A bound expression.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its SQLite form.
    pub sql: String,
    /// Its type. A bare NULL is an int.
    pub ty: Ty,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Whether it is a bare `NULL`.
    pub null: bool,
    /// The column, if it is nothing but a column.
    pub column: Option<ColumnFlags>,
    /// The collation of text, or `None` for text that takes that of the other operand.
    pub collation: Option<Label>,
}

/// The information in COLMETADATA about a column that comes straight from a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFlags {
    /// The name.
    pub name: String,
    /// Whether it is an identity column.
    pub identity: bool,
    /// Whether it is a computed column.
    pub computed: bool,
    /// Its table, which is sent with the legacy large types.
    pub table: Vec<String>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutColumn {
    /// Its name, empty if it has none.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// The table column that it is, or `None` for an expression.
    pub origin: Option<ColumnFlags>,
    /// The collation of text, or `None` for that of the database.
    pub label: Option<Label>,
}

impl OutColumn {
    /// Makes a column that is of no table.
    pub fn new(name: &str, ty: Ty, nullable: bool) -> Self {
        OutColumn {
            name: name.to_owned(),
            ty,
            nullable,
            origin: None,
            label: None,
        }
    }

    /// Returns the collation of its text.
    pub fn collation(&self) -> Collation {
        self.label.map_or(collation::DEFAULT, |label| label.collation)
    }
}

/// A column of a source in `FROM`.
#[derive(Clone, Debug)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// The bound expression of its value.
    pub bound: Bound,
    /// Whether `*` leaves it out.
    pub hidden: bool,
    /// Whether the session may not read it.
    pub denied: bool,
    /// Whether a mask is shown in place of its values.
    pub masked: bool,
}

/// A source in `FROM`.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name by which it is known.
    pub alias: String,
    /// The schema and name of a table without an alias.
    pub schema: Option<String>,
    /// Its SQLite alias.
    pub handle: String,
    /// Its columns.
    pub columns: Vec<SourceColumn>,
}

/// Rules of a select with `GROUP BY` or aggregates.
#[derive(Clone, Debug, Default)]
pub struct Grouping {
    /// The SQLite forms of the grouped expressions.
    pub keys: Vec<String>,
    /// Whether the binder is inside an aggregate's argument.
    pub inside: bool,
    /// The columns that are used outside of aggregates and not grouped.
    pub loose: Vec<String>,
}

/// The names that are visible in one select.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its grouping, where there is one.
    pub grouping: Option<Grouping>,
}

/// A common table expression that is visible.
#[derive(Clone, Debug)]
pub struct Cte {
    name: String,
    handle: String,
    columns: Vec<OutColumn>,
}

/// A statement ready to run.
#[derive(Clone, Debug, Default)]
pub struct BoundQuery {
    /// The SQLite text.
    pub sql: String,
    /// The result columns.
    pub columns: Vec<OutColumn>,
}

/// The binder of one statement.
pub struct Binder<'s> {
    /// The session it is for.
    pub session: &'s Session,
    /// The values of the SQLite parameters, in order.
    pub params: Vec<Value>,
    /// The scopes, innermost last.
    pub scopes: Vec<Scope>,
    /// The sources of the outermost select that was bound last.
    pub sources: Vec<Source>,
    ctes: Vec<Cte>,
    /// The values of the parameters of the inline function that is bound now.
    arguments: Vec<(String, Bound)>,
    /// Whether the item that is bound now has a masked column in it.
    is_masked: bool,
    next_handle: u32,
    now: Option<(String, Clock)>,
    /// The table that is read as it is, with what others have not committed.
    pub uncommitted: Option<i64>,
}

impl Bound {
    /// Makes an expression that can be NULL.
    pub fn new(sql: impl Into<String>, ty: Ty) -> Self {
        Bound {
            sql: sql.into(),
            ty,
            nullable: true,
            null: false,
            column: None,
            collation: None,
        }
    }

    /// Returns the `COLLATE` clause by which SQLite compares it, which is empty unless it is text.
    pub fn collate(&self) -> String {
        collate(self.ty, self.collation)
    }

    /// Returns its type as one number, with the code page of its text.
    pub fn code(&self) -> i64 {
        let label = self.collation.map_or(collation::DEFAULT, |label| label.collation);
        label.code(self.ty)
    }

    /// Makes an expression that is never NULL.
    pub fn required(sql: impl Into<String>, ty: Ty) -> Self {
        Bound {
            nullable: false,
            ..Bound::new(sql, ty)
        }
    }

    /// Returns the same with another nullability.
    #[must_use]
    pub fn nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// Makes the bare NULL.
    pub fn null() -> Self {
        Bound {
            null: true,
            ..Bound::new("NULL", Ty::Int)
        }
    }
}

/// Returns the `COLLATE` clause by which SQLite compares values of a type, which is empty unless they are text.
fn collate(ty: Ty, label: Option<Label>) -> String {
    if !ty.is_string() {
        return String::new();
    }
    let collation = label.map_or(collation::DEFAULT, |label| label.collation);
    format!(" COLLATE {}", collation.in_sqlite(ty))
}

impl<'s> Binder<'s> {
    /// Makes a binder for a statement of the session.
    pub fn new(session: &'s Session) -> Self {
        Binder {
            session,
            params: Vec::new(),
            scopes: Vec::new(),
            sources: Vec::new(),
            ctes: Vec::new(),
            arguments: Vec::new(),
            is_masked: false,
            next_handle: 0,
            now: None,
            uncommitted: None,
        }
    }

    /// Adds a SQLite parameter with a value, and returns its text.
    pub fn param(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("?{}", self.params.len())
    }

    fn handle(&mut self) -> String {
        self.next_handle += 1;
        format!("s{}", self.next_handle)
    }

    /// Returns the clock, read once for the whole statement: 100 ns since 0001-01-01 UTC, and the wall clock's minutes
    /// from it.
    pub fn now(&mut self) -> (String, i16) {
        let (sql, clock) = match self.now.clone() {
            Some(now) => now,
            None => {
                let clock = locked(&self.session.engine.clock).read();
                (self.param(Value::Integer(clock.now())), clock)
            }
        };
        self.now = Some((sql.clone(), clock));
        (sql, clock.zone.offset(clock.now()))
    }

    /// Makes 230, for a column that the session may not read.
    fn denied(&self, column: &SourceColumn) -> SqlError {
        let table = column
            .bound
            .column
            .as_ref()
            .map(|c| c.table.as_slice())
            .unwrap_or_default();
        let [schema, table] = table else {
            return SqlError::no_column(&column.name);
        };
        SqlError::of(230, &[&"SELECT", &column.name, table, &self.session.db, schema])
    }

    /// Resolves a column by its name of one to four parts.
    pub fn column(&mut self, name: &[String]) -> SqlResult<Bound> {
        let Some((column, qualifier)) = name.split_last() else {
            return Err(SqlError::syntax("."));
        };
        for depth in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[depth];
            if column == ROW
                && let Some(source) = scope.sources.iter().find(|s| s.matches(qualifier))
            {
                return Ok(Bound::new(format!("{}._rowid_", source.handle), Ty::BigInt));
            }
            let mut found: Vec<&SourceColumn> = Vec::new();
            for source in scope.sources.iter().filter(|s| s.matches(qualifier)) {
                found.extend(
                    source
                        .columns
                        .iter()
                        .filter(|c| crate::value::text::same(&c.name, column)),
                );
            }
            if let Some(denied) = found.iter().find(|c| c.denied) {
                return Err(self.denied(denied));
            }
            self.is_masked |= found.iter().any(|c| c.masked);
            let mut found: Vec<Bound> = found.into_iter().map(|c| c.bound.clone()).collect();
            match found.len() {
                0 => continue,
                1 => {
                    let bound = found.remove(0);
                    if let Some(grouping) = &mut self.scopes[depth].grouping
                        && !grouping.inside
                        && !grouping.keys.contains(&bound.sql)
                    {
                        grouping.loose.push(name.join("."));
                    }
                    return Ok(bound);
                }
                _ => {
                    return Err(SqlError::of(209, &[&name.join(".")]));
                }
            }
        }
        if qualifier.is_empty() {
            if self.scopes.iter().all(|s| s.sources.is_empty()) {
                return Err(SqlError::no_column(column));
            }
            return Err(SqlError::no_column(column));
        }
        let known = self
            .scopes
            .iter()
            .flat_map(|s| &s.sources)
            .any(|s| s.matches(qualifier));
        if known {
            return Err(SqlError::no_column(column));
        }
        Err(SqlError::of(4104, &[&name.join(".")]))
    }
}

impl Source {
    /// Returns whether a qualifier (`t`, `dbo.t`, `db.dbo.t`) means this source.
    pub fn matches(&self, qualifier: &[String]) -> bool {
        use crate::value::text::same;
        match qualifier {
            [] => true,
            [alias] => same(alias, &self.alias),
            [.., schema, table] => {
                same(table, &self.alias)
                    && self
                        .schema
                        .as_ref()
                        .is_some_and(|own| same(own, schema) || schema.is_empty())
            }
        }
    }
}

//! The stand-in runs `INSERT` here, and takes the rows of a bulk load.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::bulk::{self, BulkLoad};
use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, BulkColumn, Expr, Item, Name, NamedQuery, Period, Query, Rows};
use crate::sql::bind::{Binder, Bound};
use crate::sql::catalog::{Column, Table, quote};
use crate::sql::parser;
use crate::value::convert;
use crate::value::{Ty, text};

/// The columns that an insert fills from its rows, and the expressions of all others.
struct Targets {
    given: Vec<Column>,
    others: Vec<(Column, String)>,
}

impl Session {
    pub(super) fn insert(
        &mut self,
        name: &Name,
        columns: &[String],
        rows: &Rows,
        ctes: &[NamedQuery],
        results: &mut dyn TakeResults,
    ) -> SqlResult<()> {
        self.check_writable(name)?;
        let count = self.write(results, |session, _| {
            let table = session.table_named(name)?;
            session.check_right("INSERT", table.id, &table.name, &table.schema)?;
            session.lock_for_change(&table)?;
            let numbered = session.open_log(&table)?;
            let mut binder = Binder::new(session);
            let sql = insert_sql(&mut binder, &table, columns, rows, ctes, numbered)?;
            let params = std::mem::take(&mut binder.params);
            let count = session
                .run_dml(&table, &sql, &params)
                .map_err(|e| session.constraint_error(e, &table, "INSERT"))?;
            if numbered {
                session.note_rows(&table);
            }
            Ok(count)
        })?;
        self.finish_dml(count, results);
        Ok(())
    }

    /// Runs a change of a table. Waits for a transaction that has changed its unique keys.
    pub(super) fn run_dml(&self, table: &Table, sql: &str, params: &[Value]) -> SqlResult<u64> {
        self.unique_in_any_case(table, || {
            let mut statement = self.prepared(sql)?;
            Ok(statement.execute(params_from_iter(params))? as u64)
        })
    }

    /// Reports how many rows a change changed.
    pub(super) fn finish_dml(&mut self, count: u64, results: &mut dyn TakeResults) {
        self.rowcount = i64::try_from(count).unwrap_or(i64::MAX);
        results.done((!self.options.nocount).then_some(count), false);
    }

    /// Prepares a bulk load.
    pub(super) fn insert_bulk(&mut self, name: &Name, columns: &[BulkColumn], keep_nulls: bool) -> SqlResult<()> {
        let table = self.table_named(name)?;
        self.check_right("INSERT", table.id, &table.name, &table.schema)?;
        for BulkColumn { name, .. } in columns {
            table.column(name).ok_or_else(|| SqlError::no_column(name))?;
        }
        self.bulk = Some(BulkLoad {
            place: table.place(),
            columns: columns.to_vec(),
            keep_nulls,
        });
        Ok(())
    }

    /// Inserts the rows of a bulk load, in the order of the columns that came with them.
    ///
    /// Fails with 4002 without an `INSERT BULK` before it, with 4816 and 4875 when it declared other types, and with
    /// the errors of the rows' conversion and of the table's constraints.
    pub fn bulk_rows(
        &mut self,
        columns: &[BulkColumn],
        rows: Vec<Vec<Value>>,
        results: &mut dyn TakeResults,
    ) -> SqlResult<u64> {
        let Some(BulkLoad {
            place,
            columns: wanted,
            keep_nulls,
        }) = self.bulk.take()
        else {
            return Err(SqlError::of(4002, &[]));
        };
        if !wanted.is_empty() && wanted.len() != columns.len() {
            return Err(SqlError::of(4804, &[]));
        }
        bulk::check_types(&wanted, columns)?;
        let taken = if wanted.is_empty() { columns } else { &wanted };
        let names: Vec<String> = taken.iter().map(|column| column.name.clone()).collect();
        self.write(results, |session, results| {
            let table = session.table(&place, &place.two_part())?;
            session.lock_for_change(&table)?;
            let numbered = session.open_log(&table)?;
            let count = session
                .unique_in_any_case(&table, || {
                    session.load(&table, &names, keep_nulls, numbered, columns, &rows, results)
                })
                .map_err(|e| session.constraint_error(e, &table, "INSERT"))?;
            if numbered {
                session.note_rows(&table);
            }
            Ok(count)
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each says one thing of the statement")]
    fn load(
        &self,
        table: &Table,
        names: &[String],
        keep_nulls: bool,
        numbered: bool,
        columns: &[BulkColumn],
        rows: &[Vec<Value>],
        results: &dyn TakeResults,
    ) -> SqlResult<u64> {
        let mut binder = Binder::new(self);
        let targets = targets(&mut binder, table, names, true, &|_| false)?;
        let params = std::mem::take(&mut binder.params);
        let fixed = params.len();
        let mut values = Vec::new();
        for (at, column) in targets.given.iter().enumerate() {
            let param = format!("?{}", fixed + at + 1);
            let param = match (&column.default, keep_nulls) {
                (Some(default), false) => {
                    let default = default_sql(&mut Binder::new(self), column, default, table)?;
                    format!("ifnull({param}, {default})")
                }
                _ => param,
            };
            values.push(noted(table, column, param));
        }
        let sql = assemble(table, &targets, &values, numbered);
        let mut statement = self.conn().prepare(&sql).map_err(|e| self.storage_error(&e, &sql))?;
        let mut count = 0;
        for row in rows {
            if results.cancelled() {
                return Err(SqlError::cancelled());
            }
            let mut all = params.clone();
            for ((value, from), column) in row.iter().zip(columns).zip(&targets.given) {
                let label = format!("{}.{}.{}|{}", table.db, table.schema, table.name, column.name);
                all.push(convert::store(value.into(), from.ty, column.ty, column.page(), &label)?);
            }
            statement.execute(params_from_iter(all))?;
            count += 1;
        }
        Ok(count)
    }
}

/// Returns `INSERT INTO t(columns) SELECT values`, where `values` are the expressions of the given columns.
fn assemble(table: &Table, targets: &Targets, values: &[String], numbered: bool) -> String {
    let mut names: Vec<String> = targets.given.iter().map(|c| quote(&c.name)).collect();
    let mut all = values.to_vec();
    if numbered {
        names.push("_rowid_".to_owned());
        all.push("t_row()".to_owned());
    }
    for (column, sql) in &targets.others {
        names.push(quote(&column.name));
        all.push(sql.clone());
    }
    format!(
        "INSERT INTO {}({}) SELECT {}",
        table.place().physical(),
        names.join(", "),
        all.join(", ")
    )
}

fn default_sql(binder: &mut Binder<'_>, column: &Column, text: &str, table: &Table) -> SqlResult<String> {
    let expr = parser::expression(text)?;
    let bound = binder.expr(&expr)?;
    Session::stored(bound, column, table)
}

fn targets(
    binder: &mut Binder<'_>,
    table: &Table,
    names: &[String],
    bulk: bool,
    defaulted: &dyn Fn(usize) -> bool,
) -> SqlResult<Targets> {
    let explicit_identity = binder.session.options.identity_insert == Some(table.id) || bulk;
    let mut given = Vec::new();
    if names.is_empty() {
        given.extend(
            table
                .columns
                .iter()
                .filter(|c| c.computed.is_none() && c.ty != Ty::RowVersion && c.identity.is_none() && !c.hidden)
                .cloned(),
        );
        if explicit_identity && !bulk && table.columns.iter().any(|c| c.identity.is_some()) {
            return Err(SqlError::of(8101, &[&table.name]));
        }
    }
    for name in names {
        let column = table.column(name).ok_or_else(|| SqlError::no_column(name))?;
        if given.iter().any(|g: &Column| text::same(&g.name, name)) {
            return Err(SqlError::of(264, &[&name]));
        }
        if column.computed.is_some() {
            return Err(SqlError::of(271, &[&column.name]));
        }
        if column.ty == Ty::RowVersion && !defaulted(given.len()) {
            return Err(SqlError::of(273, &[]));
        }
        if column.identity.is_some() && !explicit_identity {
            return Err(SqlError::of(544, &[&table.name]));
        }
        given.push(column.clone());
    }
    let explicit = |(at, column): (usize, &Column)| column.period.is_some() && !defaulted(at);
    if given.iter().enumerate().any(explicit) {
        return Err(SqlError::of(13536, &[&table.place().two_part()]));
    }
    let mut others = Vec::new();
    for column in table.stored().filter(|c| !given.iter().any(|g| g.id == c.id)) {
        if column.ty == Ty::RowVersion {
            others.push((column.clone(), table.next_rowversion()));
        } else if let Some((seed, increment)) = column.identity {
            if explicit_identity && !bulk {
                return Err(SqlError::of(545, &[&table.name]));
            }
            others.push((column.clone(), format!("t_identity({}, {seed}, {increment})", table.id)));
        } else if let Some(default) = written_by_server(column) {
            let sql = default_sql(binder, column, default, table)?;
            others.push((column.clone(), sql));
        }
    }
    Ok(Targets { given, others })
}

/// Returns whether this column of a select is a bare `NULL`, which any type takes. In a set operation it is an int.
fn is_bare_null(body: &Body, at: usize, columns: usize) -> bool {
    let Body::Select(select) = body else {
        return matches!(body, Body::Nested(query) if is_bare_null(&query.body, at, columns));
    };
    let items = &select.items;
    let is_star = |item: &Item| matches!(item, Item::Star(_));
    // A star stands for some columns. Those before it are counted from the front, and those after it from the back.
    let before = items.iter().position(is_star).unwrap_or(items.len());
    let after = items.iter().rev().position(is_star).unwrap_or(items.len());
    let from_back = columns - at;
    let item = if at < before {
        items.get(at)
    } else if from_back <= after {
        items.get(items.len() - from_back)
    } else {
        None
    };
    matches!(item, Some(Item::Expr(Expr::Null, _)))
}

fn insert_sql(
    binder: &mut Binder<'_>,
    table: &Table,
    columns: &[String],
    rows: &Rows,
    ctes: &[NamedQuery],
    numbered: bool,
) -> SqlResult<String> {
    let defaulted = |at: usize| match rows {
        Rows::Values(all) => all.iter().all(|row| row.get(at) == Some(&Expr::Default)),
        Rows::Query(_) => false,
    };
    let targets = targets(binder, table, columns, false, &defaulted)?;
    let with = binder.with(ctes)?;
    let (values, source) = match rows {
        Rows::Values(all) => {
            let lines = value_lines(binder, table, &targets.given, columns.is_empty(), all)?;
            let picked = (1..=targets.given.len()).map(|at| format!("column{at}")).collect();
            (picked, format!("VALUES {}", lines.join(", ")))
        }
        Rows::Query(query) => query_values(binder, table, &targets.given, columns.is_empty(), query)?,
    };
    Ok(format!(
        "{with}{} FROM ({source}) AS q",
        assemble(table, &targets, &values, numbered)
    ))
}

/// Wraps the value of an identity column so that it is noted, and the next one follows it.
fn noted(table: &Table, column: &Column, sql: String) -> String {
    match column.identity {
        Some((_, increment)) => format!("t_note_identity({sql}, {}, {increment})", table.id),
        None => sql,
    }
}

/// Returns the rows of `VALUES`.
fn value_lines(
    binder: &mut Binder<'_>,
    table: &Table,
    given: &[Column],
    all_columns: bool,
    rows: &[Vec<Expr>],
) -> SqlResult<Vec<String>> {
    let mut lines = Vec::new();
    for row in rows {
        if row.len() != given.len() {
            let number = if row.len() > given.len() { 110 } else { 109 };
            return Err(SqlError::of(if all_columns { 213 } else { number }, &[]));
        }
        let mut values = Vec::new();
        for (e, column) in row.iter().zip(given) {
            let value = match e {
                Expr::Default => default_or_null(binder, column, table)?,
                e => {
                    let bound = binder.expr(e)?;
                    Session::stored(bound, column, table)?
                }
            };
            values.push(noted(table, column, value));
        }
        lines.push(format!("({})", values.join(", ")));
    }
    Ok(lines)
}

/// Returns the values that a query gives, and its SQL.
fn query_values(
    binder: &mut Binder<'_>,
    table: &Table,
    given: &[Column],
    all_columns: bool,
    query: &Query,
) -> SqlResult<(Vec<String>, String)> {
    let bound = binder.nested(query)?;
    if bound.columns.len() != given.len() {
        let number = if bound.columns.len() > given.len() { 121 } else { 120 };
        return Err(SqlError::of(if all_columns { 213 } else { number }, &[]));
    }
    let mut values = Vec::new();
    for (at, (column, out)) in given.iter().zip(&bound.columns).enumerate() {
        let value = if is_bare_null(&query.body, at, bound.columns.len()) {
            Bound::null()
        } else {
            Bound::new(format!("q.c{at}"), out.ty).nullable(out.nullable)
        };
        values.push(noted(table, column, Session::stored(value, column, table)?));
    }
    Ok((values, bound.sql))
}

/// Returns the expression for a column to which nothing is given.
fn written_by_server(column: &Column) -> Option<&str> {
    column.period.map(Period::value).or(column.default.as_deref())
}

fn default_or_null(binder: &mut Binder<'_>, column: &Column, table: &Table) -> SqlResult<String> {
    match written_by_server(column) {
        _ if column.ty == Ty::RowVersion => Ok(table.next_rowversion()),
        Some(text) => default_sql(binder, column, text, table),
        None => Ok("NULL".to_owned()),
    }
}

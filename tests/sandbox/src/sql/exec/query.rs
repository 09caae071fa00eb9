//! The execution of queries: sending rows, assigning variables, `SELECT INTO`.

use rusqlite::types::Value;
use rusqlite::{CachedStatement, params_from_iter};

use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, ColumnDef, Expr, Item, Kind, Name, Query, Storage};
use crate::sql::bind::{Binder, BoundQuery, Scope, Source};
use crate::value::Ty;

impl Session {
    /// Runs a `SELECT` statement.
    pub(super) fn select(&mut self, query: &Query, results: &mut dyn TakeResults) -> SqlResult<()> {
        if let Body::Select(select) = &query.body {
            if select.items.iter().any(|i| matches!(i, Item::Assign(..))) {
                return self.select_assign(query, results);
            }
            if let Some(target) = &select.into {
                return self.select_into(query, target, results);
            }
        }
        let count = self.read(|| {
            let (bound, params) = self.bound(query)?;
            if self.options.fmtonly {
                results.columns(&bound.columns)?;
                return Ok(None);
            }
            self.stream(&bound, params, results).map(Some)
        })?;
        match count {
            Some(count) => self.finish_rows(count, results),
            None => results.done(Some(0), true),
        }
        Ok(())
    }

    /// Returns a query as SQLite's, and the values of its parameters.
    fn bound(&self, query: &Query) -> SqlResult<(BoundQuery, Vec<Value>)> {
        let mut binder = Binder::new(self);
        let bound = binder.query(query)?;
        Ok((bound, binder.params))
    }

    pub(super) fn finish_rows(&mut self, count: u64, results: &mut dyn TakeResults) {
        self.rowcount = i64::try_from(count).unwrap_or(i64::MAX);
        results.done(if self.options.nocount { None } else { Some(count) }, true);
    }

    /// Sends the rows of a bound query.
    pub(super) fn stream(
        &self,
        bound: &BoundQuery,
        params: Vec<Value>,
        results: &mut dyn TakeResults,
    ) -> SqlResult<u64> {
        let mut statement = self.prepared(&bound.sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        // The first step may fail, at a conversion of a constant, so it comes before the columns are sent.
        let mut next = rows.next()?;
        results.columns(&bound.columns)?;
        let mut count = 0;
        while let Some(row) = next {
            results.row(row)?;
            count += 1;
            next = rows.next()?;
        }
        Ok(count)
    }

    /// Prepares a statement that may come again.
    pub(super) fn prepared(&self, sql: &str) -> SqlResult<CachedStatement<'_>> {
        let prepared = self.conn().prepare_cached(sql);
        prepared.map_err(|e| self.storage_error(&e, sql))
    }

    /// Makes the error of a statement that SQLite does not take, with its text. It is a fault of the translation.
    pub(super) fn storage_error(&self, error: &rusqlite::Error, sql: &str) -> SqlError {
        SqlError::of(
            8624,
            &[&format!("the stand-in could not prepare its plan ({error}): {sql}")],
        )
    }

    fn select_assign(&mut self, query: &Query, results: &mut dyn TakeResults) -> SqlResult<()> {
        let mut query = query.clone();
        let mut targets = Vec::new();
        if let Body::Select(select) = &mut query.body {
            for item in &mut select.items {
                let Item::Assign(name, op, e) = item.clone() else {
                    return Err(SqlError::of(141, &[]));
                };
                let e = match op {
                    Some(op) => Expr::Binary(op, Box::new(Expr::Var(name.clone())), Box::new(e)),
                    None => e,
                };
                targets.push(name);
                *item = Item::Expr(e, None);
            }
        }
        if let Body::Select(select) = &query.body
            && !select.from.is_empty()
            && select.items.iter().any(|item| reads(item, &targets))
        {
            return self.assign_by_row(&query, &targets, results);
        }
        let (bound, last, count) = self.read(|| {
            let (bound, params) = self.bound(&query)?;
            let mut last: Option<Vec<Value>> = None;
            let mut count = 0;
            let mut statement = self.prepared(&bound.sql)?;
            let mut rows = statement.query(params_from_iter(params))?;
            while let Some(row) = rows.next()? {
                last = Some((0..targets.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?);
                count += 1;
            }
            Ok((bound, last, count))
        })?;
        for ((name, value), column) in targets.iter().zip(last.unwrap_or_default()).zip(&bound.columns) {
            self.assign(name, column.ty, &value)?;
        }
        for name in &targets {
            self.variable(name)?;
        }
        self.rowcount = count;
        results.done(None, false);
        Ok(())
    }

    /// Runs `SELECT @a = @a + column FROM …`, whose assignments are made for each row, in the order of the rows.
    fn assign_by_row(&mut self, query: &Query, targets: &[String], results: &mut dyn TakeResults) -> SqlResult<()> {
        let mut rows_query = query.clone();
        let mut items = Vec::new();
        if let Body::Select(select) = &mut rows_query.body {
            if select.distinct || !select.group.is_empty() || select.having.is_some() {
                return Err(SqlError::unsupported(
                    "SELECT @variable = … @variable … with DISTINCT or GROUP BY",
                ));
            }
            items = std::mem::replace(&mut select.items, vec![Item::Every]);
        }
        let (mut sources, rows) = self.read(|| {
            let mut binder = Binder::new(self);
            let bound = binder.query(&rows_query)?;
            let params = std::mem::take(&mut binder.params);
            let width = bound.columns.len();
            let mut statement = self.prepared(&bound.sql)?;
            let mapped = statement.query_map(params_from_iter(params), |row| {
                (0..width).map(|at| row.get(at)).collect::<Result<_, _>>()
            })?;
            let rows: Vec<Vec<Value>> = mapped.collect::<Result<_, _>>()?;
            Ok((std::mem::take(&mut binder.sources), rows))
        })?;
        // In each row, the columns of the sources are parameters.
        for (at, column) in sources.iter_mut().flat_map(|s| &mut s.columns).enumerate() {
            column.bound.sql = format!("?{}", at + 1);
            column.bound.nullable = true;
        }
        self.rowcount = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        for row in rows {
            for (item, target) in items.iter().zip(targets) {
                let Item::Expr(e, _) = item else { continue };
                let (ty, value) = self.of_row(e, &sources, &row)?;
                self.assign(target, ty, &value)?;
            }
        }
        results.done(None, false);
        Ok(())
    }

    /// Returns the value of an expression in a row of these sources.
    fn of_row(&self, e: &Expr, sources: &[Source], row: &[Value]) -> SqlResult<(Ty, Value)> {
        self.read(|| {
            let mut binder = Binder::new(self);
            binder.params.extend_from_slice(row);
            binder.scopes.push(Scope {
                sources: sources.to_vec(),
                grouping: None,
            });
            let bound = binder.expr(e)?;
            let params = std::mem::take(&mut binder.params);
            let sql = format!("SELECT {}", bound.sql);
            let mut statement = self.prepared(&sql)?;
            // SQLite takes no more values than the statement has parameters.
            let count = statement.parameter_count();
            let value: Value = statement.query_row(params_from_iter(params.into_iter().take(count)), |r| r.get(0))?;
            Ok((bound.ty, value))
        })
    }

    fn select_into(&mut self, query: &Query, target: &Name, results: &mut dyn TakeResults) -> SqlResult<()> {
        let mut query = query.clone();
        if let Body::Select(select) = &mut query.body {
            select.into = None;
        }
        if !self.place(target)?.is_temp() {
            self.check_definition(&Kind::CreateTable(
                target.clone(),
                Vec::new(),
                Vec::new(),
                Storage::default(),
            ))?;
            self.hold(None, results)?;
        }
        let count = self.write(results, |session, _| session.copy_into(&query, target))?;
        self.finish_dml(count as u64, results);
        Ok(())
    }

    /// Creates a table from a query, inside [`Session::write`].
    fn copy_into(&mut self, query: &Query, target: &Name) -> SqlResult<usize> {
        let (bound, params) = self.bound(query)?;
        let mut columns = Vec::new();
        for (at, column) in bound.columns.iter().enumerate() {
            if column.name.is_empty() {
                return Err(SqlError::of(1038, &[&(at + 1)]));
            }
            columns.push(ColumnDef {
                name: column.name.clone(),
                // A rowversion column is copied with its values.
                ty: Some(match (column.ty, &column.origin) {
                    (Ty::RowVersion, None) => Ty::Binary(8),
                    (ty, _) => ty,
                }),
                nullable: Some(column.nullable),
                collation: column.label.map(|label| label.collation.name().to_owned()),
                ..ColumnDef::default()
            });
        }
        self.create_table(target, &columns, &[])?;
        let table = self.table_named(target)?;
        let names: Vec<String> = columns.iter().map(|c| crate::sql::catalog::quote(&c.name)).collect();
        let sql = format!(
            "INSERT INTO {}({}) {}",
            table.place().physical(),
            names.join(", "),
            bound.sql
        );
        let mut statement = self.conn().prepare(&sql).map_err(|e| self.storage_error(&e, &sql))?;
        Ok(statement.execute(params_from_iter(params))?)
    }
}

/// Returns whether an item reads one of these variables.
fn reads(item: &Item, names: &[String]) -> bool {
    let is_one = |e: &Expr| matches!(e, Expr::Var(name) if names.iter().any(|n| n.eq_ignore_ascii_case(name)));
    matches!(item, Item::Expr(e, _) if e.any(&is_one))
}

//! `INSERT`, and the rows of a bulk load.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::bulk::{self, BulkLoad};
use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Expr, Item, Name, Period, Query, Rows};
use crate::sql::bind::{Binder, Bound, OutColumn, Scope};
use crate::sql::catalog::{Column, Table, quote};
use crate::sql::parser;
use crate::value::convert;
use crate::value::{Ty, text};

/// The columns an insert fills from its rows, and the expressions of all others.
struct Targets {
    given: Vec<Column>,
    others: Vec<(Column, String)>,
}

type Ctes = [(String, Vec<String>, Query)];

impl Session {
    /// `INSERT`
    pub(super) fn insert(
        &mut self,
        name: &Name,
        columns: &[String],
        output: &[Item],
        rows: &Rows,
        ctes: &Ctes,
        sink: &mut dyn Sink,
    ) -> SqlResult<()> {
        let (table, count, has_rows) = self.write(sink, |session, sink| {
            let table = session.table_named(name)?;
            session.lock_for_change(&table)?;
            let numbered = session.open_log(&table)?;
            let mut binder = Binder::new(session);
            let (sql, out) = insert_sql(&mut binder, &table, columns, output, rows, ctes, numbered)?;
            let params = std::mem::take(&mut binder.params);
            let count = session
                .run_dml(&table, &sql, &params, out.as_deref(), sink)
                .map_err(|e| session.constraint_error(e, &table, "INSERT"))?;
            if numbered {
                session.note_rows(&table);
            }
            Ok((table, count, out.is_some()))
        })?;
        if table.columns.iter().any(|c| c.identity.is_some()) && count > 0 {
            self.identity = self.engine.identity(table.id);
            self.scope_identity = self.identity;
        }
        self.finish_dml(count, has_rows, sink);
        Ok(())
    }

    /// Runs a data change, streaming its `OUTPUT` rows if it has any, and gives the number of rows.
    pub(super) fn run_dml(
        &self,
        table: &Table,
        sql: &str,
        params: &[Value],
        output: Option<&[OutColumn]>,
        sink: &mut dyn Sink,
    ) -> SqlResult<u64> {
        self.unique_in_any_case(table, |meant| {
            self.run_change(sql, params, output, meant.then_some(&mut *sink))
        })
    }

    /// Without a sink the rows of `OUTPUT` go nowhere.
    fn run_change(
        &self,
        sql: &str,
        params: &[Value],
        output: Option<&[OutColumn]>,
        sink: Option<&mut dyn Sink>,
    ) -> SqlResult<u64> {
        let mut statement = self
            .conn()
            .prepare_cached(sql)
            .map_err(|e| self.storage_error(&e, sql))?;
        let Some(columns) = output else {
            return Ok(statement.execute(params_from_iter(params))? as u64);
        };
        let Some(sink) = sink else {
            // All changes are made before the first row comes.
            statement.query(params_from_iter(params))?.next()?;
            return Ok(0);
        };
        let mut rows = statement.query(params_from_iter(params))?;
        let mut next = rows.next()?;
        sink.columns(columns)?;
        let mut count = 0;
        while let Some(row) = next {
            sink.row(row)?;
            count += 1;
            next = rows.next()?;
        }
        Ok(count)
    }

    pub(super) fn finish_dml(&mut self, count: u64, rows: bool, sink: &mut dyn Sink) {
        self.rowcount = i64::try_from(count).unwrap_or(i64::MAX);
        sink.done(if self.options.nocount { None } else { Some(count) }, rows);
    }

    /// Readies a bulk load.
    pub(super) fn insert_bulk(&mut self, name: &Name, columns: &[(String, Ty)], keep_nulls: bool) -> SqlResult<()> {
        let table = self.table_named(name)?;
        for (column, _) in columns {
            table.column(column).ok_or_else(|| SqlError::no_column(column))?;
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
    /// # Errors
    /// 4002 without an `INSERT BULK` before it; 4816 and 4875 when it declared other types; what the rows' conversion and the table's constraints say.
    pub fn bulk_rows(
        &mut self,
        columns: &[(String, Ty)],
        rows: Vec<Vec<Value>>,
        sink: &mut dyn Sink,
    ) -> SqlResult<u64> {
        let Some(BulkLoad {
            place,
            columns: wanted,
            keep_nulls,
        }) = self.bulk.take()
        else {
            return Err(SqlError::new(
                4002,
                "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly.",
            ));
        };
        if !wanted.is_empty() && wanted.len() != columns.len() {
            return Err(SqlError::new(
                4804,
                "While reading current row from host, a premature end-of-message was encountered--an incoming data stream was interrupted when the server expected to see more data.",
            ));
        }
        bulk::check_types(&wanted, columns)?;
        let names: Vec<String> = if wanted.is_empty() {
            columns.iter().map(|(n, _)| n.clone()).collect()
        } else {
            wanted.into_iter().map(|(n, _)| n).collect()
        };
        self.write(sink, |session, sink| {
            let table = session.table(&place, &place.two_part())?;
            session.lock_for_change(&table)?;
            let numbered = session.open_log(&table)?;
            let count = session
                .unique_in_any_case(&table, |_| {
                    session.load(&table, &names, keep_nulls, numbered, columns, &rows, sink)
                })
                .map_err(|e| session.constraint_error(e, &table, "INSERT"))?;
            if numbered {
                session.note_rows(&table);
            }
            Ok(count)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn load(
        &self,
        table: &Table,
        names: &[String],
        keep_nulls: bool,
        numbered: bool,
        columns: &[(String, Ty)],
        rows: &[Vec<Value>],
        sink: &dyn Sink,
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
            let param = match column.identity {
                Some((_, increment)) => format!("t_note_identity({param}, {}, {increment})", table.id),
                None => param,
            };
            values.push(param);
        }
        let sql = assemble(table, &targets, &values, numbered);
        let mut statement = self.conn().prepare(&sql).map_err(|e| self.storage_error(&e, &sql))?;
        let mut count = 0;
        for row in rows {
            if sink.cancelled() {
                return Err(SqlError::new(0, "The request was cancelled."));
            }
            let mut all = params.clone();
            for ((value, (_, from)), column) in row.iter().zip(columns).zip(&targets.given) {
                let label = format!("{}.{}.{}|{}", table.db, table.schema, table.name, column.name);
                all.push(convert::store(value.into(), *from, column.ty, &label)?);
            }
            statement.execute(params_from_iter(all))?;
            count += 1;
        }
        Ok(count)
    }
}

/// `INSERT INTO t(columns) SELECT values`; `values` are the given columns' expressions.
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
    if names.is_empty() {
        return format!("INSERT INTO {} DEFAULT VALUES", table.place().physical());
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
                .filter(|c| c.computed.is_none() && c.ty != Ty::RowVersion && c.identity.is_none())
                .cloned(),
        );
        if explicit_identity && !bulk && table.columns.iter().any(|c| c.identity.is_some()) {
            return Err(SqlError::new(
                8101,
                format!(
                    "An explicit value for the identity column in table '{}' can only be specified when a column list is used and IDENTITY_INSERT is ON.",
                    table.name
                ),
            ));
        }
    }
    for name in names {
        let column = table.column(name).ok_or_else(|| SqlError::no_column(name))?;
        if given.iter().any(|g: &Column| text::same(&g.name, name)) {
            return Err(SqlError::new(
                264,
                format!(
                    "The column name '{name}' is specified more than once in the SET clause or column list of an INSERT."
                ),
            ));
        }
        if column.computed.is_some() {
            return Err(SqlError::new(
                271,
                format!(
                    "The column \"{}\" cannot be modified because it is either a computed column or is the result of a UNION operator.",
                    column.name
                ),
            ));
        }
        if column.ty == Ty::RowVersion && !defaulted(given.len()) {
            return Err(SqlError::new(
                273,
                "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
            ));
        }
        if column.identity.is_some() && !explicit_identity {
            return Err(SqlError::new(
                544,
                format!(
                    "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
                    table.name
                ),
            ));
        }
        given.push(column.clone());
    }
    let explicit = |(at, column): (usize, &Column)| column.period.is_some() && !defaulted(at);
    if given.iter().enumerate().any(explicit) {
        return Err(SqlError::new(
            13536,
            format!(
                "Cannot insert an explicit value into a GENERATED ALWAYS column in table '{}'. Use INSERT with a column list to exclude the GENERATED ALWAYS column, or insert a DEFAULT into GENERATED ALWAYS column.",
                table.place().two_part()
            ),
        ));
    }
    let mut others = Vec::new();
    for column in table.stored().filter(|c| !given.iter().any(|g| g.id == c.id)) {
        if column.ty == Ty::RowVersion {
            others.push((column.clone(), "t_rowversion()".to_owned()));
        } else if let Some((seed, increment)) = column.identity {
            if explicit_identity && !bulk {
                return Err(SqlError::new(
                    545,
                    format!(
                        "Explicit value must be specified for identity column in table '{}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
                        table.name
                    ),
                ));
            }
            others.push((column.clone(), format!("t_identity({}, {seed}, {increment})", table.id)));
        } else if let Some(default) = written_by_server(column) {
            let sql = default_sql(binder, column, default, table)?;
            others.push((column.clone(), sql));
        }
    }
    Ok(Targets { given, others })
}

fn count_error(more: bool) -> SqlError {
    if more {
        SqlError::new(110, "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.").class(15)
    } else {
        SqlError::new(109, "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.").class(15)
    }
}

/// Whether a select gives a bare `NULL` as this one of its columns, which any type takes. In a set operation it is an int.
fn is_bare_null(body: &Body, at: usize, columns: usize) -> bool {
    let Body::Select(select) = body else {
        return matches!(body, Body::Nested(query) if is_bare_null(&query.body, at, columns));
    };
    let items = &select.items;
    let is_star = |item: &Item| matches!(item, Item::Star(_));
    // A star stands for some columns: what is before it is counted from the front, what is after it from the back.
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
    output: &[Item],
    rows: &Rows,
    ctes: &Ctes,
    numbered: bool,
) -> SqlResult<(String, Option<Vec<OutColumn>>)> {
    let defaulted = |at: usize| match rows {
        Rows::Values(all) => all.iter().all(|row| row.get(at) == Some(&Expr::Default)),
        _ => false,
    };
    let targets = targets(binder, table, columns, false, &defaulted)?;
    let with = binder.with(ctes)?;
    let note = |column: &Column, sql: String| match column.identity {
        Some((_, increment)) => format!("t_note_identity({sql}, {}, {increment})", table.id),
        None => sql,
    };
    let mut sql = match rows {
        Rows::Default => {
            let mut values = Vec::new();
            for column in &targets.given {
                values.push(default_or_null(binder, column, table)?);
            }
            assemble(table, &targets, &values, numbered)
        }
        Rows::Values(all) => {
            let mut lines = Vec::new();
            for row in all {
                if row.len() != targets.given.len() {
                    // Without a column list the message speaks of the table.
                    return Err(if columns.is_empty() {
                        SqlError::new(
                            213,
                            "Column name or number of supplied values does not match table definition.",
                        )
                    } else {
                        count_error(row.len() > targets.given.len())
                    });
                }
                let mut values = Vec::new();
                for (e, column) in row.iter().zip(&targets.given) {
                    let value = match e {
                        Expr::Default => default_or_null(binder, column, table)?,
                        e => {
                            let bound = binder.expr(e)?;
                            Session::stored(bound, column, table)?
                        }
                    };
                    values.push(note(column, value));
                }
                lines.push(format!("({})", values.join(", ")));
            }
            let picked: Vec<String> = (1..=targets.given.len()).map(|at| format!("column{at}")).collect();
            format!(
                "{} FROM (VALUES {})",
                assemble(table, &targets, &picked, numbered),
                lines.join(", ")
            )
        }
        Rows::Query(query) => {
            let bound = binder.nested(query)?;
            if bound.columns.len() != targets.given.len() {
                return Err(if columns.is_empty() {
                    SqlError::new(
                        213,
                        "Column name or number of supplied values does not match table definition.",
                    )
                } else if bound.columns.len() > targets.given.len() {
                    SqlError::new(121, "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.").class(15)
                } else {
                    SqlError::new(120, "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.").class(15)
                });
            }
            let mut values = Vec::new();
            for (at, (column, out)) in targets.given.iter().zip(&bound.columns).enumerate() {
                let value = if is_bare_null(&query.body, at, bound.columns.len()) {
                    Bound::null()
                } else {
                    Bound::new(format!("q.c{at}"), out.ty).nullable(out.nullable)
                };
                values.push(note(column, Session::stored(value, column, table)?));
            }
            format!(
                "{} FROM ({}) AS q",
                assemble(table, &targets, &values, numbered),
                bound.sql
            )
        }
    };
    if !with.is_empty() {
        sql = format!("{with}{sql}");
    }
    let out = returning(binder, table, output, "inserted")?;
    if let Some((text, columns)) = out {
        return Ok((format!("{sql} RETURNING {text}"), Some(columns)));
    }
    Ok((sql, None))
}

/// The expression of what a column gets when it is given nothing.
fn written_by_server(column: &Column) -> Option<&str> {
    column.period.map(Period::value).or(column.default.as_deref())
}

fn default_or_null(binder: &mut Binder<'_>, column: &Column, table: &Table) -> SqlResult<String> {
    match written_by_server(column) {
        _ if column.ty == Ty::RowVersion => Ok("t_rowversion()".to_owned()),
        Some(text) => default_sql(binder, column, text, table),
        None => Ok("NULL".to_owned()),
    }
}

/// The `OUTPUT` clause as `RETURNING`.
pub(super) fn returning(
    binder: &mut Binder<'_>,
    table: &Table,
    output: &[Item],
    alias: &str,
) -> SqlResult<Option<(String, Vec<OutColumn>)>> {
    if output.is_empty() {
        return Ok(None);
    }
    let source = binder.table_source(table, Some(alias), "")?;
    let all: Vec<(String, Bound)> = source
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.bound.clone()))
        .collect();
    let outer = std::mem::replace(
        &mut binder.scopes,
        vec![Scope {
            sources: vec![source],
            grouping: None,
        }],
    );
    let mut items = Vec::new();
    for item in output {
        match item {
            Item::Star(q) if q.len() == 1 && text::same(&q[0], alias) => items.extend(all.iter().cloned()),
            Item::Expr(e, name) => {
                let bound = binder.expr(e)?;
                let own = bound.column.as_ref().map(|c| c.name.clone());
                items.push((name.clone().or(own).unwrap_or_default(), bound));
            }
            _ => return Err(SqlError::unsupported("OUTPUT of both old and new values")),
        }
    }
    binder.scopes = outer;
    let sql: Vec<String> = items.iter().map(|(_, b)| b.sql.clone()).collect();
    let columns = items
        .into_iter()
        .map(|(name, b)| OutColumn {
            name,
            ty: b.ty,
            nullable: b.nullable,
            origin: b.column,
        })
        .collect();
    Ok(Some((sql.join(", "), columns)))
}

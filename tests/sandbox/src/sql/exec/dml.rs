//! `UPDATE`, `DELETE`, `TRUNCATE TABLE`.

use rusqlite::types::Value;

use super::insert::returning;
use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Assignment, Expr, Item, Name, Table as From};
use crate::sql::bind::{Binder, OutColumn, Scope, types};
use crate::sql::catalog::{Table, quote};
use crate::value::{Ty, text};

/// The parts of an `UPDATE` or `DELETE` that both have.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) name: &'a Name,
    pub(super) output: &'a [Item],
    pub(super) from: &'a [From],
    pub(super) filter: Option<&'a Expr>,
    pub(super) top: Option<&'a Expr>,
}

/// The table that an alias of `FROM` stands for.
fn aliased<'f>(from: &'f [From], name: &Name) -> Option<&'f Name> {
    fn find<'f>(table: &'f From, wanted: &Name) -> Option<&'f Name> {
        match table {
            From::Named {
                name,
                alias: Some(alias),
            } if wanted.len() == 1 && text::same(alias, &wanted[0]) => Some(name),
            From::Join { left, right, .. } => find(left, wanted).or_else(|| find(right, wanted)),
            _ => None,
        }
    }
    from.iter().find_map(|t| find(t, name))
}

impl Session {
    /// `UPDATE`
    pub(super) fn update(&mut self, target: Target<'_>, sets: &[Assignment], sink: &mut dyn Sink) -> SqlResult<()> {
        let table = self.table_named(aliased(target.from, target.name).unwrap_or(target.name))?;
        let mut binder = Binder::new(self);
        let (sql, out) = update_sql(&mut binder, &table, target, sets)?;
        let params = std::mem::take(&mut binder.params);
        self.change(params, &table, &sql, out.as_deref(), "UPDATE", sink)
    }

    /// `DELETE`
    pub(super) fn delete(&mut self, target: Target<'_>, sink: &mut dyn Sink) -> SqlResult<()> {
        let table = self.table_named(aliased(target.from, target.name).unwrap_or(target.name))?;
        let mut binder = Binder::new(self);
        let (_, tail) = located(&mut binder, &table, target, &mut |_| Ok(Vec::new()))?;
        let mut sql = format!("DELETE FROM {} AS t0 WHERE {tail}", table.place().physical());
        let out = returning(&mut binder, &table, target.output, "deleted")?;
        let out = out.map(|(text, columns)| {
            sql += &format!(" RETURNING {text}");
            columns
        });
        let params = std::mem::take(&mut binder.params);
        self.change(params, &table, &sql, out.as_deref(), "DELETE", sink)
    }

    fn change(
        &mut self,
        params: Vec<Value>,
        table: &Table,
        sql: &str,
        out: Option<&[OutColumn]>,
        verb: &str,
        sink: &mut dyn Sink,
    ) -> SqlResult<()> {
        let count = self.write(sink, |session, sink| {
            session
                .run_dml(sql, params, out, sink)
                .map_err(|e| session.constraint_error(e, table, verb))
        })?;
        self.finish_dml(count, out.is_some(), sink);
        Ok(())
    }

    /// `TRUNCATE TABLE`
    pub(super) fn truncate(&mut self, name: &Name, sink: &mut dyn Sink) -> SqlResult<()> {
        let table = self.table_named(name).map_err(|_| {
            SqlError::new(
                4701,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.join(".")
                ),
            )
        })?;
        self.write(sink, |session, _| {
            session
                .conn()
                .execute_batch(&format!("DELETE FROM {}", table.place().physical()))?;
            Ok(())
        })?;
        self.engine.reset_identity(table.id);
        sink.done(None, false);
        Ok(())
    }
}

type Values<'v, 's> = &'v mut dyn FnMut(&mut Binder<'s>) -> SqlResult<Vec<(String, String)>>;

/// Finds the rows of a change. Gives the `SET` list with the rest of the text for an update, the condition for a delete.
fn located<'s>(
    binder: &mut Binder<'s>,
    table: &Table,
    target: Target<'_>,
    values: Values<'_, 's>,
) -> SqlResult<(String, String)> {
    binder.scopes.push(Scope::default());
    let result = locate(binder, table, target, values);
    binder.scopes.pop();
    result
}

fn locate<'s>(
    binder: &mut Binder<'s>,
    table: &Table,
    target: Target<'_>,
    values: Values<'_, 's>,
) -> SqlResult<(String, String)> {
    let simple = target.from.is_empty() && target.top.is_none();
    let handle;
    let from;
    if target.from.is_empty() {
        handle = if simple { "t0".to_owned() } else { "t1".to_owned() };
        binder.add_table(table, None, &handle)?;
        from = format!(" FROM {} AS {handle}", table.place().physical());
    } else {
        let text = binder.from(target.from)?;
        let sources = binder.scopes.last().map(|s| s.sources.as_slice()).unwrap_or_default();
        let found = sources
            .iter()
            .find(|s| s.matches(target.name))
            .or_else(|| sources.iter().find(|s| text::same(&s.alias, &table.name)));
        match found {
            Some(source) => {
                handle = source.handle.clone();
                from = text;
            }
            None => {
                // The target is not among the sources: it is joined to them.
                handle = "t1".to_owned();
                binder.add_table(table, None, &handle)?;
                from = format!("{text}, {} AS {handle}", table.place().physical());
            }
        }
    }
    let sets = values(binder)?;
    let filter = match target.filter {
        Some(filter) => format!(" WHERE {}", binder.condition(filter)?),
        None => String::new(),
    };
    if simple {
        let list: Vec<String> = sets
            .iter()
            .map(|(column, value)| format!("{} = {value}", quote(column)))
            .collect();
        let condition = filter.strip_prefix(" WHERE ").unwrap_or("1").to_owned();
        return Ok((list.join(", "), condition));
    }
    let limit = match target.top {
        Some(top) => {
            let bound = binder.expr(top)?;
            format!(" LIMIT t_limit({})", types::to(bound, Ty::BigInt).sql)
        }
        None => String::new(),
    };
    if sets.is_empty() {
        return Ok((
            String::new(),
            format!("t0._rowid_ IN (SELECT {handle}._rowid_{from}{filter}{limit})"),
        ));
    }
    let picked: Vec<String> = sets
        .iter()
        .enumerate()
        .map(|(at, (_, value))| format!("{value} AS v{at}"))
        .collect();
    let list: Vec<String> = sets
        .iter()
        .enumerate()
        .map(|(at, (column, _))| format!("{} = j.v{at}", quote(column)))
        .collect();
    let source = format!(
        "(SELECT {handle}._rowid_ AS r, {}{from}{filter}{limit}) AS j",
        picked.join(", ")
    );
    Ok((
        format!("{} FROM {source}", list.join(", ")),
        "t0._rowid_ = j.r".to_owned(),
    ))
}

fn update_sql(
    binder: &mut Binder<'_>,
    table: &Table,
    target: Target<'_>,
    sets: &[Assignment],
) -> SqlResult<(String, Option<Vec<OutColumn>>)> {
    let mut values = |binder: &mut Binder<'_>| -> SqlResult<Vec<(String, String)>> {
        let mut out: Vec<(String, String)> = Vec::new();
        for (column, variable, op, e) in sets {
            let (Some(name), None) = (column, variable) else {
                return Err(SqlError::unsupported("UPDATE … SET @variable"));
            };
            let written = name.last().cloned().unwrap_or_default();
            let column = table.column(&written).ok_or_else(|| SqlError::no_column(&written))?;
            if column.identity.is_some() {
                return Err(SqlError::new(
                    8102,
                    format!("Cannot update identity column '{}'.", column.name),
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
            if column.ty == Ty::RowVersion {
                return Err(SqlError::new(272, "Cannot update a timestamp column."));
            }
            if out.iter().any(|(c, _)| *c == column.name) {
                return Err(SqlError::new(
                    264,
                    format!(
                        "The column name '{}' is specified more than once in the SET clause or column list of an INSERT.",
                        column.name
                    ),
                ));
            }
            let bound = match (e, op) {
                (Expr::Default, None) => match &column.default {
                    Some(text) => binder.expr(&crate::sql::parser::expression(text)?)?,
                    None => crate::sql::bind::Bound::null(),
                },
                (e, None) => binder.expr(e)?,
                (e, Some(op)) => {
                    let (a, b) = (binder.column(name)?, binder.expr(e)?);
                    binder.binary(op, a, b)?
                }
            };
            out.push((column.name.clone(), Session::stored(bound, column, table)?));
        }
        for column in table.columns.iter().filter(|c| c.ty == Ty::RowVersion) {
            out.push((column.name.clone(), "t_rowversion()".to_owned()));
        }
        Ok(out)
    };
    let (list, condition) = located(binder, table, target, &mut values)?;
    let out = returning(binder, table, target.output, "inserted")?;
    // SQLite has the sources of an update between the list and the condition.
    let mut sql = format!("UPDATE {} AS t0 SET {list} WHERE {condition}", table.place().physical());
    Ok(match out {
        Some((text, columns)) => {
            sql += &format!(" RETURNING {text}");
            (sql, Some(columns))
        }
        None => (sql, None),
    })
}

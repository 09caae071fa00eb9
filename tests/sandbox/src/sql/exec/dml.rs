//! The execution of `UPDATE`, `DELETE` and `TRUNCATE TABLE`.

use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{Assignment, Expr, Name, Period, Table as From, Target};
use crate::sql::bind::{Binder, Bound, Scope};
use crate::sql::catalog::{Table, quote};
use crate::value::{Ty, text};

/// Returns the table that an alias of `FROM` stands for.
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
    pub(super) fn update(
        &mut self,
        target: &Target,
        sets: &[Assignment],
        results: &mut dyn TakeResults,
    ) -> SqlResult<()> {
        self.change(target, sets, "UPDATE", results, |binder, table| {
            update_sql(binder, table, target, sets)
        })
    }

    pub(super) fn delete(&mut self, target: &Target, results: &mut dyn TakeResults) -> SqlResult<()> {
        self.change(target, &[], "DELETE", results, |binder, table| {
            let found = located(binder, table, target, &mut |_| Ok(Vec::new()))?;
            let condition = if found.simple && !binder.session.is_versioned(table) {
                found.condition()
            } else {
                format!("t0._rowid_ IN ({})", found.rows())
            };
            Ok(format!(
                "DELETE FROM {} AS t0 WHERE {condition}",
                table.place().physical()
            ))
        })
    }

    /// Runs a change of rows: waits for transactions that have changed them, keeps what they replace, and counts.
    fn change(
        &mut self,
        target: &Target,
        sets: &[Assignment],
        verb: &str,
        results: &mut dyn TakeResults,
        bind: impl Fn(&mut Binder<'_>, &Table) -> SqlResult<String>,
    ) -> SqlResult<()> {
        self.check_writable(&target.table)?;
        let count = self.write(results, |session, _| {
            let table = session.table_named(aliased(&target.from, &target.table).unwrap_or(&target.table))?;
            session.check_right(verb, table.id, &table.name, &table.schema)?;
            session.lock_for_change(&table)?;
            let mut binder = Binder::new(session);
            let sql = bind(&mut binder, &table)?;
            let params = std::mem::take(&mut binder.params);
            session.meet_rows(&table, target)?;
            session.open_log(&table)?;
            let mut binder = Binder::new(session);
            let replaced = located(&mut binder, &table, target, &mut |_| Ok(Vec::new()))?;
            session.keep_history(binder, &table, &replaced.rows())?;
            session.note_update(&table, sets)?;
            let run = || session.run_dml(&table, &sql, &params);
            let count = match run() {
                Err(e) if e.number == 2627 && verb == "UPDATE" => session.unique_at_the_end(&table, e, run),
                done => done,
            };
            count.map_err(|e| session.constraint_error(e, &table, verb))
        })?;
        self.finish_dml(count, results);
        Ok(())
    }

    /// Runs an update that failed with `error` again, without the unique indexes, and makes these again. SQLite looks
    /// for duplicates after each row, and the server when all rows are changed.
    fn unique_at_the_end(
        &self,
        table: &Table,
        error: SqlError,
        run: impl FnOnce() -> SqlResult<u64>,
    ) -> SqlResult<u64> {
        let place = table.place();
        let query = format!(
            "SELECT name, sql FROM {}.sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql LIKE 'CREATE UNIQUE %'",
            place.store()
        );
        let indexes: Vec<(String, String)> = self
            .conn()
            .prepare(&query)?
            .query_map([place.stored_name()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let attempt = || {
            for (name, _) in &indexes {
                self.conn()
                    .execute_batch(&format!("DROP INDEX {}.{}", place.store(), quote(name)))?;
            }
            let count = run()?;
            for (_, sql) in &indexes {
                // SQLite keeps the text without the schema.
                let made = sql.replacen("INDEX ", &format!("INDEX {}.", place.store()), 1);
                self.conn().execute_batch(&made)?;
            }
            Ok(count)
        };
        self.conn().execute_batch("SAVEPOINT at_the_end")?;
        let outcome: SqlResult<u64> = attempt();
        if outcome.is_err() {
            self.conn().execute_batch("ROLLBACK TO at_the_end")?;
        }
        self.conn().execute_batch("RELEASE at_the_end")?;
        outcome.map_err(|_| error)
    }

    /// Looks for rows of a change that other transactions have changed, both as this transaction sees them and as they
    /// will be when the others commit. Under SNAPSHOT it looks only at what it sees.
    fn meet_rows(&self, table: &Table, target: &Target) -> SqlResult<()> {
        if !self.is_versioned(table) {
            return Ok(());
        }
        let mut queries = Vec::new();
        for uncommitted in [None, Some(table.id)] {
            if uncommitted.is_some() && self.options.snapshot {
                continue;
            }
            let mut binder = Binder::new(self);
            binder.uncommitted = uncommitted;
            let found = located(&mut binder, table, target, &mut |_| Ok(Vec::new()))?;
            queries.push((found.rows(), std::mem::take(&mut binder.params)));
        }
        self.meet(table, &queries)
    }

    /// Runs `TRUNCATE TABLE`.
    pub(super) fn truncate(&mut self, name: &Name, results: &mut dyn TakeResults) -> SqlResult<()> {
        let tracked = match self.table_named(name) {
            Ok(table) if !table.place().is_temp() => self.tracked(table.id)?.is_some(),
            _ => false,
        };
        if tracked {
            self.hold(Some(name), results)?;
        }
        let table = self.write(results, |session, _| {
            let table = session
                .table_named(name)
                .map_err(|_| SqlError::of(4701, &[&name.join(".")]))?;
            session.lock_table(&table, Mode::Exclusive)?;
            session.open_log(&table)?;
            session
                .conn()
                .execute_batch(&format!("DELETE FROM {}", table.place().physical()))?;
            session.truncate_tracking(&table)?;
            Ok(table)
        })?;
        self.engine.reset_identity(table.id);
        results.done(None, false);
        Ok(())
    }
}

type Values<'v, 's> = &'v mut dyn FnMut(&mut Binder<'s>) -> SqlResult<Vec<(String, String)>>;

/// The rows that a change is about, and for an update their new values.
struct Found {
    /// The SQLite alias of the table.
    handle: String,
    from: String,
    filter: String,
    sets: Vec<(String, String)>,
    /// Whether there is no source except the table, and no limit.
    simple: bool,
}

impl Found {
    /// Returns the condition on the table alone.
    fn condition(&self) -> String {
        self.filter.strip_prefix(" WHERE ").unwrap_or("1").to_owned()
    }

    /// Returns a query for the rows' numbers.
    fn rows(&self) -> String {
        let Found {
            handle, from, filter, ..
        } = self;
        format!("SELECT {handle}._rowid_{from}{filter}")
    }
}

fn located<'s>(binder: &mut Binder<'s>, table: &Table, target: &Target, values: Values<'_, 's>) -> SqlResult<Found> {
    binder.scopes.push(Scope::default());
    let result = locate(binder, table, target, values);
    binder.scopes.pop();
    result
}

fn locate<'s>(binder: &mut Binder<'s>, table: &Table, target: &Target, values: Values<'_, 's>) -> SqlResult<Found> {
    let handle;
    let from;
    if target.from.is_empty() {
        handle = "t0".to_owned();
        binder.add_table(table, None, &handle)?;
        from = format!(" FROM {} AS {handle}", binder.rows_of(table)?);
    } else {
        let text = binder.from(&target.from)?;
        let sources = binder.scopes.last().map(|s| s.sources.as_slice()).unwrap_or_default();
        let found = sources
            .iter()
            .find(|s| s.matches(&target.table))
            .or_else(|| sources.iter().find(|s| text::same(&s.alias, &table.name)));
        match found {
            Some(source) => {
                handle = source.handle.clone();
                from = text;
            }
            None => {
                // The table is not among the sources, so it is joined to them.
                handle = "t1".to_owned();
                binder.add_table(table, None, &handle)?;
                from = format!("{text}, {} AS {handle}", binder.rows_of(table)?);
            }
        }
    }
    let sets = values(binder)?;
    let filter = match &target.filter {
        Some(filter) => format!(" WHERE {}", binder.condition(filter)?),
        None => String::new(),
    };
    Ok(Found {
        handle,
        from,
        filter,
        sets,
        simple: target.from.is_empty(),
    })
}

/// Returns the `SET` list of an update, and the rest of its text after it.
fn set_sql(found: &Found, rewrites: bool) -> (String, String) {
    if found.simple && !rewrites {
        let list: Vec<String> = found
            .sets
            .iter()
            .map(|(column, value)| format!("{} = {value}", quote(column)))
            .collect();
        return (list.join(", "), found.condition());
    }
    let Found {
        handle,
        from,
        filter,
        sets,
        ..
    } = found;
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
        "(SELECT {handle}._rowid_ AS r, {}{from}{filter}) AS j",
        picked.join(", ")
    );
    // In SQLite, the sources of an update come between the list and the condition.
    (
        format!("{} FROM {source}", list.join(", ")),
        "t0._rowid_ = j.r".to_owned(),
    )
}

/// Returns the SQL of an update. A row that is read in an older version is found by its number.
fn update_sql(binder: &mut Binder<'_>, table: &Table, target: &Target, sets: &[Assignment]) -> SqlResult<String> {
    let rewrites = binder.session.is_versioned(table);
    let found = located(binder, table, target, &mut |binder| {
        let mut out: Vec<(String, String)> = Vec::new();
        for set in sets {
            let (column, value) = set_column(binder, table, set)?;
            if out.iter().any(|(name, _)| *name == column) {
                return Err(SqlError::of(264, &[&column]));
            }
            out.push((column, value));
        }
        for column in table.columns.iter().filter(|c| c.ty == Ty::RowVersion) {
            out.push((column.name.clone(), table.next_rowversion()));
        }
        for column in table.columns.iter().filter(|c| c.period == Some(Period::Start)) {
            let bound = binder.expr(&crate::sql::parser::expression(Period::Start.value())?)?;
            out.push((column.name.clone(), Session::stored(bound, column, table)?));
        }
        Ok(out)
    })?;
    let (list, condition) = set_sql(&found, rewrites);
    Ok(format!(
        "UPDATE {} AS t0 SET {list} WHERE {condition}",
        table.place().physical()
    ))
}

/// Returns a column that an update sets, and its new value.
fn set_column(binder: &mut Binder<'_>, table: &Table, set: &Assignment) -> SqlResult<(String, String)> {
    let (name, op, e) = set;
    let written = name.last().cloned().unwrap_or_default();
    let column = table.column(&written).ok_or_else(|| SqlError::no_column(&written))?;
    if column.identity.is_some() {
        return Err(SqlError::of(8102, &[&column.name]));
    }
    if column.computed.is_some() {
        return Err(SqlError::of(271, &[&column.name]));
    }
    if column.ty == Ty::RowVersion {
        return Err(SqlError::of(272, &[]));
    }
    if column.period.is_some() {
        return Err(SqlError::of(13537, &[&table.place().two_part()]));
    }
    let bound = match (e, op) {
        (Expr::Default, None) => match &column.default {
            Some(text) => binder.expr(&crate::sql::parser::expression(text)?)?,
            None => Bound::null(),
        },
        (e, None) => binder.expr(e)?,
        (e, Some(op)) => {
            let (a, b) = (binder.column(name)?, binder.expr(e)?);
            binder.binary(op, a, b)?
        }
    };
    Ok((column.name.clone(), Session::stored(bound, column, table)?))
}

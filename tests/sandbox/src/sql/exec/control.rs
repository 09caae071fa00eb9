//! The execution of batches, blocks and flow, statement by statement, and of errors.

use rusqlite::types::Value;

use super::procedure::{Argument, Output};
use super::table_types::Frame;
use super::{Flow, Session, TakeResults, Variable};
use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{Declared, Expr, Kind, Name, Stmt};
use crate::sql::lexer;
use crate::sql::parser;

impl Session {
    /// Runs a batch. Its errors go to the results.
    pub fn batch(&mut self, text: &str, results: &mut dyn TakeResults) {
        self.new_batch();
        match parser::batch(text) {
            Ok(statements) => {
                // The only errors that come back are cancellations, because everything else has been reported.
                let _ = self.run(&statements, results);
            }
            Err(e) => {
                self.report(&e, false, results);
            }
        }
        self.end_of_batch(results);
    }

    /// Runs a script of batches that are separated by `GO`.
    pub fn script(&mut self, text: &str, results: &mut dyn TakeResults) {
        for batch in lexer::batches(text) {
            self.batch(&batch, results);
        }
    }

    /// Calls a procedure by RPC. Returns its status and its output values by position.
    ///
    /// Fails only for a cancellation. Everything else is reported.
    pub fn rpc(
        &mut self,
        name: &[String],
        arguments: Vec<Argument>,
        results: &mut dyn TakeResults,
    ) -> Option<(i32, Vec<Output>)> {
        self.new_batch();
        let result = self.call(&name.to_vec(), arguments, results);
        let out = match result {
            Ok((_, _, Flow::Abort)) => None,
            Ok((status, outputs, _)) => Some((status, outputs)),
            Err(e) if e.number == 0 => None,
            Err(e) => {
                self.report(&e.at(1), false, results);
                None
            }
        };
        self.end_of_batch(results);
        out
    }

    /// Runs statements in order.
    ///
    /// Inside a `TRY` it fails with every error, otherwise only for a cancellation.
    pub(super) fn run(&mut self, statements: &[Stmt], results: &mut dyn TakeResults) -> SqlResult<Flow> {
        for statement in statements {
            match self.statement(statement, results)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt, results: &mut dyn TakeResults) -> SqlResult<Flow> {
        if results.cancelled() {
            return Err(SqlError::cancelled());
        }
        if self.options.fmtonly && changes_data(&statement.kind) {
            // Only the columns of results are wanted, so nothing is changed.
            results.done(None, false);
            return Ok(Flow::Next);
        }
        match self.execute(statement, results) {
            Ok(flow) => {
                if !matches!(
                    statement.kind,
                    Kind::If(..) | Kind::While(..) | Kind::Block(_) | Kind::Try(..) | Kind::Exec(..)
                ) {
                    self.last_error = 0;
                }
                Ok(flow)
            }
            Err(e) if e.number == 0 => Err(e),
            Err(e) => {
                let mut e = e.at(statement.line);
                if e.procedure.is_empty() {
                    e.procedure.clone_from(&self.procedure);
                }
                if self.tries > 0 {
                    Err(e)
                } else {
                    let raised = matches!(statement.kind, Kind::RaiseError(..));
                    Ok(self.report(&e, raised, results))
                }
            }
        }
    }

    fn execute(&mut self, statement: &Stmt, results: &mut dyn TakeResults) -> SqlResult<Flow> {
        let level = self.options.keeps_locks.then_some(Mode::Shared);
        let outer = self.lock.replace(statement.locks.max(level));
        let result = self.execute_kind(statement, results);
        self.lock.set(outer);
        result
    }

    pub(super) fn execute_kind(&mut self, statement: &Stmt, results: &mut dyn TakeResults) -> SqlResult<Flow> {
        match &statement.kind {
            Kind::Select(query) => self.select(query, results)?,
            Kind::Insert {
                table,
                columns,
                rows,
                ctes,
            } => self.insert(table, columns, rows, ctes, results)?,
            Kind::Update(target, sets) => self.update(target, sets, results)?,
            Kind::Delete(target) => self.delete(target, results)?,
            Kind::Merge(merge) => self.merge(merge, results)?,
            Kind::Truncate(name) => self.truncate(name, results)?,
            Kind::InsertBulk {
                table,
                columns,
                keep_nulls,
            } => {
                self.insert_bulk(table, columns, *keep_nulls)?;
                results.done(None, false);
            }
            Kind::Exec(result, name, arguments) => return self.exec(result.as_deref(), name, arguments, results),
            Kind::ExecText(text) => return self.exec_text(text, results),
            Kind::If(condition, then, otherwise) => match (self.holds(condition)?, otherwise) {
                (true, _) => return self.statement(then, results),
                (false, Some(otherwise)) => return self.statement(otherwise, results),
                (false, None) => {}
            },
            Kind::While(condition, body) => return self.while_loop(condition, body, results),
            Kind::Block(body) => return self.run(body, results),
            Kind::Try(body, handler) => return self.try_catch(body, handler, results),
            Kind::Return(value) => {
                let status = value.as_ref().map_or(Ok(None), |value| self.evaluate_int(value))?;
                return Ok(Flow::Return(i32::try_from(status.unwrap_or(0)).unwrap_or(0)));
            }
            Kind::Declare(variables) => self.declare_all(variables)?,
            Kind::SetVar(name, op, value) => self.set_variable(name, *op, value)?,
            Kind::SetOption(option, value) => self.set_option(option, value)?,
            Kind::IdentityInsert(table, on) => self.identity_insert(table, *on)?,
            Kind::Begin => self.begin(results),
            Kind::Commit => self.commit(results)?,
            Kind::Rollback(name) => self.rollback(name.as_deref(), results)?,
            Kind::Save(name) => self.save(name)?,
            Kind::Print(value) => {
                let message = self.evaluate_text(value)?.unwrap_or_default();
                results.info(&SqlError::new(0, message).class(0).at(statement.line));
            }
            Kind::RaiseError(message, severity, state) => {
                self.raise_error([message, severity, state], statement.line, results)?;
            }
            Kind::Throw(error) => return self.throw(error.as_ref(), statement.line),
            Kind::Use(name) => self.use_database(name, results)?,
            Kind::AlterDatabase(name, options) => self.alter_database(name.as_deref(), options, results)?,
            _ => self.definition(statement, results)?,
        }
        Ok(Flow::Next)
    }

    /// Runs a statement that changes the catalog.
    fn definition(&mut self, statement: &Stmt, results: &mut dyn TakeResults) -> SqlResult<()> {
        self.check_definition(&statement.kind)?;
        let temporary = match &statement.kind {
            Kind::CreateTable(name, ..) => self.place(name)?.is_temp(),
            _ => false,
        };
        if !temporary {
            self.hold(defined_anew(&statement.kind), results)?;
        }
        self.write(results, |s, _| match &statement.kind {
            Kind::CreateTable(name, columns, constraints, storage) => {
                s.create_table(name, columns, constraints)?;
                s.store(name, storage)
            }
            Kind::Partition(partition) => s.partition(partition),
            Kind::AddColumns(name, columns, constraints) => s.add_columns(name, columns, constraints),
            Kind::DropColumns(name, columns, missing_ok) => s.drop_columns(name, columns, *missing_ok),
            Kind::SetMask(name, column, mask) => s.set_mask(name, column, mask.as_deref()),
            Kind::Drop(what, names, missing_ok) => names.iter().try_for_each(|n| s.drop_object(what, n, *missing_ok)),
            Kind::CreateIndex(name, table, columns, unique) => s.create_index(name, table, columns, *unique),
            Kind::UpdateStatistics(table, name) => s.update_statistics(table, name.as_deref()),
            Kind::EnableTracking(name, columns) => s.enable_tracking(name, *columns),
            Kind::DisableTracking(name) => s.disable_tracking(name),
            Kind::CreateSchema(name) => s.create_schema(name),
            Kind::CreatePolicy(name, predicates) => s.create_policy(name, predicates),
            Kind::CreateModule(name, module) => s.create_module(name, module),
            Kind::CreateLogin(name, password) => s.create_login(name, password),
            Kind::CreateUser(name, login) => s.create_user(name, login),
            Kind::Permission(permission) => s.set_rights(permission),
            Kind::CreateDatabase(name) => s.create_database(name),
            Kind::CreateType(name, body) => s.create_type(name, body),
            Kind::CreateProcedure(name, parameters, text, create, alter) => {
                s.create_procedure(name, parameters, text, *create, *alter)
            }
            _ => Err(SqlError::syntax("statement")),
        })?;
        results.done(None, false);
        Ok(())
    }

    fn identity_insert(&mut self, table: &Name, on: bool) -> SqlResult<()> {
        let table = self.table_named(table)?;
        if on && !table.columns.iter().any(|c| c.identity.is_some()) {
            return Err(SqlError::of(8106, &[&table.name]));
        }
        self.options.identity_insert = on.then_some(table.id);
        Ok(())
    }

    fn set_variable(&mut self, name: &str, op: Option<&'static str>, value: &Expr) -> SqlResult<()> {
        let value = match op {
            Some(op) => Expr::Binary(op, Box::new(Expr::Var(name.to_owned())), Box::new(value.clone())),
            None => value.clone(),
        };
        let (ty, value) = self.evaluate(&value)?;
        self.assign(name, ty, &value)
    }

    fn declare_all(&mut self, variables: &[Declared]) -> SqlResult<()> {
        for declared in variables {
            match declared {
                Declared::Scalar(name, ty, value) => {
                    let value = match value {
                        Some(e) => self.evaluate_as(e, *ty)?,
                        None => Value::Null,
                    };
                    self.declare(name, Variable { ty: *ty, value });
                }
                Declared::Table(name, columns, constraints) => self.declare_table(name, columns, constraints)?,
                Declared::Typed(name, ty) => {
                    let variable = self.of_type(ty)?;
                    self.declare_as(name, variable);
                }
            }
        }
        Ok(())
    }

    fn while_loop(&mut self, condition: &Expr, body: &Stmt, results: &mut dyn TakeResults) -> SqlResult<Flow> {
        while self.holds(condition)? {
            match self.statement(body, results)? {
                Flow::Next => {}
                other => return Ok(other),
            }
            if results.cancelled() {
                return Err(SqlError::cancelled());
            }
        }
        Ok(Flow::Next)
    }

    fn try_catch(&mut self, body: &[Stmt], handler: &[Stmt], results: &mut dyn TakeResults) -> SqlResult<Flow> {
        self.tries += 1;
        let result = self.run(body, results);
        self.tries -= 1;
        match result {
            Err(e) if e.number != 0 => {
                self.note_caught(&e);
                self.caught.push(e);
                let result = self.run(handler, results);
                self.caught.pop();
                result
            }
            other => other,
        }
    }

    fn exec_text(&mut self, text: &Expr, results: &mut dyn TakeResults) -> SqlResult<Flow> {
        let text = self.evaluate_text(text)?.unwrap_or_default();
        let statements = parser::batch(&text)?;
        let (flow, _) = self.in_frame(Frame::default(), |session| session.run(&statements, results));
        Ok(if flow? == Flow::Abort { Flow::Abort } else { Flow::Next })
    }

    /// Runs `RAISERROR`. An error that is not severe is a message to the client.
    fn raise_error(
        &mut self,
        [message, severity, state]: [&Expr; 3],
        line: u32,
        results: &mut dyn TakeResults,
    ) -> SqlResult<()> {
        let severity = self.evaluate_int(severity)?.unwrap_or(0).clamp(0, 25);
        let state = self.evaluate_int(state)?.unwrap_or(1).clamp(0, 255);
        let text = self.evaluate_text(message)?.unwrap_or_default();
        let error = SqlError::new(50_000, text)
            .class(u8::try_from(severity).unwrap_or(16))
            .state(u8::try_from(state).unwrap_or(1))
            .at(line);
        if severity > 10 {
            return Err(error);
        }
        results.info(&SqlError {
            procedure: self.procedure.clone(),
            ..error
        });
        Ok(())
    }

    fn throw(&mut self, error: Option<&(Expr, Expr, Expr)>, line: u32) -> SqlResult<Flow> {
        let Some((number, message, state)) = error else {
            return Err(self.caught.last().cloned().unwrap_or_else(|| SqlError::of(10704, &[])));
        };
        let number = self.evaluate_int(number)?.unwrap_or(0);
        if !(50_000..=2_147_483_647).contains(&number) {
            return Err(SqlError::of(35100, &[&number]));
        }
        let state = u8::try_from(self.evaluate_int(state)?.unwrap_or(1).clamp(0, 255)).unwrap_or(1);
        let message = self.evaluate_text(message)?.unwrap_or_default();
        let error = SqlError::new(i32::try_from(number).unwrap_or(50_000), message);
        Err(error.state(state).at(line))
    }
}

/// Returns the table that a definition changes.
fn defined_anew(kind: &Kind) -> Option<&Name> {
    match kind {
        Kind::AddColumns(name, ..)
        | Kind::DropColumns(name, ..)
        | Kind::SetMask(name, ..)
        | Kind::CreateIndex(_, name, ..)
        | Kind::EnableTracking(name, _)
        | Kind::DisableTracking(name) => Some(name),
        Kind::Drop("table", names, _) => names.first(),
        _ => None,
    }
}

/// Returns whether `FMTONLY` leaves a statement out.
fn changes_data(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::Select(_)
            | Kind::Exec(..)
            | Kind::ExecText(_)
            | Kind::If(..)
            | Kind::While(..)
            | Kind::Block(_)
            | Kind::Try(..)
            | Kind::Return(_)
            | Kind::Declare(_)
            | Kind::SetVar(..)
            | Kind::SetOption(..)
            | Kind::Begin
            | Kind::Commit
            | Kind::Rollback(_)
    )
}

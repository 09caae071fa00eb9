//! Statement by statement: batches, blocks, flow, errors.

use rusqlite::types::Value;

use super::dml::Target;
use super::procedure::{Argument, Output};
use super::table_types::Frame;
use super::{Flow, Session, Sink, Variable};
use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{Declared, Expr, Kind, Name, Stmt};
use crate::sql::lexer;
use crate::sql::parser;
use crate::value::{MAX, Ty};

impl Session {
    /// Runs a batch. Errors go to the sink.
    pub fn batch(&mut self, text: &str, sink: &mut dyn Sink) {
        self.new_batch();
        match parser::batch(text) {
            Ok(statements) => {
                // The only errors that come back are cancellations: everything else has been reported.
                let _ = self.run(&statements, sink);
            }
            Err(e) => {
                self.report(&e, sink);
            }
        }
        self.end_of_batch(sink);
    }

    /// Runs a script of batches separated by `GO`.
    pub fn script(&mut self, text: &str, sink: &mut dyn Sink) {
        for batch in lexer::batches(text) {
            self.batch(&batch, sink);
        }
    }

    /// Calls a procedure by RPC: status and output values by position.
    ///
    /// # Errors
    /// Only a cancellation; all else is reported.
    pub fn rpc(
        &mut self,
        name: &[String],
        arguments: Vec<Argument>,
        sink: &mut dyn Sink,
    ) -> Option<(i32, Vec<Output>)> {
        self.new_batch();
        let result = self.call(&name.to_vec(), arguments, sink);
        let out = match result {
            Ok((_, _, Flow::Abort)) => None,
            Ok((status, outputs, _)) => Some((status, outputs)),
            Err(e) if e.number == 0 => None,
            Err(e) => {
                self.report(&e.at(1), sink);
                None
            }
        };
        self.end_of_batch(sink);
        out
    }

    /// Runs statements in order.
    ///
    /// # Errors
    /// Inside a `TRY` every error; otherwise only a cancellation.
    pub(super) fn run(&mut self, statements: &[Stmt], sink: &mut dyn Sink) -> SqlResult<Flow> {
        for statement in statements {
            match self.statement(statement, sink)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt, sink: &mut dyn Sink) -> SqlResult<Flow> {
        if sink.cancelled() {
            return Err(SqlError::new(0, "The request was cancelled."));
        }
        if self.options.noexec && !matches!(statement.kind, Kind::SetOption(..)) {
            return Ok(Flow::Next);
        }
        if self.options.fmtonly && changes_data(&statement.kind) {
            // Only the shape of results is wanted: nothing is changed.
            sink.done(None, false);
            return Ok(Flow::Next);
        }
        match self.execute(statement, sink) {
            Ok(flow) => {
                if !matches!(
                    statement.kind,
                    Kind::If(..)
                        | Kind::While(..)
                        | Kind::Block(_)
                        | Kind::Try(..)
                        | Kind::RaiseError(_)
                        | Kind::Exec(..)
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
                    Ok(self.report(&e, sink))
                }
            }
        }
    }

    fn execute(&mut self, statement: &Stmt, sink: &mut dyn Sink) -> SqlResult<Flow> {
        let level = self.options.keeps_locks.then_some(Mode::Shared);
        let outer = self.lock.replace(statement.locks.max(level));
        let result = self.execute_kind(statement, sink);
        self.lock.set(outer);
        result
    }

    pub(super) fn execute_kind(&mut self, statement: &Stmt, sink: &mut dyn Sink) -> SqlResult<Flow> {
        if let Kind::Insert { table, .. } | Kind::Update { table, .. } | Kind::Delete { table, .. } = &statement.kind {
            self.check_writable(table)?;
        }
        match &statement.kind {
            Kind::Select(query) => self.select(query, sink)?,
            Kind::Insert {
                table,
                columns,
                output,
                rows,
                ctes,
            } => self.insert(table, columns, output, rows, ctes, sink)?,
            Kind::Update {
                table,
                sets,
                output,
                from,
                filter,
                top,
            } => {
                let target = Target {
                    name: table,
                    output,
                    from,
                    filter: filter.as_ref(),
                    top: top.as_ref(),
                };
                self.update(target, sets, sink)?;
            }
            Kind::Delete {
                table,
                output,
                from,
                filter,
                top,
            } => {
                let target = Target {
                    name: table,
                    output,
                    from,
                    filter: filter.as_ref(),
                    top: top.as_ref(),
                };
                self.delete(target, sink)?;
            }
            Kind::Merge(merge) => self.merge(merge, sink)?,
            Kind::Truncate(name) => self.truncate(name, sink)?,
            Kind::InsertBulk {
                table,
                columns,
                keep_nulls,
            } => {
                self.insert_bulk(table, columns, *keep_nulls)?;
                sink.done(None, false);
            }
            Kind::Exec(result, name, arguments) => return self.exec(result.as_deref(), name, arguments, sink),
            Kind::ExecText(text) => return self.exec_text(text, sink),
            Kind::If(condition, then, otherwise) => {
                if self.holds(condition)? {
                    return self.statement(then, sink);
                }
                if let Some(otherwise) = otherwise {
                    return self.statement(otherwise, sink);
                }
            }
            Kind::While(condition, body) => return self.while_loop(condition, body, sink),
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::Block(body) => return self.run(body, sink),
            Kind::Try(body, handler) => return self.try_catch(body, handler, sink),
            Kind::Return(value) => {
                let status = match value {
                    Some(value) => self.evaluate_int(value)?.unwrap_or(0),
                    None => 0,
                };
                return Ok(Flow::Return(i32::try_from(status).unwrap_or(0)));
            }
            Kind::Declare(variables) => self.declare_all(variables)?,
            Kind::SetVar(name, op, value) => {
                let value = match op {
                    Some(op) => Expr::Binary(op, Box::new(Expr::Var(name.clone())), Box::new(value.clone())),
                    None => value.clone(),
                };
                let (ty, value) = self.evaluate(&value)?;
                self.assign(name, ty, &value)?;
            }
            Kind::SetOption(option, value) => self.set_option(option, value)?,
            Kind::IdentityInsert(table, on) => {
                let table = self.table_named(table)?;
                if *on && !table.columns.iter().any(|c| c.identity.is_some()) {
                    return Err(SqlError::new(
                        8106,
                        format!(
                            "Table '{}' does not have the identity property. Cannot perform SET operation.",
                            table.name
                        ),
                    ));
                }
                self.options.identity_insert = if *on { Some(table.id) } else { None };
            }
            Kind::Begin => self.begin(sink),
            Kind::Commit => self.commit(sink)?,
            Kind::Rollback(name) => self.rollback(name.as_deref(), sink)?,
            Kind::Save(name) => self.save(name)?,
            Kind::Print(value) => {
                let message = self.evaluate_text(value)?.unwrap_or_default();
                sink.info(&SqlError::new(0, message).class(0).at(statement.line));
            }
            Kind::RaiseError(args) => self.raise_error(args, statement.line, sink)?,
            Kind::Throw(error) => return self.throw(error.as_ref(), statement.line),
            Kind::Use(name) => self.use_database(name, sink)?,
            Kind::WithContext(context, change) => self.with_context(context, change, sink)?,
            Kind::AlterDatabase(name, options) => self.alter_database(name.as_deref(), options, sink)?,
            Kind::WaitFor(delay) => self.wait_for(delay, sink)?,
            _ => self.definition(statement, sink)?,
        }
        Ok(Flow::Next)
    }

    /// Statements that change the catalog.
    fn definition(&mut self, statement: &Stmt, sink: &mut dyn Sink) -> SqlResult<()> {
        let temporary = match &statement.kind {
            Kind::CreateTable(name, ..) => self.place(name)?.is_temp(),
            _ => false,
        };
        if !temporary {
            self.hold(defined_anew(&statement.kind), sink)?;
        }
        self.write(sink, |s, _| match &statement.kind {
            Kind::CreateTable(name, columns, constraints) => s.create_table(name, columns, constraints),
            Kind::AddColumns(name, columns, constraints) => s.add_columns(name, columns, constraints),
            Kind::DropColumns(name, columns, missing_ok) => s.drop_columns(name, columns, *missing_ok),
            Kind::DropConstraint(name, constraint, missing_ok) => s.drop_constraint(name, constraint, *missing_ok),
            Kind::Drop(what, names, missing_ok) => names.iter().try_for_each(|n| s.drop_object(what, n, *missing_ok)),
            Kind::CreateIndex(name, table, columns, unique) => s.create_index(name, table, columns, *unique),
            Kind::DropIndex(name, table, missing_ok) => s.drop_index(name, table, *missing_ok),
            Kind::UpdateStatistics(table, name) => s.update_statistics(table, name.as_deref()),
            Kind::EnableTracking(name, columns) => s.enable_tracking(name, *columns),
            Kind::DisableTracking(name) => s.disable_tracking(name),
            Kind::CreateSchema(name) => s.create_schema(name),
            Kind::CreateDatabase(name) => s.create_database(name),
            Kind::CreateType(name, body) => s.create_type(name, body),
            Kind::CreateProcedure(name, parameters, text, create, alter) => {
                s.create_procedure(name, parameters, text, *create, *alter)
            }
            _ => Err(SqlError::syntax("statement")),
        })?;
        sink.done(None, false);
        Ok(())
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
                Declared::Typed(name, ty) => self.declare_typed(name, ty)?,
            }
        }
        Ok(())
    }

    fn while_loop(&mut self, condition: &Expr, body: &Stmt, sink: &mut dyn Sink) -> SqlResult<Flow> {
        while self.holds(condition)? {
            match self.statement(body, sink)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                other => return Ok(other),
            }
            if sink.cancelled() {
                return Err(SqlError::new(0, "The request was cancelled."));
            }
        }
        Ok(Flow::Next)
    }

    fn try_catch(&mut self, body: &[Stmt], handler: &[Stmt], sink: &mut dyn Sink) -> SqlResult<Flow> {
        self.tries += 1;
        let result = self.run(body, sink);
        self.tries -= 1;
        match result {
            Err(e) if e.number != 0 => {
                self.note_caught(&e);
                self.caught.push(e);
                let result = self.run(handler, sink);
                self.caught.pop();
                result
            }
            other => other,
        }
    }

    fn exec_text(&mut self, text: &Expr, sink: &mut dyn Sink) -> SqlResult<Flow> {
        let text = self.evaluate_text(text)?.unwrap_or_default();
        let statements = parser::batch(&text)?;
        let (flow, _) = self.in_frame(Frame::default(), |session| session.run(&statements, sink));
        Ok(if flow? == Flow::Abort { Flow::Abort } else { Flow::Next })
    }

    fn raise_error(&mut self, args: &[Expr], line: u32, sink: &mut dyn Sink) -> SqlResult<()> {
        let (message, severity, state) = (&args[0], self.evaluate_int(&args[1])?, self.evaluate_int(&args[2])?);
        let severity = u8::try_from(severity.unwrap_or(0).clamp(0, 25)).unwrap_or(16);
        let state = u8::try_from(state.unwrap_or(1).clamp(0, 255)).unwrap_or(1);
        let (ty, value) = self.evaluate(message)?;
        let mut text = match value {
            Value::Text(s) if ty.is_string() => s,
            _ => return Err(SqlError::unsupported("RAISERROR with a message number")),
        };
        for arg in &args[3..] {
            let value = self.evaluate_text(arg)?.unwrap_or_else(|| "(null)".to_owned());
            text = fill(&text, &value);
        }
        let text = text.replace("%%", "%");
        let error = SqlError::new(50000, text).class(severity).state(state).at(line);
        if severity <= 10 {
            sink.info(&SqlError {
                procedure: self.procedure.clone(),
                ..error
            });
            return Ok(());
        }
        Err(error)
    }

    fn throw(&mut self, error: Option<&(Expr, Expr, Expr)>, line: u32) -> SqlResult<Flow> {
        let Some((number, message, state)) = error else {
            return Err(self.caught.last().cloned().unwrap_or_else(|| {
                SqlError::new(10704, "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.").class(15)
            }));
        };
        let number = self.evaluate_int(number)?.unwrap_or(0);
        if !(50_000..=2_147_483_647).contains(&number) {
            return Err(SqlError::new(
                35100,
                format!(
                    "Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647."
                ),
            ));
        }
        let state = u8::try_from(self.evaluate_int(state)?.unwrap_or(1).clamp(0, 255)).unwrap_or(1);
        let message = self.evaluate_text(message)?.unwrap_or_default();
        let mut error = SqlError::new(i32::try_from(number).unwrap_or(50_000), message)
            .state(state)
            .at(line);
        // A thrown error ends the batch even with the number of RAISERROR.
        if self.tries == 0 {
            error.number = error.number.max(50_000);
        }
        Err(error)
    }

    fn wait_for(&mut self, delay: &Expr, sink: &mut dyn Sink) -> SqlResult<()> {
        let text = self.evaluate_as(delay, Ty::NVarChar(MAX))?;
        let Value::Text(text) = text else { return Ok(()) };
        let moment = crate::value::parse::moment(&text).map_err(|_| {
            SqlError::new(
                148,
                format!("Incorrect time syntax in time string '{text}' used with WAITFOR."),
            )
            .class(15)
        })?;
        let until =
            std::time::Instant::now() + std::time::Duration::from_nanos(u64::try_from(moment.time).unwrap_or(0) * 100);
        while std::time::Instant::now() < until {
            if sink.cancelled() {
                return Err(SqlError::new(0, "The request was cancelled."));
            }
            let rest = until.saturating_duration_since(std::time::Instant::now());
            std::thread::sleep(rest.min(std::time::Duration::from_millis(10)));
        }
        Ok(())
    }
}

/// The table that a definition changes.
fn defined_anew(kind: &Kind) -> Option<&Name> {
    match kind {
        Kind::AddColumns(name, ..)
        | Kind::DropColumns(name, ..)
        | Kind::DropConstraint(name, ..)
        | Kind::CreateIndex(_, name, ..)
        | Kind::DropIndex(_, name, _)
        | Kind::EnableTracking(name, _)
        | Kind::DisableTracking(name) => Some(name),
        Kind::Drop("table", names, _) => names.first(),
        _ => None,
    }
}

/// Statements that `FMTONLY` does not run.
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
            | Kind::Break
            | Kind::Continue
            | Kind::Return(_)
            | Kind::Declare(_)
            | Kind::SetVar(..)
            | Kind::SetOption(..)
            | Kind::Begin
            | Kind::Commit
            | Kind::Rollback(_)
    )
}

/// Puts a value in place of the first `%s`, `%d`, `%i` or `%u`.
fn fill(text: &str, value: &str) -> String {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] == b'%' {
            if matches!(bytes[at + 1], b's' | b'd' | b'i' | b'u') {
                return format!("{}{value}{}", &text[..at], &text[at + 2..]);
            }
            at += 1;
        }
        at += 1;
    }
    text.to_owned()
}

//! The stand-in runs procedures here: `CREATE PROCEDURE`, `EXEC`, and calls by RPC.

use rusqlite::params;
use rusqlite::types::Value;

use super::system::status;
use super::table_types::{Frame, TableVariable};
use super::{Flow, Session, TakeResults, Variable};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{self, Expr, Name, Param};
use crate::sql::bind::types::check_implicit;
use crate::sql::catalog::{self, Procedure};
use crate::sql::parser;
use crate::value::Ty;
use crate::value::convert;

/// An argument of a call, evaluated.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name without `@`, empty for a positional one.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Its value in stored form.
    pub value: Value,
    /// Whether the caller wants the value back.
    pub output: bool,
    /// Whether the parameter's default is asked for.
    pub default: bool,
    /// The rows for a table-valued parameter.
    pub table: Option<TableVariable>,
}

/// The value of an output argument: its position, type and stored form.
pub type Output = (usize, Ty, Value);

impl Session {
    /// Runs `CREATE PROCEDURE` and `ALTER PROCEDURE`, inside [`Session::write`].
    pub(super) fn create_procedure(
        &mut self,
        name: &Name,
        parameters: &[Param],
        text: &str,
        create: bool,
        alter: bool,
    ) -> SqlResult<()> {
        let place = self.new_place(name)?;
        let existing = catalog::procedure(self.conn(), &place)?;
        let id = match existing {
            Some(procedure) if alter => {
                self.conn().execute(
                    "UPDATE main._object SET definition = ?1, modified = ?2 WHERE id = ?3",
                    params![text, catalog::now(), procedure.id],
                )?;
                self.conn()
                    .execute("DELETE FROM main._parameter WHERE object_id = ?1", [procedure.id])?;
                procedure.id
            }
            None if !create => return Err(SqlError::no_object(&name.join("."))),
            _ => catalog::add_object(self.conn(), &place, "P", Some(text))?,
        };
        for (at, parameter) in parameters.iter().enumerate() {
            let table_type = match &parameter.table {
                Some(ty) => Some(self.table_type(ty)?.0),
                None => None,
            };
            self.conn().execute(
                "INSERT INTO main._parameter(object_id, id, name, ty, output, has_default, table_type)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    at as i64 + 1,
                    parameter.name,
                    parameter.ty.code(),
                    parameter.output,
                    parameter.default.is_some(),
                    table_type
                ],
            )?;
        }
        Ok(())
    }

    /// Returns a procedure.
    ///
    /// Fails with 2812 if there is none.
    pub(super) fn procedure(&self, name: &Name) -> SqlResult<Procedure> {
        let place = self.place(name)?;
        catalog::procedure(self.conn(), &place)?.ok_or_else(|| SqlError::of(2812, &[&name.join(".")]))
    }

    /// Runs `EXEC` in a batch.
    pub(super) fn exec(
        &mut self,
        result: Option<&str>,
        name: &Name,
        arguments: &[ast::Argument],
        results: &mut dyn TakeResults,
    ) -> SqlResult<Flow> {
        let mut values = Vec::new();
        for argument in arguments {
            let default = argument.value == Expr::Default;
            let table = self.table_argument(&argument.value);
            let (ty, value) = if default || table.is_some() {
                (Ty::Int, Value::Null)
            } else {
                self.evaluate(&argument.value)?
            };
            values.push(Argument {
                name: argument.name.clone().unwrap_or_default(),
                ty,
                value,
                output: argument.output,
                default,
                table,
            });
        }
        results.nest(true);
        let called = self.call(name, values, results);
        results.nest(false);
        let (status, outputs, flow) = called?;
        for (argument, at) in arguments.iter().zip(0..) {
            if let (true, Expr::Var(variable)) = (argument.output, &argument.value)
                && let Some((_, ty, value)) = outputs.iter().find(|(position, ..)| *position == at)
            {
                self.assign(variable, *ty, value)?;
            }
        }
        if let Some(variable) = result {
            self.assign(variable, Ty::Int, &Value::Integer(i64::from(status)))?;
        }
        results.returned(status);
        Ok(if flow == Flow::Abort { Flow::Abort } else { Flow::Next })
    }

    /// Calls a procedure. Returns its status, the values of its output arguments by position, and whether it ended
    /// early.
    pub(super) fn call(
        &mut self,
        name: &Name,
        arguments: Vec<Argument>,
        results: &mut dyn TakeResults,
    ) -> SqlResult<(i32, Vec<Output>, Flow)> {
        if let Some(result) = self.system_procedure(name, &arguments, results)? {
            return Ok(result);
        }
        let procedure = self.procedure(name)?;
        self.check_right("EXECUTE", procedure.id, &procedure.name, &procedure.schema)?;
        let (parameters, body) = parser::procedure_body(&procedure.definition)?;
        let (frame, positions) = self.bind_arguments(&procedure.name, &parameters, &arguments)?;
        let outer_db = std::mem::replace(&mut self.db, procedure.db.clone());
        let outer_name = std::mem::replace(&mut self.procedure, procedure.name.clone());
        let result = self.in_frame(frame, |session| session.run(&body, results));
        self.procedure = outer_name;
        self.db = outer_db;
        let (flow, frame) = result;
        let flow = flow.map_err(|mut e| {
            if e.procedure.is_empty() {
                e.procedure.clone_from(&procedure.name);
            }
            e
        })?;
        Ok((status(flow), outputs(&arguments, &parameters, &positions, &frame), flow))
    }

    /// Runs something with variables of its own, and returns them.
    pub(super) fn in_frame<T>(
        &mut self,
        frame: Frame,
        work: impl FnOnce(&mut Session) -> SqlResult<T>,
    ) -> (SqlResult<T>, Frame) {
        if self.nesting >= 32 {
            let error = SqlError::of(217, &[]);
            return (Err(error), frame);
        }
        self.frames.push(frame);
        self.nesting += 1;
        let nocount = self.options.nocount;
        let xact_abort = self.options.xact_abort;
        let result = work(self);
        // The SET options of a procedure end with it.
        self.options.nocount = nocount;
        self.options.xact_abort = xact_abort;
        self.nesting -= 1;
        let mut frame = self.frames.pop().unwrap_or_default();
        self.drop_table_variables(&mut frame);
        (result, frame)
    }

    pub(super) fn bind_arguments(
        &mut self,
        procedure: &str,
        parameters: &[Param],
        arguments: &[Argument],
    ) -> SqlResult<(Frame, Vec<usize>)> {
        let mut given: Vec<Option<&Argument>> = vec![None; parameters.len()];
        let mut positions = Vec::new();
        let mut named = false;
        for (at, argument) in arguments.iter().enumerate() {
            named |= !argument.name.is_empty();
            if named && argument.name.is_empty() {
                return Err(SqlError::of(119, &[&(at + 1)]));
            }
            let position = position(procedure, parameters, at, argument)?;
            given[position] = Some(argument);
            positions.push(position);
        }
        let mut frame = Frame::default();
        for (parameter, argument) in parameters.iter().zip(given) {
            let name = parameter.name.to_lowercase();
            if let Some(ty) = &parameter.table {
                let bound = self.bind_table(ty, argument)?;
                frame.tables.insert(name, bound);
                continue;
            }
            Self::no_table(argument, parameter.ty)?;
            let ty = parameter.ty;
            let value = match (argument, &parameter.default) {
                (Some(argument), _) if !argument.default => converted(argument, ty)?,
                (_, Some(default)) => self.evaluate_as(default, ty)?,
                _ => return Err(SqlError::of(201, &[&procedure, &parameter.name])),
            };
            frame.variables.insert(name, Variable { ty, value });
        }
        Ok((frame, positions))
    }

    /// Runs a text with parameters of its own, as `sp_executesql` does.
    pub(super) fn execute_text(
        &mut self,
        text: &str,
        parameters: &[Param],
        arguments: &[Argument],
        results: &mut dyn TakeResults,
    ) -> SqlResult<(Flow, Vec<Output>)> {
        let statements = parser::batch(text)?;
        let (frame, positions) = self.bind_arguments("sp_executesql", parameters, arguments)?;
        let (flow, frame) = self.in_frame(frame, |session| session.run(&statements, results));
        Ok((flow?, outputs(arguments, parameters, &positions, &frame)))
    }
}

fn outputs(arguments: &[Argument], parameters: &[Param], positions: &[usize], frame: &Frame) -> Vec<Output> {
    let mut out = Vec::new();
    for (at, (argument, position)) in arguments.iter().zip(positions).enumerate() {
        if let (true, Some(variable)) = (
            argument.output,
            frame.variables.get(&parameters[*position].name.to_lowercase()),
        ) {
            out.push((at, variable.ty, variable.value.clone()));
        }
    }
    out
}

/// Returns the position of the parameter that an argument is for.
fn position(procedure: &str, parameters: &[Param], at: usize, argument: &Argument) -> SqlResult<usize> {
    let position = if argument.name.is_empty() {
        Some(at)
            .filter(|at| *at < parameters.len())
            .ok_or_else(|| SqlError::of(8144, &[&procedure]))?
    } else {
        let found = parameters
            .iter()
            .position(|p| p.name.eq_ignore_ascii_case(&argument.name));
        found.ok_or_else(|| SqlError::of(8145, &[&argument.name, &procedure]))?
    };
    if argument.output && !parameters[position].output {
        return Err(SqlError::of(8162, &[&parameters[position].name]));
    }
    Ok(position)
}

/// Returns the value of an argument in the type of its parameter.
fn converted(argument: &Argument, ty: Ty) -> SqlResult<Value> {
    if argument.value != Value::Null {
        check_implicit(argument.ty, ty)?;
    }
    let value = convert::convert((&argument.value).into(), argument.ty, ty);
    value.map_err(|e| match e.number {
        241 | 242 | 245 => SqlError::of(8114, &[&argument.ty.message_name(), &ty.message_name()]),
        _ => e,
    })
}

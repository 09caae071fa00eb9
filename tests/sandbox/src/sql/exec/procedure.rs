//! Procedures: `CREATE PROCEDURE`, `EXEC`, and calls by RPC.

use rusqlite::params;
use rusqlite::types::Value;

use super::table_types::{Frame, TableArgument, operand_clash};
use super::{Flow, Session, Sink, Variable};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{self, Expr, Name, Param, Stmt};
use crate::sql::catalog::{self, Procedure};
use crate::sql::parser;
use crate::value::Ty;
use crate::value::convert;
use crate::value::format::DEFAULT_STYLE;

/// An argument of a call, already a value.
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
    pub table: Option<TableArgument>,
}

/// The value of an output argument: its position, type and stored form.
pub type Output = (usize, Ty, Value);

impl Session {
    /// `CREATE PROCEDURE`, `ALTER PROCEDURE`; runs inside [`Session::write`].
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
            None if !create => {
                return Err(SqlError::new(208, format!("Invalid object name '{}'.", name.join("."))).state(6));
            }
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

    /// A procedure.
    ///
    /// # Errors
    /// 2812 if there is none.
    pub(super) fn procedure(&self, name: &Name) -> SqlResult<Procedure> {
        let place = self.place(name)?;
        catalog::procedure(self.conn(), &place)?.ok_or_else(|| {
            SqlError::new(2812, format!("Could not find stored procedure '{}'.", name.join("."))).state(62)
        })
    }

    /// `EXEC` in a batch.
    pub(super) fn exec(
        &mut self,
        result: Option<&str>,
        name: &Name,
        arguments: &[ast::Argument],
        sink: &mut dyn Sink,
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
        sink.nest(true);
        let called = self.call(name, values, sink);
        sink.nest(false);
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
        sink.returned(status);
        Ok(if flow == Flow::Abort { Flow::Abort } else { Flow::Next })
    }

    /// Calls a procedure; gives its status, the values of its output arguments by position, and whether it ended early.
    pub(super) fn call(
        &mut self,
        name: &Name,
        arguments: Vec<Argument>,
        sink: &mut dyn Sink,
    ) -> SqlResult<(i32, Vec<Output>, Flow)> {
        if let Some(result) = self.system_procedure(name, &arguments, sink)? {
            return Ok(result);
        }
        let procedure = self.procedure(name)?;
        let (parameters, body) = parser::procedure_body(&procedure.definition)?;
        let (frame, positions) = self.bind_arguments(&procedure.name, &parameters, &arguments)?;
        let outer_db = std::mem::replace(&mut self.db, procedure.db.clone());
        let outer_name = std::mem::replace(&mut self.procedure, procedure.name.clone());
        let result = self.in_frame(frame, |session| session.run(&body, sink));
        self.procedure = outer_name;
        self.db = outer_db;
        let (flow, frame) = result;
        let flow = flow.map_err(|mut e| {
            if e.procedure.is_empty() {
                e.procedure.clone_from(&procedure.name);
            }
            e
        })?;
        let status = match flow {
            Flow::Return(status) => status,
            Flow::Abort => -6,
            _ => 0,
        };
        Ok((status, outputs(&arguments, &parameters, &positions, &frame), flow))
    }

    /// Runs something with variables of its own and gives them back.
    pub(super) fn in_frame<T>(
        &mut self,
        frame: Frame,
        work: impl FnOnce(&mut Session) -> SqlResult<T>,
    ) -> (SqlResult<T>, Frame) {
        if self.nesting >= 32 {
            let error = SqlError::new(
                217,
                "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
            );
            return (Err(error), frame);
        }
        self.frames.push(frame);
        self.nesting += 1;
        let scope_identity = self.scope_identity.take();
        let nocount = self.options.nocount;
        let xact_abort = self.options.xact_abort;
        let result = work(self);
        // SET options of a procedure end with it.
        self.options.nocount = nocount;
        self.options.xact_abort = xact_abort;
        self.scope_identity = scope_identity;
        self.nesting -= 1;
        let mut frame = self.frames.pop().unwrap_or_default();
        self.drop_table_variables(&mut frame);
        (result, frame)
    }

    /// Puts arguments into parameters. Gives for each argument the parameter it went to.
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
                return Err(SqlError::new(119, format!("Must pass parameter number {} and subsequent parameters as '@name = value'. After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.", at + 1)).class(15));
            }
            let position = if argument.name.is_empty() {
                if at >= parameters.len() {
                    return Err(SqlError::new(
                        8144,
                        format!("Procedure or function {procedure} has too many arguments specified."),
                    )
                    .state(2));
                }
                at
            } else {
                parameters
                    .iter()
                    .position(|p| p.name.eq_ignore_ascii_case(&argument.name))
                    .ok_or_else(|| {
                        SqlError::new(
                            8145,
                            format!("@{} is not a parameter for procedure {procedure}.", argument.name),
                        )
                        .state(2)
                    })?
            };
            if argument.output && !parameters[position].output {
                return Err(SqlError::new(8162, format!("The formal parameter \"@{}\" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.", parameters[position].name)).state(2));
            }
            given[position] = Some(argument);
            positions.push(position);
        }
        let mut frame = Frame::default();
        for (parameter, argument) in parameters.iter().zip(given) {
            if let Some(ty) = &parameter.table {
                let bound = self.bind_table(ty, argument)?;
                frame.tables.insert(parameter.name.to_lowercase(), bound);
                continue;
            }
            if let Some(table) = argument.and_then(|a| a.table.as_ref()) {
                return Err(operand_clash(table.type_name(), parameter.ty.message_name()));
            }
            let value = match (argument, &parameter.default) {
                (Some(argument), _) if !argument.default => {
                    if argument.value != Value::Null {
                        crate::sql::bind::types::check_implicit(argument.ty, parameter.ty)?;
                    }
                    convert::convert((&argument.value).into(), argument.ty, parameter.ty, DEFAULT_STYLE).map_err(
                        |e| {
                            // A call reports a failed conversion as 8114 whatever the types.
                            if matches!(e.number, 241 | 242 | 245) {
                                SqlError::new(
                                    8114,
                                    format!(
                                        "Error converting data type {} to {}.",
                                        argument.ty.message_name(),
                                        parameter.ty.message_name()
                                    ),
                                )
                                .state(5)
                            } else {
                                e
                            }
                        },
                    )?
                }
                (_, Some(default)) => self.evaluate_as(default, parameter.ty)?,
                _ => {
                    return Err(SqlError::new(
                        201,
                        format!(
                            "Procedure or function '{procedure}' expects parameter '@{}', which was not supplied.",
                            parameter.name
                        ),
                    )
                    .state(4));
                }
            };
            frame.variables.insert(
                parameter.name.to_lowercase(),
                Variable {
                    ty: parameter.ty,
                    value,
                },
            );
        }
        Ok((frame, positions))
    }

    /// Runs a text with parameters of its own, as `sp_executesql` does.
    pub(super) fn execute_text(
        &mut self,
        text: &str,
        parameters: &[Param],
        arguments: &[Argument],
        sink: &mut dyn Sink,
    ) -> SqlResult<(Flow, Vec<Output>)> {
        let statements = parser::batch(text)?;
        self.execute_statements(&statements, parameters, arguments, sink)
    }

    fn execute_statements(
        &mut self,
        statements: &[Stmt],
        parameters: &[Param],
        arguments: &[Argument],
        sink: &mut dyn Sink,
    ) -> SqlResult<(Flow, Vec<Output>)> {
        let (frame, positions) = self.bind_arguments("sp_executesql", parameters, arguments)?;
        let (flow, frame) = self.in_frame(frame, |session| session.run(statements, sink));
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

//! The server's own procedures, which drivers and people call.

use rusqlite::types::Value;

use super::applock::Request;
use super::procedure::Output;
use super::{Argument, Flow, Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Name, Param};
use crate::sql::bind::{BoundQuery, OutColumn};
use crate::sql::catalog::literal;
use crate::sql::parser;
use crate::value::convert;
use crate::value::{MAX, Ty};

/// The status, the output values by position of the argument, and how the call ended.
pub(super) type Called = (i32, Vec<Output>, Flow);

fn text(argument: Option<&Argument>) -> SqlResult<String> {
    let Some(argument) = argument else {
        return Ok(String::new());
    };
    match convert::convert((&argument.value).into(), argument.ty, Ty::NVarChar(MAX))? {
        Value::Text(s) => Ok(s),
        _ => Ok(String::new()),
    }
}

fn number(argument: Option<&Argument>) -> SqlResult<i32> {
    let missing = || SqlError::of(8179, &[&0]);
    let argument = argument.ok_or_else(missing)?;
    match convert::convert((&argument.value).into(), argument.ty, Ty::Int)? {
        Value::Integer(i) => i32::try_from(i).map_err(|_| missing()),
        _ => Ok(0),
    }
}

fn declared(argument: Option<&Argument>) -> SqlResult<Vec<Param>> {
    parser::parameters(&text(argument)?)
}

fn shift(outputs: Vec<Output>, by: usize) -> Vec<Output> {
    outputs
        .into_iter()
        .map(|(at, ty, value)| (at + by, ty, value))
        .collect()
}

impl Session {
    /// Calls a procedure of the server. Returns `None` if the name is not one.
    pub(super) fn system_procedure(
        &mut self,
        name: &Name,
        arguments: &[Argument],
        results: &mut dyn TakeResults,
    ) -> SqlResult<Option<Called>> {
        let plain = name.last().map(|n| n.to_ascii_lowercase()).unwrap_or_default();
        let qualified = name.len() == 1
            || name[name.len() - 2].is_empty()
            || ["sys", "dbo"].contains(&name[name.len() - 2].to_ascii_lowercase().as_str());
        if !qualified {
            return Ok(None);
        }
        let at = |n: usize| arguments.get(n);
        Ok(Some(match plain.as_str() {
            "sp_executesql" => {
                if arguments.is_empty() {
                    return Err(SqlError::of(201, &[&"sp_executesql", &"statement"]));
                }
                let parameters = declared(at(1))?;
                let rest = arguments.get(2..).unwrap_or_default();
                let (flow, outputs) = self.execute_text(&text(at(0))?, &parameters, rest, results)?;
                (status(flow), shift(outputs, 2), flow)
            }
            "sp_prepexec" => {
                let (parameters, statement) = (text(at(1))?, text(at(2))?);
                let rest = arguments.get(3..).unwrap_or_default();
                parser::batch(&statement)?;
                let handle = self.prepare(&statement, &parameters)?;
                let (flow, outputs) =
                    self.execute_text(&statement, &parser::parameters(&parameters)?, rest, results)?;
                let mut all = vec![(0, Ty::Int, Value::Integer(i64::from(handle)))];
                all.extend(shift(outputs, 3));
                (status(flow), all, flow)
            }
            "sp_prepare" => {
                let (parameters, statement) = (text(at(1))?, text(at(2))?);
                parser::batch(&statement)?;
                let handle = self.prepare(&statement, &parameters)?;
                (0, vec![(0, Ty::Int, Value::Integer(i64::from(handle)))], Flow::Next)
            }
            "sp_execute" => {
                let handle = number(at(0))?;
                let (statement, parameters) = self.prepared.get(&handle).cloned().ok_or_else(|| no_handle(handle))?;
                let rest = arguments.get(1..).unwrap_or_default();
                let (flow, outputs) =
                    self.execute_text(&statement, &parser::parameters(&parameters)?, rest, results)?;
                (status(flow), shift(outputs, 1), flow)
            }
            "sp_unprepare" => {
                let handle = number(at(0))?;
                self.prepared.remove(&handle).ok_or_else(|| no_handle(handle))?;
                (0, Vec::new(), Flow::Next)
            }
            "sp_getapplock" => {
                let granted = self.get_app_lock(&lock_request(arguments, true)?, results)?;
                (granted, Vec::new(), Flow::Next)
            }
            "sp_releaseapplock" => {
                let released = self.release_app_lock(&lock_request(arguments, false)?)?;
                (released, Vec::new(), Flow::Next)
            }
            "sp_tablecollations_100" => {
                self.table_collations(&text(at(0))?, results)?;
                (0, Vec::new(), Flow::Next)
            }
            _ => return Ok(None),
        }))
    }

    /// Sends the collation of each column, as bulk copy clients ask for it.
    fn table_collations(&mut self, name: &str, results: &mut dyn TakeResults) -> SqlResult<()> {
        let table = self.table_named(&parser::name(name)?)?;
        let rows: Vec<String> = table
            .columns
            .iter()
            .map(|c| {
                let (bytes, collation) = if c.is_collated() {
                    let bytes = c.collation.wire().map(|byte| format!("{byte:02X}"));
                    (format!("x'{}'", bytes.concat()), literal(c.collation.name()))
                } else {
                    ("NULL".to_owned(), "NULL".to_owned())
                };
                let name = literal(&c.name);
                format!("SELECT {} AS c0, {name} AS c1, {bytes} AS c2, {collation} AS c3", c.id)
            })
            .collect();
        let column = |name: &str, ty: Ty| OutColumn::new(name, ty, true);
        let columns = vec![
            column("colid", Ty::Int),
            column("name", Ty::NVarChar(128)),
            column("tds_collation", Ty::Binary(5)),
            column("collation", Ty::NVarChar(128)),
        ];
        let count = self.stream(
            &BoundQuery {
                sql: rows.join(" UNION ALL "),
                columns,
            },
            Vec::new(),
            results,
        )?;
        self.finish_rows(count, results);
        Ok(())
    }

    fn prepare(&mut self, statement: &str, parameters: &str) -> SqlResult<i32> {
        parser::parameters(parameters)?;
        let handle = self.next_prepared;
        self.next_prepared += 1;
        self.prepared
            .insert(handle, (statement.to_owned(), parameters.to_owned()));
        Ok(handle)
    }

    /// Brings the session back to its state after the login.
    pub fn reset(&mut self, results: &mut dyn TakeResults) {
        if self.trancount > 0 {
            self.rollback_all(results);
        }
        self.options = super::Options::default();
        self.engine.app_locks.release_all(self.spid);
        self.prepared.clear();
        self.rowcount = 0;
        self.last_error = 0;
        if self.db != self.home {
            let old = std::mem::replace(&mut self.db, self.home.clone());
            results.database(&old, &self.db);
        }
        self.drop_temporary_tables();
    }

    /// Resets a pooled connection, with or without its transaction.
    pub fn reset_connection(&mut self, keep_transaction: bool, results: &mut dyn TakeResults) {
        if keep_transaction {
            let (trancount, descriptor) = (std::mem::take(&mut self.trancount), self.descriptor);
            self.reset(results);
            (self.trancount, self.descriptor) = (trancount, descriptor);
        } else {
            self.reset(results);
        }
    }

    fn drop_temporary_tables(&self) {
        let names: Vec<String> = self
            .conn()
            .prepare("SELECT name FROM temp._object")
            .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
            .unwrap_or_default();
        for name in names {
            // A name that is in the catalog and not in the schema has nothing to drop.
            let _ = self.drop_object("table", &vec![name], true);
        }
    }
}

/// Returns the arguments of `sp_getapplock` or `sp_releaseapplock`, by name or position.
fn lock_request(arguments: &[Argument], taking: bool) -> SqlResult<Request> {
    let names: &[&str] = if taking {
        &["Resource", "LockMode", "LockOwner", "LockTimeout", "DbPrincipal"]
    } else {
        &["Resource", "LockOwner", "DbPrincipal"]
    };
    let find = |name: &str| {
        let position = names.iter().position(|n| *n == name);
        arguments.iter().enumerate().find_map(|(at, a)| {
            let found = if a.name.is_empty() {
                position == Some(at)
            } else {
                a.name.eq_ignore_ascii_case(name)
            };
            found.then_some(a)
        })
    };
    if let Some(unknown) = arguments
        .iter()
        .find(|a| !a.name.is_empty() && !names.iter().any(|n| n.eq_ignore_ascii_case(&a.name)))
    {
        return Err(SqlError::of(8145, &[&unknown.name, &"sp_getapplock"]));
    }
    let given = |name: &str| find(name).map(|a| text(Some(a))).transpose();
    let required = |name: &str| given(name)?.ok_or_else(|| SqlError::of(201, &[&"sp_getapplock", &name]));
    Ok(Request {
        resource: required("Resource")?,
        mode: if taking { Some(required("LockMode")?) } else { None },
        owner: given("LockOwner")?.unwrap_or_else(|| "Transaction".to_owned()),
        timeout: find("LockTimeout")
            .map(|a| number(Some(a)).map(i64::from))
            .transpose()?,
    })
}

/// Returns the status of a call by how it ended.
pub(super) fn status(flow: Flow) -> i32 {
    match flow {
        Flow::Return(status) => status,
        Flow::Abort => -6,
        _ => 0,
    }
}

fn no_handle(handle: i32) -> SqlError {
    SqlError::of(8179, &[&handle])
}

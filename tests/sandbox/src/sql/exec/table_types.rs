//! Table types, table variables and table-valued parameters.
//!
//! A table variable is a temporary table under a name that no statement can write; it goes with the batch or procedure that
//! declared it.

use std::collections::HashMap;

use rusqlite::params;
use rusqlite::types::Value;

use super::bulk::BulkLoad;
use super::{Argument, Collected, Session, Variable};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Expr, Name, Rule, TABLE_VARIABLE};
use crate::sql::catalog::{self, OWN, Place};
use crate::sql::parser;
use crate::sql::parser::types::unknown_type;
use crate::value::Ty;

/// The kind of a table type in the catalog.
const KIND: &str = "TT";
/// Types and objects have names of their own: in the catalog those of types begin with this.
const PREFIX: &str = "type ";

/// The variables of a batch or a procedure.
#[derive(Debug, Default)]
pub struct Frame {
    /// The scalar ones, by their name in lower case.
    pub(super) variables: HashMap<String, Variable>,
    /// The tables, by their name in lower case.
    pub(super) tables: HashMap<String, TableVariable>,
}

/// A table variable or a table-valued parameter.
#[derive(Clone, Debug)]
pub struct TableVariable {
    /// The temporary table.
    name: String,
    /// Its type, if it has a name.
    ty: Option<(i64, String)>,
    /// A parameter cannot be written.
    readonly: bool,
    /// The table is this frame's, to be dropped with it.
    owned: bool,
}

/// What a caller gives for a table-valued parameter.
#[derive(Clone, Debug)]
pub enum TableArgument {
    /// A table variable of the caller.
    Variable(TableVariable),
    /// Rows of a client.
    Rows(ClientTable),
}

/// Rows that a client sends for a table-valued parameter.
#[derive(Clone, Debug, Default)]
pub struct ClientTable {
    /// The type, as the client names it; empty when it leaves that to the procedure.
    pub type_name: Name,
    /// The columns' types; none for columns that take their default. Empty for a NULL table.
    pub columns: Vec<Option<Ty>>,
    /// The rows in stored form, without the default columns.
    pub rows: Vec<Vec<Value>>,
}

impl TableArgument {
    /// The name of the type, for messages.
    pub(super) fn type_name(&self) -> &str {
        match self {
            TableArgument::Variable(variable) => variable.ty.as_ref().map_or("table", |(_, name)| name),
            TableArgument::Rows(rows) => rows.type_name.last().map_or("table", |name| name),
        }
    }
}

impl Session {
    /// `CREATE TYPE … AS TABLE`; runs inside [`Session::write`].
    pub(super) fn create_type(&mut self, name: &Name, body: &str) -> SqlResult<()> {
        let mut place = self.new_place(name)?;
        let written = place.two_part();
        place.name = format!("{PREFIX}{}", place.name);
        if catalog::object(self.conn(), &place)?.is_some() {
            return Err(SqlError::new(
                219,
                format!("The type '{written}' already exists, or you do not have permission to create it."),
            ));
        }
        let (columns, constraints) = parser::table_body(body)?;
        if constraints
            .iter()
            .any(|c| c.name.is_some() || matches!(c.rule, Rule::Foreign(..) | Rule::Default(..)))
        {
            return Err(SqlError::syntax("CONSTRAINT"));
        }
        // The table that proves the definition; its columns are the type's.
        let proof = vec![self.next_table_name("type")];
        self.create_table(&proof, &columns, &constraints)?;
        let table = self.table_named(&proof)?;
        let id = catalog::add_object(self.conn(), &place, KIND, Some(body))?;
        for column in &table.columns {
            catalog::add_column(self.conn(), place.store(), id, column)?;
        }
        self.drop_object("table", &proof, true)
    }

    /// Where a table type is, its id and its definition.
    ///
    /// # Errors
    /// 2715 if there is none.
    pub(super) fn table_type(&self, name: &Name) -> SqlResult<(i64, Place, String)> {
        let mut place = self.place(name)?;
        place.name = format!("{PREFIX}{}", place.name);
        let found = catalog::object(self.conn(), &place)?.filter(|(_, kind, _)| kind == KIND);
        let (id, _, mut place) = found.ok_or_else(|| unknown_type(&name.join(".")))?;
        let body = self
            .conn()
            .query_row("SELECT definition FROM main._object WHERE id = ?1", [id], |r| r.get(0))?;
        place.name = place.name.strip_prefix(PREFIX).unwrap_or(&place.name).to_owned();
        Ok((id, place, body))
    }

    /// `DROP TYPE`; runs inside [`Session::write`].
    pub(super) fn drop_type(&self, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let (id, place, _) = match self.table_type(name) {
            Ok(found) => found,
            Err(_) if missing_ok => return Ok(()),
            Err(_) => {
                return Err(SqlError::new(
                    3701,
                    format!(
                        "Cannot drop the type '{}', because it does not exist or you do not have permission.",
                        name.join(".")
                    ),
                )
                .class(11));
            }
        };
        let user = self.conn().query_row(
            "SELECT o.name FROM main._parameter p JOIN main._object o ON o.id = p.object_id WHERE p.table_type = ?1",
            [id],
            |r| r.get::<_, String>(0),
        );
        if let Ok(user) = user {
            return Err(SqlError::new(
                3732,
                format!(
                    "Cannot drop type '{}' because it is being referenced by object '{user}'. There may be other objects that reference this type.",
                    place.two_part()
                ),
            ));
        }
        catalog::remove_object(self.conn(), "main", id)
    }

    /// A new name for a temporary table of the server's own.
    pub(super) fn next_table_name(&mut self, what: &str) -> String {
        self.next_table += 1;
        format!("{OWN}{what} {}", self.next_table)
    }

    /// The temporary table behind `@name`.
    ///
    /// # Errors
    /// 1087 if it is not declared.
    pub(super) fn table_variable(&self, name: &str) -> SqlResult<String> {
        self.find_table_variable(name).map(|v| v.name.clone()).ok_or_else(|| {
            let name = name.trim_start_matches(TABLE_VARIABLE);
            SqlError::new(1087, format!("Must declare the table variable \"@{name}\"."))
                .class(15)
                .state(2)
        })
    }

    fn find_table_variable(&self, name: &str) -> Option<&TableVariable> {
        let key = name.trim_start_matches(TABLE_VARIABLE).to_lowercase();
        self.frames.last()?.tables.get(&key)
    }

    /// A table-valued parameter cannot be changed: 10700.
    pub(super) fn check_writable(&self, table: &Name) -> SqlResult<()> {
        match table.as_slice() {
            [name]
                if name.starts_with(TABLE_VARIABLE) && self.find_table_variable(name).is_some_and(|v| v.readonly) =>
            {
                let name = name.trim_start_matches(TABLE_VARIABLE);
                Err(SqlError::new(
                    10700,
                    format!("The table-valued parameter \"@{name}\" is READONLY and cannot be modified."),
                ))
            }
            _ => Ok(()),
        }
    }

    /// `DECLARE @t TABLE (…)`
    pub(super) fn declare_table(
        &mut self,
        name: &str,
        columns: &[ColumnDef],
        constraints: &[Constraint],
    ) -> SqlResult<()> {
        let variable = self.new_table_variable(None, columns, constraints)?;
        self.declare_as(name, variable);
        Ok(())
    }

    /// `DECLARE @t AS dbo.TableType`
    pub(super) fn declare_typed(&mut self, name: &str, ty: &Name) -> SqlResult<()> {
        let variable = self.of_type(ty)?;
        self.declare_as(name, variable);
        Ok(())
    }

    fn declare_as(&mut self, name: &str, variable: TableVariable) {
        if let Some(frame) = self.frames.last_mut() {
            frame.tables.insert(name.to_lowercase(), variable);
        }
    }

    fn of_type(&mut self, ty: &Name) -> SqlResult<TableVariable> {
        let (id, place, body) = self.table_type(ty)?;
        let (columns, constraints) = parser::table_body(&body)?;
        self.new_table_variable(Some((id, place.name)), &columns, &constraints)
    }

    fn new_table_variable(
        &mut self,
        ty: Option<(i64, String)>,
        columns: &[ColumnDef],
        constraints: &[Constraint],
    ) -> SqlResult<TableVariable> {
        let name = self.next_table_name("variable");
        self.create_table(&vec![name.clone()], columns, constraints)?;
        Ok(TableVariable {
            name,
            ty,
            readonly: false,
            owned: true,
        })
    }

    /// The table variable that an argument of `EXEC` names, if it is one.
    pub(super) fn table_argument(&self, value: &Expr) -> Option<TableArgument> {
        let Expr::Var(name) = value else { return None };
        self.find_table_variable(name).cloned().map(TableArgument::Variable)
    }

    /// The table of a table-valued parameter: the caller's own, or one with a client's rows. Without an argument it is empty.
    pub(super) fn bind_table(&mut self, ty: &Name, argument: Option<&Argument>) -> SqlResult<TableVariable> {
        let (id, place, _) = self.table_type(ty)?;
        match argument.and_then(|a| a.table.as_ref()) {
            Some(TableArgument::Variable(variable)) => {
                if variable.ty.as_ref().is_none_or(|(own, _)| *own != id) {
                    let own = variable.ty.as_ref().map_or("table", |(_, name)| name);
                    return Err(operand_clash(own, &place.name));
                }
                Ok(TableVariable {
                    readonly: true,
                    owned: false,
                    ..variable.clone()
                })
            }
            Some(TableArgument::Rows(rows)) => {
                if !rows.type_name.is_empty() && self.table_type(&rows.type_name)?.0 != id {
                    let own = rows.type_name.last().map_or("table", |name| name);
                    return Err(operand_clash(own, &place.name));
                }
                let variable = self.of_type(ty)?;
                self.fill(&variable, rows)?;
                Ok(TableVariable {
                    readonly: true,
                    ..variable
                })
            }
            None if argument.is_some_and(|a| !a.default) => Err(operand_clash(
                argument.map_or("int", |a| a.ty.message_name()),
                &place.name,
            )),
            None => Ok(TableVariable {
                readonly: true,
                ..self.of_type(ty)?
            }),
        }
    }

    fn fill(&mut self, variable: &TableVariable, rows: &ClientTable) -> SqlResult<()> {
        if rows.columns.is_empty() {
            return Ok(());
        }
        let table = self.table_named(&vec![variable.name.clone()])?;
        if table.columns.len() != rows.columns.len() {
            return Err(SqlError::new(
                500,
                format!(
                    "Trying to pass a table-valued parameter with {} column(s) where the corresponding user-defined table type requires {} column(s).",
                    rows.columns.len(),
                    table.columns.len()
                ),
            ));
        }
        let given: Vec<(String, Ty)> = table
            .columns
            .iter()
            .zip(&rows.columns)
            .filter_map(|(column, ty)| ty.map(|ty| (column.name.clone(), ty)))
            .collect();
        self.bulk = Some(BulkLoad {
            place: table.place(),
            columns: Vec::new(),
            keep_nulls: true,
        });
        self.bulk_rows(&given, rows.rows.clone(), &mut Collected::default())?;
        Ok(())
    }

    /// A new batch has no variables.
    pub(super) fn new_batch(&mut self) {
        if let Some(frame) = self.frames.first_mut() {
            let mut old = std::mem::take(frame);
            self.drop_table_variables(&mut old);
        }
    }

    /// Drops the tables that a frame declared.
    pub(super) fn drop_table_variables(&self, frame: &mut Frame) {
        for (_, variable) in frame.tables.drain().filter(|(_, v)| v.owned) {
            // A table that a rollback has taken away has nothing to drop.
            let _ = self.drop_object("table", &vec![variable.name], true);
        }
    }

    /// The types that are dropped with a database.
    pub(super) fn drop_types(&self, db: &str) -> SqlResult<()> {
        self.conn().execute(
            "DELETE FROM main._column WHERE object_id IN (SELECT id FROM main._object WHERE db = ?1 AND type = ?2)",
            params![db, KIND],
        )?;
        self.conn().execute(
            "DELETE FROM main._object WHERE db = ?1 AND type = ?2",
            params![db, KIND],
        )?;
        Ok(())
    }
}

/// 206
pub(super) fn operand_clash(given: &str, wanted: &str) -> SqlError {
    SqlError::new(
        206,
        format!("Operand type clash: {given} is incompatible with {wanted}"),
    )
    .state(2)
}

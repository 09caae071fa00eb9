//! Table types, table variables and table-valued parameters.
//!
//! A table variable is a temporary table under a name that no statement can write. It is dropped at the end of the
//! batch or procedure that declared it.

use std::collections::HashMap;

use super::{Argument, Session, Variable};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Expr, Name, Rule, TABLE_VARIABLE};
use crate::sql::catalog::{self, OWN, Place};
use crate::sql::parser;
use crate::sql::parser::types::unknown_type;
use crate::value::Ty;

/// The kind of a table type in the catalog.
const KIND: &str = "TT";
/// The beginning of the names of types in the catalog, because a type and an object may have the same name.
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
    /// Whether it is a parameter, which cannot be written.
    readonly: bool,
    /// Whether the table is dropped with this frame.
    owned: bool,
}

impl TableVariable {
    /// Returns the name of its type.
    fn type_name(&self) -> &str {
        self.ty.as_ref().map_or("table", |(_, name)| name)
    }
}

impl Session {
    /// Runs `CREATE TYPE … AS TABLE`, inside [`Session::write`].
    pub(super) fn create_type(&mut self, name: &Name, body: &str) -> SqlResult<()> {
        let mut place = self.new_place(name)?;
        let written = place.two_part();
        place.name = format!("{PREFIX}{}", place.name);
        if catalog::object(self.conn(), &place)?.is_some() {
            return Err(SqlError::of(219, &[&written]));
        }
        let (columns, constraints) = parser::table_body(body)?;
        if constraints
            .iter()
            .any(|c| c.name.is_some() || matches!(c.rule, Rule::Period(_)))
        {
            return Err(SqlError::syntax("CONSTRAINT"));
        }
        // This table tests the definition. Its columns are the type's.
        let proof = vec![self.next_table_name("type")];
        self.create_table(&proof, &columns, &constraints)?;
        let table = self.table_named(&proof)?;
        let id = catalog::add_object(self.conn(), &place, KIND, Some(body))?;
        for column in &table.columns {
            catalog::add_column(self.conn(), place.store(), id, column)?;
        }
        self.drop_object("table", &proof, true)
    }

    /// Returns the id, the place and the definition of a table type.
    ///
    /// Fails with 2715 if there is none.
    pub(super) fn table_type(&self, name: &Name) -> SqlResult<(i64, Place, String)> {
        let mut place = self.place(name)?;
        place.name = format!("{PREFIX}{}", place.name);
        let found = catalog::object(self.conn(), &place)?.filter(|(_, kind, _)| kind == KIND);
        let (id, _, mut place) = found.ok_or_else(|| unknown_type(&name.join(".")))?;
        let body = catalog::definition(self.conn(), id)?;
        place.name = place.name.strip_prefix(PREFIX).unwrap_or(&place.name).to_owned();
        Ok((id, place, body))
    }

    /// Returns a new name for a temporary table of the server's own.
    pub(super) fn next_table_name(&mut self, what: &str) -> String {
        self.next_table += 1;
        format!("{OWN}{what} {}", self.next_table)
    }

    /// Returns the temporary table behind `@name`.
    ///
    /// Fails with 1087 if it is not declared.
    pub(super) fn table_variable(&self, name: &str) -> SqlResult<String> {
        self.find_table_variable(name).map(|v| v.name.clone()).ok_or_else(|| {
            let name = name.trim_start_matches(TABLE_VARIABLE);
            SqlError::of(1087, &[&name])
        })
    }

    fn find_table_variable(&self, name: &str) -> Option<&TableVariable> {
        let key = name.trim_start_matches(TABLE_VARIABLE).to_lowercase();
        self.frames.last()?.tables.get(&key)
    }

    /// Fails with 10700 for a table-valued parameter, which cannot be changed.
    pub(super) fn check_writable(&self, table: &Name) -> SqlResult<()> {
        match table.as_slice() {
            [name]
                if name.starts_with(TABLE_VARIABLE) && self.find_table_variable(name).is_some_and(|v| v.readonly) =>
            {
                let name = name.trim_start_matches(TABLE_VARIABLE);
                Err(SqlError::of(10700, &[&name]))
            }
            _ => Ok(()),
        }
    }

    /// Runs `DECLARE @t TABLE (…)`.
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

    pub(super) fn declare_as(&mut self, name: &str, variable: TableVariable) {
        if let Some(frame) = self.frames.last_mut() {
            frame.tables.insert(name.to_lowercase(), variable);
        }
    }

    pub(super) fn of_type(&mut self, ty: &Name) -> SqlResult<TableVariable> {
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

    /// Returns the table variable that an argument of `EXEC` names.
    pub(super) fn table_argument(&self, value: &Expr) -> Option<TableVariable> {
        match value {
            Expr::Var(name) => self.find_table_variable(name).cloned(),
            _ => None,
        }
    }

    /// Returns a table-valued parameter: the caller's variable, or an empty table.
    pub(super) fn bind_table(&mut self, ty: &Name, argument: Option<&Argument>) -> SqlResult<TableVariable> {
        let (id, place, _) = self.table_type(ty)?;
        match argument.map(|a| (a, &a.table)) {
            Some((_, Some(variable))) if variable.ty.as_ref().is_some_and(|(own, _)| *own == id) => Ok(TableVariable {
                readonly: true,
                owned: false,
                ..variable.clone()
            }),
            Some((_, Some(variable))) => Err(operand_clash(variable.type_name(), &place.name)),
            Some((argument, None)) if !argument.default => Err(operand_clash(argument.ty.message_name(), &place.name)),
            _ => Ok(TableVariable {
                readonly: true,
                ..self.of_type(ty)?
            }),
        }
    }

    /// Fails when a table variable is given where a parameter takes a value.
    pub(super) fn no_table(argument: Option<&Argument>, wanted: Ty) -> SqlResult<()> {
        match argument.and_then(|a| a.table.as_ref()) {
            Some(table) => Err(operand_clash(table.type_name(), wanted.message_name())),
            None => Ok(()),
        }
    }

    /// Begins a new batch, which has no variables.
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
}

/// Makes 206, for an operand of another type.
fn operand_clash(given: &str, wanted: &str) -> SqlError {
    SqlError::of(206, &[&given, &wanted])
}

//! The stand-in keeps views, synonyms and inline functions here, and the security policies that use them.

use rusqlite::params;

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Module, Name};
use crate::sql::bind::{Binder, OutColumn};
use crate::sql::catalog::{self, Column};
use crate::sql::parser;

impl Session {
    /// Runs `CREATE VIEW`, `ALTER VIEW` and `CREATE SYNONYM`, inside [`Session::write`].
    pub(super) fn create_module(&mut self, name: &Name, module: &Module) -> SqlResult<()> {
        let place = self.new_place(name)?;
        let Module { kind, text, alters } = module;
        if *alters {
            let found = catalog::object(self.conn(), &place)?.filter(|(_, is, _)| is == kind);
            let (id, ..) = found.ok_or_else(|| SqlError::no_object(&name.join(".")))?;
            let sql = "UPDATE main._object SET definition = ?1, modified = ?2 WHERE id = ?3";
            self.conn().execute(sql, params![text, catalog::now(), id])?;
            self.conn()
                .execute("DELETE FROM main._column WHERE object_id = ?1", [id])?;
            return self.note_columns(id, kind, text);
        }
        let id = catalog::add_object(self.conn(), &place, kind, Some(text))?;
        self.note_columns(id, kind, text)
    }

    /// Runs `CREATE SECURITY POLICY`, inside [`Session::write`].
    pub(super) fn create_policy(&mut self, name: &Name, predicates: &[(String, Name)]) -> SqlResult<()> {
        let id = catalog::add_object(self.conn(), &self.new_place(name)?, "SP", None)?;
        for (text, table) in predicates {
            let sql = "INSERT INTO main._predicate(object_id, target, definition) VALUES(?1, ?2, ?3)";
            self.conn()
                .execute(sql, params![id, self.table_named(table)?.id, text])?;
        }
        Ok(())
    }

    /// Lists the columns of a view in the catalog, as they are when it is defined.
    fn note_columns(&self, id: i64, kind: &str, text: &str) -> SqlResult<()> {
        if kind != "V" {
            return Ok(());
        }
        let columns = Binder::new(self).query(&parser::view(text)?)?.columns;
        for (column, number) in columns.into_iter().zip(1..) {
            let collation = column.collation();
            let OutColumn { name, ty, nullable, .. } = column;
            if name.is_empty() {
                return Err(SqlError::of(4511, &[&number]));
            }
            let column = Column {
                id: number,
                name,
                ty,
                type_name: ty.name().to_owned(),
                collation,
                nullable,
                identity: None,
                default: None,
                computed: None,
                period: None,
                hidden: false,
                mask: None,
                special: 0,
            };
            catalog::add_column(self.conn(), "main", id, &column)?;
        }
        Ok(())
    }
}

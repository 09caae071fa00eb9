//! The execution of `DROP`, `CREATE SCHEMA`, `CREATE DATABASE` and `USE`.

use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::catalog::{self};

/// The types of objects in the catalog, and how `DROP` calls them. Any other is a procedure.
const OBJECTS: [(&str, &str); 3] = [("U", "table"), ("V", "view"), ("SN", "synonym")];

impl Session {
    /// Runs `DROP TABLE`, `DROP PROCEDURE` and `DROP TYPE`.
    pub(super) fn drop_object(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let missing = || {
            let written = name.join(".");
            Err(SqlError::of(3701, &[&what, &written]))
        };
        let place = self.place(name)?;
        let kind = OBJECTS
            .iter()
            .find(|(_, name)| *name == what)
            .map_or("P", |(kind, _)| kind);
        let Some((id, _, place)) = catalog::object(self.conn(), &place)?.filter(|(_, k, _)| k == kind) else {
            return if missing_ok { Ok(()) } else { missing() };
        };
        if kind == "U" {
            let table = self.table(&place, &name.join("."))?;
            self.redefine(&table)?;
            self.drop_tracking(&table)?;
            self.conn().execute_batch(&format!("DROP TABLE {}", place.physical()))?;
        }
        catalog::remove_object(self.conn(), place.store(), id)
    }

    /// Runs `CREATE SCHEMA`.
    pub(super) fn create_schema(&self, name: &str) -> SqlResult<()> {
        if catalog::schema(self.conn(), &self.db, name)?.is_some() {
            return Err(SqlError::of(2714, &[&name]));
        }
        catalog::create_schema(self.conn(), &self.db, name)
    }

    /// Runs `CREATE DATABASE`.
    pub(super) fn create_database(&self, name: &str) -> SqlResult<()> {
        if catalog::database(self.conn(), name)?.is_some() {
            return Err(SqlError::of(1801, &[&name]));
        }
        catalog::create_database(self.conn(), name)
    }

    /// Runs `USE`.
    pub(super) fn use_database(&mut self, name: &str, results: &mut dyn TakeResults) -> SqlResult<()> {
        let found = catalog::database(self.conn(), name)?.ok_or_else(|| SqlError::of(911, &[&name]))?;
        if !self.may_enter(&found)? {
            let login = self.login.as_deref().unwrap_or_default();
            return Err(SqlError::of(916, &[&login, &found]));
        }
        let old = std::mem::replace(&mut self.db, found);
        results.database(&old, &self.db);
        results.info(&SqlError::of(5701, &[&self.db]));
        Ok(())
    }
}

//! `DROP`, schemas and databases.

use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::catalog::{self};
use rusqlite::params;

/// The types of objects in the catalog, and what `DROP` calls them; any other is a procedure.
const OBJECTS: [(&str, &str); 5] = [
    ("U", "table"),
    ("V", "view"),
    ("SN", "synonym"),
    ("IF", "function"),
    ("SP", "policy"),
];

impl Session {
    /// `DROP TABLE`, `DROP PROCEDURE`, `DROP TYPE`, `DROP SCHEMA`, `DROP DATABASE`
    pub(super) fn drop_object(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let missing = || {
            let written = name.join(".");
            Err(SqlError::of(3701, &[&what, &written]))
        };
        if what == "schema" || what == "database" {
            return self.drop_container(what, name, missing_ok);
        }
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

    pub(super) fn drop_container(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let one = name.last().cloned().unwrap_or_default();
        // A schema must be empty; a database goes with what is in it.
        let (exists, used) = if what == "schema" {
            let used = self.lookup_id("SELECT count(*) FROM main._object WHERE schema = ?1", &one)?;
            (catalog::schema(self.conn(), &self.db, &one)?.is_some(), used)
        } else {
            (catalog::database(self.conn(), &one)?.is_some(), None)
        };
        if !exists {
            if missing_ok {
                return Ok(());
            }
            return Err(SqlError::of(3701, &[&what, &one]));
        }
        if used.unwrap_or(0) > 0 {
            return Err(SqlError::of(3729, &[&what, &one]));
        }
        if what == "schema" {
            self.conn().execute(
                "DELETE FROM main._schema WHERE db = ?1 AND name = ?2",
                params![self.db, one],
            )?;
        } else {
            self.drop_contents(&one)?;
            self.conn().execute("DELETE FROM main._schema WHERE db = ?1", [&one])?;
            self.conn()
                .execute("DELETE FROM main._versioning WHERE db = ?1", [&one])?;
            self.conn()
                .execute("DELETE FROM main._ct_database WHERE db = ?1", [&one])?;
            self.conn()
                .execute("DELETE FROM main._database WHERE name = ?1", [&one])?;
        }
        Ok(())
    }

    /// `CREATE SCHEMA`
    pub(super) fn create_schema(&self, name: &str) -> SqlResult<()> {
        if catalog::schema(self.conn(), &self.db, name)?.is_some() {
            return Err(SqlError::of(2714, &[&name]));
        }
        catalog::create_schema(self.conn(), &self.db, name)
    }

    /// `CREATE DATABASE`
    pub(super) fn create_database(&self, name: &str) -> SqlResult<()> {
        if catalog::database(self.conn(), name)?.is_some() {
            return Err(SqlError::of(1801, &[&name]));
        }
        catalog::create_database(self.conn(), name)
    }

    /// `USE`
    pub(super) fn use_database(&mut self, name: &str, sink: &mut dyn Sink) -> SqlResult<()> {
        let found = catalog::database(self.conn(), name)?.ok_or_else(|| SqlError::of(911, &[&name]))?;
        if !self.may_enter(&found)? {
            let login = self.login.as_deref().unwrap_or_default();
            return Err(SqlError::of(916, &[&login, &found]));
        }
        let old = std::mem::replace(&mut self.db, found);
        sink.database(&old, &self.db);
        sink.info(&SqlError::of(5701, &[&self.db]));
        Ok(())
    }

    fn drop_contents(&self, db: &str) -> SqlResult<()> {
        self.drop_types(db)?;
        let objects = self
            .conn()
            .prepare("SELECT schema, name, type FROM main._object WHERE db = ?1")?
            .query_map([db], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<Vec<(String, String, String)>, _>>()?;
        for (schema, name, kind) in objects {
            let what = OBJECTS
                .iter()
                .find(|(is, _)| *is == kind)
                .map_or("procedure", |(_, name)| name);
            self.drop_object(what, &vec![db.to_owned(), schema, name], true)?;
        }
        Ok(())
    }
}

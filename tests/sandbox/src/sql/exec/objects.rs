//! `DROP`, schemas and databases.

use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::catalog::{self};
use rusqlite::params;

impl Session {
    /// `DROP TABLE`, `DROP PROCEDURE`, `DROP TYPE`, `DROP SCHEMA`, `DROP DATABASE`
    pub(super) fn drop_object(&self, what: &str, name: &Name, missing_ok: bool) -> SqlResult<()> {
        let missing = || {
            let written = name.join(".");
            Err(SqlError::new(
                3701,
                format!("Cannot drop the {what} '{written}', because it does not exist or you do not have permission."),
            )
            .class(11)
            .state(5))
        };
        if what == "type" {
            return self.drop_type(name, missing_ok);
        }
        if what == "schema" || what == "database" {
            return self.drop_container(what, name, missing_ok);
        }
        let place = self.place(name)?;
        let kind = if what == "table" { "U" } else { "P" };
        let Some((id, _, place)) = catalog::object(self.conn(), &place)?.filter(|(_, k, _)| k == kind) else {
            return if missing_ok { Ok(()) } else { missing() };
        };
        if kind == "U" {
            let table = self.table(&place, &name.join("."))?;
            self.redefine(&table)?;
            self.drop_tracking(&table)?;
            self.conn()
                .execute_batch(&format!("DROP TABLE {}", place.physical()))
                .map_err(|e| match SqlError::from(e) {
                    e if e.number == 547 => SqlError::new(
                        3726,
                        format!(
                            "Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.",
                            name.join(".")
                        ),
                    ),
                    e => e,
                })?;
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
            return Err(SqlError::new(
                3701,
                format!("Cannot drop the {what} '{one}', because it does not exist or you do not have permission."),
            )
            .class(11));
        }
        if used.unwrap_or(0) > 0 {
            return Err(SqlError::new(
                3729,
                format!("Cannot drop {what} '{one}' because it is being referenced by objects in it."),
            ));
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
            return Err(SqlError::new(
                2714,
                format!("There is already an object named '{name}' in the database."),
            )
            .state(6));
        }
        catalog::create_schema(self.conn(), &self.db, name)
    }

    /// `CREATE DATABASE`
    pub(super) fn create_database(&self, name: &str) -> SqlResult<()> {
        if catalog::database(self.conn(), name)?.is_some() {
            return Err(SqlError::new(
                1801,
                format!("Database '{name}' already exists. Choose a different database name."),
            )
            .state(3));
        }
        catalog::create_database(self.conn(), name)
    }

    /// `USE`
    pub(super) fn use_database(&mut self, name: &str, sink: &mut dyn Sink) -> SqlResult<()> {
        let found = catalog::database(self.conn(), name)?.ok_or_else(|| {
            SqlError::new(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            )
        })?;
        let old = std::mem::replace(&mut self.db, found);
        sink.database(&old, &self.db);
        sink.info(
            &SqlError::new(5701, format!("Changed database context to '{}'.", self.db))
                .class(0)
                .state(2),
        );
        Ok(())
    }

    /// Every object of a database. Tables that others refer to go after those.
    fn drop_contents(&self, db: &str) -> SqlResult<()> {
        self.drop_types(db)?;
        let mut objects = self
            .conn()
            .prepare("SELECT schema, name, type FROM main._object WHERE db = ?1")?
            .query_map([db], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<Vec<(String, String, String)>, _>>()?;
        while !objects.is_empty() {
            let before = objects.len();
            let mut refused = None;
            objects.retain(|(schema, name, kind)| {
                let what = if kind == "U" { "table" } else { "procedure" };
                let name = vec![db.to_owned(), schema.clone(), name.clone()];
                match self.drop_object(what, &name, true) {
                    Ok(()) => false,
                    Err(error) => {
                        refused = Some(error);
                        true
                    }
                }
            });
            if let (true, Some(error)) = (objects.len() == before, refused) {
                return Err(error);
            }
        }
        Ok(())
    }
}

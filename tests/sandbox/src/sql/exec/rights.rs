//! Logins, users and their rights. The login with which a server is started may do everything, and so may procedures,
//! which all belong to it
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/security/authentication-access/ownership-chains>).

use rusqlite::params;

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Kind, Name, Permission};
use crate::sql::catalog::{self, Table, literal};

impl Session {
    /// Returns whether the session may do everything.
    pub(crate) fn is_trusted(&self) -> bool {
        self.login.is_none() || !self.procedure.is_empty() || self.in_view.get()
    }

    /// Binds the query of a view, which may read what its owner may, or what no owner gives a right to.
    pub(crate) fn chained<T>(&self, in_view: bool, work: impl FnOnce() -> T) -> T {
        let outer = self.in_view.replace(in_view);
        let result = work();
        self.in_view.set(outer);
        result
    }

    /// Becomes a session of a login that was created.
    ///
    /// Fails with 18456 when there is none with this password.
    pub fn log_in(&mut self, login: &str, password: &str) -> SqlResult<()> {
        let sql = "SELECT count(*) FROM main._login WHERE name = ?1 AND password = ?2";
        let found: bool = self.conn().query_row(sql, [login, password], |r| r.get(0))?;
        if !found {
            return Err(SqlError::of(18456, &[&login]).at(1));
        }
        self.login = Some(login.to_owned());
        Ok(())
    }

    /// Returns whether the login is a user of a database.
    ///
    /// Fails with the error of the storage.
    pub fn may_enter(&self, db: &str) -> SqlResult<bool> {
        let Some(login) = &self.login else { return Ok(true) };
        let sql = "SELECT count(*) FROM main._user WHERE db = ?1 AND login = ?2";
        Ok(self.conn().query_row(sql, [db, login], |r| r.get(0))?)
    }

    /// Returns `USER_NAME()`.
    pub(crate) fn user(&self) -> SqlResult<String> {
        let Some(login) = &self.login else {
            return Ok("dbo".to_owned());
        };
        let sql = "SELECT name FROM main._user WHERE db = ?1 AND login = ?2";
        Ok(self.conn().query_row(sql, [&self.db, login], |r| r.get(0))?)
    }

    /// Returns the SQLite condition on `main._right` that a row is about this session's user.
    fn of_user(&self) -> String {
        let (db, login) = (literal(&self.db), literal(self.login.as_deref().unwrap_or_default()));
        format!("db = {db} AND user = (SELECT name FROM main._user WHERE db = {db} AND login = {login})")
    }

    /// Returns the SQLite SQL for whether the session has a right to an object, to its schema or to its database (0). A
    /// denial at any of them outweighs every grant.
    pub(crate) fn has_right(&self, right: &str, object: &str) -> String {
        if self.is_trusted() {
            return "1".to_owned();
        }
        format!(
            "ifnull((SELECT min(granted) FROM main._right WHERE {} AND name = {} AND column_id = 0 AND securable IN (0, {object},
              (SELECT s.id FROM main._schema s JOIN main._object o ON o.db = s.db AND o.schema = s.name WHERE o.id = {object}))), 0)",
            self.of_user(),
            literal(right)
        )
    }

    /// Returns the same for a column of an object. A right to the column itself outweighs one to the whole object
    /// (<https://learn.microsoft.com/en-us/sql/t-sql/statements/deny-object-permissions-transact-sql>).
    pub(crate) fn has_column_right(&self, right: &str, object: &str, column: &str) -> String {
        let whole = self.has_right(right, object);
        if self.is_trusted() {
            return whole;
        }
        format!(
            "ifnull((SELECT granted FROM main._right WHERE {} AND name = {} AND securable = {object} AND column_id = {column}), {whole})",
            self.of_user(),
            literal(right)
        )
    }

    /// Returns the condition on `main._object o` that the session sees it in the catalog, because it has some right to
    /// it (<https://learn.microsoft.com/en-us/sql/relational-databases/security/metadata-visibility-configuration>).
    pub(crate) fn visible(&self) -> String {
        if self.is_trusted() {
            return String::new();
        }
        format!(
            " AND EXISTS (SELECT 1 FROM main._right WHERE granted AND {} AND (securable <> 0 OR name IN ('SELECT', 'VIEW DEFINITION'))
               AND securable IN (0, o.id, (SELECT s.id FROM main._schema s WHERE s.db = o.db AND s.name = o.schema)))",
            self.of_user()
        )
    }

    /// Returns the columns of a table to which the session does not have this right.
    pub(crate) fn columns_without(&self, right: &str, table: &Table) -> SqlResult<Vec<i64>> {
        if self.is_trusted() || table.place().is_temp() {
            return Ok(Vec::new());
        }
        let has = self.has_column_right(right, &table.id.to_string(), "c.id");
        let sql = format!(
            "SELECT c.id FROM main._column c WHERE c.object_id = {} AND NOT {has}",
            table.id
        );
        let mut statement = self.conn().prepare(&sql)?;
        let ids = statement.query_map([], |r| r.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Fails with 229 when the session does not have the right.
    pub(crate) fn check_right(&self, right: &str, id: i64, name: &str, schema: &str) -> SqlResult<()> {
        let sql = format!("SELECT {}", self.has_right(right, &id.to_string()));
        if self.is_trusted() || id < 0 || self.conn().query_row(&sql, [], |r| r.get(0))? {
            return Ok(());
        }
        Err(SqlError::of(229, &[&right, &name, &self.db, &schema]))
    }

    /// Fails with 262 for a change of the catalog by another than the first login. Everybody may change their own
    /// temporary tables.
    pub(super) fn check_definition(&self, kind: &Kind) -> SqlResult<()> {
        let own = |name: &Name| self.place(name).is_ok_and(|place| place.is_temp());
        let may = match kind {
            Kind::CreateTable(name, ..)
            | Kind::AddColumns(name, ..)
            | Kind::DropColumns(name, ..)
            | Kind::CreateIndex(_, name, ..) => own(name),
            Kind::Drop("table", names, _) => names.iter().all(own),
            _ => false,
        };
        if may || self.is_trusted() {
            return Ok(());
        }
        Err(SqlError::of(262, &[&"CREATE TABLE", &self.db]))
    }

    pub(super) fn create_login(&self, name: &str, password: &str) -> SqlResult<()> {
        let sql = "INSERT INTO main._login(name, password) VALUES(?1, ?2)";
        let added = self.conn().execute(sql, [name, password]);
        added.map(|_| ()).map_err(|_| SqlError::of(15025, &[&name]))
    }

    pub(super) fn create_user(&self, name: &str, login: &str) -> SqlResult<()> {
        if self
            .lookup_id("SELECT 1 FROM main._login WHERE name = ?1", login)?
            .is_none()
        {
            return Err(SqlError::of(15007, &[&login]));
        }
        let sql = "INSERT INTO main._user(db, name, login) VALUES(?1, ?2, ?3)";
        let added = self.conn().execute(sql, [&self.db, name, login]);
        added.map(|_| ()).map_err(|_| SqlError::of(15023, &[&name]))
    }

    /// Runs `GRANT`, `DENY` and `REVOKE`.
    pub(super) fn set_rights(&self, permission: &Permission) -> SqlResult<()> {
        let (securable, table) = self.securable(permission.on.as_ref())?;
        for user in &permission.users {
            let known = "SELECT count(*) FROM main._user WHERE db = ?1 AND name = ?2";
            if !self
                .conn()
                .query_row(known, [&self.db, user], |r| r.get::<_, bool>(0))?
            {
                return Err(SqlError::of(15151, &[&"user", user]));
            }
            for (right, columns) in &permission.rights {
                let column = |name: &String| {
                    let found = table.as_ref().and_then(|table| table.column(name));
                    found.map(|column| column.id).ok_or_else(|| SqlError::no_column(name))
                };
                let mut ids = columns.iter().map(column).collect::<SqlResult<Vec<_>>>()?;
                if ids.is_empty() {
                    ids.push(0);
                }
                for id in ids {
                    self.set_right((user, right), (securable, id), permission.granted)?;
                }
            }
        }
        Ok(())
    }

    fn set_right(
        &self,
        (user, right): (&str, &str),
        (securable, column): (i64, i64),
        to: Option<bool>,
    ) -> SqlResult<()> {
        let sql = match to {
            Some(_) => {
                "INSERT OR REPLACE INTO main._right(db, user, securable, column_id, name, granted) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
            }
            None => {
                "DELETE FROM main._right WHERE db = ?1 AND user = ?2 AND securable = ?3 AND column_id = ?4 AND name = ?5 AND ?6 IS NULL"
            }
        };
        self.conn()
            .execute(sql, params![self.db, user, securable, column, right, to])?;
        Ok(())
    }

    /// Returns the number of the object to which rights are given, and the table if it is one.
    fn securable(&self, on: Option<&(String, Name)>) -> SqlResult<(i64, Option<Table>)> {
        let Some((class, name)) = on else { return Ok((0, None)) };
        let written = name.join(".");
        let missing = |what: &str| SqlError::of(15151, &[&what, &written]);
        match class.as_str() {
            "OBJECT" => {
                let place = self.place(name)?;
                let (id, ..) = catalog::object(self.conn(), &place)?.ok_or_else(|| missing("object"))?;
                Ok((id, catalog::table(self.conn(), &place)?))
            }
            "SCHEMA" => {
                let sql = format!(
                    "SELECT id FROM main._schema WHERE name = ?1 AND db = {}",
                    literal(&self.db)
                );
                let id = self.lookup_id(&sql, &written)?;
                Ok((id.ok_or_else(|| missing("schema"))?, None))
            }
            "DATABASE" => Ok((0, None)),
            other => Err(SqlError::unsupported(format!("GRANT … ON {other}::"))),
        }
    }
}

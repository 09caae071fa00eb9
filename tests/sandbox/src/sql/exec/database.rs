//! The execution of `ALTER DATABASE … SET`.

use rusqlite::params;

use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::DatabaseOption;
use crate::sql::catalog;

impl Session {
    /// Runs `ALTER DATABASE`. It takes effect at once and does not wait for other connections or transactions.
    pub(super) fn alter_database(
        &mut self,
        name: Option<&str>,
        options: &[DatabaseOption],
        results: &mut dyn TakeResults,
    ) -> SqlResult<()> {
        if self.trancount > 0 {
            return Err(SqlError::of(226, &[]));
        }
        let name = name.unwrap_or(&self.db).to_owned();
        self.write(results, |session, _| {
            let db = catalog::database(session.conn(), &name)?.ok_or_else(|| SqlError::of(5011, &[&name]))?;
            let tracks = |o: &DatabaseOption| matches!(o, DatabaseOption::ChangeTracking(..));
            if options.len() > 1 && options.iter().any(tracks) {
                return Err(SqlError::of(22114, &[]));
            }
            options.iter().try_for_each(|option| session.set_database(&db, option))
        })?;
        results.done(None, false);
        Ok(())
    }

    fn set_database(&self, db: &str, option: &DatabaseOption) -> SqlResult<()> {
        let mut versioning = catalog::versioning(self.conn(), db)?;
        match option {
            DatabaseOption::ReadCommittedSnapshot(on) => versioning.read_committed = *on,
            DatabaseOption::AllowSnapshotIsolation(on) => versioning.snapshot = *on,
            DatabaseOption::ReadOnly(on) => {
                let sql = "UPDATE main._database SET read_only = ?1 WHERE name = ?2";
                return Ok(self.conn().execute(sql, params![on, db]).map(drop)?);
            }
            DatabaseOption::ChangeTracking(on, options) => return self.set_tracking(db, *on, options),
        }
        catalog::set_versioning(self.conn(), db, versioning)
    }
}

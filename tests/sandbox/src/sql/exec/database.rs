//! `ALTER DATABASE … SET`.

use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::DatabaseOption;
use crate::sql::catalog;

impl Session {
    /// `ALTER DATABASE`. It takes effect at once: it does not wait for other connections or transactions.
    pub(super) fn alter_database(
        &mut self,
        name: Option<&str>,
        options: &[DatabaseOption],
        sink: &mut dyn Sink,
    ) -> SqlResult<()> {
        if self.trancount > 0 {
            return Err(SqlError::new(
                226,
                "ALTER DATABASE statement not allowed within multi-statement transaction.",
            )
            .state(6));
        }
        let name = name.unwrap_or(&self.db).to_owned();
        self.write(sink, |session, _| {
            let db = catalog::database(session.conn(), &name)?.ok_or_else(|| {
                SqlError::new(
                    5011,
                    format!(
                        "User does not have permission to alter database '{name}', the database does not exist, or the database is not in a state that allows access checks."
                    ),
                )
                .class(14)
                .state(5)
            })?;
            let tracks = |o: &DatabaseOption| matches!(o, DatabaseOption::ChangeTracking(..));
            if options.len() > 1 && options.iter().any(tracks) {
                return Err(SqlError::new(
                    22114,
                    "Change tracking options for ALTER DATABASE cannot be combined with other ALTER DATABASE options.",
                ));
            }
            options.iter().try_for_each(|option| session.set_database(&db, option))
        })?;
        sink.done(None, false);
        Ok(())
    }

    fn set_database(&self, db: &str, option: &DatabaseOption) -> SqlResult<()> {
        let mut versioning = catalog::versioning(self.conn(), db)?;
        match option {
            DatabaseOption::ReadCommittedSnapshot(on) => versioning.read_committed = *on,
            DatabaseOption::AllowSnapshotIsolation(on) => versioning.snapshot = *on,
            DatabaseOption::ChangeTracking(on, options) => return self.set_tracking(db, *on, options),
        }
        catalog::set_versioning(self.conn(), db, versioning)
    }
}

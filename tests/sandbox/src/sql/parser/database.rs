//! The grammar of `ALTER DATABASE`.

use super::Parser;
use crate::error::SqlResult;
use crate::sql::ast::{DatabaseOption, Kind};

impl Parser<'_> {
    /// Parses `ALTER DATABASE name SET option, …`, from `DATABASE`.
    pub(super) fn alter_database(&mut self) -> SqlResult<Kind> {
        self.expect("database")?;
        let name = if self.eat("current") { None } else { Some(self.ident()?) };
        if !self.eat("set") {
            return self.known_or_syntax("ALTER DATABASE", "modify add remove collate");
        }
        let options = self.list(Self::database_option)?;
        self.refuse(&["with"], "ALTER DATABASE … WITH termination")?;
        Ok(Kind::AlterDatabase(name, options))
    }

    fn database_option(&mut self) -> SqlResult<DatabaseOption> {
        if self.eat("read_committed_snapshot") {
            return Ok(DatabaseOption::ReadCommittedSnapshot(self.on_off()?));
        }
        if self.eat("allow_snapshot_isolation") {
            return Ok(DatabaseOption::AllowSnapshotIsolation(self.on_off()?));
        }
        if let Some(word) = self.eat_any(&["read_only", "read_write"]) {
            return Ok(DatabaseOption::ReadOnly(word == "read_only"));
        }
        if self.eat("change_tracking") {
            return self.change_tracking();
        }
        self.known_or_syntax(
            "ALTER DATABASE SET",
            "ansi_nulls auto_close auto_shrink compatibility_level multi_user offline online page_verify query_store recovery single_user",
        )
    }
}

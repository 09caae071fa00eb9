//! Asks for a tracked table's versions, whether it has changed, and its key.

use std::fmt::Display;
use std::time::Duration;

use tidemark::error::{Answer, Error, ErrorCode, Failure, Fault};
use tidemark::model::names::ObjectName;
use tidemark::model::types::{Column, Form, WantedForms};
use tidemark::model::values::Values;
use tidemark::ports::changes::{ChangeColumns, ProbeChanges, Versions};

use crate::answers::{number, single, unexpected_answer};
use crate::catalog::{no_table, number as named};
use crate::session::Server;
use crate::statements::Quoted;
use crate::statements::change_tracking::{self, OPERATION_COLUMN, VERSION_COLUMN};
use crate::types::SqlType;

/// The beginning of a message: a version that one replica reported may not have reached the replica that answers the
/// next connection.
pub(crate) const NOT_OF_REPLICAS: &str = "change tracking cannot be read on a replica or in a snapshot of a database, because each one answers with versions of its own";

impl ProbeChanges for Server {
    fn change_columns(&self, wanted: WantedForms) -> ChangeColumns {
        ChangeColumns {
            version: described(VERSION_COLUMN, SqlType::BIGINT, wanted),
            operation: described(OPERATION_COLUMN, SqlType::LETTER, wanted),
        }
    }

    async fn versions(&self, table: &ObjectName) -> Answer<Versions> {
        self.refuse_replica(NOT_OF_REPLICAS)?;
        let rows = self.rows(&change_tracking::versions(table)).await?;
        let row = single(&rows)?;
        if named(row, "is_replica")? == 1 {
            return Err(self.is_replica(NOT_OF_REPLICAS));
        }
        match (number(row, "current_version")?, number(row, "min_valid_version")?) {
            (Some(current), Some(min_valid)) => Ok(Versions {
                current,
                min_valid,
                begun: number(row, "begin_version")?,
            }),
            (current, _) => {
                let seen = self.seen(table).await?;
                let is_there = seen.table || seen.view || seen.synonym;
                let meant = if is_there { None } else { self.meant(table).await };
                Err(meant.map_or_else(
                    || not_tracked(table, current.is_some(), seen),
                    |meant| no_table(table, &meant),
                ))
            }
        }
    }

    async fn primary_key(&self, table: &ObjectName) -> Answer<Vec<String>> {
        let rows = self.rows(&change_tracking::primary_key(table)).await?;
        let names = rows.iter().map(|row| {
            let name: Option<&str> = row.try_get(0).map_err(|_| unexpected_answer())?;
            Ok(name.ok_or_else(unexpected_answer)?.to_owned())
        });
        let names = names.collect::<Answer<Vec<_>>>()?;
        if names.is_empty() {
            return Err(no_primary_key(table));
        }
        Ok(names)
    }

    async fn has_changes(&self, table: &ObjectName, after: i64, up_to: i64) -> Answer<bool> {
        let rows = self.rows(&change_tracking::has_changes(table, after, up_to)).await?;
        let answer: Option<i32> = single(&rows)?.try_get(0).map_err(|_| unexpected_answer())?;
        Ok(answer.ok_or_else(unexpected_answer)? == 1)
    }
}

impl Server {
    /// Returns how long the database keeps changes, or `None` when it never removes them or the login may not see the
    /// setting.
    ///
    /// # Errors
    ///
    /// Those of the statement.
    pub async fn retention(&self) -> Answer<Option<Duration>> {
        let rows = self.rows(&change_tracking::retention()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if number(row, "is_auto_cleanup_on")? == Some(0) {
            return Ok(None);
        }
        let minutes = match number(row, "retention_period_units")? {
            Some(1) => 1,
            Some(2) => 60,
            Some(3) => 24 * 60,
            _ => return Ok(None),
        };
        let period = number(row, "retention_period")?.and_then(|period| u64::try_from(period).ok());
        Ok(period.map(|period| Duration::from_secs(period * minutes * 60)))
    }

    async fn seen(&self, table: &ObjectName) -> Answer<Seen> {
        let rows = self.rows(&change_tracking::diagnosis(table)).await?;
        let row = single(&rows)?;
        let is_there = |column| Ok::<_, Failure>(number(row, column)?.is_some_and(|count| count > 0));
        Ok(Seen {
            table: is_there("tables")?,
            tracked_database: is_there("tracked_databases")?,
            tracked_table: is_there("tracked_tables")?,
            primary_key: is_there("primary_keys")?,
            view: is_there("views")?,
            synonym: is_there("synonyms")?,
        })
    }
}

/// What the login can see in the catalog of a table that has no versions.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
struct Seen {
    table: bool,
    tracked_database: bool,
    tracked_table: bool,
    primary_key: bool,
    view: bool,
    synonym: bool,
}

/// Builds the failure for a table that has no versions: the reason, and what to do. The catalog hides what the login
/// may not see, so something that is not seen may also be a missing permission.
fn not_tracked(table: &ObjectName, has_version: bool, seen: Seen) -> Failure {
    let name = table.quoted();
    if seen.view || seen.synonym {
        let what = if seen.view { "a view" } else { "a synonym" };
        let say = |table: &dyn Display| {
            format!(
                "{table} is {what}, and only a table has changes to read: name the table itself, or track {what} by a watermark"
            )
        };
        return Error::about(ErrorCode::ChangeTrackingInvalid, table, say).into();
    }
    if !seen.table {
        return Failure::about(Fault::Refused, table, |table| {
            format!("{table} is not there, or the login may not see it: check its name, and GRANT SELECT ON {name}")
        });
    }
    let why = if !has_version && !seen.tracked_database {
        "change tracking is off for the database: ALTER DATABASE … SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, \
         AUTO_CLEANUP = ON)"
            .to_owned()
    } else if seen.tracked_table {
        format!("the login may not read its changes: GRANT VIEW CHANGE TRACKING ON {name}")
    } else if !seen.primary_key {
        return no_primary_key(table);
    } else {
        format!(
            "change tracking is off for the table (ALTER TABLE {name} ENABLE CHANGE_TRACKING), or the login may not see \
             it (GRANT VIEW CHANGE TRACKING ON {name})"
        )
    };
    let say = |table: &dyn Display| format!("{table} has no changes to read: {why}");
    Error::about(ErrorCode::ChangeTrackingInvalid, table, say).into()
}

/// Builds a column that describes a change. Both types of such columns can be copied in every form.
fn described(name: &str, sql_type: SqlType, wanted: WantedForms) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.name(),
        form: sql_type.form(wanted).unwrap_or(Form::Text),
        nullable: false,
        values: Values::OfSource,
    }
}

fn no_primary_key(table: &ObjectName) -> Failure {
    let say = |table: &dyn Display| {
        format!("{table} has no primary key, or the login may not see it: change tracking needs one")
    };
    Error::about(ErrorCode::ChangeTrackingInvalid, table, say).into()
}

#[cfg(test)]
mod tests {
    use tidemark::error::Role;

    use super::*;

    #[test]
    fn a_table_without_versions_is_told_why() {
        let all = Seen {
            table: true,
            tracked_database: true,
            tracked_table: true,
            primary_key: true,
            view: false,
            synonym: false,
        };
        let hidden = Seen { table: false, ..all };
        let cases = [
            (true, hidden, ErrorCode::SourceRejected, "dbo.t is not there"),
            (
                false,
                Seen {
                    tracked_database: false,
                    tracked_table: false,
                    ..all
                },
                ErrorCode::ChangeTrackingInvalid,
                "ALTER DATABASE",
            ),
            (true, all, ErrorCode::ChangeTrackingInvalid, "may not read its changes"),
            (
                true,
                Seen {
                    tracked_table: false,
                    ..all
                },
                ErrorCode::ChangeTrackingInvalid,
                "ENABLE CHANGE_TRACKING",
            ),
            (
                true,
                Seen {
                    tracked_table: false,
                    primary_key: false,
                    ..all
                },
                ErrorCode::ChangeTrackingInvalid,
                "no primary key",
            ),
        ];
        for (has_version, seen, code, said) in cases {
            let failure = not_tracked(&"t".parse().unwrap(), has_version, seen);
            let error = failure.of(Role::Source);
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

//! `doctor`, which checks everything that a run needs. It reports how it found each thing, and what to do about what is
//! missing.

mod bucket;
mod findings;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark::model::lookup::Note;
use tidemark::model::names::ObjectName;
use tidemark::model::table::{NullWatermark, TableSpec, Tracking};
use tidemark::planner::examine::{Examined, TrackedBy, examine, not_readable};
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::source::{Access, CatalogColumn, DeclaredColumn, ProbeSource};
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::steps::lookup_new::NewWatermarks;
use tidemark::steps::tables::FailedTable;
use tidemark_sqlserver::Quoted;
use tidemark_sqlserver::session::Server;

use self::findings::{Findings, Missing};
use super::copy_run::parse_duration;
use super::plan::look_ahead;
use super::summary::changes;
use crate::copying::{connecting, has_address};
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::{Mark, Terminal, counted, duration};
use crate::wiring::sink::{SinkArgs, Watermarks};
use crate::wiring::source::SourceArgs;
use crate::wiring::store::Store;

/// The least time that changes are to be kept: SQL Server's own default.
const LEAST_RETENTION: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// The days for which a database is advised to keep changes, unless runs are further apart.
const ADVISED_RETENTION_DAYS: u64 = 7;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The file with the tables, or - for standard input
    #[arg(default_value = "tables.json")]
    tables: PathBuf,
    /// How often the tables are copied, such as 1h or 1d; what change tracking keeps must last longer than that
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    every: Option<Duration>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

/// Checks everything.
pub(crate) async fn doctor(arguments: &DoctorArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let tables = tables_file::read(&arguments.tables)?;
    let mut findings = Findings::new(terminal);
    let said = |count: &usize| format!("the file names {count}, and every field in it is known");
    findings.found("tables", Ok::<_, Error>(tables.len()), said);
    let source = arguments.source.open().await;
    let source = findings.found("login", source, |source| {
        format!("there is a login for {}", source.name)
    });
    let mut server = None;
    if let Some(source) = &source {
        let reached = source.server();
        let greet = async {
            has_address(source).await?;
            reached.greet().await.of(Role::Source)
        };
        let version = connecting(source, terminal, greet).await;
        let is_reached = findings.found("server", version, |version| format!("{version} answers"));
        server = is_reached.map(|_| reached);
    }
    let sink = findings.found("sink", arguments.sink.open(), |sink| match &sink.store {
        Store::Folder(_) => format!("the folder {}", sink.name),
        Store::S3(_) => sink.name.clone(),
    });
    let mut next_run = Ahead::default();
    if let Some(sink) = &sink {
        let is_usable = bucket::look(sink, &mut findings).await;
        let is_on_server = arguments.sink.control_table()?.is_some();
        // What is missing there is told already, and every look into the ledger would fail with it again.
        let source = source.as_ref().filter(|_| is_usable);
        if let Some(source) = source.filter(|_| server.is_some() || !is_on_server) {
            let watermarks = arguments.sink.watermarks(sink, source.writer())?;
            let stored = stored(&watermarks, &tables).await;
            let found = findings.found("watermarks", stored, |&count| said_of_watermarks(count, tables.len()));
            if let Some(server) = server.as_ref().filter(|_| found.is_some()) {
                match look_ahead(server, &watermarks, sink, &tables, terminal).await {
                    Ok(found) => next_run = Ahead::of(found),
                    Err(error) => findings.missing("next run", error.into()),
                }
            }
        }
    }
    if let (Some(server), Some(source)) = (&server, &source) {
        let user = source.user();
        findings.judged("rights", policies(server, &user).await);
        for spec in &tables {
            let subject = spec.table.to_string();
            let looked = table(server, spec, &user, arguments.every).await;
            let looked = looked.map_err(Missing::of_any_table);
            let looked = looked.and_then(|found| next_run.judged(&spec.table, found));
            findings.judged(&subject, looked);
        }
    }
    findings.tell_end();
    Ok(findings.class)
}

/// What the next run would meet: the tables that it would fail with, and what it would say of others.
#[derive(Default)]
struct Ahead {
    failed: Vec<FailedTable>,
    notes: Vec<Note>,
}

impl Ahead {
    fn of(found: NewWatermarks) -> Self {
        let NewWatermarks { failed, notes, .. } = found;
        Self { failed, notes }
    }

    /// Returns what was found of a table together with what the next run would meet there.
    fn judged(&self, table: &ObjectName, (mark, said): (Mark, String)) -> std::result::Result<(Mark, String), Missing> {
        if let Some(failed) = self.failed.iter().find(|failed| failed.table == *table) {
            let error = Error::new(failed.error, failed.shared_cause());
            return Err(match &failed.advice {
                Some(advice) => Missing::mended_by(error, advice.clone()),
                None => error.into(),
            });
        }
        let changed = self.notes.iter().find(|note| note.table == *table).and_then(changes);
        Ok(match changed {
            Some(changed) => (Mark::Doubtful, format!("{said}; {changed}")),
            None => (mark, said),
        })
    }
}

fn said_of_watermarks(stored: usize, tables: usize) -> String {
    match stored {
        0 => "no table has one yet, so the next run loads every table in full".to_owned(),
        all if all == tables => "every table has one, and the next run copies what changed".to_owned(),
        some => format!("{some} of {tables} tables have one; the next run loads the others in full"),
    }
}

async fn stored(watermarks: &Watermarks<'_>, tables: &[TableSpec]) -> Result<usize> {
    let keys: Vec<_> = tables.iter().map(TableSpec::watermark_key).collect();
    let together = watermarks.all_stored(&keys).await.of(Role::WatermarkStore)?;
    let mut count = 0;
    for (key, stored) in keys.iter().zip(together) {
        let stored = match stored {
            Some(stored) => stored,
            None => watermarks.stored(key).await.of(Role::WatermarkStore)?,
        };
        count += usize::from(stored.value.is_some());
    }
    Ok(count)
}

/// What is said of a watermark that is the start of a period.
const UNSETTLED_PERIOD: &str = "it is the start of a period, which is the time at which a transaction began, so set settle_seconds to the length \
     of the longest transaction";

/// Looks whether the login would see that a security policy hides rows from it. Most databases have none, so this is nothing that
/// is missing.
async fn policies(server: &Server, user: &str) -> std::result::Result<(Mark, String), Missing> {
    Ok(match server.sees_policies().await.of(Role::Source)? {
        true => (
            Mark::Good,
            "the login sees which tables a security policy filters".to_owned(),
        ),
        false => {
            let said = format!(
                "whether security policies hide rows from the login is not known. If the database has some: GRANT VIEW DEFINITION TO \
                 {user}; or on the schema of the policies alone"
            );
            (Mark::Doubtful, said)
        }
    })
}

/// Checks a table: what is copied of it, and whether its tracking works. `user` is the name in the statements that
/// would grant missing rights. Returns a mark, and a sentence for people.
async fn table(
    server: &Server,
    spec: &TableSpec,
    user: &str,
    every: Option<Duration>,
) -> std::result::Result<(Mark, String), Missing> {
    let versions = match &spec.tracking {
        Tracking::ChangeTracking(_) => Some(by_changes(server, spec, user, every).await?),
        Tracking::Watermark(_) => None,
    };
    let Examined {
        columns,
        tracked_by,
        unseen,
    } = match examine(server, spec).await {
        Ok(examined) => examined,
        Err(error) => return Err(advised(server, spec, user, error).await),
    };
    let (mark, tracking) = match tracked_by {
        TrackedBy::Watermark {
            column,
            is_indexed,
            nulls,
            is_unsettled_period,
        } => {
            let (mark, said) = by_watermark(nulls, &column, is_indexed);
            match is_unsettled_period {
                true => (Mark::Doubtful, format!("{said}; {UNSETTLED_PERIOD}")),
                false => (mark, said),
            }
        }
        TrackedBy::Changes(key) => {
            let versions = versions.unwrap_or_default();
            (Mark::Good, format!("{versions}, by the key {}", key.join(", ")))
        }
    };
    let (mark, hidden) = if unseen.filtered {
        (Mark::Doubtful, "; a security policy may hide rows from the login")
    } else if unseen.veiled {
        let what = "; the login lacks UNMASK, and this view may show it masks in place of values";
        (Mark::Doubtful, what)
    } else {
        (mark, "")
    };
    let copied = counted(columns as u64, "column", ["is", "are"]);
    Ok((mark, format!("{copied} copied; {tracking}{hidden}")))
}

/// Returns what a run would fail with, and the statement that grants what is missing, if it is a right.
async fn advised(server: &Server, spec: &TableSpec, user: &str, error: Error) -> Missing {
    let table = &spec.table;
    if error.code().is_retryable() {
        return error.into();
    }
    let catalogs = server.catalogs(&[table]).await.unwrap_or_default();
    let Some(catalog) = catalogs.into_iter().next().flatten() else {
        return match error.code() {
            ErrorCode::SourceRejected => {
                let advice = format!(
                    "Check the name. If it is there: GRANT SELECT ON OBJECT::{} TO {user};",
                    table.quoted()
                );
                Missing::mended_by(error, advice)
            }
            _ => error.into(),
        };
    };
    match not_readable(spec, &catalog).as_slice() {
        [] => error.into(),
        [..] if catalog.columns.iter().all(|column| column.access == Access::Nothing) => {
            let error = Error::new(ErrorCode::SourceRejected, "the login may not read it");
            let advice = format!("GRANT SELECT ON OBJECT::{} TO {user};", table.quoted());
            Missing::mended_by(error, advice)
        }
        [first, ..] => Missing::mended_by(error, granted(table, first, user)),
    }
}

/// Returns what lets the login read a column.
fn granted(table: &ObjectName, column: &CatalogColumn, user: &str) -> String {
    let (table, name) = (table.quoted(), column.name.as_str().quoted());
    match column.access {
        Access::Mask => {
            format!("GRANT UNMASK TO {user}; or name the column in `exclude`, or set `masked_columns` to `copy`.")
        }
        Access::Ciphertext => "Name the column in `exclude`.".to_owned(),
        Access::Nothing | Access::Values => {
            format!("GRANT SELECT ON OBJECT::{table} ({name}) TO {user}; or name the column in `exclude`.")
        }
    }
}

fn by_watermark(nulls: NullWatermark, column: &DeclaredColumn, is_indexed: bool) -> (Mark, String) {
    let mut said = format!("{} {} tracks it", column.name, column.sql_type);
    if !is_indexed {
        said.push_str("; no index begins with it, so every run reads the whole table");
    }
    if column.nullable {
        said.push_str(match nulls {
            NullWatermark::Skip => "; it may be NULL, and such rows are not copied",
            NullWatermark::FirstLoad => "; it may be NULL, and only the first load copies such rows",
        });
    }
    let mark = if is_indexed && !column.nullable {
        Mark::Good
    } else {
        Mark::Doubtful
    };
    (mark, said)
}

/// Checks that changes of the table are kept, and for long enough. Returns a sentence about them.
async fn by_changes(
    server: &Server,
    spec: &TableSpec,
    user: &str,
    every: Option<Duration>,
) -> std::result::Result<String, Missing> {
    let table = spec.table.quoted();
    let versions = server.versions(&spec.table).await.of(Role::Source);
    let versions = versions.map_err(|error| match error.code() {
        ErrorCode::ChangeTrackingInvalid | ErrorCode::SourceRejected => Missing::mended_by(
            error,
            format!(
                "If it is off: ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS); ALTER TABLE {table} \
                 ENABLE CHANGE_TRACKING; if it is on: GRANT VIEW CHANGE TRACKING ON OBJECT::{table} TO {user};"
            ),
        ),
        _ => error.into(),
    })?;
    let key = server.primary_key(&spec.table).await.of(Role::Source);
    key.map_err(|error| match error.code() {
        code if code.is_retryable() => error.into(),
        _ => Missing::mended_by(error, "Add a primary key, or track it by a rowversion.".to_owned()),
    })?;
    let retention = server.retention().await.of(Role::Source)?;
    check_retention(retention, every)?;
    Ok(format!("changes since version {} are there", versions.min_valid))
}

/// Checks that changes are kept long enough for runs that are `every` apart. `retention` is `None` when changes are
/// kept for ever, or the login may not see for how long.
fn check_retention(retention: Option<Duration>, every: Option<Duration>) -> std::result::Result<(), Missing> {
    let least = every.unwrap_or_default().max(LEAST_RETENTION);
    let Some(retention) = retention.filter(|retention| *retention < least) else {
        return Ok(());
    };
    let kept = duration(retention.as_secs());
    let why = match every.filter(|every| *every > LEAST_RETENTION) {
        Some(every) => format!("runs are {} apart", duration(every.as_secs())),
        None => "a run that fails over a weekend loses them".to_owned(),
    };
    let message = format!("the database keeps changes for {kept}, and {why}: the table would be loaded again in full");
    let days = least.as_secs().div_ceil(24 * 60 * 60).max(ADVISED_RETENTION_DAYS);
    let advice = format!("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = {days} DAYS);");
    Err(Missing::mended_by(
        Error::new(ErrorCode::ChangeTrackingInvalid, message),
        advice,
    ))
}

//! What a copy asks of its source: the statement, the pages that it reads, and the locks that it holds.
//!
//! The server tells both of a session, in `sys.dm_exec_sessions` and `sys.dm_tran_locks`. A login sees its own sessions,
//! and locks with the right VIEW SERVER STATE (or VIEW DATABASE STATE on Azure SQL Database). What a server does not tell
//! is said, and is no error.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use arrow_array::RecordBatch;
use serde::Serialize;
use serde_json::{Value, json};
use tidemark::error::{Answer, OfRole, Role};
use tidemark::model::rows::{Interval, Rows};
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::Column;
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, TakeBatches};
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::rows::RowReader;
use tidemark_tests::real_server::{self, Connection, FromSql, Row};

use crate::Failure;

/// The interval at which locks are looked at.
const SAMPLE: Duration = Duration::from_millis(10);
/// The most characters of an `nvarchar(n)` parameter, by which the product's driver sends values.
const NVARCHAR_CHARACTERS: usize = 4_000;

/// What a server tells, or why it does not.
pub type Told<T> = Result<T, String>;

/// Returns the batch that runs a statement with its values as parameters, as the product's driver does.
#[must_use]
pub fn as_batch(statement: &Explained) -> String {
    let text = |text: &str| format!("N'{}'", text.replace('\'', "''"));
    let names = (1..=statement.parameters.len()).map(|number| format!("@P{number} nvarchar({NVARCHAR_CHARACTERS})"));
    let names = names.collect::<Vec<_>>().join(", ");
    let mut arguments = vec![text(&statement.sql)];
    if !statement.parameters.is_empty() {
        arguments.push(text(&names));
        arguments.extend(statement.parameters.iter().map(|value| text(value)));
    }
    format!("EXEC sp_executesql {}", arguments.join(", "))
}

/// Returns the batch by which a reader would read rows.
///
/// # Errors
///
/// Fails when the rows have a type that is not one of SQL Server's.
pub fn batch_of(rows: &Rows<'_>, columns: &[Column], login: &Login) -> Result<String, Failure> {
    let explained = RowReader::new(login.clone()).explain(rows, columns).of(Role::Source)?;
    Ok(as_batch(&explained))
}

/// What the server tells of the session that copies.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceSide {
    /// The pages read where all rows are one slice (`logical_reads`).
    pub of_one_slice: Told<i64>,
    /// The pages read where they are several slices.
    pub of_slices: Told<i64>,
    /// The most locks at once in each mode, while all rows were read.
    pub locks: Told<BTreeMap<String, i64>>,
}

impl SourceSide {
    /// Returns it as a line of `bench.json`.
    #[must_use]
    pub fn line(&self, name: &str, slices: usize) -> Value {
        json!({
            "name": name,
            "logical_reads_of_1_slice": as_json(&self.of_one_slice),
            format!("logical_reads_of_{slices}_slices"): as_json(&self.of_slices),
            "most_locks": as_json(&self.locks),
        })
    }

    /// Returns it as lines for a person.
    #[must_use]
    pub fn text(&self, slices: usize) -> String {
        let pages = |told: &Told<i64>| as_text(told, |pages| format!("{pages} pages"));
        let locks = as_text(&self.locks, |locks| {
            let locks = locks.iter().map(|(mode, count)| format!("{mode} {count}"));
            locks.collect::<Vec<_>>().join(", ")
        });
        format!(
            "  logical reads of 1 slice: {}\n  logical reads of {slices} slices: {}\n  most locks at once: {locks}\n",
            pages(&self.of_one_slice),
            pages(&self.of_slices),
        )
    }
}

fn not_told(why: &str) -> String {
    format!("not told by this server: {why}")
}

fn as_text<T>(told: &Told<T>, text: impl FnOnce(&T) -> String) -> String {
    told.as_ref().map_or_else(|why| not_told(why), text)
}

fn as_json<T: Serialize>(told: &Told<T>) -> Value {
    told.as_ref()
        .map_or_else(|why| json!(not_told(why)), |told| json!(told))
}

/// Reads the rows of an interval with the product's reader, as one slice and then as these slices, and asks the server
/// about the reader's session.
///
/// # Errors
///
/// Fails when the rows cannot be read.
pub async fn measure(
    login: &Login,
    interval: &Interval<'_>,
    columns: &[Column],
    slices: &[KeyBounds],
) -> Result<SourceSide, Failure> {
    let mut server = Server::connect(login).await;
    let known = server.sessions().await;
    let mut reader = RowReader::new(login.clone());
    let all = Rows::Interval(*interval);
    // The reader keeps its session from now on. It is the one that was not there before.
    read(&mut reader, &all, columns).await?;
    let session = match known {
        Ok(known) => server.sessions().await.and_then(|now| only_new(&known, &now)),
        Err(why) => Err(why),
    };
    let before = server.reads(&session).await;
    let mut locks = Err("the copy ended before anybody looked".to_owned());
    // A question that is not waited for to its end leaves its connection in the middle of an answer.
    let mut watcher = Server::connect(login).await;
    tokio::select! {
        done = read(&mut reader, &all, columns) => done?,
        never = watcher.watch(&session, &mut locks) => match never {},
    }
    let between = server.reads(&session).await;
    for slice in slices {
        let rows = Rows::Interval(Interval {
            key: Some(slice),
            ..*interval
        });
        read(&mut reader, &rows, columns).await?;
    }
    let after = server.reads(&session).await;
    Ok(SourceSide {
        of_one_slice: difference(&before, &between),
        of_slices: difference(&between, &after),
        locks,
    })
}

/// Reads rows and forgets them.
async fn read(reader: &mut RowReader, rows: &Rows<'_>, columns: &[Column]) -> Result<(), Failure> {
    struct Forget;
    impl TakeBatches<RecordBatch> for Forget {
        async fn take(&mut self, _batch: RecordBatch) -> Answer<()> {
            Ok(())
        }
    }
    reader.read(rows, columns, &mut Forget).await.of(Role::Source)?;
    Ok(())
}

/// A connection on which the server is asked about others.
struct Server(Connection);

impl Server {
    async fn connect(login: &Login) -> Self {
        Self(real_server::connect(login).await)
    }

    /// Returns the numbers of Tidemark's sessions.
    async fn sessions(&mut self) -> Told<BTreeSet<i16>> {
        let sql = "SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = N'tidemark'";
        let rows = real_server::rows(&mut self.0, sql).await?;
        Ok(rows.iter().filter_map(|row| value(row, 0)).collect())
    }

    /// Returns the pages that a session has read so far, in requests that have ended.
    async fn reads(&mut self, session: &Told<i16>) -> Told<i64> {
        let session = session.clone()?;
        let sql = format!("SELECT logical_reads FROM sys.dm_exec_sessions WHERE session_id = {session}");
        let rows = real_server::rows(&mut self.0, &sql).await?;
        let reads = rows.first().and_then(|row| value(row, 0));
        reads.ok_or_else(|| format!("session {session} is gone"))
    }

    /// Looks at the locks of a session again and again, and keeps the most of each mode, or why they are not told.
    async fn watch(&mut self, session: &Told<i16>, most: &mut Told<BTreeMap<String, i64>>) -> Infallible {
        loop {
            match self.locks(session).await {
                Ok(locks) => *most = Ok(most_of_each(most.clone().unwrap_or_default(), locks)),
                Err(why) => {
                    *most = Err(why);
                    return std::future::pending().await;
                }
            }
            tokio::time::sleep(SAMPLE).await;
        }
    }

    /// Returns the locks that a session holds now, by their modes.
    async fn locks(&mut self, session: &Told<i16>) -> Told<Vec<(String, i64)>> {
        let session = session.clone()?;
        let sql = format!(
            "SELECT request_mode, COUNT_BIG(*) FROM sys.dm_tran_locks \
             WHERE request_session_id = {session} AND request_status = N'GRANT' GROUP BY request_mode"
        );
        let rows = real_server::rows(&mut self.0, &sql).await?;
        let lock = |row: &Row| Some((value::<&str>(row, 0)?.to_owned(), value(row, 1)?));
        Ok(rows.iter().filter_map(lock).collect())
    }
}

/// Returns a value of a row, if it is there and of this type.
fn value<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Option<T> {
    row.try_get(column).ok().flatten()
}

/// Returns the only session that was not there before.
fn only_new(before: &BTreeSet<i16>, now: &BTreeSet<i16>) -> Told<i16> {
    let new: Vec<_> = now.difference(before).collect();
    match new[..] {
        [session] => Ok(*session),
        _ => Err(format!("{} sessions of Tidemark began, and not one", new.len())),
    }
}

/// Returns the greater number of each mode.
#[must_use]
pub fn most_of_each(mut most: BTreeMap<String, i64>, now: Vec<(String, i64)>) -> BTreeMap<String, i64> {
    for (mode, count) in now {
        let kept = most.entry(mode).or_default();
        *kept = count.max(*kept);
    }
    most
}

fn difference(before: &Told<i64>, after: &Told<i64>) -> Told<i64> {
    Ok(after.clone()? - before.clone()?)
}

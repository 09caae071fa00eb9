//! Work on the tables of a run, several at once. A table that fails does not stop the others.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Result};
use crate::model::names::ObjectName;
use crate::steps::context::{Progress, RunContext};

/// A table that failed in a step over all tables of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, into = "Written")]
pub struct FailedTable {
    /// The table.
    pub table: ObjectName,
    /// The error's code.
    pub error: ErrorCode,
    /// What failed, and what to change, unless that is advised apart.
    pub cause: String,
    /// What a person can do about it in particular. When the report is written, it is a part of the cause.
    #[serde(skip)]
    pub advice: Option<String>,
    /// The cause as it is said of any table, so that several tables with the same one have the same text.
    #[serde(skip)]
    pub of_any: Option<String>,
    /// Whether the cause names the table.
    #[serde(skip)]
    pub is_named: bool,
}

/// The report of a table that failed, as it is written.
#[derive(Serialize)]
struct Written {
    table: ObjectName,
    error: ErrorCode,
    cause: String,
}

impl From<FailedTable> for Written {
    /// The cause is short enough to travel with those of all other tables.
    fn from(failed: FailedTable) -> Self {
        let mut cause = failed.report();
        if let Some((end, _)) = cause.char_indices().nth(CAUSE_CHARACTERS) {
            cause.truncate(end);
            cause.push('…');
        }
        let FailedTable { table, error, .. } = failed;
        Self { table, error, cause }
    }
}

impl FailedTable {
    /// Makes the report of a table that failed with `error`.
    #[must_use]
    pub fn of(table: ObjectName, error: &Error) -> Self {
        Self {
            error: error.code(),
            cause: error.told(),
            advice: error.advice().map(str::to_owned),
            of_any: Some(error.told_of_any()),
            is_named: error.is_about(&table),
            table,
        }
    }

    /// Returns the cause as it is said of any table.
    #[must_use]
    pub fn shared_cause(&self) -> &str {
        self.of_any.as_deref().unwrap_or(&self.cause)
    }

    /// Returns the cause with the table's name, which stands before it unless the cause names the table itself.
    #[must_use]
    pub fn named_cause(&self) -> String {
        if self.is_named {
            self.cause.clone()
        } else {
            format!("{}: {}", self.table, self.cause)
        }
    }

    /// Returns what failed, and what to change.
    #[must_use]
    pub fn report(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}. {advice}", self.cause),
            None => self.cause.clone(),
        }
    }
}

/// How often a table that fails with a retryable error is tried within one invocation.
const TRIES: u32 = 3;
/// The wait before the second try. It doubles before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How many tables are worked on at once. Reads of the ledger overlap, and statements take turns.
const TABLES_AT_ONCE: usize = 16;
/// The most characters of a failure's cause, because all of them travel in one payload.
const CAUSE_CHARACTERS: usize = 600;

/// What is done with each table, as a line of the log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its old watermark is looked up.
    LookUpOld,
    /// Its new watermark is looked up.
    LookUpNew,
    /// Its window is committed.
    Commit,
}

impl Work {
    const fn failed(self) -> &'static str {
        match self {
            Self::LookUpOld => "The old watermark of the table could not be looked up",
            Self::LookUpNew => "The next window of the table could not be planned",
            Self::Commit => "The window of the table could not be committed",
        }
    }
}

/// What became of the tables.
#[derive(Debug)]
pub struct Worked<T> {
    /// What `run` returned, in the order of the items.
    pub done: Vec<T>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

/// An item that is still to be worked on, and its place among all items.
struct Waiting<I> {
    place: usize,
    item: I,
}

/// Runs `run` for each item, several at once, and separates the tables that fail, so that they do not stop the others.
///
/// Retryable failures are tried again. When every table fails with one at the first try, the failure is not that of a
/// table: it is returned, and the state machine retries the whole step. A table for which no time is left in `context`
/// has failed. How many tables are done is reported as progress.
///
/// # Errors
///
/// The retryable error of the first table, when all tables failed with one.
pub async fn for_each_table<I, T>(
    work: Work,
    items: Vec<I>,
    context: RunContext,
    table: impl Fn(&I) -> &ObjectName,
    run: impl AsyncFn(&I) -> Result<T>,
) -> Result<Worked<T>> {
    let (run, end) = (&run, context.time_to_answer());
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut waiting: Vec<Waiting<I>> = (0..).zip(items).map(|(place, item)| Waiting { place, item }).collect();
    for tries in 1..=TRIES {
        let mut again: Vec<(Waiting<I>, Error)> = Vec::new();
        let answers = waiting.into_iter().map(|one| async move {
            // Boxed, because each function that it passes through would keep it on the stack once more.
            let answer = before(end, Box::pin(run(&one.item))).await;
            (one, answer)
        });
        let mut answers = stream::iter(answers).buffered(TABLES_AT_ONCE);
        while let Some((one, answer)) = answers.next().await {
            match answer {
                Ok(found) => done.push((one.place, found)),
                Err(error) if error.code().is_retryable() => again.push((one, error)),
                Err(error) => failed.push(failure(work, table(&one.item), &error)),
            }
            (context.progress)(Progress::TablesLookedUp(done.len() + failed.len()));
        }
        if done.is_empty() && failed.is_empty() && tries == 1 {
            // Every failure is retryable. There is none at all when there was no item.
            if let Some((one, error)) = again.into_iter().next() {
                return Err(error.of_table(table(&one.item)));
            }
            break;
        }
        if again.is_empty() || tries == TRIES {
            failed.extend(again.iter().map(|(one, error)| failure(work, table(&one.item), error)));
            break;
        }
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries - 1)).await;
        waiting = again.into_iter().map(|(one, _)| one).collect();
    }
    done.sort_by_key(|&(place, _)| place);
    let done = done.into_iter().map(|(_, found)| found).collect();
    Ok(Worked { done, failed })
}

/// Returns the result of `work`, if it comes before `end`.
///
/// # Errors
///
/// Those of `work`, and `DeadlineExceeded` when it takes longer.
pub async fn before<T>(end: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(end) = end else { return work.await };
    tokio::time::timeout_at(end, work).await.unwrap_or_else(|_| {
        let message = "this invocation has no time left for the table: look for locks on the tables of the run, or give a run \
                       fewer of them";
        Err(Error::new(ErrorCode::DeadlineExceeded, message))
    })
}

fn failure(work: Work, table: &ObjectName, error: &Error) -> FailedTable {
    let failed = FailedTable::of(table.clone(), error);
    tracing::error!(%table, error_type = %failed.error, "{}: {}.", work.failed(), failed.report().trim_end_matches('.'));
    failed
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::shared_connection::{SharedConnection, TURN_TIMEOUT};
    use crate::steps::context::ANSWER_MARGIN;

    fn tables(names: &[&str]) -> Vec<ObjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// Returns the context of an invocation that has until this moment for its work.
    fn until(end: Instant) -> RunContext {
        RunContext {
            deadline: Some(end + ANSWER_MARGIN),
            ..RunContext::unbounded()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_table_does_not_stop_the_others() {
        let tries = Cell::new(0);
        let Worked { done, failed } = for_each_table(
            Work::LookUpOld,
            tables(&["busy", "good", "gone", "fine"]),
            RunContext::unbounded(),
            |table| table,
            async |table: &ObjectName| match table.name().as_str() {
                "good" | "fine" => Ok(table.to_string()),
                "gone" => Err(Error::new(ErrorCode::SourceRejected, "no such table")),
                _ => {
                    tries.set(tries.get() + 1);
                    Err(Error::new(ErrorCode::SourceUnavailable, "locked"))
                }
            },
        )
        .await
        .unwrap();
        assert_eq!(done, ["dbo.good", "dbo.fine"]);
        let failed: Vec<_> = failed
            .iter()
            .map(|failure| (failure.table.name().as_str(), failure.error))
            .collect();
        assert_eq!(
            failed,
            [
                ("gone", ErrorCode::SourceRejected),
                ("busy", ErrorCode::SourceUnavailable)
            ]
        );
        assert_eq!(tries.get(), TRIES);
    }

    #[test]
    fn a_report_travels_in_few_characters_and_with_its_advice() {
        let table: ObjectName = "dbo.t".parse().unwrap();
        let error = Error::new(ErrorCode::SchemaMismatch, "a column is gone").advised("Put it back.");
        let failed = FailedTable::of(table.clone(), &error);
        let written = serde_json::to_value(&failed).unwrap();
        assert_eq!(written["cause"], "a column is gone. Put it back.");
        let read: FailedTable = serde_json::from_value(written).unwrap();
        assert_eq!((read.report(), read.advice.is_none()), (failed.report(), true));
        let long = FailedTable::of(table, &Error::new(ErrorCode::Internal, "ä".repeat(700)));
        let written = serde_json::to_value(&long).unwrap();
        assert_eq!(written["cause"].as_str().map(|cause| cause.chars().count()), Some(601));
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_found_later_keeps_its_place() {
        let tries = Cell::new(0);
        let lookup = async |table: &ObjectName| {
            tries.set(tries.get() + 1);
            if tries.get() == 1 {
                return Err(Error::new(ErrorCode::SourceUnavailable, "deadlock"));
            }
            Ok(table.name().as_str().to_owned())
        };
        let Worked { done, failed } = for_each_table(
            Work::LookUpOld,
            tables(&["a", "b", "c"]),
            RunContext::unbounded(),
            |table| table,
            lookup,
        )
        .await
        .unwrap();
        assert_eq!(done, ["a", "b", "c"]);
        assert!(failed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_down_is_the_whole_steps_failure() {
        let asked = Cell::new(0);
        let error = for_each_table(
            Work::LookUpOld,
            tables(&["a", "b", "c", "d"]),
            RunContext::unbounded(),
            |table| table,
            async |_: &ObjectName| {
                asked.set(asked.get() + 1);
                Err::<(), _>(Error::new(ErrorCode::SourceUnavailable, "refused"))
            },
        )
        .await
        .unwrap_err();
        assert_eq!((error.code(), asked.get()), (ErrorCode::SourceUnavailable, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_hangs_leaves_time_for_the_others() {
        let names = ["hangs", "good", "late"];
        let deadline = Instant::now() + TURN_TIMEOUT + Duration::from_secs(5);
        let connection = SharedConnection::default();
        let lookup = async |table: &ObjectName| {
            let work = async {
                match table.name().as_str() {
                    "hangs" => tokio::time::sleep(Duration::from_secs(3600)).await,
                    "late" => tokio::time::sleep(Duration::from_secs(30)).await,
                    _ => {}
                }
                Ok(table.to_string())
            };
            connection.take_turn(work).await
        };
        let Worked { done, failed } =
            for_each_table(Work::LookUpOld, tables(&names), until(deadline), |table| table, lookup)
                .await
                .unwrap();
        assert_eq!(done, ["dbo.good"]);
        let failed: Vec<_> = failed
            .iter()
            .map(|failure| (failure.table.name().as_str(), failure.error))
            .collect();
        assert_eq!(
            failed,
            [
                ("hangs", ErrorCode::DeadlineExceeded),
                ("late", ErrorCode::DeadlineExceeded)
            ]
        );
        assert!(Instant::now() <= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn statements_take_turns_and_the_rest_overlaps() {
        let names: Vec<String> = (0..48).map(|number| format!("t{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (begun, on_connection) = (Instant::now(), Cell::new(0));
        let connection = SharedConnection::default();
        let lookup = async |_: &ObjectName| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let statement = async {
                on_connection.set(on_connection.get() + 1);
                assert_eq!(on_connection.get(), 1, "two statements at once");
                tokio::time::sleep(Duration::from_millis(1)).await;
                on_connection.set(on_connection.get() - 1);
                Ok(())
            };
            connection.take_turn(statement).await
        };
        let Worked { done, .. } = for_each_table(
            Work::LookUpOld,
            tables(&names),
            RunContext::unbounded(),
            |table| table,
            lookup,
        )
        .await
        .unwrap();
        assert_eq!(done.len(), 48);
        assert!(
            begun.elapsed() < Duration::from_millis(48 * 100 / 4),
            "{:?}",
            begun.elapsed()
        );
    }
}

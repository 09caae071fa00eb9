//! What travels between the steps: the JSON the state machine carries from one function to the next, kept small,
//! because an execution's payload is limited to 256 KiB for all tables together.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;
use crate::ledger::{SliceId, WindowName};
use crate::ports::watermarks::{StoredWatermark, WatermarkKey};
use crate::table::TableSpec;
use crate::watermark::Watermark;

/// A table with what the ledger and the store know of it: the output of `lookup-old-watermark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookedUp {
    /// The table as configured.
    pub spec: TableSpec,
    /// The pointer.
    pub stored: StoredWatermark,
    /// The last committed window, when the pointer lags behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<CommittedWindow>,
    /// The stored value is no window of this ledger's: the table has yet to be loaded in full.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unloaded: bool,
}

impl LookedUp {
    /// The window after the last committed one.
    #[must_use]
    pub fn next_window(&self) -> WindowName {
        match &self.committed {
            Some(committed) => {
                let next = committed.superseded_by.clone();
                next.unwrap_or_else(|| WindowName::after(&committed.new_watermark))
            }
            None if self.unloaded => WindowName::initial(),
            None => WindowName::after_stored(self.stored.value.as_deref()),
        }
    }
}

/// A committed window whose watermark the store does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedWindow {
    /// The window.
    pub window: WindowName,
    /// Where it ended: the old watermark of the next window.
    pub new_watermark: Watermark,
    /// The window that is copied in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
}

/// A window without a slice, which only has to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyWindow {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
}

/// A window to be copied: an item of the state machine's Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyWindow {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// Slices to copy, numbered from 0; none when the window is committed and only its pointer has to move.
    pub slices: usize,
    /// How long to wait before copying.
    pub settle_seconds: u32,
    /// Whether an earlier or concurrent run froze the plan.
    pub adopted: bool,
    /// The lower bound, exclusive but for a rowversion.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive but for a rowversion.
    pub new_watermark: Watermark,
}

/// What became of a slice that did not fit into one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// The slices that are copied in its place; none when it was copied after all.
    pub slices: Vec<SliceId>,
}

/// A table that failed in a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTable {
    /// The table.
    pub table: ObjectName,
    /// The error's name.
    pub error: String,
    /// What failed and what to change.
    pub cause: String,
}

impl TableSpec {
    /// The row of the watermark store that is this table's.
    #[must_use]
    pub fn watermark_key(&self) -> WatermarkKey {
        WatermarkKey {
            table: self.table.clone(),
            name: self.watermark_name.clone(),
        }
    }
}

/// How often a table whose lookup fails with a retryable error is tried within one invocation.
const TRIES: u32 = 3;
/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long one table may keep the connection: one that is locked or scanned must not use up the time of the others.
const TURN_TIMEOUT: Duration = Duration::from_secs(80);
/// Tables looked up at once: reads of the ledger overlap, statements take turns.
const TABLES_AT_ONCE: usize = 16;
/// What is kept back from the invocation's time to answer.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(20);
/// Characters of a failure's cause: all of them travel in one payload.
const CAUSE_CHARACTERS: usize = 600;

/// The turns of the tables on the one connection to a server.
#[derive(Debug, Default)]
pub struct Turns {
    connection: Mutex<()>,
}

impl Turns {
    /// Waits for the table's turn, then runs `work`; `DeadlineExceeded` when that takes more than 80 s.
    pub async fn take<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = self.connection.lock().await;
        tokio::time::timeout(TURN_TIMEOUT, work)
            .await
            .unwrap_or_else(|_| Err(too_slow(&format!("no answer within {} s", TURN_TIMEOUT.as_secs()))))
    }
}

/// Runs `lookup` for each item, several at once, and separates the tables that fail, so that they do not stop the
/// others. What is found is in the order of the items.
///
/// Retryable failures are tried again. When every table fails so, the failure is not the table's: it is returned, and
/// the state machine retries the whole lookup. A table that keeps the connection for more than 80 s, or that the
/// deadline leaves no time for, is a failed one.
pub async fn for_each_table<I, T>(
    items: Vec<I>,
    deadline: Option<Instant>,
    table: impl Fn(&I) -> &ObjectName,
    lookup: impl AsyncFn(&I, &Turns) -> Result<T>,
) -> Result<(Vec<T>, Vec<FailedTable>)> {
    let end = deadline.map(|deadline| deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline));
    let turns = Turns::default();
    let (lookup, turns) = (&lookup, &turns);
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut waiting: Vec<(usize, I)> = items.into_iter().enumerate().collect();
    for tries in 1..=TRIES {
        let mut again: Vec<(usize, I, Error)> = Vec::new();
        let looked_up = waiting.into_iter().map(|(number, item)| async move {
            // Boxed: each of what it is passed through would hold it on the stack once more.
            let found = before(end, Box::pin(lookup(&item, turns))).await;
            (number, item, found)
        });
        let mut looked_up = stream::iter(looked_up).buffered(TABLES_AT_ONCE);
        while let Some((number, item, found)) = looked_up.next().await {
            match found {
                Ok(found) => done.push((number, found)),
                Err(error) if error.code().is_retryable() => again.push((number, item, error)),
                Err(error) => failed.push(failure(table(&item), &error)),
            }
        }
        if done.is_empty() && failed.is_empty() && tries == 1 {
            // Nothing but retryable failures; none at all when there was no item.
            if let Some((_, item, error)) = again.into_iter().next() {
                return Err(error.context(table(&item)));
            }
            break;
        }
        if again.is_empty() || tries == TRIES {
            failed.extend(again.iter().map(|(_, item, error)| failure(table(item), error)));
            break;
        }
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries - 1)).await;
        waiting = again.into_iter().map(|(number, item, _)| (number, item)).collect();
    }
    done.sort_by_key(|&(number, _)| number);
    Ok((done.into_iter().map(|(_, found)| found).collect(), failed))
}

/// `work`, if it is done by then; else `DeadlineExceeded`.
pub async fn before<T>(end: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(end) = end else { return work.await };
    let no_time = |_| Err(too_slow("no time left for it in this invocation"));
    tokio::time::timeout_at(end, work).await.unwrap_or_else(no_time)
}

fn too_slow(what: &str) -> Error {
    let message = format!("{what}: index the watermark column, and look for locks");
    Error::new(ErrorCode::DeadlineExceeded, message)
}

fn failure(table: &ObjectName, error: &Error) -> FailedTable {
    let cause = error.report();
    tracing::error!(%table, error_type = %error.code(), "The table's lookup failed: {cause}.");
    let cause = match cause.char_indices().nth(CAUSE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &cause[..end]),
        None => cause,
    };
    FailedTable {
        table: table.clone(),
        error: error.code().to_string(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn tables(names: &[&str]) -> Vec<ObjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_table_does_not_stop_the_others() {
        let tries = Cell::new(0);
        let (done, failed) = for_each_table(
            tables(&["busy", "good", "gone", "fine"]),
            None,
            |table| table,
            async |table: &ObjectName, _: &Turns| match table.name().as_str() {
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
            .map(|failure| (failure.table.name().as_str(), failure.error.as_str()))
            .collect();
        assert_eq!(failed, [("gone", "SourceRejected"), ("busy", "SourceUnavailable")]);
        assert_eq!(tries.get(), TRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_found_later_keeps_its_place() {
        let tries = Cell::new(0);
        let lookup = async |table: &ObjectName, _: &Turns| {
            tries.set(tries.get() + 1);
            if tries.get() == 1 {
                return Err(Error::new(ErrorCode::SourceUnavailable, "deadlock"));
            }
            Ok(table.name().as_str().to_owned())
        };
        let (done, failed) = for_each_table(tables(&["a", "b", "c"]), None, |table| table, lookup)
            .await
            .unwrap();
        assert_eq!(done, ["a", "b", "c"]);
        assert!(failed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_down_is_the_whole_steps_failure() {
        let asked = Cell::new(0);
        let error = for_each_table(
            tables(&["a", "b", "c", "d"]),
            None,
            |table| table,
            async |_: &ObjectName, _: &Turns| {
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
        let deadline = Instant::now() + TURN_TIMEOUT + ANSWER_MARGIN + Duration::from_secs(5);
        let lookup = async |table: &ObjectName, turns: &Turns| {
            let work = async {
                match table.name().as_str() {
                    "hangs" => tokio::time::sleep(Duration::from_secs(3600)).await,
                    "late" => tokio::time::sleep(Duration::from_secs(30)).await,
                    _ => {}
                }
                Ok(table.to_string())
            };
            turns.take(work).await
        };
        let (done, failed) = for_each_table(tables(&names), Some(deadline), |table| table, lookup)
            .await
            .unwrap();
        assert_eq!(done, ["dbo.good"]);
        let failed: Vec<_> = failed
            .iter()
            .map(|failure| (failure.table.name().as_str(), failure.error.as_str()))
            .collect();
        assert_eq!(failed, [("hangs", "DeadlineExceeded"), ("late", "DeadlineExceeded")]);
        assert!(Instant::now() <= deadline - ANSWER_MARGIN);
    }

    #[tokio::test(start_paused = true)]
    async fn statements_take_turns_and_the_rest_overlaps() {
        let names: Vec<String> = (0..48).map(|number| format!("t{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (begun, on_connection) = (Instant::now(), Cell::new(0));
        let lookup = async |_: &ObjectName, turns: &Turns| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let statement = async {
                on_connection.set(on_connection.get() + 1);
                assert_eq!(on_connection.get(), 1, "two statements at once");
                tokio::time::sleep(Duration::from_millis(1)).await;
                on_connection.set(on_connection.get() - 1);
                Ok(())
            };
            turns.take(statement).await
        };
        let (done, _) = for_each_table(tables(&names), None, |table| table, lookup)
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

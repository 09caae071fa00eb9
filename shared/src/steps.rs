//! What travels between the steps: the JSON the state machine carries from one function to the next, kept small,
//! because an execution's payload is limited to 256 KiB for all tables together.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;
use crate::ledger::WindowName;
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
}

impl LookedUp {
    /// The window after the last committed one.
    #[must_use]
    pub fn next_window(&self) -> WindowName {
        match &self.committed {
            Some(committed) => WindowName::after(&committed.new_watermark),
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
    /// The exclusive lower bound.
    pub old_watermark: Option<Watermark>,
    /// The inclusive upper bound.
    pub new_watermark: Watermark,
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
/// How long one table may take: one that is locked or scanned must not use up the time of the others.
const TABLE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is kept back from the invocation's time to answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(20);
/// Characters of a failure's cause: all of them travel in one payload.
const CAUSE_CHARACTERS: usize = 600;

/// Runs `lookup` for each item and separates the tables that fail, so that they do not stop the others.
///
/// Retryable failures are tried again. When every table fails so, the failure is not the table's: it is returned, and
/// the state machine retries the whole lookup. A table that takes more than 60 s, or that the deadline
/// leaves no time for, is a failed one.
pub async fn for_each_table<I, T>(
    items: Vec<I>,
    deadline: Option<Instant>,
    table: impl Fn(&I) -> &ObjectName,
    mut lookup: impl AsyncFnMut(&I) -> Result<T>,
) -> Result<(Vec<T>, Vec<FailedTable>)> {
    let end = deadline.map(|deadline| deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline));
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut waiting = items;
    for tries in 1..=TRIES {
        let mut again: Vec<(I, Error)> = Vec::new();
        for item in waiting {
            let limit = Instant::now() + TABLE_TIMEOUT;
            let limit = end.map_or(limit, |end| end.min(limit));
            match tokio::time::timeout_at(limit, lookup(&item)).await {
                Ok(Ok(found)) => done.push(found),
                Ok(Err(error)) if error.code().is_retryable() => again.push((item, error)),
                Ok(Err(error)) => failed.push(failure(table(&item), &error)),
                Err(_) => failed.push(failure(table(&item), &too_slow())),
            }
        }
        if done.is_empty() && failed.is_empty() && tries == 1 {
            // Nothing but retryable failures; none at all when there was no item.
            if let Some((item, error)) = again.into_iter().next() {
                return Err(error.context(table(&item)));
            }
            break;
        }
        if again.is_empty() || tries == TRIES {
            failed.extend(again.iter().map(|(item, error)| failure(table(item), error)));
            break;
        }
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries - 1)).await;
        waiting = again.into_iter().map(|(item, _)| item).collect();
    }
    Ok((done, failed))
}

fn too_slow() -> Error {
    let message = format!(
        "no answer within {} s, or no time left in this invocation: index the watermark column, and look for locks",
        TABLE_TIMEOUT.as_secs()
    );
    Error::new(ErrorCode::SourceUnavailable, message)
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
    use super::*;

    fn tables(names: &[&str]) -> Vec<ObjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_table_does_not_stop_the_others() {
        let mut tries = 0;
        let (done, failed) = for_each_table(
            tables(&["busy", "gone", "good"]),
            None,
            |table| table,
            async |table: &ObjectName| match table.name().as_str() {
                "good" => Ok(table.to_string()),
                "gone" => Err(Error::new(ErrorCode::SourceRejected, "no such table")),
                _ => {
                    tries += 1;
                    Err(Error::new(ErrorCode::SourceUnavailable, "locked"))
                }
            },
        )
        .await
        .unwrap();
        assert_eq!(done, ["dbo.good"]);
        let failed: Vec<_> = failed
            .iter()
            .map(|failure| (failure.table.name().as_str(), failure.error.as_str()))
            .collect();
        assert_eq!(failed, [("gone", "SourceRejected"), ("busy", "SourceUnavailable")]);
        assert_eq!(tries, TRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_down_is_the_whole_steps_failure() {
        let mut asked = 0;
        let error = for_each_table(
            tables(&["a", "b", "c", "d"]),
            None,
            |table| table,
            async |_: &ObjectName| {
                asked += 1;
                Err::<(), _>(Error::new(ErrorCode::SourceUnavailable, "refused"))
            },
        )
        .await
        .unwrap_err();
        assert_eq!((error.code(), asked), (ErrorCode::SourceUnavailable, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_hangs_leaves_time_for_the_others() {
        let names = ["hangs", "good", "late"];
        let deadline = Instant::now() + TABLE_TIMEOUT + ANSWER_MARGIN + Duration::from_secs(5);
        let lookup = async |table: &ObjectName| {
            match table.name().as_str() {
                "hangs" => tokio::time::sleep(Duration::from_secs(3600)).await,
                "late" => tokio::time::sleep(Duration::from_secs(30)).await,
                _ => {}
            }
            Ok(table.to_string())
        };
        let (done, failed) = for_each_table(tables(&names), Some(deadline), |table| table, lookup)
            .await
            .unwrap();
        assert_eq!(done, ["dbo.good"]);
        let failed: Vec<_> = failed.iter().map(|failure| failure.table.name().as_str()).collect();
        assert_eq!(failed, ["hangs", "late"]);
        assert!(Instant::now() <= deadline - ANSWER_MARGIN);
    }
}

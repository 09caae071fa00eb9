//! What travels between the steps: the JSON the state machine carries from one function to the next, kept small,
//! because an execution's payload is limited to 256 KiB for all tables together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
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
        match (&self.committed, self.stored.value.as_deref()) {
            (Some(committed), _) => WindowName::after(&committed.new_watermark),
            (None, Some(stored)) => WindowName::after_text(stored),
            (None, None) => WindowName::initial(),
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

/// Runs `lookup` for each item and separates the tables that fail, so that they do not stop the others.
///
/// Retryable failures are tried again. When the first two tables fail so, and none succeeded, the failure is not the
/// table's: it is returned, and the state machine retries the whole lookup.
pub async fn for_each_table<I, T>(
    items: Vec<I>,
    table: impl Fn(&I) -> &ObjectName,
    mut lookup: impl AsyncFnMut(&I) -> Result<T>,
) -> Result<(Vec<T>, Vec<FailedTable>)> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let mut waiting = items;
    for tries in 1..=TRIES {
        let mut again: Vec<(I, Error)> = Vec::new();
        let alone = waiting.len() == 1;
        for item in waiting {
            match lookup(&item).await {
                Ok(found) => done.push(found),
                Err(error) if error.code().is_retryable() => {
                    if tries == 1 && done.is_empty() && (alone || !again.is_empty()) {
                        return Err(error.context(table(&item)));
                    }
                    again.push((item, error));
                }
                Err(error) => failed.push(failure(table(&item), &error)),
            }
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

fn failure(table: &ObjectName, error: &Error) -> FailedTable {
    tracing::error!(%table, error_type = %error.code(), "The table's lookup failed: {}.", error.report());
    FailedTable {
        table: table.clone(),
        error: error.code().to_string(),
        cause: error.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn tables(names: &[&str]) -> Vec<ObjectName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_table_does_not_stop_the_others() {
        let mut tries = 0;
        let (done, failed) = for_each_table(
            tables(&["busy", "gone", "good"]),
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
    async fn a_source_that_is_down_is_not_asked_for_every_table() {
        let mut asked = 0;
        let error = for_each_table(
            tables(&["a", "b", "c", "d"]),
            |table| table,
            async |_: &ObjectName| {
                asked += 1;
                Err::<(), _>(Error::new(ErrorCode::SourceUnavailable, "refused"))
            },
        )
        .await
        .unwrap_err();
        assert_eq!((error.code(), asked), (ErrorCode::SourceUnavailable, 2));
    }
}

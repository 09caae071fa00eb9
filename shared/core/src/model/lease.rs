//! A table's lease, as data: who copies the table now, and until when. Nothing that is copied depends on it (W6); it
//! keeps two runs from reading the same rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::budget::Spent;
use crate::model::moment::Moment;
use crate::model::names::ObjectName;

/// How long a lease lasts after it was taken or last renewed.
///
/// It is longer than any silence of a run that goes on: a copy renews it every [`RENEWED_EVERY`], so six minutes are
/// left when one step ends, and the longest wait before the next step, that of a retrier for throttling, is five
/// minutes. It is shorter than the time between two runs of an hourly schedule: the first run after the holder died may
/// still find the table kept where runs come more often, and one of those after it goes on.
pub const LEASE: Duration = Duration::from_secs(480);
/// How often a copy renews the lease of its table.
pub const RENEWED_EVERY: Duration = Duration::from_secs(60);
/// How much the clocks of two machines may differ. The clocks of functions are kept by AWS to far less than a second.
/// Where a clock is wrong by more than this margin, rows may be read twice, and are still copied once.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(30);
/// The longest lease that anybody takes: a day of waiting before the copy, and some more. A lease that ends later was
/// written by a machine whose clock is wrong.
const LONGEST: Duration = Duration::from_secs(26 * 3600);

/// Whether runs take leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Runs take them.
    Taken,
    /// Runs ignore them, and may meet at any table. The outcome is the same.
    Ignored,
}

/// Who keeps a table from being copied by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Keeper {
    /// A run, until a moment.
    Run {
        /// The run's id.
        run_id: String,
        /// When the lease ends, unless the run renews it.
        until: Moment,
    },
    /// A person, until somebody resumes the table.
    Paused {
        /// Who paused it.
        by: String,
        /// When it was paused.
        since: Moment,
        /// The reason, in the person's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Keeper {
    /// Returns whether this keeper keeps the run `run_id` from the table at `now`. An ended lease still counts for
    /// [`CLOCK_MARGIN`].
    #[must_use]
    pub fn keeps_off(&self, run_id: &str, now: OffsetDateTime) -> bool {
        match self {
            Self::Paused { .. } => true,
            Self::Run { run_id: holder, until } => {
                let until = until.time();
                holder != run_id && now < until + CLOCK_MARGIN && until <= now + LONGEST
            }
        }
    }
}

/// `lease.json`: beside the pointer, the only document of the ledger that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseDocument {
    /// The version of the document's form.
    pub version: u32,
    /// The table.
    pub table: ObjectName,
    /// Who keeps the table, or `None` once the lease is given back.
    pub keeper: Option<Keeper>,
}

/// `_runs/{run}/lease.json`: the lease of a run, for as long as any of its copies renews it. It is replaced as well.
///
/// The tables of a run wait for their turn, and while they wait nobody renews their leases. A table's lease that has
/// ended therefore still counts as long as the lease of the run that took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLeaseDocument {
    /// The version of the document's form.
    pub version: u32,
    /// The run.
    pub run_id: String,
    /// When the lease ends, unless a copy of the run renews it.
    pub until: Moment,
    /// What the run has copied, where a budget limits that.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_run_is_kept_off_by_a_lease_of_another_that_has_not_ended_by_any_clock() {
        let until = datetime!(2026-11-29 12:00 UTC);
        let keeper = Keeper::Run {
            run_id: "a".into(),
            until: Moment::of(until),
        };
        let margin = CLOCK_MARGIN;
        for (run_id, now, is_kept_off) in [
            ("b", until - LEASE, true),
            ("b", until + margin - Duration::from_secs(1), true),
            ("b", until + margin, false),
            ("a", until - LEASE, false),
            // Whoever wrote the lease had a clock that is years ahead.
            ("b", datetime!(2024-01-01 12:00 UTC), false),
        ] {
            assert_eq!(keeper.keeps_off(run_id, now), is_kept_off, "{run_id} {now}");
        }
        let paused = Keeper::Paused {
            by: "operator".into(),
            since: Moment::of(until),
            reason: None,
        };
        assert!(paused.keeps_off("a", until + LEASE * 1_000));
    }

    #[test]
    fn a_copy_that_goes_on_leaves_more_of_its_lease_than_any_retrier_waits() {
        // A copy renews once a minute is gone, and a minute after that at the latest.
        assert!(LEASE - 2 * RENEWED_EVERY > Duration::from_secs(300));
    }

    #[test]
    fn a_lease_is_written_to_the_second() {
        let keeper = Keeper::Run {
            run_id: "a".into(),
            until: Moment::of(datetime!(2026-11-29 12:00:01.5 UTC)),
        };
        let text = serde_json::to_string(&keeper).unwrap();
        assert_eq!(text, r#"{"run":{"run_id":"a","until":"2026-11-29T12:00:01Z"}}"#);
        let Keeper::Run { until, .. } = serde_json::from_str(&text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!(
            (until.time(), until.to_string()),
            (datetime!(2026-11-29 12:00:01 UTC), "2026-11-29T12:00:01Z".into())
        );
    }
}

//! Rough estimates of what a copy takes, so that nobody who starts one is surprised.

use serde::Serialize;
use tidemark::model::cost::{CopyMemory, PACKED, SLICE_RATE, Usd};

use crate::terminal::{bytes, duration, short};

/// The slices of a table that the state machine copies at once, as it is deployed by default (`SliceConcurrency`).
const AT_ONCE: u64 = 5;

/// What a window will take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The bytes of its rows on the server.
    pub(crate) source_bytes: u64,
    /// The most bytes of its files.
    pub(crate) file_bytes: u64,
    /// The seconds of copying, beside the wait for open transactions.
    pub(crate) seconds: u64,
    /// The US dollars that it costs when the deployed functions copy it. When this command copies it, only the requests
    /// cost anything.
    pub(crate) usd: Usd,
}

impl Estimate {
    /// Estimates a copy of so many rows, each of `row_bytes` on the server, in so many slices.
    pub(crate) fn of(rows: u64, row_bytes: u64, slices: usize) -> Self {
        let source_bytes = rows.saturating_mul(row_bytes);
        let slices = u64::try_from(slices).unwrap_or(u64::MAX).max(1);
        Self {
            source_bytes,
            file_bytes: source_bytes.div_ceil(PACKED),
            seconds: source_bytes.div_ceil(SLICE_RATE * slices.min(AT_ONCE)),
            usd: Usd::of_copying(source_bytes, slices, CopyMemory::default()),
        }
    }

    /// Adds the estimate of a copy that comes after this one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.usd += other.usd;
        Self {
            source_bytes: self.source_bytes.saturating_add(other.source_bytes),
            file_bytes: self.file_bytes.saturating_add(other.file_bytes),
            seconds: self.seconds.saturating_add(other.seconds),
            usd: self.usd,
        }
    }

    /// Returns the estimate as a sentence for people.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
    pub(crate) fn said(&self, rows: u64) -> String {
        format!(
            "About {} rows: {} on the server, at most {} of files, {} of copying beside the wait for open transactions. Deployed \
             functions cost about ${} for it (us-east-1).",
            short(rows as f64),
            bytes(self.source_bytes),
            bytes(self.file_bytes),
            duration(self.seconds),
            self.usd
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_cost_more_and_more_slices_take_less_time() {
        let one = Estimate::of(10_000_000, 100, 1);
        let many = Estimate::of(10_000_000, 100, 8);
        assert_eq!((one.source_bytes, one.seconds, many.seconds), (1_000_000_000, 50, 10));
        let usd = |text: &str| text.parse::<Usd>().unwrap();
        assert!(
            many.usd > one.usd && one.usd > usd("0.001") && many.usd < usd("0.01"),
            "{one:?} {many:?}"
        );
        let both = one.and(many);
        assert_eq!(both.seconds, 60);
        let said = Estimate::of(1_200_000, 100, 4).said(1_200_000);
        assert!(
            said.starts_with("About 1.2M rows: 120.0MB on the server, at most 40.0MB of files, 2s"),
            "{said}"
        );
    }

    #[test]
    fn as_many_slices_are_copied_at_once_as_the_template_says() {
        let template = include_str!("../../infra/template.yaml");
        let (_, parameter) = template.split_once("\n  SliceConcurrency:\n").unwrap();
        let default = parameter.lines().find_map(|line| line.trim().strip_prefix("Default: "));
        assert_eq!(default, Some(AT_ONCE.to_string().as_str()));
    }

    #[test]
    fn nothing_takes_no_time() {
        assert_eq!(Estimate::of(0, 100, 0).seconds, 0);
    }
}

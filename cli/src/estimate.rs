//! This module says roughly what a copy will take, so that nobody who starts one is surprised. Every figure is an
//! estimate.

use serde::Serialize;

use crate::terminal::{bytes, duration, short};

/// Bytes of rows on the server that one slice copies in a second, at least (docs/explanation/performance.md).
const SLICE_RATE: f64 = 20e6;
/// Slices of a table that the state machine copies at once, as it is deployed by default.
const AT_ONCE: f64 = 8.0;
/// Bytes of rows on the server for a byte in a file: what encoding and compression save, at least.
const PACKED: f64 = 3.0;
/// USD for a GB-second of Lambda, and GB of copy-delta as it is deployed by default (us-east-1, x86_64).
const USD_PER_GB_SECOND: f64 = 0.000_016_666_7;
const COPY_GB: f64 = 1.73;
/// USD for a transition of the state machine.
const USD_PER_TRANSITION: f64 = 0.000_025;
/// Transitions of a window, and of a slice of it, about.
const OF_A_WINDOW: f64 = 8.0;
const OF_A_SLICE: f64 = 3.0;
/// USD for a request that writes to S3, the pieces of an upload and the writes of a slice beside it.
const USD_PER_WRITE: f64 = 0.000_005;
const PIECE_BYTES: f64 = 8.0 * 1024.0 * 1024.0;
const WRITES_OF_A_SLICE: f64 = 4.0;

/// This is what a window will take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Bytes of its rows on the server.
    pub(crate) source_bytes: u64,
    /// Bytes of its files, at most.
    pub(crate) file_bytes: u64,
    /// Seconds, beside the wait for open transactions.
    pub(crate) seconds: u64,
    /// US dollars, where the deployed functions copy it; nothing but the requests, where this command does.
    pub(crate) usd: f64,
}

impl Estimate {
    /// Of so many rows, each of so many bytes on the server, in so many slices.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate has three digits"
    )]
    pub(crate) fn of(rows: u64, row_bytes: u64, slices: usize) -> Self {
        let source_bytes = rows.saturating_mul(row_bytes);
        let (size, slices) = (source_bytes as f64, slices.max(1) as f64);
        let work = size / SLICE_RATE;
        let files = size / PACKED;
        let writes = files / PIECE_BYTES + slices * WRITES_OF_A_SLICE;
        Self {
            source_bytes,
            file_bytes: files.ceil() as u64,
            seconds: (work / slices.min(AT_ONCE)).ceil() as u64,
            usd: work * COPY_GB * USD_PER_GB_SECOND
                + (OF_A_WINDOW + slices * OF_A_SLICE) * USD_PER_TRANSITION
                + writes * USD_PER_WRITE,
        }
    }

    /// Both together, one after another.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            source_bytes: self.source_bytes.saturating_add(other.source_bytes),
            file_bytes: self.file_bytes.saturating_add(other.file_bytes),
            seconds: self.seconds.saturating_add(other.seconds),
            usd: self.usd + other.usd,
        }
    }

    /// As people read it.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
    pub(crate) fn said(&self, rows: u64) -> String {
        format!(
            "About {} rows: {} on the server, at most {} of files, {} of copying beside the wait for open transactions. Deployed \
             functions cost about ${:.4} for it (us-east-1).",
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
        assert_eq!((one.source_bytes, one.seconds, many.seconds), (1_000_000_000, 50, 7));
        assert!(
            many.usd > one.usd && one.usd > 0.001 && many.usd < 0.01,
            "{one:?} {many:?}"
        );
        let both = one.and(many);
        assert_eq!(both.seconds, 57);
        let said = Estimate::of(1_200_000, 100, 4).said(1_200_000);
        assert!(
            said.starts_with("About 1.2M rows: 120.0MB on the server, at most 40.0MB of files, 2s"),
            "{said}"
        );
    }

    #[test]
    fn nothing_takes_no_time() {
        assert_eq!(Estimate::of(0, 100, 0).seconds, 0);
    }
}

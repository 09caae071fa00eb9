//! Many rows, as fast as the network takes them or at a pace.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use tidemark_tds::connection::Stream;

use crate::outgoing::Outgoing;
use crate::tables::Table;
use crate::tokens::end;

/// The bytes that are made before they are sent, about.
const STEP_BYTES: usize = 1024 * 1024;
/// The place of the key in a row: after the token and the key's length byte.
const KEY_OFFSET: usize = 2;

/// The rows of a table, repeated from its block of prepared rows. Only their keys differ. They are in the first
/// column and count from 1.
pub struct Rows {
    head: Vec<u8>,
    block: Vec<u8>,
    /// The places where the rows of the block start, and its end.
    starts: Vec<usize>,
    count: u64,
    rows_per_s: Option<u64>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("count", &self.count)
            .field("rows_per_s", &self.rows_per_s)
            .finish_non_exhaustive()
    }
}

impl Rows {
    /// Makes `count` rows of `table`, as fast as they are taken.
    #[must_use]
    pub fn new(table: &Table, count: u64) -> Self {
        let (block, starts) = table.block();
        Self {
            head: table.head(),
            block,
            starts,
            count,
            rows_per_s: None,
        }
    }

    /// Makes the same at the pace of a real server: never more than this many rows in a second.
    #[must_use]
    pub fn at_most(self, rows_per_s: u64) -> Self {
        Self {
            rows_per_s: Some(rows_per_s),
            ..self
        }
    }

    /// Returns the bytes of a row on the wire, on average.
    #[must_use]
    pub fn bytes_per_row(&self) -> f64 {
        self.block.len() as f64 / self.in_block() as f64
    }

    const fn in_block(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns COLMETADATA.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) async fn send(&self, stream: &mut Stream, out: &mut Outgoing) -> std::io::Result<()> {
        self.send_keys(stream, out, 1..self.count + 1, self.rows_per_s).await
    }

    /// Sends the rows with these keys.
    pub(crate) async fn send_keys(
        &self,
        stream: &mut Stream,
        out: &mut Outgoing,
        keys: Range<u64>,
        rows_per_s: Option<u64>,
    ) -> std::io::Result<()> {
        let (started, count) = (Instant::now(), keys.end - keys.start);
        let step = (STEP_BYTES * self.in_block() / self.block.len()).max(1);
        let mut unsent = self.head.clone();
        let mut sent = 0;
        while sent < count {
            let first = usize::try_from(sent % self.in_block() as u64).unwrap();
            let left = usize::try_from(count - sent).unwrap_or(usize::MAX);
            let rows = step.min(self.in_block() - first).min(left);
            self.append(&mut unsent, first, rows, keys.start + sent);
            sent += rows as u64;
            // Only full packets are sent, as a server does.
            let full = unsent.len() - unsent.len() % out.body();
            out.send(stream, &unsent[..full], false).await?;
            unsent.drain(..full);
            if let Some(rows_per_s) = rows_per_s {
                let due = Duration::from_secs_f64(sent as f64 / rows_per_s as f64);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
        unsent.extend(end(count));
        out.send(stream, &unsent, true).await
    }

    /// Appends `rows` rows of the block from its row `first` on, with keys from `key` on.
    fn append(&self, out: &mut Vec<u8>, first: usize, rows: usize, key: u64) {
        let (from, base) = (self.starts[first], out.len());
        out.extend_from_slice(&self.block[from..self.starts[first + rows]]);
        for (start, key) in self.starts[first..first + rows].iter().zip(key..) {
            let at = base + start - from + KEY_OFFSET;
            out[at..at + 8].copy_from_slice(&key.to_le_bytes());
        }
    }
}

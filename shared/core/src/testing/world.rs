//! A world in memory for tests of the steps: a table of numbers, a bucket, a watermark store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "only tests use it, and they fail by panicking"
)]

use tidemark::identifier::ObjectName;
use tidemark::ledger::{Ledger, WindowName};
use tidemark::table::TableSpec;
use tidemark::testing::{MemoryStore, MemoryTable, MemoryWatermarks};
use tidemark::types::SqlType;
use tidemark::watermark::StoreType;

use crate::pipeline::{Outcome, Pipeline};

/// The prefix in the bucket.
pub const PREFIX: &str = "p";
/// The table.
pub const TABLE: &str = "dbo.t";

/// The table `dbo.t (v bigint)`, its sink and its watermark store, whose values are bigint.
#[derive(Debug)]
pub struct World {
    /// The source.
    pub table: MemoryTable,
    /// The bucket.
    pub store: MemoryStore,
    /// The pointer.
    pub watermarks: MemoryWatermarks,
}

impl World {
    /// A table with these rows and nothing else.
    pub fn new(rows: impl IntoIterator<Item = i64>) -> Self {
        let watermarks = MemoryWatermarks::new(StoreType::Typed(SqlType::BigInt));
        Self {
            table: MemoryTable::new(rows),
            store: MemoryStore::default(),
            watermarks,
        }
    }

    /// The four steps over this world.
    pub fn pipeline(&self) -> Pipeline<'_, MemoryTable, &MemoryTable, MemoryWatermarks, MemoryStore> {
        Pipeline {
            source: &self.table,
            rows: &self.table,
            watermarks: &self.watermarks,
            store: &self.store,
            prefix: PREFIX,
            sinks: (),
        }
    }

    /// One execution in which no table fails.
    pub async fn run(&self, run_id: &str) -> Outcome {
        let outcome = self.pipeline().run(run_id, &[spec()]).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// The stored watermark.
    pub fn watermark(&self) -> Option<String> {
        self.watermarks.value(&name())
    }

    /// The lines of every visible part, sorted.
    pub fn lines(&self) -> Vec<i64> {
        let mut lines = Vec::new();
        for key in self.parts() {
            let body = self.store.body(&key).unwrap();
            lines.extend(
                std::str::from_utf8(&body)
                    .unwrap()
                    .lines()
                    .map(|line| line.parse::<i64>().unwrap()),
            );
        }
        lines.sort_unstable();
        lines
    }

    /// The keys of the visible parts.
    pub fn parts(&self) -> Vec<String> {
        self.store
            .keys()
            .into_iter()
            .filter(|key| key.contains("/part-"))
            .collect()
    }

    /// The ledger of the table.
    pub fn ledger(&self) -> Ledger<'_, MemoryStore> {
        Ledger::new(&self.store, PREFIX, &name())
    }
}

/// The table's name.
pub fn name() -> ObjectName {
    TABLE.parse().unwrap()
}

/// The table as a run names it: CSV without header, so that a line is a row.
pub fn spec() -> TableSpec {
    serde_json::from_value(serde_json::json!({
        "table": TABLE,
        "tracking": { "watermark": { "column": "V", "settle_seconds": 0 } },
        "format": { "csv": { "header": false } },
    }))
    .unwrap()
}

/// The window of this name.
pub fn window(text: &str) -> WindowName {
    WindowName::try_from(text.to_owned()).unwrap()
}

//! One table of the stand-in server copied again and again, over real TDS, into a ledger in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "only tests use it, and they fail by panicking"
)]

use lookup_new_watermark::Response as Planned;
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::Server;
use tidemark::ledger::Pointers;
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::steps::CopyWindow;
use tidemark::table::TableSpec;
use tidemark::testing::MemoryStore;
use update_watermark::Committed;

use crate::pipeline::{Outcome, Pipeline};
use crate::stand_in::World;

const PREFIX: &str = "p";

/// A source table and all that copying it takes. Its files are CSV without header.
#[derive(Debug)]
pub struct TableCopy {
    /// The table as a run names it.
    pub spec: TableSpec,
    /// The bucket.
    pub store: MemoryStore,
    source: Server,
    rows: Option<MssqlRows>,
    runs: usize,
}

impl TableCopy {
    /// Copies `columns` of `table`, tracked by a watermark with these settings.
    pub fn new(world: &World, table: &str, columns: &[&str], tracking: &serde_json::Value) -> Self {
        let spec = serde_json::json!({
            "table": table, "tracking": { "watermark": tracking }, "columns": columns,
            "format": { "csv": { "header": false } },
        });
        Self {
            spec: serde_json::from_value(spec).unwrap(),
            source: Server::new(world.login()),
            rows: Some(MssqlRows::new(world.login())),
            store: MemoryStore::default(),
            runs: 0,
        }
    }

    async fn with_pipeline<T>(
        &mut self,
        work: impl AsyncFnOnce(
            &mut Pipeline<'_, Server, MssqlRows, Pointers<'_, MemoryStore>, MemoryStore>,
            &str,
            &TableSpec,
        ) -> T,
    ) -> T {
        self.runs += 1;
        let pointers = Pointers::new(&self.store, PREFIX);
        let mut pipeline = Pipeline {
            source: &self.source,
            rows: self.rows.take().unwrap(),
            watermarks: &pointers,
            store: &self.store,
            prefix: PREFIX,
            sinks: (),
        };
        let done = work(&mut pipeline, &format!("r{}", self.runs), &self.spec).await;
        self.rows = Some(pipeline.rows);
        done
    }

    /// One execution in which nothing fails.
    pub async fn run(&mut self) -> Outcome {
        let outcome = self
            .with_pipeline(async |pipeline, run_id, spec| {
                Box::pin(pipeline.run(run_id, std::slice::from_ref(spec)))
                    .await
                    .unwrap()
            })
            .await;
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// The lookups alone, whatever they say.
    pub async fn plan(&mut self) -> Planned {
        self.with_pipeline(async |pipeline, run_id, spec| {
            Box::pin(pipeline.plan(run_id, std::slice::from_ref(spec)))
                .await
                .unwrap()
        })
        .await
    }

    /// The slices of a planned window.
    pub async fn copy(&mut self, window: &CopyWindow) {
        self.with_pipeline(async |pipeline, run_id, spec| {
            let table = spec.table.to_string();
            for slice in (0_u32..).take(window.slices) {
                let copied = pipeline.copy_slice(run_id, &table, &window.window, slice);
                Box::pin(copied).await.unwrap();
            }
        })
        .await;
    }

    /// The commit of a window.
    pub async fn commit(&mut self, window: &CopyWindow) -> Committed {
        let updated = self
            .with_pipeline(async |pipeline, run_id, spec| {
                Box::pin(pipeline.update(run_id, &spec.table.to_string(), &window.window))
                    .await
                    .unwrap()
            })
            .await;
        match updated {
            update_watermark::Response::Committed(committed) => committed,
            other => panic!("{other:?}"),
        }
    }

    /// The lines of every visible part, sorted.
    pub fn lines(&self) -> Vec<String> {
        let parts = self.store.keys().into_iter().filter(|key| key.contains("/part-"));
        let mut lines = Vec::new();
        for key in parts {
            let body = self.store.body(&key).unwrap();
            lines.extend(std::str::from_utf8(&body).unwrap().lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }

    /// The lines as numbers, sorted.
    pub fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.lines().iter().map(|line| line.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    }

    /// The stored watermark.
    pub async fn stored(&self) -> Option<String> {
        let pointers = Pointers::new(&self.store, PREFIX);
        pointers.stored(&self.spec.watermark_key()).await.unwrap().value
    }
}

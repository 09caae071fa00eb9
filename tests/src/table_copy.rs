//! One table of the stand-in server that is copied repeatedly, over real TDS, into a ledger in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "only tests use it, and they fail by panicking"
)]

use arrow_array::RecordBatch;
use tidemark::ledger::{Ledger, Place, Pointers};
use tidemark::model::lookup::CopyWindow;
use tidemark::model::manifest::Manifest;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::NoSinks;
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::steps::lookup_new::NewWatermarks;
use tidemark::steps::update::{Committed, UpdateAnswer};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::MemoryStore;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_files::encoder::Files;
use tidemark_sqlserver::login::{Credential, Login};
use tidemark_sqlserver::masks::MaskSecret;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;

use crate::stand_in::World;

const PREFIX: &str = "p";

/// The steps over the stand-in and a bucket in memory.
type TablePipeline<'a> =
    Pipeline<'a, Server, RowReader, Pointers<'a, MemoryStore>, MemoryStore, Files, NoSinks<RecordBatch>>;

/// A source table and all that copying it takes. Its files are CSV without a header.
#[derive(Debug)]
pub struct TableCopy {
    /// The table's settings in its runs.
    pub spec: TableSpec,
    /// The bucket.
    pub store: MemoryStore,
    source: Server,
    reader: Option<RowReader>,
    runs: usize,
}

impl TableCopy {
    /// Makes the copy of `columns` of `table`, tracked by a watermark with these settings.
    pub fn new(world: &World, table: &str, columns: &[&str], tracking: &serde_json::Value) -> Self {
        let spec = serde_json::json!({
            "table": table, "tracking": { "watermark": tracking }, "columns": columns,
            "format": { "csv": { "header": false } },
        });
        Self::of(&world.login(), spec)
    }

    /// Makes the copy of a table with these settings, by this login.
    pub fn of(login: &Login, spec: serde_json::Value) -> Self {
        Self::masked(login, spec, None)
    }

    /// Makes the copy of a table with these settings, by a login that hashes with `masks`.
    pub fn masked(login: &Login, spec: serde_json::Value, masks: Option<MaskSecret>) -> Self {
        let credential = Credential::from(login.clone()).masking(masks);
        Self {
            spec: serde_json::from_value(spec).unwrap(),
            source: Server::new(credential.clone()),
            reader: Some(RowReader::new(credential)),
            store: MemoryStore::default(),
            runs: 0,
        }
    }

    async fn with_pipeline<T>(&mut self, work: impl AsyncFnOnce(&mut TablePipeline<'_>, &str, &TableSpec) -> T) -> T {
        self.runs += 1;
        let pointers = Pointers::new(Place::new(&self.store, PREFIX));
        let mut pipeline = Pipeline::new(
            &self.source,
            self.reader.take().unwrap(),
            &pointers,
            Place::new(&self.store, PREFIX),
            Files,
            NoSinks::default(),
        );
        let done = work(&mut pipeline, &format!("r{}", self.runs), &self.spec).await;
        self.reader = Some(pipeline.reader);
        done
    }

    /// Runs one execution, in which nothing may fail.
    pub async fn run(&mut self) -> RunOutcome {
        let outcome = self.try_run().await;
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    /// Runs one execution, whatever becomes of the table in its lookups.
    pub async fn try_run(&mut self) -> RunOutcome {
        self.with_pipeline(async |pipeline, run_id, spec| {
            Box::pin(pipeline.run(run_id, std::slice::from_ref(spec)))
                .await
                .unwrap()
        })
        .await
    }

    /// Does both lookups alone, and returns whatever they find.
    pub async fn plan(&mut self) -> NewWatermarks {
        self.with_pipeline(async |pipeline, run_id, spec| {
            Box::pin(pipeline.plan(run_id, std::slice::from_ref(spec)))
                .await
                .unwrap()
        })
        .await
    }

    /// Copies the slices of a planned window.
    pub async fn copy(&mut self, window: &CopyWindow) {
        self.with_pipeline(async |pipeline, run_id, _| {
            for slice in (0_u32..).take(window.slices) {
                let of_run = WindowOfRun::from(window);
                let copied = pipeline.copy_slice(run_id, &of_run, slice);
                Box::pin(copied).await.unwrap();
            }
        })
        .await;
    }

    /// Commits a window.
    pub async fn commit(&mut self, window: &CopyWindow) -> Committed {
        let updated = self
            .with_pipeline(async |pipeline, run_id, _| {
                Box::pin(pipeline.update(run_id, &WindowOfRun::from(window)))
                    .await
                    .unwrap()
            })
            .await;
        match updated {
            UpdateAnswer::Committed(committed) => committed,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the manifest of a committed window.
    pub async fn manifest(&self, window: &WindowName) -> Manifest {
        let ledger = Ledger::new(Place::new(&self.store, PREFIX), &self.spec.table);
        ledger.manifest(window).await.unwrap().unwrap()
    }

    /// Returns the lines of every visible part, sorted.
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

    /// Returns the lines as numbers, sorted.
    pub fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.lines().iter().map(|line| line.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the stored watermark.
    pub async fn stored(&self) -> Option<String> {
        let pointers = Pointers::new(Place::new(&self.store, PREFIX));
        pointers.stored(&self.spec.watermark_key()).await.unwrap().value
    }
}

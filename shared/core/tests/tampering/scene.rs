//! Windows whose documents somebody changes, and what must hold whatever was changed.

use std::collections::BTreeSet;

use serde_json::Value;
use tidemark::error::{Error, ErrorCode};
use tidemark::ledger::Place;
use tidemark::model::names::ObjectName;
use tidemark::model::sink::SinkSpec;
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::watermark::StoreType;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::rows::{ExplainRows, RowsRead};
use tidemark::ports::source::{CutSource, ProbeSource};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{PREFIX, TABLE, name, window};
use tidemark::testing::{
    MemoryDatabase, MemoryFiles, MemorySink, MemoryStore, MemoryTable, MemoryTracked, MemoryWatermarks, ReadShared,
    bigint,
};

use crate::watched::{Seen, Watched};

/// The codes that a step may fail with, because what it read is not what Tidemark wrote, does not agree with the event,
/// or is not there.
const REFUSALS: [ErrorCode; 11] = [
    ErrorCode::LedgerInvalid,
    ErrorCode::InvalidInput,
    ErrorCode::SchemaMismatch,
    ErrorCode::UnsupportedType,
    // A column or a condition that the source does not have.
    ErrorCode::SourceRejected,
    // A watermark that is none was committed, and is found in the store.
    ErrorCode::InvalidConfig,
    // A version that the source does not have.
    ErrorCode::ChangeTrackingInvalid,
    ErrorCode::WatermarkRegression,
    // An object that is not the one declared.
    ErrorCode::SinkRejected,
    // A window in whose place another one was promised that nobody plans.
    ErrorCode::SinkUnavailable,
    // A slice that cannot be split.
    ErrorCode::DeadlineExceeded,
];

/// What the steps need of a table here.
pub trait Table: ProbeSource + CutSource + ProbeChanges + ExplainRows + ReadShared {
    /// Returns a table of its own with the present content of this one.
    fn copied(&self) -> Self;
}

impl Table for MemoryTable {
    fn copied(&self) -> Self {
        self.copied()
    }
}

impl Table for MemoryTracked {
    fn copied(&self) -> Self {
        self.copied()
    }
}

/// The table that nobody asked for.
fn secrets() -> ObjectName {
    "dbo.secrets".parse().unwrap()
}

/// The steps over watched ports.
type Steps<'a, T> = Pipeline<
    'a,
    MemoryDatabase<T>,
    Watched<'a, &'a MemoryDatabase<T>>,
    MemoryWatermarks,
    MemoryStore,
    MemoryFiles,
    Watched<'a, MemorySink>,
>;

/// A table with a window of it that is under way, beside another table that nobody asked for.
pub struct Scene<T> {
    pub database: MemoryDatabase<T>,
    pub store: MemoryStore,
    pub watermarks: MemoryWatermarks,
    sink: MemorySink,
    seen: Seen,
    /// What is found in rows beside their number.
    pub found: fn(&mut RowsRead),
    pub spec: TableSpec,
    pub window: WindowOfRun,
}

impl<T: Table> Scene<T> {
    pub fn new(table: T, secrets: T, spec: TableSpec, under_way: &str) -> Self {
        Self {
            database: MemoryDatabase::new([(name(), table), (self::secrets(), secrets)]),
            store: MemoryStore::default(),
            watermarks: MemoryWatermarks::new(StoreType::Typed(bigint())),
            sink: MemorySink::new(true),
            seen: Seen::default(),
            found: |_| {},
            window: WindowOfRun {
                table: name(),
                window: window(under_way),
                settings: spec.run_settings(),
            },
            spec,
        }
    }

    /// Returns a scene of its own with the present content of this one, in which only the table of the event was asked
    /// for.
    pub fn copied(&self) -> Self {
        let secrets = self.database.table(&secrets()).unwrap();
        let copied = Self {
            database: MemoryDatabase::new([(name(), self.table().copied()), (self::secrets(), secrets.copied())]),
            store: self.store.copied(),
            watermarks: self.watermarks.copied(),
            sink: self.sink.copied(),
            seen: Seen::default(),
            found: self.found,
            spec: self.spec.clone(),
            window: self.window.clone(),
        };
        copied.table();
        copied
    }

    /// Returns the table of the event.
    pub fn table(&self) -> &T {
        self.database.table(&name()).unwrap()
    }

    pub fn steps(&self) -> Steps<'_, T> {
        let (seen, found) = (&self.seen, self.found);
        Pipeline::new(
            &self.database,
            Watched {
                inner: &self.database,
                seen,
                found,
            },
            &self.watermarks,
            Place::new(&self.store, PREFIX),
            MemoryFiles,
            Watched {
                inner: self.sink.clone(),
                seen,
                found,
            },
        )
    }

    pub async fn run(&self) {
        let outcome = self
            .steps()
            .run("before", std::slice::from_ref(&self.spec))
            .await
            .unwrap();
        assert!(outcome.failed.is_empty(), "{outcome:?}");
    }

    /// Freezes the window.
    pub async fn plan(&self) {
        let planned = self
            .steps()
            .plan("before", std::slice::from_ref(&self.spec))
            .await
            .unwrap();
        assert!(planned.failed.is_empty(), "{planned:?}");
    }

    /// Copies the first slice of the window.
    pub async fn copy(&self) {
        self.steps().copy_slice("before", &self.window, 0).await.unwrap();
    }

    /// Returns the key of a document of the window.
    pub fn key(&self, document: &str) -> String {
        format!("{PREFIX}/_ledger/{TABLE}/{}/{document}.json", self.window.window)
    }

    pub fn document(&self, key: &str) -> Value {
        let body = self
            .store
            .body(key)
            .unwrap_or_else(|| panic!("{key} in {:?}", self.store.keys()));
        serde_json::from_slice(&body).unwrap()
    }

    /// Takes every step once, each whatever became of the others, and then a whole run. Returns their errors.
    pub async fn every_step(&self) -> Vec<Error> {
        let mut steps = self.steps();
        let mut errors = Vec::new();
        for slice in ["0", "0.0"] {
            let copied = steps.copy_slice("after", &self.window, slice.parse::<SliceId>().unwrap());
            errors.extend(copied.await.err());
        }
        errors.extend(steps.split("after", &self.window, 0.into()).await.err());
        errors.extend(steps.update("after", &self.window).await.err());
        match steps.run("after", std::slice::from_ref(&self.spec)).await {
            Err(error) => errors.push(error),
            Ok(outcome) => {
                let failed = outcome.failed.into_iter();
                errors.extend(failed.map(|failed| Error::new(failed.error, failed.cause)));
            }
        }
        errors
    }

    /// Checks what must hold whatever somebody changed.
    pub fn check(&self, errors: &[Error], case: &str) {
        for error in errors {
            assert!(REFUSALS.contains(&error.code()), "{case}: {} {error}", error.code());
        }
        assert_eq!(self.database.asked_for(), BTreeSet::from([name()]), "{case}");
        let filter = self.spec.filter.as_ref().map(ToString::to_string);
        for read in self.seen.reads.borrow().iter() {
            assert_eq!((&read.table, &read.filter), (&name(), &filter), "{case}");
            assert!(!read.columns.is_empty(), "{case}");
        }
        let sink = self.spec.sink.as_ref().map(|SinkSpec::SqlServer(sink)| sink);
        for (table, opened) in self.seen.sinks.borrow().iter() {
            assert_eq!((table, Some(opened)), (&name(), sink), "{case}");
        }
        for key in self.store.keys() {
            // A reload begins the next generation.
            let below = [
                format!("{PREFIX}/{TABLE}/"),
                format!("{PREFIX}/{TABLE}.g1/"),
                format!("{PREFIX}/_ledger/{TABLE}/"),
            ];
            let is_its_own = below.iter().any(|prefix| key.starts_with(prefix));
            let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_=".contains(c));
            assert!(is_its_own && is_plain && !key.contains(".."), "{case}: {key}");
        }
        assert_eq!(self.watermarks.value(&secrets()), None, "{case}");
    }
}

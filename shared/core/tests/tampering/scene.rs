//! Windows whose documents somebody changes, and what must hold whatever was changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode};
use tidemark::model::names::ObjectName;
use tidemark::model::sink::SinkSpec;
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::watermark::StoreType;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::rows::ExplainRows;
use tidemark::ports::source::{CutSource, ProbeSource};
use tidemark::testing::pipeline::{Pipeline, WindowOfRun};
use tidemark::testing::world::{PREFIX, TABLE, name, window};
use tidemark::testing::{
    MemoryDatabase, MemoryFiles, MemorySink, MemoryStore, MemoryTable, MemoryTracked, MemoryWatermarks, ReadShared,
    bigint,
};

use crate::watched::{Seen, Watched};

/// The texts that somebody writes in place of others: names of things that exist and are not those of the event, and
/// characters that would end a name, a type, a literal or a key.
pub const HOSTILE: [&str; 8] = [
    "dbo.secrets",
    "from-99",
    "7",
    "'; DROP TABLE t; --",
    "x] FROM secrets --",
    "bigint); DROP TABLE t; --",
    "../x",
    "../../../../../x",
];

/// The codes that a step may fail with, because what it read is not what Tidemark wrote, does not agree with the event,
/// or is not there.
const REFUSALS: [ErrorCode; 9] = [
    ErrorCode::LedgerInvalid,
    ErrorCode::InvalidInput,
    ErrorCode::SchemaMismatch,
    ErrorCode::UnsupportedType,
    // A column or a condition that the source does not have.
    ErrorCode::SourceRejected,
    // A version that the source does not have.
    ErrorCode::ChangeTrackingInvalid,
    ErrorCode::WatermarkRegression,
    // An object that is not the one declared.
    ErrorCode::SinkRejected,
    // A slice that cannot be split.
    ErrorCode::DeadlineExceeded,
];

/// What the steps need of a table here.
pub trait Table: ProbeSource + CutSource + ProbeChanges + ExplainRows + ReadShared {}

impl<T: ProbeSource + CutSource + ProbeChanges + ExplainRows + ReadShared> Table for T {}

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
    watermarks: MemoryWatermarks,
    sink: MemorySink,
    seen: Seen,
    spec: TableSpec,
    pub window: WindowOfRun,
}

impl<T: Table> Scene<T> {
    fn new(table: T, secrets: T, spec: TableSpec, under_way: &str) -> Self {
        Self {
            database: MemoryDatabase::new([(name(), table), ("dbo.secrets".parse().unwrap(), secrets)]),
            store: MemoryStore::default(),
            watermarks: MemoryWatermarks::new(StoreType::Typed(bigint())),
            sink: MemorySink::new(true),
            seen: Seen::default(),
            window: WindowOfRun {
                table: name(),
                window: window(under_way),
                settings: spec.run_settings(),
            },
            spec,
        }
    }

    /// Returns the table of the event.
    pub fn table(&self) -> &T {
        self.database.table(&name()).unwrap()
    }

    pub fn steps(&self) -> Steps<'_, T> {
        let seen = &self.seen;
        Pipeline::new(
            &self.database,
            Watched {
                inner: &self.database,
                seen,
            },
            &self.watermarks,
            &self.store,
            PREFIX,
            MemoryFiles,
            Watched {
                inner: self.sink.clone(),
                seen,
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
            let below = [format!("{PREFIX}/{TABLE}/"), format!("{PREFIX}/_ledger/{TABLE}/")];
            let is_its_own = below.iter().any(|prefix| key.starts_with(prefix));
            let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_=".contains(c));
            assert!(is_its_own && is_plain && !key.contains(".."), "{case}: {key}");
        }
        let secrets: ObjectName = "dbo.secrets".parse().unwrap();
        assert_eq!(self.watermarks.value(&secrets), None, "{case}");
    }
}

fn spec(fields: Value) -> TableSpec {
    let mut spec = json!({
        "table": TABLE,
        "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } },
        "format": { "csv": { "header": false, "null": "NULL" } },
        "watermark_name": "t",
        "slice_rows": 3,
    });
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// Prepares a window of a watermark in slices, after a committed one.
async fn by_watermark(fields: Value) -> Scene<MemoryTable> {
    let (table, secrets) = (MemoryTable::new([1, 2]), MemoryTable::new([666]));
    let scene = Scene::new(table, secrets, spec(fields), "from-2");
    scene.run().await;
    (3..=12).for_each(|row| scene.table().insert(row));
    scene.plan().await;
    scene
}

/// Prepares such a window that goes into files, below the day.
pub async fn into_files() -> Scene<MemoryTable> {
    by_watermark(json!({ "layout": "load_date", "where": "v > 0" })).await
}

/// Prepares such a window that goes into a sink table.
pub async fn into_a_sink() -> Scene<MemoryTable> {
    let sink = json!({ "secret_arn": "sink", "table": "dbo.u", "keys": ["v"], "procedure": "p", "table_type": "tt" });
    by_watermark(json!({ "sink": { "sqlserver": sink } })).await
}

fn tracked(under_way: &str) -> Scene<MemoryTracked> {
    let rows = |from: i64| MemoryTracked::new((from..from + 9).map(|id| (id, id * 10)));
    let spec = spec(json!({ "tracking": { "change_tracking": {} } }));
    Scene::new(rows(1), rows(600), spec, under_way)
}

/// Prepares the first load of a tracked table, whose store held a version before.
pub async fn load() -> Scene<MemoryTracked> {
    let scene = tracked("initial");
    scene.watermarks.set(&name(), Some("0"));
    scene.plan().await;
    scene
}

/// Prepares the changes of the tracked table.
pub async fn changes() -> Scene<MemoryTracked> {
    let scene = tracked("from-0");
    scene.run().await;
    (1..=4).for_each(|id| scene.table().set(id, 7));
    scene.plan().await;
    scene
}

/// Prepares its changes, which expired before they were copied: a load is planned in their place.
pub async fn superseded() -> Scene<MemoryTracked> {
    let scene = changes().await;
    scene.table().expire();
    scene.plan().await;
    scene
}

/// Prepares the load that was planned in their place.
pub async fn reinit() -> Scene<MemoryTracked> {
    let mut scene = superseded().await;
    scene.window.window = window("reinit-from-0");
    scene
}

/// Returns the places of texts in a document.
pub fn texts(document: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(at.to_owned()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (key, item) in fields {
                    walk(item, &format!("{at}/{key}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

/// Replaces every text of the document by every hostile one, each in a scene of its own, and takes every step. Returns
/// what was tried and how much of it was refused.
pub async fn tamper<T: Table, F: Future<Output = Scene<T>>>(set: impl Fn() -> F, document: &str) -> Cases {
    let template = set().await;
    let key = template.key(document);
    let whole = template.document(&key);
    let mut cases = Cases::default();
    for place in texts(&whole) {
        for hostile in HOSTILE {
            let mut tampered = whole.clone();
            *tampered.pointer_mut(&place).unwrap() = hostile.into();
            if tampered == whole {
                continue;
            }
            let scene = set().await;
            scene.store.overwrite(&key, tampered.to_string().into());
            let errors = scene.every_step().await;
            scene.check(&errors, &format!("{document}{place} is {hostile}"));
            cases.all += 1;
            cases.refused += usize::from(!errors.is_empty());
        }
    }
    cases.texts = texts(&whole);
    cases
}

/// What was tried.
#[derive(Debug, Default)]
pub struct Cases {
    /// The places that were changed.
    pub texts: Vec<String>,
    /// The number of cases.
    pub all: usize,
    /// The number of cases that a step refused.
    pub refused: usize,
}

impl Cases {
    /// Checks that the tampering reached these places, and that most of it was refused.
    pub fn reached(&self, places: &[&str]) {
        for place in places {
            assert!(
                self.texts.iter().any(|text| text == place),
                "{place} in {:?}",
                self.texts
            );
        }
        assert!(self.all >= places.len() * HOSTILE.len() - 1, "{self:?}");
        assert!(self.refused * 2 > self.all, "{self:?}");
    }
}

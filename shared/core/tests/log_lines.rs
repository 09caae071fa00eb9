//! What the log says of a table that failed in a step over all tables: it names that step's work, not that of another
//! step. And what it says of a question about all tables that failed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tidemark::model::lookup::EmptyWindow;
use tidemark::ports::source::{Access, CatalogColumn};
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::world::{World, name, pipeline_behind, spec, spec_with, window};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Collects the fields of every line of a level.
#[derive(Clone)]
struct Lines {
    level: Level,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// A line of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Line {
    message: String,
    table: String,
    error_type: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "table" => self.table = text,
            "error_type" => self.error_type = text,
            _ => {}
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() == self.level {
            let mut line = Line::default();
            event.record(&mut line);
            self.lines.lock().unwrap().push(line);
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Returns the one error that `work` logs.
async fn error_of(work: impl Future<Output = ()>) -> Line {
    line_of(Level::ERROR, work).await
}

/// Returns the one line of a level that `work` logs.
async fn line_of(level: Level, work: impl Future<Output = ()>) -> Line {
    let lines = lines_of(level, work).await;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    line.clone()
}

/// Returns the lines of a level that `work` logs.
async fn lines_of(level: Level, work: impl Future<Output = ()>) -> Vec<Line> {
    let subscriber = Lines {
        level,
        lines: Arc::default(),
    };
    let guard = tracing::subscriber::set_default(subscriber.clone());
    work.await;
    drop(guard);
    subscriber.lines.lock().unwrap().clone()
}

#[tokio::test]
async fn a_failed_commit_is_logged_as_one() {
    let world = World::new([1]);
    let lost = EmptyWindow {
        table: name(),
        window: window("from-9"),
    };
    let line = error_of(async {
        let updated = world.pipeline().update_all("r", vec![lost]).await.unwrap();
        assert_eq!(updated.failed.len(), 1);
    })
    .await;
    let expected = "The window of the table could not be committed: window from-9 of dbo.t has no plan yet";
    assert!(line.message.starts_with(expected), "{line:?}");
    assert_eq!(
        (line.table.as_str(), line.error_type.as_str()),
        ("dbo.t", "InvalidInput")
    );
}

#[tokio::test]
async fn a_failed_lookup_of_the_new_watermark_is_logged_as_one() {
    let world = World::new([1]);
    let wrong = spec_with(json!({ "tracking": { "watermark": { "column": "nope" } } }));
    let line = error_of(async {
        let planned = world.pipeline().plan("r", &[wrong]).await.unwrap();
        assert_eq!(planned.failed.len(), 1);
    })
    .await;
    let expected = "The next window of the table could not be planned: dbo.t has no column 'nope'";
    assert!(line.message.starts_with(expected), "{line:?}");
    assert_eq!(
        (line.table.as_str(), line.error_type.as_str()),
        ("dbo.t", "SourceRejected")
    );
}

#[tokio::test]
async fn a_failed_lookup_of_the_old_watermark_is_logged_as_one() {
    let world = World::new([1]);
    world.run("r1").await;
    world
        .store
        .overwrite("p/_ledger/dbo.t/initial/manifest.json", "{}".into());
    world.watermarks.set(&name(), None);
    let line = error_of(async {
        let planned = world.pipeline().plan("r2", &[spec()]).await.unwrap();
        assert_eq!(planned.failed.len(), 1);
    })
    .await;
    let expected = "The old watermark of the table could not be looked up: p/_ledger/dbo.t/initial/manifest.json";
    assert!(line.message.starts_with(expected), "{line:?}");
    assert_eq!(
        (line.table.as_str(), line.error_type.as_str()),
        ("dbo.t", "LedgerInvalid")
    );
}

#[tokio::test]
async fn a_frozen_window_that_cannot_be_compared_with_its_table_is_left_to_its_runs_and_the_log_says_why() {
    let world = World::new([1]);
    world.run("r1").await;
    world.table.insert(2);
    world.pipeline().plan("dies", &[spec()]).await.unwrap();
    let wrong = spec_with(json!({ "on_schema_change": "reload", "exclude": ["nope"] }));
    let lines = lines_of(Level::WARN, async {
        let planned = world.pipeline().plan("r2", &[wrong]).await.unwrap();
        assert_eq!((planned.windows.len(), planned.failed.len()), (1, 0));
    })
    .await;
    let line = lines.iter().find(|line| line.message.contains("is not known")).unwrap();
    assert!(line.message.contains("nope"), "{line:?}");
    assert_eq!(
        (line.table.as_str(), line.error_type.as_str()),
        ("dbo.t", "SourceRejected")
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_about_all_tables_that_fails_is_logged_with_its_cause_and_each_table_is_asked_alone() {
    let world = World::new([1]);
    let count = Gate::default();
    let call = |gate: &Gate, name: &str| gate.calls().iter().position(|call| *call == name);
    let plan = async |gate: &Gate| {
        let (source, watermarks) = (Gated::new(gate, &world.table), Gated::new(gate, &world.watermarks));
        let pipeline = pipeline_behind(&source, &world.table, &watermarks, &world.store);
        let planned = pipeline.plan("r", &[spec()]).await.unwrap();
        assert_eq!((planned.windows.len(), planned.failed.len()), (1, 0));
    };
    plan(&count).await;
    for (name, what) in [
        ("all_stored", "The stored watermarks of all tables"),
        ("catalogs", "The columns of all tables"),
    ] {
        let failing = Gate::at(call(&count, name).unwrap(), Fault::FailsOnce);
        for (gate, cause) in [
            (failing, "failed once."),
            (Gate::silent_at(name), "there was no answer in 80 s."),
        ] {
            let line = line_of(Level::WARN, plan(&gate)).await;
            assert!(
                line.message.starts_with(what) && line.message.ends_with(cause),
                "{line:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_start_of_a_period_as_a_watermark_is_warned_about_until_somebody_says_how_long_to_wait() {
    let world = World::new([1]);
    world.table.list([CatalogColumn {
        name: "v".into(),
        in_star: true,
        is_row_version: false,
        is_period_start: true,
        access: Access::Values,
        counting: None,
    }]);
    for (tracking, times) in [
        (json!({ "column": "v" }), 1),
        (json!({ "column": "v", "settle_seconds": 60 }), 0),
    ] {
        let spec = spec_with(json!({ "tracking": { "watermark": tracking } }));
        let lines = lines_of(Level::WARN, async {
            world.pipeline().plan("r", &[spec]).await.unwrap();
        });
        let lines = lines.await;
        let said = lines
            .iter()
            .filter(|line| line.message.contains("is the start of a period"));
        assert_eq!(said.count(), times, "{tracking}: {lines:?}");
    }
}

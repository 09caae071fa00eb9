//! A window is copied with the condition and into the sink that its plan was frozen with, and these also come with the
//! event. When the two do not agree, every step refuses the window.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::table::RunSettings;
use tidemark::steps::update::UpdateAnswer;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{World, of_run, spec_with};
use tidemark::testing::{MemoryFiles, MemorySink, MemoryStore, MemoryTable, MemoryWatermarks};

/// The steps over a world with a sink.
type Steps<'a> = Pipeline<'a, MemoryTable, &'a MemoryTable, MemoryWatermarks, MemoryStore, MemoryFiles, MemorySink>;

fn steps<'a>(world: &'a World, sink: &MemorySink) -> Steps<'a> {
    Pipeline::new(
        &world.table,
        &world.table,
        &world.watermarks,
        world.place(),
        MemoryFiles,
        sink.clone(),
    )
}

fn chosen(condition: &str) -> Value {
    json!({ "where": condition })
}

fn merged(secret: &str, table: &str) -> Value {
    json!({ "sink": { "sqlserver": { "secret_arn": secret, "table": table } } })
}

/// Returns the first window, with these settings.
fn with(settings: &Value) -> WindowOfRun {
    let settings: RunSettings = serde_json::from_value(settings.clone()).unwrap();
    WindowOfRun {
        settings,
        ..of_run("initial")
    }
}

/// Returns settings of a plan, those that come with an event later, and the name of the one that is not as it was.
fn changes() -> Vec<(Value, Value, &'static str)> {
    let both = json!({ "where": "v > 5", "sink": merged("sink", "u")["sink"] });
    vec![
        (chosen("v > 5"), json!({}), "where"),
        (chosen("v > 5"), chosen("v > 6"), "where"),
        (json!({}), chosen("v > 5"), "where"),
        (merged("sink", "u"), json!({}), "sink"),
        (merged("sink", "u"), merged("other", "u"), "sink"),
        (merged("sink", "u"), merged("sink", "w"), "sink"),
        (json!({}), merged("sink", "u"), "sink"),
        (both.clone(), chosen("v > 5"), "sink"),
        (both, merged("sink", "u"), "where"),
    ]
}

#[tokio::test]
async fn every_step_refuses_a_window_that_was_frozen_with_other_settings() {
    for (frozen, given, named) in changes() {
        let case = format!("{frozen} then {given}");
        let (world, sink) = (World::new(1..=9), MemorySink::new(true));
        let mut steps = steps(&world, &sink);
        steps.plan("r1", &[spec_with(frozen.clone())]).await.unwrap();
        let keys = world.store.keys();
        let window = with(&given);
        let errors = [
            steps.copy_slice("r2", &window, 0).await.unwrap_err(),
            steps.split("r2", &window, 0.into()).await.unwrap_err(),
            steps.update("r2", &window).await.unwrap_err(),
        ];
        for error in &errors {
            assert_eq!(error.code(), ErrorCode::InvalidInput, "{case}: {error}");
        }
        let planned = steps.plan("r2", &[spec_with(given)]).await.unwrap();
        assert!(planned.windows.is_empty(), "{case}");
        assert_eq!(planned.failed[0].error, ErrorCode::InvalidInput, "{case}");
        let texts = errors.iter().map(ToString::to_string);
        for text in texts.chain([planned.failed[0].cause.clone()]) {
            let to_do = format!("put {named} back until the window is committed");
            assert!(
                text.contains(&to_do) && text.contains("docs/how-to/repair.md"),
                "{case}: {text}"
            );
        }
        assert_eq!(world.store.keys(), keys, "{case}: nothing is decided");
        assert_eq!((world.store.pending_uploads(), sink.rows().len()), (0, 0), "{case}");

        // What was copied with the settings of the plan is not committed with others.
        steps.copy_slice("r3", &with(&frozen), 0).await.unwrap();
        let error = steps.update("r3", &window).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{case}");
        let committed = steps.update("r3", &with(&frozen)).await.unwrap();
        assert!(matches!(committed, UpdateAnswer::Committed(_)), "{case}");
    }
}

#[tokio::test]
async fn a_window_is_copied_with_the_settings_that_it_was_frozen_with() {
    let (world, sink) = (World::new(1..=9), MemorySink::new(true));
    let spec = spec_with(chosen("v > 5"));
    let outcome = steps(&world, &sink).run("r1", &[spec]).await.unwrap();
    // Rows that the condition leaves out are not late either.
    assert_eq!(
        (outcome.committed[0].rows, outcome.committed[0].late_rows),
        (4, Some(0))
    );
    assert_eq!(world.lines(), [6, 7, 8, 9]);

    let (world, sink) = (World::new(1..=9), MemorySink::new(true));
    let both = json!({ "where": "v > 5", "sink": merged("sink", "u")["sink"] });
    let outcome = steps(&world, &sink).run("r1", &[spec_with(both)]).await.unwrap();
    assert_eq!((outcome.committed[0].rows, outcome.committed[0].objects), (4, 0));
    assert_eq!(sink.rows(), BTreeMap::from([(0, 9)]));
    assert!(world.parts().is_empty());
}

/// A window that is frozen with a condition is copied with that and no other, so a wrong one must not be frozen.
#[tokio::test]
async fn a_condition_that_the_server_refuses_freezes_nothing_and_may_be_corrected() {
    let (world, sink) = (World::new(1..=9), MemorySink::new(true));
    let mut steps = steps(&world, &sink);
    let planned = steps.plan("r1", &[spec_with(chosen("w > 5"))]).await.unwrap();
    assert_eq!((planned.windows.len(), planned.failed.len()), (0, 1));
    let failed = &planned.failed[0];
    assert_eq!(failed.error, ErrorCode::InvalidInput);
    assert!(
        failed.cause.starts_with("the `where` of dbo.t is refused"),
        "{}",
        failed.cause
    );
    let is_plan = |key: &&String| key.ends_with("plan.json");
    assert_eq!(
        world.store.keys().iter().filter(is_plan).count(),
        0,
        "{:?}",
        world.store.keys()
    );
    let outcome = steps.run("r2", &[spec_with(chosen("v > 5"))]).await.unwrap();
    assert_eq!((outcome.committed.len(), outcome.failed.len()), (1, 0));
    assert_eq!(world.lines(), [6, 7, 8, 9]);
}

#[tokio::test]
async fn an_audit_that_is_added_while_a_window_is_pending_is_refused_until_the_window_is_given_up() {
    let world = World::new([1, 2, 3]);
    world.pipeline().plan("before", &[spec_with(json!({}))]).await.unwrap();
    let planned = world
        .pipeline()
        .plan("after", &[spec_with(json!({ "audit": true }))])
        .await
        .unwrap();
    assert_eq!((planned.windows.len(), planned.failed.len()), (0, 1));
    assert_eq!(planned.failed[0].error, ErrorCode::InvalidInput);
    assert!(planned.failed[0].cause.contains("audit"), "{:?}", planned.failed);
}

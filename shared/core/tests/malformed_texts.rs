//! Texts that could not be decoded are counted where an operator sees them: in the record of the slice and in the
//! manifest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::ledger::Decided;
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::manifest::Manifest;
use tidemark::ports::rows::RowsRead;
use tidemark::ports::sink_table::NoSinks;
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{World, spec, spec_with, window};
use tidemark::testing::{MemoryFiles, MemorySink, MemoryStore, MemoryTable, MemoryWatermarks, Reported};

/// The steps over rows of which one `name` could not be decoded.
type Steps<'a, M> = Pipeline<
    'a,
    MemoryTable,
    Reported<&'a MemoryTable, fn(&mut RowsRead)>,
    MemoryWatermarks,
    MemoryStore,
    MemoryFiles,
    M,
>;

fn steps<M>(world: &World, sinks: M) -> Steps<'_, M> {
    Pipeline::new(
        &world.table,
        Reported::new(&world.table, |read| read.malformed_texts.count("name", 1)),
        &world.watermarks,
        world.place(),
        MemoryFiles,
        sinks,
    )
}

fn one_name() -> MalformedTexts {
    let mut one = MalformedTexts::default();
    one.count("name", 1);
    one
}

/// Returns what the record of the only slice and the manifest of the first window say.
async fn said(world: &World) -> (MalformedTexts, Manifest) {
    let plan = world.ledger().existing_plan(&window("initial")).await.unwrap();
    let decided = world.ledger().decided(&plan, &0.into()).await.unwrap();
    let Decided::Record(record) = decided else {
        panic!("{decided:?}")
    };
    let manifest = world.ledger().manifest(&window("initial")).await.unwrap().unwrap();
    (record.malformed_texts, manifest)
}

#[tokio::test]
async fn texts_that_could_not_be_decoded_are_in_the_record_the_part_and_the_manifest() {
    let world = World::new([1, 2]);
    let outcome = steps(&world, NoSinks::default()).run("r1", &[spec()]).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let (of_record, manifest) = said(&world).await;
    assert_eq!(of_record, one_name());
    assert_eq!(manifest.parts[0].malformed_texts, one_name());
    let json = serde_json::to_value(&manifest).unwrap();
    assert_eq!(json["malformed_texts"], json!({"name": 1}));
}

#[tokio::test]
async fn texts_that_are_merged_into_a_table_are_counted_as_well() {
    let world = World::new([1, 2]);
    let spec = spec_with(json!({ "sink": { "sqlserver": { "secret_arn": "sink" } } }));
    let outcome = steps(&world, MemorySink::new(true)).run("r1", &[spec]).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let (of_record, manifest) = said(&world).await;
    assert_eq!((of_record, manifest.malformed_texts), (one_name(), one_name()));
    assert!(manifest.parts.is_empty());
}

#[tokio::test]
async fn a_window_whose_texts_are_sound_does_not_mention_them() {
    let world = World::new([1, 2]);
    world.run("r1").await;
    let manifest = world.ledger().manifest(&window("initial")).await.unwrap().unwrap();
    let json = serde_json::to_string(&manifest).unwrap();
    assert!(!json.contains("malformed_texts"), "{json}");
}

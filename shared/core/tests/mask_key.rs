//! The key for hashes: a window that would be hashed with another key than the one before is refused, until a person
//! decides.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::error::{Error, ErrorCode};
use tidemark::model::table::TableSpec;
use tidemark::ports::rows::RowsRead;
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::give_up::give_up;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark::testing::world::{World, name, of_run, pipeline_behind, spec, spec_with};
use tidemark::testing::{MemoryTable, Reported};

/// Returns a reader of rows with a column that is hashed with the key of this name.
fn hashed<'a>(world: &'a World, key: &'static str) -> Reported<&'a MemoryTable, impl Fn(&mut RowsRead)> {
    Reported::new(&world.table, move |read| read.mask_key = Some(key.to_owned()))
}

async fn run(world: &World, key: &'static str, spec: TableSpec) -> Result<RunOutcome, Error> {
    let reader = hashed(world, key);
    let mut pipeline = pipeline_behind(&world.table, reader, &world.watermarks, &world.store);
    pipeline.run("run", &[spec]).await
}

#[tokio::test]
async fn a_window_of_another_key_is_refused_until_a_person_decides() {
    let world = World::new([1, 2]);
    run(&world, "one", spec()).await.unwrap();
    world.table.insert(3);
    run(&world, "one", spec()).await.unwrap();
    world.table.insert(4);
    for _ in 0..2 {
        let error = run(&world, "other", spec()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SchemaMismatch);
        assert!(error.to_string().contains("MASK_SECRET_ARN"), "{error}");
        assert_eq!((world.lines(), world.store.pending_uploads()), (vec![1, 2, 3], 0));
    }
    // The key is put back.
    assert_eq!(run(&world, "one", spec()).await.unwrap().committed[0].rows, 1);
    // Or a person decides that the new key holds from now on.
    world.table.insert(5);
    run(&world, "other", spec()).await.unwrap_err();
    let ports = ArchivePorts {
        watermarks: &world.watermarks,
        place: world.place(),
    };
    give_up(ports, &name(), None, world.context.get()).await.unwrap();
    let going_on = spec_with(json!({ "on_schema_change": "continue" }));
    run(&world, "other", going_on).await.unwrap();
    world.table.insert(6);
    run(&world, "other", spec()).await.unwrap();
    assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>());
    world.table.insert(7);
    assert_eq!(
        run(&world, "one", spec()).await.unwrap_err().code(),
        ErrorCode::SchemaMismatch
    );
}

#[tokio::test]
async fn the_slices_of_a_window_have_one_key() {
    let world = World::new(1..=4);
    let sliced = || spec_with(json!({ "slice_rows": 2 }));
    world.pipeline().plan("run", &[sliced()]).await.unwrap();
    let reader = hashed(&world, "one");
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&world.table, reader, &world.watermarks, &world.store)
    };
    pipeline.copy_slice("run", &of_run("initial"), 0).await.unwrap();
    let error = run(&world, "other", sliced()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch);
    assert!(world.parts().is_empty(), "nothing is visible");
}

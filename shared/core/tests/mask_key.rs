//! The key for hashes: a window that would be hashed with another key than the one before is refused, until a person
//! decides.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::model::rows::Rows;
use tidemark::model::table::TableSpec;
use tidemark::model::types::Column;
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};
use tidemark::steps::give_up::{GiveUpPorts, give_up};
use tidemark::steps::run::{Pipeline, RunOutcome};
use tidemark::testing::world::{PREFIX, World, name, of_run, pipeline_behind, spec, spec_with};
use tidemark::testing::{MemoryBatch, MemoryTable};

/// A reader of rows with a column that is hashed with the key of this name.
struct Hashed<'a>(&'a MemoryTable, &'static str);

impl ExplainRows for Hashed<'_> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.0.explain(rows, columns)
    }
}

impl ReadRows for Hashed<'_> {
    type Batch = MemoryBatch;

    async fn read<T: TakeBatches<MemoryBatch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead> {
        let mut read = self.0.read(rows, columns, batches).await?;
        read.mask_key = Some(self.1.to_owned());
        Ok(read)
    }
}

async fn run(world: &World, key: &'static str, spec: TableSpec) -> Result<RunOutcome, Error> {
    let reader = Hashed(&world.table, key);
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
    let ports = GiveUpPorts {
        watermarks: &world.watermarks,
        store: &world.store,
        prefix: PREFIX,
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
    let reader = Hashed(&world.table, "one");
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&world.table, reader, &world.watermarks, &world.store)
    };
    pipeline.copy_slice("run", &of_run("initial"), 0).await.unwrap();
    let error = run(&world, "other", sliced()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch);
    assert!(world.parts().is_empty(), "nothing is visible");
}

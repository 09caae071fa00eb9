//! The first run of a table asks how the bucket is set up, reports what it lacks, and goes on whatever the answer is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;
use tidemark::ledger::Place;
use tidemark::model::bucket::{BucketPolicy, BucketSettings, Told};
use tidemark::steps::context::RunContext;
use tidemark::steps::lookup_old::{LookupOldRequest, OldWatermarks, lookup_old};
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::world::{PREFIX, World, spec_with};

fn request() -> LookupOldRequest {
    LookupOldRequest {
        run_id: "r".into(),
        tables: vec![spec_with(json!({}))],
        dry_run: false,
    }
}

async fn looked_up(world: &World) -> OldWatermarks {
    let asked = lookup_old(&world.watermarks, world.place(), request(), RunContext::unbounded());
    asked.await.unwrap()
}

/// Makes a world with a table that the store knows nothing of yet.
fn world() -> World {
    let world = World::new(1..=3);
    world.store.set_up(careless());
    world
}

fn careless() -> BucketSettings {
    BucketSettings {
        uploads: Told::Said(None),
        keeps_versions: Told::Refused("s3:GetBucketVersioning"),
        policy: Told::Said(BucketPolicy {
            limits_writers: false,
            demands_tls: true,
        }),
    }
}

#[tokio::test]
async fn what_the_bucket_lacks_is_said_at_the_first_run_of_a_table_and_never_again() {
    let world = world();
    let notes = looked_up(&world).await.notes;
    let said: Vec<&str> = notes.iter().map(|note| note.note.as_str()).collect();
    assert!(
        said.len() == 3 && said[0].contains("AbortIncompleteMultipartUpload"),
        "{said:?}"
    );
    assert!(said[1].contains("takes s3:GetBucketVersioning"), "{said:?}");
    assert!(said[2].contains("docs/how-to/existing-bucket.md"), "{said:?}");
    assert!(notes[0].bucket.ends_with(PREFIX), "{notes:?}");
    world.pipeline().run("r", &[spec_with(json!({}))]).await.unwrap();
    assert_eq!(looked_up(&world).await.notes, []);
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_the_question_stops_no_run() {
    let world = world();
    let calls = Gate::default();
    let store = Gated::new(&calls, &world.store);
    drop(
        lookup_old(
            &world.watermarks,
            Place::new(&store, PREFIX),
            request(),
            RunContext::unbounded(),
        )
        .await,
    );
    let question = calls.calls().iter().position(|call| *call == "settings").unwrap();
    let failing = Gate::at(question, Fault::FailsOnce);
    let store = Gated::new(&failing, &world.store);
    let looked_up = lookup_old(
        &world.watermarks,
        Place::new(&store, PREFIX),
        request(),
        RunContext::unbounded(),
    );
    let looked_up = looked_up.await.unwrap();
    assert_eq!(looked_up.tables.len(), 1);
    assert!(
        looked_up.notes[0].note.contains("was not looked at"),
        "{:?}",
        looked_up.notes
    );
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_silent_holds_no_run_up_for_long() {
    let world = world();
    let silent = Gate::silent_at("settings");
    let store = Gated::new(&silent, &world.store);
    let looked_up = lookup_old(
        &world.watermarks,
        Place::new(&store, PREFIX),
        request(),
        RunContext::unbounded(),
    );
    let looked_up = tokio::time::timeout(Duration::from_secs(11), looked_up).await;
    let looked_up = looked_up.unwrap().unwrap();
    assert_eq!(looked_up.tables.len(), 1);
    assert!(
        looked_up.notes[0].note.contains("did not answer in 10 seconds"),
        "{:?}",
        looked_up.notes
    );
}

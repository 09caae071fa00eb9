//! A table that a person holds: runs pass over it, or are told what is not finished.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidemark::error::ErrorCode;
use tidemark::model::hold::HoldState;
use tidemark::steps::pause::{pause, resume};
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::world::{PREFIX, World, at_one_time, name, spec};

#[tokio::test]
async fn a_paused_table_is_passed_over_and_goes_on_where_it_was() {
    let world = World::new(1..=3);
    world.run("before").await;
    world.table.insert(4);
    let held = pause(&world.store, PREFIX, &name(), Some("a move".into()), at_one_time()).await;
    assert!(held.unwrap().paused);
    assert!(
        pause(&world.store, PREFIX, &name(), None, at_one_time())
            .await
            .unwrap()
            .was_paused
    );
    let outcome = world.run("paused").await;
    assert!(outcome.committed.is_empty() && outcome.unchanged.is_empty());
    assert_eq!(world.lines(), [1, 2, 3]);
    assert!(
        !resume(&world.store, PREFIX, &name(), at_one_time())
            .await
            .unwrap()
            .paused
    );
    world.run("resumed").await;
    assert_eq!(world.lines(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn of_two_people_who_decide_at_once_one_is_told() {
    let world = World::new(1..=3);
    let found = world.ledger().hold().await.unwrap();
    let paused = |reason: &str| HoldState::Paused {
        reason: Some(reason.into()),
    };
    world
        .ledger()
        .replace_hold(&found, paused("one"), "t".into())
        .await
        .unwrap();
    let error = world
        .ledger()
        .replace_hold(&found, paused("other"), "t".into())
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::WatermarkConflict);
    // Whoever asks again after a lost answer decided it.
    assert!(
        world
            .ledger()
            .replace_hold(&found, paused("one"), "t".into())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_pause_that_is_disturbed_at_any_port_call_is_done_when_it_is_repeated() {
    for fault in Fault::ALL {
        for call in 0.. {
            let world = World::new(1..=3);
            let gate = Gate::at(call, fault);
            let done = pause(&Gated::new(&gate, &world.store), PREFIX, &name(), None, at_one_time()).await;
            if !gate.was_reached() {
                assert!(done.is_ok());
                break;
            }
            pause(&world.store, PREFIX, &name(), None, at_one_time()).await.unwrap();
            let outcome = world.pipeline().run("run", &[spec()]).await.unwrap();
            assert!(outcome.committed.is_empty(), "{fault:?} at call {call}");
        }
    }
}

#[tokio::test]
async fn what_is_begun_and_not_done_stops_every_run_with_what_to_do() {
    let world = World::new(1..=3);
    let found = world.ledger().hold().await.unwrap();
    let state = HoldState::StartingOver {
        archive: "then".into(),
        watermark_name: None,
        stays_paused: false,
    };
    world
        .ledger()
        .replace_hold(&found, state, "2026-11-29T13:00:00Z".into())
        .await
        .unwrap();
    let outcome = world.pipeline().run("run", &[spec()]).await.unwrap();
    let failed = &outcome.failed[0];
    assert_eq!(failed.error, "LedgerInvalid");
    assert!(failed.cause.contains("tidemark reset dbo.t --yes"), "{}", failed.cause);
    assert!(pause(&world.store, PREFIX, &name(), None, at_one_time()).await.is_err());
}

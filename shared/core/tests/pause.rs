//! Tables that a person holds: runs leave them alone, and what is begun is ended by the command that began it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidemark::ledger::Place;
use tidemark::model::hold::{Begun, Hold};
use tidemark::model::lease::Leases;
use tidemark::steps::pause::{Pause, pause, resume};
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::world::{PREFIX, World, name};

fn world() -> World {
    World::new(1..=3).taking(Leases::Taken)
}

fn person() -> Pause {
    Pause {
        by: "somebody".into(),
        reason: Some("the source is moving".into()),
    }
}

#[tokio::test]
async fn a_paused_table_is_passed_over_and_goes_on_where_it_was() {
    let world = world();
    world.run("before").await;
    world.table.insert(4);
    let context = world.context.get();
    assert!(
        !pause(world.place(), &name(), person(), context)
            .await
            .unwrap()
            .was_paused
    );
    assert!(
        pause(world.place(), &name(), person(), context)
            .await
            .unwrap()
            .was_paused
    );
    let outcome = world.run("paused").await;
    assert_eq!(outcome.left_alone.paused[0].reason, person().reason);
    assert_eq!(world.lines(), [1, 2, 3]);
    assert!(resume(world.place(), &name()).await.unwrap().was_paused);
    world.run("resumed").await;
    assert_eq!(world.lines(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_pause_that_is_disturbed_at_any_port_call_is_done_when_it_is_repeated() {
    for fault in Fault::ALL {
        for call in 0.. {
            let world = world();
            let (gate, context) = (Gate::at(call, fault), world.context.get());
            let done = pause(
                Place::new(&Gated::new(&gate, &world.store), PREFIX),
                &name(),
                person(),
                context,
            )
            .await;
            if !gate.was_reached() {
                assert!(done.is_ok());
                break;
            }
            pause(world.place(), &name(), person(), context).await.unwrap();
            assert!(world.run("run").await.committed.is_empty(), "{fault:?} at call {call}");
        }
    }
}

#[tokio::test]
async fn what_is_begun_is_ended_by_its_own_verb() {
    let world = world();
    let begun = Begun::StartOver { watermark_name: None };
    let hold = Hold::new(
        &name(),
        begun,
        "then".into(),
        false,
        "2026-11-29T13:00:00Z".parse().unwrap(),
    );
    world.ledger().begin(hold).await.unwrap();
    let error = resume(world.place(), &name()).await.unwrap_err();
    assert!(
        error.to_string().contains("with `tidemark reset dbo.t --yes`"),
        "{error}"
    );
    assert!(
        pause(world.place(), &name(), person(), world.context.get())
            .await
            .is_err()
    );
}

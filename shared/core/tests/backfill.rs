//! The bounds of a backfill: the server orders them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tidemark::error::{ErrorCode, Result};
use tidemark::steps::backfill::{Backfill, Range};
use tidemark::testing::faults::{Gate, Gated};
use tidemark::testing::world::{World, backfill, spec};

async fn planned(world: &World, gate: &Gate, from: &str, to: Option<&str>) -> Result<Backfill> {
    let source = Gated::new(gate, &world.table);
    let range = Range::Between {
        from: from.into(),
        includes_from: true,
        to: to.map(str::to_owned),
    };
    backfill(&source, &world.watermarks, &world.store, spec(), range, true).await
}

#[tokio::test]
async fn bounds_are_ordered_by_the_server_and_not_by_their_texts() {
    let world = World::new([-10, -9, 9, 10]);
    world.run("r1").await;
    for (from, to, compared) in [("9", None, 1), ("9", Some("10"), 1), ("-10", Some("-9"), 3)] {
        let gate = Gate::default();
        let planned = planned(&world, &gate, from, to).await.unwrap();
        assert_eq!(planned.rows, 2, "{from} {to:?}");
        let asked = gate.calls().into_iter().filter(|call| *call == "compare").count();
        assert_eq!(asked, compared, "{from} {to:?}");
    }
    // An end that no row has reached stands for that of the last window: rows that come below it are not copied twice.
    let beyond = planned(&world, &Gate::default(), "9", Some("99")).await.unwrap();
    assert_eq!(beyond.new_watermark.value(), "10");
    for (from, to, said) in [
        ("11", None, "lies beyond"),
        ("10", Some("9"), "is after"),
        ("-9", Some("-10"), "is after"),
    ] {
        let error = planned(&world, &Gate::default(), from, to).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{from} {to:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

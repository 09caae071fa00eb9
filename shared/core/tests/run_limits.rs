//! A window that has more slices than one run copies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidemark::testing::world::{World, spec_with};

#[tokio::test]
async fn a_window_of_too_many_slices_ends_early_and_the_next_run_goes_on() {
    let world = World::new(1..=1_200);
    let spec = spec_with(serde_json::json!({ "slice_rows": 1 }));
    let mut pipeline = world.pipeline();
    for (run, watermark) in [("r1", "500"), ("r2", "1000"), ("r3", "1200")] {
        let outcome = pipeline.run(run, std::slice::from_ref(&spec)).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        assert_eq!(world.watermark().as_deref(), Some(watermark));
    }
    assert_eq!(world.lines(), (1..=1_200).collect::<Vec<_>>());
}

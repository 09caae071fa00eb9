//! Several runs at once, in any order of their port calls.

use tidemark::model::lease::{CLOCK_MARGIN, LEASE, Leases};
#[allow(
    unused_imports,
    reason = "the store in memory has these methods itself, the folder has them by this trait"
)]
use tidemark::testing::TestStore;
use tidemark::testing::faults::{Fault, Gate};

use crate::scenes::{Outcome, Scene, check_what_readers_see, outcome, run, run_in_time};
use crate::seeds;

#[tokio::test]
async fn two_runs_interleaved_in_any_order_end_as_one() {
    let scenes = [Scene::Whole, Scene::Sliced, Scene::Slow, Scene::Reload];
    let leases = [Leases::Ignored, Leases::Taken];
    for (scene, leases) in scenes
        .into_iter()
        .flat_map(|scene| leases.map(|leases| (scene, leases)))
    {
        let expected = scene.undisturbed().await;
        let set = scene.set().await.taking(leases);
        // These are eight tests, of which each tries half as many seeds as the others.
        for seed in 1..=seeds() / 2 {
            let world = set.copied();
            let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
            let (a, b) = tokio::join!(scene.run(&world, &one, "a"), scene.run(&world, &other, "b"));
            assert!(a && b, "seed {seed}, {scene:?}, {leases:?}: {a} {b}");
            assert_eq!(outcome(&world).await, expected, "seed {seed}, {scene:?}, {leases:?}");
            let left = world.store.pending_uploads();
            assert_eq!(left, 0, "seed {seed}: the loser gives its upload up");
        }
    }
}

/// One run has time for a slice that another run splits, and a third may die in between. Whoever decides first, every
/// row is there once, and the others give their uploads up.
#[tokio::test]
async fn a_split_and_a_copy_of_one_slice_end_as_one_of_them() {
    let (mut split, mut whole) = (0, 0);
    let set = Scene::Slow.set().await;
    for seed in 1..=seeds() {
        let world = set.copied();
        let (slow, quick) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
        let turns = usize::try_from(seed).unwrap() % 8 * 20;
        let (slow, quick) = match seed % 3 {
            0 => (slow.held_up_at("read", turns), quick),
            1 => (slow, quick.held_up_at("read", turns)),
            // All rows are read before the split is decided.
            _ => (slow, quick.held_up_at("create", turns)),
        };
        let dying = Gate::at(usize::try_from(seed).unwrap() % 60, Fault::CrashAfter);
        let third = async {
            if seed % 2 == 0 {
                run_in_time(&world, &dying, "dying", 2).await;
            }
        };
        let (a, b, ()) = tokio::join!(
            run_in_time(&world, &slow, "slow", 1),
            run_in_time(&world, &quick, "quick", u64::MAX),
            third,
        );
        assert!(a && b, "seed {seed}: {a} {b}");
        let left = world.store.pending_uploads();
        assert!(
            seed % 2 == 0 || left == 0,
            "seed {seed}: {left} uploads are left by who lost"
        );
        check_what_readers_see(&world, &format!("seed {seed}")).await;
        let outcome = outcome(&world).await;
        check_rows(&outcome, seed);
        let keys = &outcome.windows.last().unwrap().keys;
        let is_split = keys.iter().any(|key| key.contains("part-00002."));
        let is_whole = keys.iter().any(|key| key.ends_with("part-00002.csv"));
        (split, whole) = (split + u64::from(!is_whole && is_split), whole + u64::from(is_whole));
    }
    assert!(split > 20 && whole > 20, "split {split}, whole {whole}");
}

/// Checks that the last window has every row once, in the order of its slices, and that its manifest names every part.
fn check_rows(outcome: &Outcome, seed: u64) {
    let window = outcome.windows.last().unwrap();
    assert_eq!(window.rows, 14, "seed {seed}");
    let lines: Vec<String> = window
        .keys
        .iter()
        .flat_map(|key| {
            let text = String::from_utf8(outcome.parts[key].clone()).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let expected = [4, 5].into_iter().chain(9..=20).map(|row: i64| row.to_string());
    assert_eq!(lines, expected.collect::<Vec<_>>(), "seed {seed}: in slice order");
    let keys = outcome.parts.keys();
    let of_window = keys.filter(|key| key.contains("tidemark_window=from-3/")).count();
    assert_eq!(
        of_window,
        window.keys.len(),
        "seed {seed}: a part that no manifest names"
    );
}

#[tokio::test]
async fn three_runs_of_which_one_dies_end_as_one() {
    for leases in [Leases::Ignored, Leases::Taken] {
        three_runs_of_which_one_dies(leases).await;
    }
}

async fn three_runs_of_which_one_dies(leases: Leases) {
    let expected = Scene::Sliced.undisturbed().await;
    let set = Scene::Sliced.set().await.taking(leases);
    for seed in 1..=seeds() {
        let world = set.copied();
        let (one, other) = (Gate::waiting(seed), Gate::waiting(seed << 32 | 7));
        let dying = Gate::at(usize::try_from(seed).unwrap() % 25, Fault::CrashAfter);
        let (a, b, _) = tokio::join!(
            run(&world, &one, "a"),
            run(&world, &other, "b"),
            run(&world, &dying, "c")
        );
        assert!(a && b, "seed {seed}");
        if leases == Leases::Taken {
            // The other runs may have found the lease of the one that died.
            world.pass(LEASE + CLOCK_MARGIN);
            assert!(run(&world, &Gate::default(), "later").await, "seed {seed}");
        }
        assert_eq!(outcome(&world).await, expected, "seed {seed}, {leases:?}");
    }
}

//! One fault at every port call of a run, of each kind.

use tidemark::model::lease::{CLOCK_MARGIN, LEASE, Leases};
use tidemark::testing::faults::{Fault, Gate};

use crate::RUNS;
use crate::scenes::{Scene, check_what_readers_see, outcome};

/// Disturbs every port call with this fault, each in a run of its own. Returns how many there were.
async fn every_port_call_with(scene: Scene, fault: Fault, leases: Leases) -> usize {
    let expected = scene.undisturbed().await;
    assert_eq!(expected.windows.len(), scene.windows());
    let set = scene.set().await.taking(leases);
    for call in 0.. {
        let world = set.copied();
        let gate = Gate::at(call, fault);
        let done = scene.run(&world, &gate, "disturbed").await;
        let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
        if !gate.was_reached() {
            assert!(done);
            return call;
        }
        check_what_readers_see(&world, &case).await;
        // A run that died has the lease until it expires.
        world.pass(LEASE + CLOCK_MARGIN);
        let undisturbed = Gate::default();
        let mut runs = 0;
        while !scene.run(&world, &undisturbed, "again").await {
            runs += 1;
            assert!(runs < RUNS, "{case}: the next runs do not get through");
        }
        assert_eq!(outcome(&world).await, expected, "{case}");
    }
    unreachable!("a run has an end")
}

async fn every_port_call(scene: Scene, leases: Leases) -> usize {
    let mut cases = 0;
    for fault in Fault::ALL {
        cases += every_port_call_with(scene, fault, leases).await;
    }
    cases
}

#[tokio::test(start_paused = true)]
async fn a_run_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(Scene::Whole, Leases::Ignored).await > 60);
}

#[tokio::test(start_paused = true)]
async fn a_reload_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    let expected = Scene::Reload.undisturbed().await;
    let keys: Vec<&String> = expected.windows.iter().flat_map(|window| &window.keys).collect();
    assert!(keys[1].contains(".g1/tidemark_window=reinit-from-3/"), "{keys:?}");
    assert_eq!(expected.loaders.len(), 2);
    assert!(every_port_call(Scene::Reload, Leases::Taken).await > 70);
    assert!(every_port_call(Scene::Reload, Leases::Ignored).await > 60);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_many_slices_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(Scene::Sliced, Leases::Ignored).await > 80);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_leases_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(Scene::Whole, Leases::Taken).await > 80);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_many_slices_that_takes_leases_disturbed_at_any_port_call_ends_as_an_undisturbed_one() {
    assert!(every_port_call(Scene::Sliced, Leases::Taken).await > 100);
}

#[tokio::test]
async fn slices_that_take_too_long_are_split_until_they_do_not() {
    let expected = Scene::Slow.undisturbed().await;
    let names = |slice: &str| {
        let keys = expected.parts.keys();
        let of_slice = keys.filter_map(|key| key.split_once("tidemark_window=from-3/part-"));
        let names = of_slice.filter(|(_, name)| name.starts_with(slice));
        names.map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("00000"), ["00000.00000.csv", "00000.00001.csv"]);
    let twice = names("00002");
    assert_eq!(twice.len(), 12, "{twice:?}");
    assert_eq!(twice[0], "00002.00000.00000.csv");
}

/// A run that dies before a call leaves what one leaves that died after the call before it. The other scenes try both, and
/// this one, which is by far the longest, does not.
#[tokio::test(start_paused = true)]
async fn slices_that_are_split_end_as_undisturbed_ones_when_a_run_dies_after_any_port_call() {
    assert!(every_port_call_with(Scene::Slow, Fault::CrashAfter, Leases::Ignored).await > 300);
}

#[tokio::test(start_paused = true)]
async fn slices_that_are_split_end_as_undisturbed_ones_when_any_port_call_fails_once() {
    assert!(every_port_call_with(Scene::Slow, Fault::FailsOnce, Leases::Ignored).await > 300);
}

#[tokio::test(start_paused = true)]
async fn slices_that_are_split_end_as_undisturbed_ones_when_the_answer_of_any_port_call_is_lost() {
    assert!(every_port_call_with(Scene::Slow, Fault::AnswerLost, Leases::Ignored).await > 300);
}

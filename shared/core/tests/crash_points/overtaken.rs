//! Runs that are held up while a person starts their table over, or gives their window up: what they do late counts no
//! more.

use tidemark::error::{Error, ErrorCode};
use tidemark::ledger::{Place, Pointers};
use tidemark::model::lease::{CLOCK_MARGIN, LEASE, Leases};
use tidemark::ports::objects::CreateObjects;
use tidemark::ports::watermarks::{ClearWatermarks, MoveWatermarks};
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::give_up::give_up;
use tidemark::steps::lookup_new::{LookupNewRequest, lookup_new};
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark::steps::pause::{Pause, pause, resume};
use tidemark::steps::start_over::start_over;
use tidemark::steps::window::WindowOutcome;
#[allow(
    unused_imports,
    reason = "the store in memory has these methods itself, the folder has them by this trait"
)]
use tidemark::testing::TestStore;
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{PREFIX, name, of_run, pipeline_behind, spec, spec_with, window};

use crate::scenes::{committed_once, grow, run_of};
use crate::{World, world};

async fn reset(world: &World) {
    reset_with(world, &world.watermarks).await;
}

async fn reset_with<W: ClearWatermarks>(world: &World, watermarks: &W) {
    let ports = ArchivePorts {
        watermarks,
        place: world.place(),
    };
    start_over(ports, &name(), world.context.get()).await.unwrap();
}

async fn abandon(world: &World, pending: &str) {
    let ports = ArchivePorts {
        watermarks: &world.watermarks,
        place: world.place(),
    };
    give_up(ports, &name(), Some(window(pending)), world.context.get())
        .await
        .unwrap();
}

/// Returns the rows of the visible parts, without those in the archive.
fn visible(world: &World) -> Vec<i64> {
    let mut rows = Vec::new();
    for key in world.parts().into_iter().filter(|key| !key.contains("/_archive/")) {
        let body = world.store.body(&key).unwrap();
        rows.extend(
            std::str::from_utf8(&body)
                .unwrap()
                .lines()
                .map(|line| line.parse::<i64>().unwrap()),
        );
    }
    rows.sort_unstable();
    rows
}

/// Does what a person does whose table is being copied, and who does not wait for its end.
async fn paused_during(world: &World, (gate, call): (&Gate, &str), what: impl AsyncFnOnce(&World)) {
    while !gate.calls().contains(&call) {
        tokio::task::yield_now().await;
    }
    let by = Pause {
        by: "operator".into(),
        reason: None,
    };
    let (store, context) = (&world.store, world.context.get());
    pause(Place::new(store, PREFIX), &name(), by, context).await.unwrap();
    what(world).await;
    resume(Place::new(store, PREFIX), &name()).await.unwrap();
}

/// Does both, of which the first is held up behind the gate until the second is done.
async fn held_up_during<A, B>(gate: &Gate, held: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let other = async {
        let done = other.await;
        gate.release();
        done
    };
    tokio::join!(held, other)
}

/// Copies and commits the window of the run "old", of one slice, behind this gate.
async fn old_run(world: &World, gate: &Gate, pending: &str) -> Result<WindowOutcome, Error> {
    old_run_moving(world, &world.watermarks, gate, pending).await
}

/// Copies and commits that window with this watermark store.
async fn old_run_moving<W: MoveWatermarks>(
    world: &World,
    watermarks: &W,
    gate: &Gate,
    pending: &str,
) -> Result<WindowOutcome, Error> {
    let (source, store) = (Gated::new(gate, &world.table), Gated::new(gate, &world.store));
    let watermarks = Gated::new(gate, watermarks);
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&source, Gated::new(gate, &world.table), &watermarks, &store)
    };
    pipeline.copy_window("old", &of_run(pending), 1).await
}

#[tokio::test]
async fn a_record_that_comes_after_the_table_was_started_over_is_passed_over() {
    for leases in [Leases::Taken, Leases::Ignored] {
        for is_planned_before in [false, true] {
            let world = world([1, 2, 3]).taking(leases);
            world.pipeline().plan("old", &[spec()]).await.unwrap();
            let gate = Gate::holding("create");
            let by_hand = paused_during(&world, (&gate, "create"), async |world| {
                reset(world).await;
                world.table.insert(4);
            });
            let by_hand = async {
                by_hand.await;
                if is_planned_before {
                    world.pipeline().plan("new", &[spec()]).await.unwrap();
                }
            };
            // The record is the first document that the copy creates.
            let (old, ()) = held_up_during(&gate, old_run(&world, &gate, "initial"), by_hand).await;
            assert!(
                !matches!(old, Ok(WindowOutcome::Committed(_))) || visible(&world) == [1, 2, 3, 4],
                "{old:?}"
            );
            world.pass(LEASE + CLOCK_MARGIN);
            world.run("after").await;
            assert_eq!(visible(&world), [1, 2, 3, 4], "planned before: {is_planned_before}");
            assert_eq!(world.watermark().as_deref(), Some("4"));
        }
    }
}

#[tokio::test]
async fn a_record_that_comes_after_the_window_was_given_up_is_passed_over() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = committed_once().await.taking(leases);
        grow(&world);
        world.pipeline().plan("old", &[spec()]).await.unwrap();
        let gate = Gate::holding("create");
        let by_hand = paused_during(&world, (&gate, "create"), async |world| {
            abandon(world, "from-3").await;
            world.table.insert(12);
        });
        let (old, ()) = held_up_during(&gate, old_run(&world, &gate, "from-3"), by_hand).await;
        drop(old);
        world.pass(LEASE + CLOCK_MARGIN);
        world.run("after").await;
        assert_eq!(visible(&world), [1, 2, 3, 4, 5, 9, 10, 11, 12]);
        assert_eq!(world.watermark().as_deref(), Some("12"));
    }
}

#[tokio::test]
async fn a_commit_of_a_window_that_was_given_up_meanwhile_writes_nothing_and_moves_no_watermark() {
    for leases in [Leases::Taken, Leases::Ignored] {
        for call in ["count", "stored"] {
            let world = world([1, 2, 3]).taking(leases);
            world.pipeline().plan("old", &[spec()]).await.unwrap();
            let gate = Gate::holding(call);
            let by_hand = paused_during(&world, (&gate, call), async |world| {
                reset(world).await;
                world.table.insert(4);
            });
            let (old, ()) = held_up_during(&gate, old_run(&world, &gate, "initial"), by_hand).await;
            assert_eq!(old.unwrap_err().code(), ErrorCode::InvalidInput, "{call}");
            assert_eq!(world.watermark(), None, "{call}");
            let is_manifest = |key: &String| key.ends_with("manifest.json") && !key.contains("_archive");
            assert!(!world.store.keys().iter().any(is_manifest), "{call}");
            world.pass(LEASE + CLOCK_MARGIN);
            world.run("after").await;
            assert_eq!(
                (world.watermark().as_deref(), visible(&world)),
                (Some("4"), vec![1, 2, 3, 4]),
                "{call}"
            );
        }
    }
}

#[tokio::test]
async fn a_manifest_that_comes_after_the_table_was_started_over_commits_nothing() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = world([1, 2, 3]).taking(leases);
        world.pipeline().plan("old", &[spec()]).await.unwrap();
        world.pipeline().copy_slice("old", &of_run("initial"), 0).await.unwrap();
        // The first document that the commit creates is what it leaves for the next window. The manifest follows.
        let gate = Gate::holding("create");
        let by_hand = paused_during(&world, (&gate, "create"), async |world| {
            reset(world).await;
            world.table.insert(4);
        });
        let (old, ()) = held_up_during(&gate, old_run(&world, &gate, "initial"), by_hand).await;
        assert_eq!(old.unwrap_err().code(), ErrorCode::InvalidInput);
        let manifest = world.ledger().keys().manifest(&window("initial"));
        assert!(world.store.body(&manifest).is_some(), "it came late");
        world.pass(LEASE + CLOCK_MARGIN);
        // Nothing of the table is taken for copied. The late manifest is in the place of the new plan's own, until a person
        // puts it aside.
        let error = world.pipeline().run("after", &[spec()]).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid);
        assert!(error.to_string().contains("tidemark give-up dbo.t --yes"), "{error}");
        assert_eq!((world.watermark(), visible(&world)), (None, vec![]));
        abandon(&world, "initial").await;
        world.run("again").await;
        assert_eq!(
            (world.watermark().as_deref(), visible(&world)),
            (Some("4"), vec![1, 2, 3, 4])
        );
    }
}

#[tokio::test]
async fn a_pointer_in_the_bucket_that_comes_after_the_table_was_started_over_is_not_stored() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = world([1, 2, 3]).taking(leases);
        let pointers = Pointers::new(world.place());
        world.pipeline().plan("old", &[spec()]).await.unwrap();
        let gate = Gate::holding("advance");
        let by_hand = paused_during(&world, (&gate, "advance"), async |world| {
            reset_with(world, &pointers).await;
            world.table.insert(4);
        });
        let (old, ()) = held_up_during(&gate, old_run_moving(&world, &pointers, &gate, "initial"), by_hand).await;
        assert_eq!(old.unwrap_err().code(), ErrorCode::InvalidInput);
        world.pass(LEASE + CLOCK_MARGIN);
        let mut pipeline = Pipeline {
            context: world.context.get(),
            ..pipeline_behind(&world.table, &world.table, &pointers, &world.store)
        };
        for committed in [1, 0] {
            let outcome = pipeline.run("after", &[spec()]).await.unwrap();
            assert_eq!(outcome.committed.len(), committed);
            assert_eq!(visible(&world), [1, 2, 3, 4]);
        }
    }
}

/// A control table holds a value and nothing else, so a late value looks like any other.
#[tokio::test]
async fn a_watermark_that_comes_after_the_table_was_started_over_is_reported() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = world([1, 2, 3]).taking(leases);
        world.pipeline().plan("old", &[spec()]).await.unwrap();
        let gate = Gate::holding("advance");
        let by_hand = paused_during(&world, (&gate, "advance"), async |world| {
            reset(world).await;
            world.table.insert(4);
        });
        let (old, ()) = held_up_during(&gate, old_run(&world, &gate, "initial"), by_hand).await;
        let error = old.unwrap_err();
        assert_eq!(error.code(), ErrorCode::WatermarkConflict);
        assert!(error.to_string().contains("tidemark reset dbo.t --yes"), "{error}");
        world.pass(LEASE + CLOCK_MARGIN);
        reset(&world).await;
        world.run("after").await;
        assert_eq!(visible(&world), [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn a_table_that_is_started_over_between_the_lookups_of_a_run_is_loaded_in_full() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = committed_once().await.taking(leases);
        grow(&world);
        let context = world.context.get();
        let request = LookupOldRequest {
            run_id: "old".into(),
            tables: vec![spec()],
            dry_run: false,
        };
        let old = lookup_old(&world.watermarks, world.place(), request, context).await;
        reset(&world).await;
        let request = LookupNewRequest {
            run_id: "old".into(),
            tables: old.unwrap().tables,
            dry_run: false,
        };
        let new = lookup_new(&world.table, world.place(), request, context).await.unwrap();
        for window in &new.windows {
            let error = old_run(&world, &Gate::default(), window.window.as_str())
                .await
                .unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
        }
        world.run("after").await;
        assert_eq!(visible(&world), [1, 2, 3, 4, 5, 9, 10, 11]);
    }
}

/// Starts the table over behind this gate.
async fn reset_behind(world: &World, gate: &Gate) -> Result<(), Error> {
    let (watermarks, store) = (Gated::new(gate, &world.watermarks), Gated::new(gate, &world.store));
    let ports = ArchivePorts {
        watermarks: &watermarks,
        place: Place::new(&store, PREFIX),
    };
    start_over(ports, &name(), world.context.get()).await.map(drop)
}

#[tokio::test]
async fn a_start_over_that_reads_for_longer_than_a_lease_keeps_every_run_off() {
    let world = committed_once().await.taking(Leases::Taken);
    grow(&world);
    let gate = Gate::holding("folders");
    let run = async {
        while !gate.calls().contains(&"folders") {
            tokio::task::yield_now().await;
        }
        world.pass(LEASE + CLOCK_MARGIN);
        world.run("meanwhile").await
    };
    let (done, outcome) = held_up_during(&gate, reset_behind(&world, &gate), run).await;
    done.unwrap();
    assert_eq!((outcome.committed.len(), outcome.left_alone.paused.len()), (0, 1));
    world.run("after").await;
    assert_eq!(visible(&world), [1, 2, 3, 4, 5, 9, 10, 11]);
}

#[tokio::test]
async fn a_start_over_whose_pause_somebody_ended_moves_nothing_away_under_a_run() {
    let world = committed_once().await.taking(Leases::Taken);
    grow(&world);
    let before = visible(&world);
    let gate = Gate::holding("folders");
    let run = async {
        while !gate.calls().contains(&"folders") {
            tokio::task::yield_now().await;
        }
        resume(world.place(), &name()).await.unwrap();
        world.pipeline().plan("meanwhile", &[spec()]).await.unwrap();
    };
    let (done, ()) = held_up_during(&gate, reset_behind(&world, &gate), run).await;
    assert_eq!(done.unwrap_err().code(), ErrorCode::SinkUnavailable);
    assert_eq!(visible(&world), before);
    let keys = world.store.keys();
    assert!(!keys.iter().any(|key| key.contains("/_archive/")), "{keys:?}");
}

#[tokio::test]
async fn what_a_plan_that_is_gone_left_for_the_next_window_goes_with_the_window_that_is_given_up() {
    for leases in [Leases::Taken, Leases::Ignored] {
        let world = committed_once().await.taking(leases);
        grow(&world);
        world.pipeline().plan("old", &[spec()]).await.unwrap();
        let left = "p/_ledger/dbo.t/from-11/previous.json";
        let own = world.store.body("p/_ledger/dbo.t/from-3/previous.json").unwrap();
        let mut previous: serde_json::Value = serde_json::from_slice(&own).unwrap();
        previous["window"] = "from-9".into();
        let stray = serde_json::to_vec(&previous).unwrap();
        world.store.create(left, stray.into()).await.unwrap();
        world.pass(LEASE + CLOCK_MARGIN);
        abandon(&world, "from-3").await;
        assert!(!world.store.keys().iter().any(|key| key == left));
        world.run("after").await;
        assert_eq!(visible(&world), [1, 2, 3, 4, 5, 9, 10, 11]);
    }
}

#[tokio::test]
async fn a_pointer_in_the_bucket_that_cannot_be_read_is_taken_away_with_its_ledger() {
    let world = world([1, 2, 3]).taking(Leases::Taken);
    let pointers = Pointers::new(world.place());
    world.run("r1").await;
    let key = "p/_ledger/dbo.t/watermark.json";
    world.store.create(key, "{".into()).await.unwrap();
    reset_with(&world, &pointers).await;
    let pointer = world.store.body(key).unwrap();
    let pointer: serde_json::Value = serde_json::from_slice(&pointer).unwrap();
    assert!(pointer["reset"]["archive"].is_string(), "{pointer}");
}

#[tokio::test]
async fn what_a_commit_that_died_wrote_for_loaders_and_for_the_next_window_goes_with_the_window_that_is_given_up() {
    let settings = || spec_with(serde_json::json!({ "loader_manifests": ["redshift", "symlink"] }));
    let set = committed_once().await.taking(Leases::Taken);
    grow(&set);
    let left = "p/_ledger/dbo.t/from-11/previous.json";
    let mut given_up = 0;
    for call in 0.. {
        let (world, gate) = (set.copied(), Gate::at(call, Fault::CrashBefore));
        run_of(&world, &gate, "died", u64::MAX, settings()).await;
        if !gate.was_reached() {
            break;
        }
        let keys = world.store.keys();
        if !keys.iter().any(|key| key == left) || keys.iter().any(|key| key.ends_with("from-3/manifest.json")) {
            continue;
        }
        world.pass(LEASE + CLOCK_MARGIN);
        abandon(&world, "from-3").await;
        let keys = world.store.keys();
        let stays = |key: &&String| !key.contains("/_archive/") && (key.contains("loader") || *key == left);
        assert!(!keys.iter().any(|key| stays(&key)), "{keys:?}");
        given_up += 1;
        world.table.insert(12);
        assert!(run_of(&world, &Gate::default(), "after", u64::MAX, settings()).await);
        assert_eq!(visible(&world), [1, 2, 3, 4, 5, 9, 10, 11, 12]);
    }
    assert!(given_up > 0);
}

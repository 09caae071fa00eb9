//! Commands of a person to a table, stopped or failed at every port call: repeated, they end as if they had never been
//! disturbed, and the run after them copies every row once.

use std::collections::{BTreeMap, BTreeSet};

use tidemark::error::ErrorCode;
use tidemark::ledger::{Decided, Place};
use tidemark::model::lease::{CLOCK_MARGIN, Keeper, LEASE, Leases};
use tidemark::model::table::TableSpec;
use tidemark::ports::objects::CompleteObjects;
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::backfill::{BackfillPorts, BackfillRequest, Range, plan_backfill};
use tidemark::steps::give_up::give_up;
use tidemark::steps::pause::{Pause, pause, resume};
use tidemark::steps::set_watermark::{set_watermark, watermark_to_set};
use tidemark::steps::start_over::start_over;
#[allow(
    unused_imports,
    reason = "the store in memory has these methods itself, the folder has them by this trait"
)]
use tidemark::testing::TestStore;
use tidemark::testing::faults::{Fault, Gate, Gated};
use tidemark::testing::pipeline::Pipeline;
use tidemark::testing::world::{PREFIX, name, of_run, pipeline_behind, spec, spec_with, window};

use crate::scenes::{committed_once, freeze_slices, grow};
use crate::{RUNS, World, world};

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByHand {
    StartsOver,
    GivesUp,
}

/// The visible parts with their content, every other key, and the pointer.
type Found = (BTreeMap<String, Vec<u8>>, Vec<String>, Option<String>);

impl ByHand {
    /// Makes a world with a committed window, and one after it that a run died in: one slice is uploaded, one visible
    /// already, and one not copied.
    async fn set() -> World {
        let world = committed_once().await.taking(Leases::Taken);
        grow(&world);
        freeze_slices(&world, None, 11).await;
        let (mut pipeline, window_of_run) = (world.pipeline(), of_run("from-3"));
        for slice in [0, 1, 2] {
            pipeline.copy_slice("died", &window_of_run, slice).await.unwrap();
        }
        let plan = world.ledger().existing_plan(&window("from-3")).await.unwrap();
        let decided = world.ledger().decided(&plan, &0.into()).await.unwrap();
        let Decided::Record(record) = decided else {
            panic!("slice 0 is copied")
        };
        world.store.complete(record.upload().unwrap()).await.unwrap();
        // The lease of the run that died expires.
        world.pass(LEASE + CLOCK_MARGIN);
        world
    }

    async fn once(self, world: &World, gate: &Gate) -> bool {
        let (watermarks, store) = (Gated::new(gate, &world.watermarks), Gated::new(gate, &world.store));
        let (watermarks, store, prefix, context) = (&watermarks, &store, PREFIX, world.context.get());
        let error = match self {
            Self::StartsOver => {
                let ports = ArchivePorts {
                    watermarks,
                    place: Place::new(store, prefix),
                };
                start_over(ports, &name(), context).await.err()
            }
            Self::GivesUp => {
                let ports = ArchivePorts {
                    watermarks,
                    place: Place::new(store, prefix),
                };
                give_up(ports, &name(), None, context).await.err()
            }
        };
        // There is nothing to give up any more.
        error.is_none_or(|error| error.code() == ErrorCode::InvalidInput)
    }

    /// Runs the table, and returns what is there then.
    async fn run(world: &World) -> Found {
        world.run("after").await;
        let (archived, others): (Vec<_>, Vec<_>) = world
            .store
            .keys()
            .into_iter()
            .partition(|key| key.contains("/_archive/"));
        let (parts, documents): (Vec<_>, Vec<_>) = others.into_iter().partition(|key| key.contains("/part-"));
        let parts = parts.into_iter().map(|key| {
            let body = world.store.body(&key).unwrap().to_vec();
            (key, body)
        });
        // Who repeats a command that was done archives nothing but its hold, in a second folder.
        let archived = archived.into_iter().map(|key| key.replace("Z-2/", "Z/"));
        let archived: BTreeSet<String> = archived.collect();
        let keys = archived.into_iter().chain(documents).collect();
        (parts.collect(), keys, world.watermark())
    }
}

fn rows(parts: &BTreeMap<String, Vec<u8>>) -> Vec<i64> {
    let mut rows: Vec<i64> = Vec::new();
    for body in parts.values() {
        let text = std::str::from_utf8(body).unwrap();
        rows.extend(text.lines().map(|line| line.parse::<i64>().unwrap()));
    }
    rows.sort_unstable();
    rows
}

async fn disturbed_at_every_call(by_hand: ByHand) -> usize {
    let set = ByHand::set().await;
    let world = set.copied();
    assert!(by_hand.once(&world, &Gate::default()).await);
    assert_eq!(world.store.pending_uploads(), 0);
    let expected = ByHand::run(&world).await;
    assert_eq!(rows(&expected.0), [1, 2, 3, 4, 5, 9, 10, 11], "every row once");
    let before = set.store.keys();
    // Nothing is gone: what a person moved is in the archive.
    let is_kept = |key: &String| {
        let name = key.rsplit_once("dbo.t/").map_or(key.as_str(), |(_, rest)| rest);
        key.ends_with("lease.json")
            || expected.1.iter().any(|kept| kept.ends_with(name))
            || expected.0.contains_key(key)
    };
    assert!(before.iter().all(is_kept), "{before:?}");
    let mut cases = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let world = set.copied();
            let gate = Gate::at(call, fault);
            let done = by_hand.once(&world, &gate).await;
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            cases += 1;
            // A run in between works on nothing that is half done: it leaves the table alone, or finds it as it was.
            let between = world.pipeline().run("between", &[spec()]).await.unwrap();
            assert!(between.failed.is_empty(), "{case}: {:?}", between.failed);
            let mut tries = 0;
            while !by_hand.once(&world, &Gate::default()).await {
                tries += 1;
                assert!(tries < RUNS, "{case}: it does not get through");
            }
            assert_eq!(world.store.pending_uploads(), 0, "{case}");
            let found = ByHand::run(&world).await;
            if between.committed.is_empty() {
                assert_eq!(found, expected, "{case}");
            } else {
                assert_eq!(rows(&found.0), rows(&expected.0), "{case}");
            }
        }
    }
    cases
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_started_over_keeps_everything_in_the_archive_wherever_it_was_disturbed() {
    assert!(disturbed_at_every_call(ByHand::StartsOver).await > 60);
}

#[tokio::test(start_paused = true)]
async fn what_two_start_overs_of_the_same_second_archive_is_in_two_folders() {
    let world = committed_once().await.taking(Leases::Taken);
    let visible = |world: &World| {
        let keys = world.store.keys().into_iter();
        keys.filter(|key| key.contains("/part-")).count()
    };
    let first = visible(&world);
    assert!(ByHand::StartsOver.once(&world, &Gate::default()).await);
    world.run("loaded again").await;
    let second = visible(&world);
    assert!(second > first);
    assert!(ByHand::StartsOver.once(&world, &Gate::default()).await);
    assert_eq!(visible(&world), second, "nothing is replaced: {:?}", world.store.keys());
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_given_up_is_planned_anew_wherever_the_giving_up_was_disturbed() {
    assert!(disturbed_at_every_call(ByHand::GivesUp).await > 40);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_resumed_is_copied_wherever_the_resuming_was_disturbed() {
    let set = ByHand::set().await;
    let by = Pause {
        by: "operator".into(),
        reason: None,
    };
    pause(Place::new(&set.store, PREFIX), &name(), by, set.context.get())
        .await
        .unwrap();
    let mut cases = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let (world, gate) = (set.copied(), Gate::at(call, fault));
            let done = resume(Place::new(&Gated::new(&gate, &world.store), PREFIX), &name())
                .await
                .is_ok();
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            cases += 1;
            let between = world.pipeline().run("between", &[spec()]).await.unwrap();
            let (committed, paused) = (between.committed.len(), between.left_alone.paused.len());
            assert_eq!(committed + paused, 1, "{case}: {:?}", between.failed);
            assert!(paused == 0 || !done, "{case}: what is done is done");
            resume(world.place(), &name()).await.unwrap();
            let (parts, ..) = ByHand::run(&world).await;
            assert_eq!(rows(&parts), [1, 2, 3, 4, 5, 9, 10, 11], "{case}");
        }
    }
    assert!(cases > 8, "{cases}");
}

/// Sets the pointer to the end of a window. Returns whether that is done.
async fn set_pointer(world: &World, gate: &Gate, to: &str) -> bool {
    let (watermarks, store) = (Gated::new(gate, &world.watermarks), Gated::new(gate, &world.store));
    match watermark_to_set(&watermarks, Place::new(&store, PREFIX), &name(), &window(to)).await {
        Ok(to_set) => set_watermark(&watermarks, &to_set).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_pointer_that_somebody_moved_is_set_back_wherever_the_setting_was_disturbed() {
    let set = committed_once().await;
    set.table.insert(4);
    set.run("second").await;
    // Somebody stores a value that no window ends with.
    set.watermarks.set(&name(), Some("100"));
    for other in ["from-4", "backfill-1"] {
        assert!(
            !set_pointer(&set, &Gate::default(), other).await,
            "{other} is not committed"
        );
    }
    let mut cases = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let (world, gate) = (set.copied(), Gate::at(call, fault));
            let done = set_pointer(&world, &gate, "from-3").await;
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            cases += 1;
            let mut tries = 0;
            while !set_pointer(&world, &Gate::default(), "from-3").await {
                tries += 1;
                assert!(tries < RUNS, "{case}: it does not get through");
            }
            assert_eq!(world.watermark().as_deref(), Some("4"), "{case}");
            world.table.insert(5);
            world.run("after").await;
            assert_eq!(
                (world.watermark().as_deref(), world.lines()),
                (Some("5"), vec![1, 2, 3, 4, 5]),
                "{case}"
            );
        }
    }
    assert!(cases > 8, "{cases}");
}

/// Copies an interval again, and commits it.
async fn backfill(world: &World, gate: &Gate) -> bool {
    backfill_of(world, gate, spec()).await
}

/// Copies the interval again with other settings of the table.
async fn backfill_of(world: &World, gate: &Gate, spec: TableSpec) -> bool {
    let (source, store) = (Gated::new(gate, &world.table), Gated::new(gate, &world.store));
    let watermarks = Gated::new(gate, &world.watermarks);
    let ports = BackfillPorts {
        source: &source,
        watermarks: &watermarks,
        place: Place::new(&store, PREFIX),
    };
    let request = BackfillRequest {
        run_id: "again".into(),
        spec,
        range: Range::Between {
            from: "2".into(),
            includes_from: true,
            to: Some("4".into()),
        },
        dry_run: false,
    };
    let Ok(planned) = plan_backfill(ports, request, world.context.get()).await else {
        return false;
    };
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&source, Gated::new(gate, &world.table), &watermarks, &store)
    };
    let window = of_run(planned.window.as_str());
    pipeline
        .copy_window("again", &window, planned.plan.slices.len())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_backfill_disturbed_at_any_port_call_ends_as_an_undisturbed_one_and_moves_no_watermark() {
    let set = world([1, 2, 4]);
    set.run("before").await;
    // The row was committed after the window was copied, or changed without its watermark.
    set.table.insert(3);
    let found = async |world: &World| {
        let manifest = world.ledger().manifest(&window("backfill-1")).await.unwrap();
        let manifest = manifest.map(|manifest| (manifest.rows, manifest.replaces, manifest.parts.len()));
        (world.lines(), world.watermark(), manifest, world.parts())
    };
    let world = set.copied();
    assert!(backfill(&world, &Gate::default()).await);
    let expected = found(&world).await;
    assert_eq!(
        expected.0,
        [1, 2, 2, 3, 4, 4],
        "the files of the window before are left as they are"
    );
    assert_eq!(expected.1.as_deref(), Some("4"));
    let (rows, replaces, _) = expected.2.clone().unwrap();
    let replaces = replaces.unwrap();
    assert_eq!(
        (rows, replaces.column.as_str(), replaces.through.as_str()),
        (3, "v", "initial")
    );
    for fault in Fault::ALL {
        for call in 0.. {
            let world = set.copied();
            let gate = Gate::at(call, fault);
            let done = backfill(&world, &gate).await;
            let case = format!("{fault:?} at call {call} {:?}", gate.calls().last());
            if !gate.was_reached() {
                assert!(done);
                break;
            }
            if !done {
                assert!(backfill(&world, &Gate::default()).await, "{case}");
            }
            let now = found(&world).await;
            if now.3.iter().any(|key| key.contains("backfill-2")) {
                // The backfill was committed and its answer lost. Asked for again, it is copied once more and replaces
                // the first.
                assert_eq!((&now.1, &now.2), (&expected.1, &expected.2), "{case}");
            } else {
                assert_eq!(now, expected, "{case}");
            }
        }
    }
    // The chain goes on where it was.
    world.table.insert(5);
    world.run("next").await;
    assert_eq!(world.lines(), [1, 2, 2, 3, 4, 4, 5]);
    world.watermarks.set(&name(), None);
    world.run("rebuilt").await;
    assert_eq!(world.watermark().as_deref(), Some("5"));
}

#[tokio::test]
async fn nobody_moves_a_table_away_under_a_run_that_copies_it() {
    for by_hand in [ByHand::StartsOver, ByHand::GivesUp] {
        let world = committed_once().await.taking(Leases::Taken);
        grow(&world);
        freeze_slices(&world, None, 11).await;
        world
            .pipeline()
            .copy_slice("at work", &of_run("from-3"), 0)
            .await
            .unwrap();
        let before = world.store.keys();
        assert!(!by_hand.once(&world, &Gate::default()).await, "{by_hand:?}");
        assert_eq!(world.store.keys(), before, "{by_hand:?}");
    }
}

#[tokio::test]
async fn a_table_that_a_person_paused_stays_paused_when_it_is_started_over() {
    let world = committed_once().await.taking(Leases::Taken);
    world
        .lease("somebody")
        .pause(world.context.get().now, None)
        .await
        .unwrap();
    assert!(ByHand::StartsOver.once(&world, &Gate::default()).await);
    let outcome = world.run("after").await;
    assert_eq!((outcome.committed.len(), outcome.left_alone.paused.len()), (0, 1));
    assert_eq!(outcome.left_alone.paused[0].by, "somebody");
}

#[tokio::test]
async fn a_giving_up_that_is_refused_leaves_the_pause_of_a_start_over_that_did_not_end() {
    let set = ByHand::set().await;
    let mut refused = 0;
    for call in 0.. {
        let (world, gate) = (set.copied(), Gate::at(call, Fault::CrashBefore));
        ByHand::StartsOver.once(&world, &gate).await;
        if !gate.was_reached() {
            break;
        }
        let now = world.context.get().now;
        let kept_by = world.lease("a run").keeper(now).await.unwrap();
        let Some(Keeper::Paused { reason, .. }) = &kept_by else {
            continue;
        };
        let told = reason
            .as_deref()
            .is_some_and(|reason| reason.contains("`tidemark reset dbo.t --yes`"));
        assert!(told, "call {call}: {reason:?}");
        if world.ledger().hold().await.unwrap().is_none() {
            continue;
        }
        let ports = ArchivePorts {
            watermarks: &world.watermarks,
            place: world.place(),
        };
        let error = give_up(ports, &name(), Some(window("from-3")), world.context.get()).await;
        assert!(error.unwrap_err().to_string().contains("tidemark reset"), "call {call}");
        assert_eq!(world.lease("a run").keeper(now).await.unwrap(), kept_by, "call {call}");
        refused += 1;
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn a_backfill_with_an_audit_that_was_interrupted_is_found_again() {
    let world = world([1, 2, 4]);
    let audited = || spec_with(serde_json::json!({ "audit": true }));
    world.pipeline().run("before", &[audited()]).await.unwrap();
    for call in 0..60 {
        let gate = Gate::at(call, Fault::CrashBefore);
        assert!(!backfill_of(&world, &gate, audited()).await, "call {call}");
        let keys = world.store.keys();
        if keys.iter().any(|key| key.ends_with("backfill-1/plan.json")) {
            break;
        }
    }
    world.pass(LEASE);
    assert!(backfill_of(&world, &Gate::default(), audited()).await);
    let keys = world.store.keys();
    assert!(
        keys.iter().any(|key| key.ends_with("backfill-1/manifest.json")),
        "{keys:?}"
    );
    assert!(!keys.iter().any(|key| key.contains("backfill-2")), "{keys:?}");
}

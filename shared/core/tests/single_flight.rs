//! One run at a time for each table: leases taken, found taken, renewed, lost, given back and expired.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tidemark::error::{Error, ErrorCode};
use tidemark::ledger::{Lease, Ledger, Place, Taken};
use tidemark::model::lease::{CLOCK_MARGIN, Keeper, LEASE, Leases, RENEWED_EVERY};
use tidemark::model::left_alone::{BusyTable, PausedTable};
use tidemark::model::metric::Metric;
use tidemark::model::moment::Moment;
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::ports::objects::{CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced};
use tidemark::ports::sink_table::NoSinks;
use tidemark::steps::context::Measured;
use tidemark::steps::report_failed::{ReportFailedRequest, report_failed};
use tidemark::testing::faults::{Fault, Gate, Gated, seeds};
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark::testing::world::{PREFIX, World, name, of_run, pipeline_behind, spec, spec_with};
use tidemark::testing::{MemoryFiles, MemoryStore};

/// Makes a world with rows for a window of three slices.
fn world() -> World {
    World::new(1..=6).taking(Leases::Taken)
}

fn sliced() -> TableSpec {
    spec_with(json!({ "slice_rows": 2 }))
}

async fn run(world: &World, gate: &Gate, run_id: &str) -> Result<RunOutcome, Error> {
    let (source, store) = (Gated::new(gate, &world.table), Gated::new(gate, &world.store));
    let watermarks = Gated::new(gate, &world.watermarks);
    let mut pipeline = Pipeline {
        context: world.context.get(),
        ..pipeline_behind(&source, Gated::new(gate, &world.table), &watermarks, &store)
    };
    pipeline.run(run_id, &[sliced()]).await
}

fn reads(gates: &[&Gate]) -> usize {
    let calls = gates.iter().flat_map(|gate| gate.calls());
    calls.filter(|call| *call == "read").count()
}

/// Returns the keeper in the document of the lease.
fn keeper(world: &World) -> Option<Keeper> {
    let body = world.store.body("p/_ledger/dbo.t/lease.json").unwrap();
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&document["table"], &document["version"]), (&json!("dbo.t"), &json!(1)));
    serde_json::from_value(document["keeper"].clone()).unwrap()
}

#[tokio::test]
async fn two_runs_over_a_slow_source_read_each_slice_once_and_the_second_reports_the_table_as_busy() {
    let world = world();
    let (slow, second) = (Gate::waiting(1).held_up_at("read", 2_000), Gate::waiting(2));
    let (first, second) = tokio::join!(run(&world, &slow, "first"), async {
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
        let outcome = run(&world, &second, "second").await.unwrap();
        assert_eq!(reads(&[&second]), 0);
        outcome
    });
    assert_eq!(first.unwrap().committed.len(), 1);
    let until = Moment::of(world.context.get().now + LEASE);
    let busy = BusyTable {
        table: name(),
        run_id: "first".into(),
        until,
    };
    assert_eq!(
        (second.left_alone.busy, second.committed.len(), second.failed.len()),
        (vec![busy], 0, 0)
    );
    assert_eq!(reads(&[&slow]), 3);
    assert_eq!(keeper(&world), None, "given back at the end");
    assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn runs_that_meet_at_any_call_read_each_slice_once() {
    let mut busy = 0;
    for seed in 1..=seeds(std::env::var("SOAK_SEEDS").ok()) {
        let world = world();
        let gates = [seed, seed << 32 | 7, seed << 16 | 3].map(Gate::waiting);
        let [one, other, third] = &gates;
        let outcomes = tokio::join!(run(&world, one, "a"), run(&world, other, "b"), run(&world, third, "c"));
        for outcome in [outcomes.0, outcomes.1, outcomes.2] {
            let outcome = outcome.unwrap();
            assert!(outcome.failed.is_empty(), "seed {seed}: {:?}", outcome.failed);
            busy += outcome.left_alone.busy.len();
        }
        assert_eq!(reads(&[one, other, third]), 3, "seed {seed}");
        assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(keeper(&world), None, "seed {seed}");
    }
    assert!(busy > 100, "{busy}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_dies_at_any_call_delays_the_table_by_one_lease_at_most() {
    let mut delayed = 0;
    for call in 0.. {
        let world = world();
        let gate = Gate::at(call, Fault::CrashAfter);
        drop(run(&world, &gate, "dead").await);
        if !gate.was_reached() {
            break;
        }
        let begins = world.context.get().now;
        for wait in [
            Duration::ZERO,
            LEASE + CLOCK_MARGIN - Duration::from_secs(1),
            Duration::from_secs(1),
        ] {
            world.pass(wait);
            let outcome = run(&world, &Gate::default(), "next").await.unwrap();
            if outcome.left_alone.busy.is_empty() {
                break;
            }
            assert_eq!(outcome.left_alone.busy[0].run_id, "dead", "call {call}");
            delayed += 1;
        }
        assert!(world.context.get().now - begins <= LEASE + CLOCK_MARGIN);
        assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>(), "call {call}");
        assert_eq!(world.watermark().as_deref(), Some("6"), "call {call}");
    }
    assert!(delayed > 40, "{delayed}");
}

#[tokio::test]
async fn an_idle_run_has_no_lease() {
    let world = world();
    run(&world, &Gate::default(), "first").await.unwrap();
    let (idle, without) = (Gate::default(), Gate::default());
    run(&world, &idle, "idle").await.unwrap();
    let world = world.taking(Leases::Ignored);
    run(&world, &without, "without").await.unwrap();
    assert_eq!(idle.calls(), without.calls());
}

#[tokio::test]
async fn a_run_takes_a_lease_and_gives_it_back_in_few_calls() {
    let calls = async |leases| {
        let world = world().taking(leases);
        // The document exists, as it does after any first run.
        world.lease("before").take(world.context.get().now).await.unwrap();
        world.lease("before").give_back().await.unwrap();
        let gate = Gate::default();
        run(&world, &gate, "run").await.unwrap();
        gate.calls().len()
    };
    let (with, without) = (calls(Leases::Taken).await, calls(Leases::Ignored).await);
    // The lease is taken by the lookup, looked at by three slices and by the commit, and given back.
    assert_eq!(with - without, 2 + 3 + 1 + 2);
}

#[tokio::test]
async fn a_step_that_is_tried_again_finds_the_lease_of_its_own_run() {
    let world = world();
    let mut pipeline = world.pipeline();
    for _ in 0..2 {
        let planned = pipeline.plan("run", &[sliced()]).await.unwrap();
        assert_eq!((planned.windows.len(), planned.left_alone.busy.len()), (1, 0));
    }
    for _ in 0..2 {
        pipeline.copy_slice("run", &of_run("initial"), 0).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_that_fails_keeps_the_lease_for_the_other_slices_until_the_failure_is_reported() {
    for fault in [Fault::CrashBefore, Fault::FailsOnce] {
        let world = world();
        world.pipeline().plan("run", &[sliced()]).await.unwrap();
        let gate = Gate::at(0, fault);
        let mut pipeline = Pipeline {
            context: world.context.get(),
            ..Pipeline::new(
                &world.table,
                Gated::new(&gate, &world.table),
                &world.watermarks,
                Place::new(&world.store, PREFIX),
                MemoryFiles,
                NoSinks::default(),
            )
        };
        let copied = pipeline.copy_slice("run", &of_run("initial"), 0).await;
        assert!(copied.is_err());
        assert!(keeper(&world).is_some(), "{fault:?}");
        let request = ReportFailedRequest {
            run_id: "run".into(),
            failed: vec![name()],
            leases: Vec::new(),
        };
        report_failed(world.place(), request, world.context.get()).await;
        assert_eq!(keeper(&world), None, "{fault:?}");
    }
}

/// Returns the lease of a table that waits while a run copies another one.
fn waiting<'a>(world: &'a World, run_id: &'a str, table: &'a ObjectName) -> Lease<'a, MemoryStore> {
    Lease::new(&Ledger::new(world.place(), table), run_id, Leases::Taken)
}

#[tokio::test(start_paused = true)]
async fn a_table_that_waits_for_its_turn_is_kept_for_as_long_as_its_run_copies_others() {
    let (world, queued) = (world(), "dbo.queued".parse().unwrap());
    let now = world.context.get().now;
    let (copied, queued) = (world.lease("long"), |run_id| waiting(&world, run_id, &queued));
    assert_eq!(copied.take(now).await.unwrap(), Taken::Ours);
    assert_eq!(queued("long").take(now).await.unwrap(), Taken::Ours);
    let hours = Duration::from_secs(3 * 3600);
    let work = async {
        tokio::time::sleep(hours).await;
        let taken = queued("other").take(now + hours).await.unwrap();
        let Taken::KeptBy(Keeper::Run { run_id, until }) = taken else {
            panic!("{taken:?}")
        };
        assert!(run_id == "long" && until.time() > now + hours, "{until}");
    };
    copied.renewed_during(now, work).await;
    // The table's turn comes, and its run takes what it had.
    assert_eq!(queued("long").take(now + hours).await.unwrap(), Taken::Ours);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_waits_for_a_run_that_died_is_delayed_by_one_lease() {
    let (world, queued) = (world(), "dbo.queued".parse().unwrap());
    let now = world.context.get().now;
    let (copied, queued) = (world.lease("dead"), |run_id| waiting(&world, run_id, &queued));
    assert_eq!(copied.take(now).await.unwrap(), Taken::Ours);
    assert_eq!(queued("dead").take(now).await.unwrap(), Taken::Ours);
    let hour = Duration::from_secs(3600);
    copied.renewed_during(now, tokio::time::sleep(hour)).await;
    // The run dies here.
    let last = now + hour + LEASE + CLOCK_MARGIN;
    let before = last - RENEWED_EVERY * 2;
    assert!(matches!(queued("other").take(before).await.unwrap(), Taken::KeptBy(_)));
    assert_eq!(queued("other").take(last).await.unwrap(), Taken::Ours);
}

#[tokio::test]
async fn slices_that_are_short_keep_the_tables_that_wait_as_well() {
    let (world, queued) = (world(), "dbo.queued".parse().unwrap());
    let now = world.context.get().now;
    assert_eq!(waiting(&world, "long", &queued).take(now).await.unwrap(), Taken::Ours);
    for minute in (0..60).map(|minute| Duration::from_secs(60 * minute)) {
        assert_eq!(world.lease("long").take(now + minute).await.unwrap(), Taken::Ours);
        let other = waiting(&world, "other", &queued).keeper(now + minute).await.unwrap();
        assert!(other.is_some(), "{minute:?}");
    }
}

#[tokio::test]
async fn the_lease_of_a_run_is_not_written_by_a_run_that_is_short() {
    let world = world();
    world.run("short").await;
    assert!(!world.store.keys().iter().any(|key| key.contains("_runs/")));
}

#[tokio::test]
async fn a_table_that_fails_in_the_lookups_keeps_no_lease() {
    let world = world();
    // The window is frozen with another condition than that of the next run.
    world.pipeline().plan("run", &[sliced()]).await.unwrap();
    let other = spec_with(json!({ "where": "v > 1" }));
    let planned = world.pipeline().plan("run", &[other]).await.unwrap();
    assert_eq!(planned.failed[0].error, ErrorCode::InvalidInput);
    assert_eq!(keeper(&world), None);
}

#[tokio::test]
async fn a_lease_that_was_lost_leaves_the_window_to_who_has_it() {
    let world = world();
    let mut first = world.pipeline();
    first.plan("first", &[sliced()]).await.unwrap();
    first.copy_slice("first", &of_run("initial"), 0).await.unwrap();
    world.pass(LEASE + CLOCK_MARGIN);
    // The first run was not heard of for so long that another one goes on.
    world.pipeline().plan("second", &[sliced()]).await.unwrap();
    let outcome = Pipeline {
        context: world.context.get(),
        ..first
    }
    .copy_window("first", &of_run("initial"), 3)
    .await
    .unwrap();
    let outcome = format!("{outcome:?}");
    assert!(outcome.contains("Busy") && outcome.contains("second"), "{outcome}");
    // Nothing was read of the slices that were left.
    assert_eq!(
        world.store.keys().iter().filter(|key| key.contains("record-")).count(),
        1
    );
    assert_eq!(world.run("second").await.committed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_the_work_goes_on() {
    let world = world();
    let now = world.context.get().now;
    let (ours, other) = (world.lease("ours"), world.lease("other"));
    assert_eq!(ours.take(now).await.unwrap(), Taken::Ours);
    let work = async {
        for minute in 1..=14 {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let at = now + Duration::from_secs(60 * minute);
            // At any moment, more of the lease is left than any retrier waits.
            let later = at + Duration::from_secs(120);
            assert!(other.keeper(later).await.unwrap().is_some(), "minute {minute}");
        }
        "done"
    };
    assert_eq!(ours.renewed_during(now, work).await, "done");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_given_back_is_not_taken_again_by_a_copy_in_flight() {
    let world = world();
    let now = world.context.get().now;
    let ours = world.lease("ours");
    assert_eq!(ours.take(now).await.unwrap(), Taken::Ours);
    let work = async {
        ours.give_back().await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
    };
    ours.renewed_during(now, work).await;
    assert_eq!(keeper(&world), None);
}

#[tokio::test]
async fn the_wait_of_a_window_belongs_to_its_lease() {
    let world = world();
    let tracking = json!({"watermark": {"column": "v", "settle_seconds": 3_600}});
    let waits = spec_with(json!({ "tracking": tracking }));
    world.pipeline().plan("run", &[waits]).await.unwrap();
    world.pass(Duration::from_secs(3_600));
    let outcome = world.run("other").await;
    assert_eq!(outcome.left_alone.busy[0].run_id, "run");
    world.pass(LEASE + CLOCK_MARGIN);
    assert_eq!(world.run("other").await.committed.len(), 1);
}

#[tokio::test]
async fn a_paused_table_is_left_alone_until_it_is_resumed() {
    let world = world();
    let now = world.context.get().now;
    let operator = world.lease("operator");
    operator
        .pause(now, Some("moves to another server".into()))
        .await
        .unwrap();
    world.pass(LEASE * 1_000);
    let gate = Gate::default();
    let outcome = run(&world, &gate, "run").await.unwrap();
    let paused = PausedTable {
        table: name(),
        by: "operator".into(),
        since: Moment::of(now),
        reason: Some("moves to another server".into()),
    };
    assert_eq!((outcome.left_alone.paused, outcome.committed.len()), (vec![paused], 0));
    assert!(world.store.keys().iter().all(|key| !key.ends_with("plan.json")));
    assert!(operator.resume().await.unwrap());
    assert!(!operator.resume().await.unwrap(), "it is resumed already");
    assert_eq!(run(&world, &gate, "run").await.unwrap().committed.len(), 1);
}

#[tokio::test]
async fn a_paused_table_whose_source_is_gone_has_not_failed() {
    let world = world();
    world
        .lease("operator")
        .pause(world.context.get().now, None)
        .await
        .unwrap();
    let gone = spec_with(json!({"tracking": {"watermark": {"column": "gone"}}}));
    let outcome = world.pipeline().run("run", std::slice::from_ref(&gone)).await.unwrap();
    assert_eq!((outcome.failed.len(), outcome.left_alone.paused.len()), (0, 1));
    world.lease("operator").resume().await.unwrap();
    assert_eq!(world.pipeline().run("run", &[gone]).await.unwrap().failed.len(), 1);
}

#[tokio::test]
async fn a_run_that_is_paused_in_the_middle_goes_no_further() {
    let world = world();
    let mut pipeline = world.pipeline();
    pipeline.plan("run", &[sliced()]).await.unwrap();
    pipeline.copy_slice("run", &of_run("initial"), 0).await.unwrap();
    world
        .lease("operator")
        .pause(world.context.get().now, None)
        .await
        .unwrap();
    let outcome = pipeline.copy_window("run", &of_run("initial"), 3).await.unwrap();
    assert!(format!("{outcome:?}").contains("Paused"), "{outcome:?}");
    world.lease("operator").resume().await.unwrap();
    assert_eq!(world.run("next").await.committed.len(), 1);
    assert_eq!(world.lines(), (1..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lease_that_is_none_is_refused_by_its_key() {
    let world = world();
    for body in ["{", r#"{"version": 1, "table": "dbo.other", "keeper": null}"#] {
        world.store.overwrite("p/_ledger/dbo.t/lease.json", body.into());
        let outcome = world.pipeline().run("run", &[spec()]).await.unwrap();
        let failed = &outcome.failed[0];
        assert_eq!(failed.error, ErrorCode::LedgerInvalid);
        assert!(failed.cause.contains("p/_ledger/dbo.t/lease.json"), "{failed:?}");
        assert!(failed.cause.contains("delete it"), "{failed:?}");
    }
}

/// A bucket that takes every write, as object stores do that do not know conditions.
struct Careless {
    store: MemoryStore,
    creates: bool,
}

impl ReadObjects for Careless {
    fn address(&self, key: &str) -> String {
        self.store.address(key)
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, Error> {
        self.store.get(key).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        self.store.size(key).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.store.folders(prefix).await
    }
}

impl CreateObjects for Careless {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created, Error> {
        if self.creates {
            return self.store.create(key, body).await;
        }
        self.store.overwrite(key, body);
        Ok(Created::Created)
    }
}

impl ReplaceObjects for Careless {
    async fn replace(&self, key: &str, body: Bytes, _expected: &str) -> Result<Replaced, Error> {
        self.store.overwrite(key, body);
        Ok(Replaced::Replaced)
    }
}

#[tokio::test]
async fn a_bucket_that_ignores_conditions_is_refused_at_the_first_run_of_a_table() {
    for (creates, ignored) in [(false, "If-None-Match"), (true, "If-Match")] {
        let store = Careless {
            store: MemoryStore::default(),
            creates,
        };
        let (table, now) = (name(), world().context.get().now);
        let ledger = Ledger::new(Place::new(&store, PREFIX), &table);
        let error = Lease::new(&ledger, "run", Leases::Taken).take(now).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SinkRejected);
        assert!(error.to_string().contains(&format!("ignores {ignored}")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_fails_for_every_table_after_it_took_their_leases_gives_them_back() {
    let mut failed = 0;
    for call in 0.. {
        let (world, gate) = (world(), Gate::at(call, Fault::FailsOnce));
        let store = Gated::new(&gate, &world.store);
        let pipeline = Pipeline {
            context: world.context.get(),
            ..pipeline_behind(&world.table, &world.table, &world.watermarks, &store)
        };
        let planned = pipeline.plan("run", &[sliced()]).await;
        if !gate.was_reached() {
            break;
        }
        if planned.is_err() && world.store.body("p/_ledger/dbo.t/lease.json").is_some() {
            assert_eq!(keeper(&world), None, "call {call}: {:?}", gate.calls());
            failed += 1;
        }
    }
    assert!(failed > 0);
}

/// Tries what the state machine does at the end of a run in which tables failed.
#[tokio::test]
async fn the_leases_of_tables_that_failed_are_given_back_and_those_of_others_are_not() {
    for (holder, is_given_back) in [("run", true), ("other", false)] {
        let world = world();
        let context = world.context.get();
        assert_eq!(world.lease(holder).take(context.now).await.unwrap(), Taken::Ours);
        let failed = vec![name(), "dbo.without_lease".parse().unwrap()];
        let request = ReportFailedRequest {
            run_id: "run".into(),
            failed: failed.clone(),
            leases: Vec::new(),
        };
        let reported = report_failed(world.place(), request, context).await;
        assert_eq!(reported.reported, 2);
        // Each table counts for itself, and all of them for the stack.
        let measured = reported.metrics();
        let tables: Vec<_> = measured.iter().map(|measured| measured.table.clone()).collect();
        assert_eq!(tables, failed.into_iter().map(Some).collect::<Vec<_>>());
        assert!(
            measured
                .iter()
                .all(|measured| measured.metrics == [Metric::TablesFailed(1)])
        );
        assert_eq!(keeper(&world).is_none(), is_given_back, "{holder}");
    }
}

/// Tries what the state machine does when what the tables of a run report does not fit a payload.
#[tokio::test]
async fn the_leases_of_tables_that_may_have_been_committed_are_given_back_and_nobody_counts_them_as_failed() {
    let world = world();
    let context = world.context.get();
    assert_eq!(world.lease("run").take(context.now).await.unwrap(), Taken::Ours);
    let request = ReportFailedRequest {
        run_id: "run".into(),
        failed: Vec::new(),
        leases: vec![name()],
    };
    let reported = report_failed(world.place(), request, context).await;
    assert_eq!((reported.reported, reported.metrics()), (0, Vec::new()));
    assert_eq!(keeper(&world), None);
}

//! Runs that are interrupted, or die: the next one goes on, and every row is there once.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::{Done, SCRIPT, World};

/// Makes a world whose table has a first load of five files.
fn world(settle_seconds: u32) -> World {
    let rows: Vec<String> = (1..=200)
        .map(|id| format!("({id}, '2020-01-01T00:00:00.{:03}')", id))
        .collect();
    let world = World::new(&format!(
        "CREATE TABLE t (id int NOT NULL PRIMARY KEY, at datetime2(3) NOT NULL);
         CREATE INDEX i ON t (at);
         INSERT t VALUES {}",
        rows.join(", ")
    ));
    let tracking = json!({"watermark": {"column": "at", "settle_seconds": settle_seconds}});
    world.tables(&json!([{"table": "t", "tracking": tracking, "format": "csv", "slice_rows": 40}]));
    world
}

fn ids(world: &World) -> Vec<u32> {
    let lines = world.lines("dbo.t");
    let mut ids: Vec<u32> = lines
        .iter()
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn started(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn an_interrupted_run_says_what_happens_next_and_the_next_one_does_it() {
    for signal in [Signal::INT, Signal::HUP] {
        interrupted_by(signal);
    }
}

fn interrupted_by(signal: Signal) {
    let world = world(30);
    let child = started(&world, &["run"]);
    let plan = world.lake().join("_ledger/dbo.t/initial/plan.json");
    let began = Instant::now();
    while !plan.exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "no window is frozen");
        std::thread::sleep(Duration::from_millis(20));
    }
    send(&child, signal);
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(130), "{}", done.all());
    assert!(
        done.err.contains("Stopped. 0 windows are committed. 1 is not")
            && done.err.contains("No other run has to wait"),
        "{}",
        done.all()
    );
    assert!(began.elapsed() < Duration::from_secs(20), "the wait is not waited for");
    assert_eq!(ids(&world), [0_u32; 0]);
    // The wait of the frozen window stands in its plan.
    let plan_text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(
        &plan,
        plan_text.replace("\"settle_seconds\": 30", "\"settle_seconds\": 0"),
    )
    .unwrap();
    world.succeeds(&["run"]);
    assert_eq!(ids(&world), (1..=200).collect::<Vec<_>>());
}

/// Ends the lease, as time would, which no test waits for.
fn expire_lease(world: &World) {
    let lease = world.lake().join("_ledger/dbo.t/lease.json");
    let Ok(text) = std::fs::read_to_string(&lease) else {
        return;
    };
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    if document["keeper"].is_object() {
        document["keeper"]["run"]["until"] = json!("2020-01-01T00:00:00Z");
        std::fs::write(&lease, document.to_string()).unwrap();
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_finished_by_the_next_one() {
    let begins = Instant::now();
    let whole = world(0);
    whole.succeeds(&["run"]);
    let expected = ids(&whole);
    assert_eq!(expected, (1..=200).collect::<Vec<_>>());
    let takes = begins.elapsed().as_millis() as u64;
    for round in 1..=8 {
        let world = world(0);
        let mut child = started(&world, &["run"]);
        std::thread::sleep(Duration::from_millis(takes * round / 9));
        child.kill().unwrap();
        child.wait().unwrap();
        expire_lease(&world);
        world.succeeds(&["run"]);
        assert_eq!(ids(&world), expected, "round {round}");
    }
}

#[test]
fn a_watch_runs_again_and_again_until_it_is_interrupted() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let child = started(&world, &["run", "--watch", "1s"]);
    let until = |rows: usize| {
        let began = Instant::now();
        while world.lines("dbo.orders").len() < rows {
            assert!(began.elapsed() < Duration::from_secs(30), "no {rows} rows");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until(3);
    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four')")
        .unwrap();
    until(4);
    send(&child, Signal::TERM);
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(130), "between two runs as within one: {}", done.all());
    assert!(done.err.contains("Stopped"), "{}", done.all());
    assert!(done.err.contains("The next run begins in"), "{}", done.all());
}

#[test]
fn a_table_that_another_run_copies_is_left_alone_and_nothing_fails() {
    let world = world(0);
    let ledger = world.lake().join("_ledger/dbo.t");
    std::fs::create_dir_all(&ledger).unwrap();
    let lease =
        |until: &str| json!({"version": 1, "table": "dbo.t", "keeper": {"run": {"run_id": "other", "until": until}}});
    let write = |until: &str| std::fs::write(ledger.join("lease.json"), lease(until).to_string()).unwrap();
    let soon = OffsetDateTime::now_utc() + Duration::from_secs(200);
    write(&soon.format(&Rfc3339).unwrap());
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(2), "a later run may copy it: {}", done.all());
    assert!(done.all().contains("dbo.t: run other is copying it"), "{}", done.all());
    assert_eq!(ids(&world), [0_u32; 0]);
    let busy = world.run(&["run", "--json"]).events("busy");
    assert_eq!((busy.len(), &busy[0]["run_id"]), (1, &json!("other")));
    write("2020-01-01T00:00:00Z");
    world.succeeds(&["run"]);
    assert_eq!(ids(&world), (1..=200).collect::<Vec<_>>());
    let lease = std::fs::read_to_string(ledger.join("lease.json")).unwrap();
    assert!(lease.contains("\"keeper\": null"), "given back: {lease}");
}

//! Single steps by hand, and what is shown of a run before it starts.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{SCRIPT, World, fed};

/// Runs all steps by hand, from this event on.
fn by_hand(world: &World, event: &Value) -> Value {
    let mut answer = event.to_string();
    for step in [
        "lookup-old-watermark",
        "lookup-new-watermark",
        "copy-delta",
        "update-watermark",
    ] {
        let done = fed(world.command(&["step", step, "-"]), &answer);
        assert_eq!(done.code, Some(0), "{step}: {}", done.all());
        answer = done.out;
    }
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn the_first_step_fills_in_the_defaults_of_its_event_as_a_run_does() {
    let world = World::new(SCRIPT);
    let mut event =
        json!({"run_id": "one", "defaults": {"exclude": ["note"], "format": "csv"}, "tables": World::both(0)});
    event["tables"].as_array_mut().unwrap().truncate(1);
    let answer = by_hand(&world, &event);
    assert_eq!(answer["run_id"], "one");
    let copied = world.lines("dbo.orders");
    assert_eq!(copied.len(), 3, "{answer}");
    assert!(copied.iter().all(|line| !line.contains("one")), "{copied:?}");
    // What a run refuses is refused here as well.
    event["defaults"] = json!(["note"]);
    let done = fed(
        world.command(&["step", "lookup-old-watermark", "-"]),
        &event.to_string(),
    );
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("defaults: this is a list, and an object is expected"),
        "{}",
        done.all()
    );
}

#[test]
fn the_step_that_copies_waits_for_open_transactions_as_a_run_does() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(2));
    let old = world.succeeds(&["step", "lookup-old-watermark", "tables.json"]).out;
    let new = fed(world.command(&["step", "lookup-new-watermark", "-"]), &old).out;
    let began = Instant::now();
    let waits = fed(world.command(&["step", "copy-delta", "-"]), &new);
    assert_eq!(waits.code, Some(0), "{}", waits.all());
    assert!(waits.err.contains("Waiting 2 s"), "{}", waits.all());
    assert!(began.elapsed() >= Duration::from_secs(2), "{}", waits.all());
    let goes_on = fed(world.command(&["step", "copy-delta", "-", "--no-wait"]), &new);
    assert!(!goes_on.err.contains("Waiting"), "{}", goes_on.all());
}

#[test]
fn a_step_after_one_that_failed_says_so() {
    let world = World::new(SCRIPT);
    for (event, said) in [
        ("", "The step before wrote nothing, because it failed"),
        ("[]", "the event is no object"),
    ] {
        let done = fed(world.command(&["step", "copy-delta", "-"]), event);
        assert_eq!(done.code, Some(1), "{}", done.all());
        assert!(done.err.contains(said), "{}", done.all());
    }
}

#[test]
fn a_plan_counts_the_rows_of_a_reload_and_those_without_a_watermark() {
    let world = World::new(
        "CREATE TABLE t (id int NOT NULL PRIMARY KEY, note nvarchar(9) NULL, [Geändert] datetime2(3) NULL);
         INSERT t VALUES (1, N'a', '2020-01-01'), (2, N'b', '2020-01-02'), (3, N'c', NULL);",
    );
    let tracking = |column: &str| {
        json!([{"table": "t", "on_schema_change": "reload", "tracking": {"watermark":
            {"column": column, "settle_seconds": 0, "null_watermark": "first_load"}}}])
    };
    world.tables(&tracking("Geändert"));
    let planned = |world: &World| world.json_lines(&["plan", "--json"]).remove(0);
    assert_eq!(planned(&world)["rows"], 3);
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("INSERT t VALUES (4, N'd', '2020-01-04'); ALTER TABLE t DROP COLUMN note")
        .unwrap();
    let reload = planned(&world);
    assert_eq!(
        reload["window"].as_str().map(|name| name.starts_with("reinit-")),
        Some(true),
        "{reload}"
    );
    let copied = &world.json_lines(&["run", "--json"]);
    let committed = copied.iter().find(|line| line["event"] == "committed").unwrap();
    assert_eq!(
        (&reload["rows"], &committed["rows"]),
        (&json!(4), &json!(4)),
        "{reload}"
    );
    assert!(fs::exists(world.lake()).unwrap());
}

#[test]
fn what_one_step_writes_the_next_one_reads() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut answer = world.succeeds(&["step", "lookup-old-watermark", "tables.json"]).out;
    for step in ["lookup-new-watermark", "copy-delta", "update-watermark"] {
        let done = fed(world.command(&["step", step, "-"]), &answer);
        assert_eq!(done.code, Some(0), "{step}: {}", done.all());
        answer = done.out;
    }
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["committed"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("0 copied, 2 unchanged"), "{}", done.all());
}

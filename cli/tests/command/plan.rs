//! `plan`: the windows, rows and statements of the next run, and what changed since the last one.

use serde_json::{Value, json};

use crate::by_hand::{insert_fourth, set};
use crate::world::{SCRIPT, T, World, of_t};

#[test]
fn a_plan_shows_windows_rows_and_statements_with_their_values() {
    let world = set();
    insert_fourth(&world);
    let done = world.succeeds(&["plan", "--sql"]);
    assert!(
        done.out.contains("N'2020-01-03T00:00:00.000'") && !done.out.contains("@P1"),
        "{}",
        done.all()
    );
    let planned = world.succeeds(&["plan", "--json"]).events("planned");
    assert_eq!(planned.len(), 1);
    assert_eq!(
        (&planned[0]["table"], &planned[0]["rows"]),
        (&json!("dbo.orders"), &json!(1))
    );
    assert!(
        planned[0]["estimate"]["usd"].as_f64().is_some_and(|usd| usd > 0.0),
        "{planned:?}"
    );
    assert!(
        done.out.contains("Deployed functions cost about $0.00"),
        "{}",
        done.all()
    );
    // It has written nothing.
    assert!(
        !world
            .lake()
            .join("_ledger/dbo.orders/from-2020-01-03T00-00-00/plan.json")
            .exists()
    );
}

#[test]
fn a_column_that_is_new_is_told_by_the_plan_and_by_the_run() {
    let world = World::new(T);
    world.tables(&of_t(json!({"on_schema_change": "reload"})));
    world.succeeds(&["run"]);
    let add = "ALTER TABLE t ADD note int NULL";
    world.sandbox.execute(add).unwrap();
    world.sandbox.execute("INSERT t (id, note) VALUES (3, 1)").unwrap();
    let plan = world.succeeds(&["plan"]);
    assert!(plan.out.contains("dbo.t * "), "{}", plan.all());
    assert!(
        plan.out.contains("* dbo.t: since the last window, column note is new."),
        "{}",
        plan.all()
    );
    let run = world.succeeds(&["run"]);
    assert!(
        run.out.contains("dbo.t: since the last window, column note is new."),
        "{}",
        run.all()
    );
    world.sandbox.execute("ALTER TABLE t DROP COLUMN note").unwrap();
    world.sandbox.execute("INSERT t (id) VALUES (4)").unwrap();
    let plan = world.json_lines(&["plan", "--json"]);
    let events: Vec<&Value> = plan.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["planned", "note"]);
    let said = "* dbo.t: since the last window, column note is gone, so the table is loaded in full into the new folder of generation 1.";
    let shown = world
        .succeeds(&["plan"])
        .out
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(shown.contains(said), "{shown}");
    let notes = world.succeeds(&["run", "--json"]).events("note");
    assert_eq!(
        (&notes[0]["schema_changes"], &notes[0]["generation"]),
        (&json!(["note is gone"]), &json!(1))
    );
}

#[test]
fn the_plan_of_a_paused_table_says_so() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world.succeeds(&["pause", "orders", "--yes", "--reason", "moving"]);
    let done = world.succeeds(&["plan"]);
    let row = done.out.lines().find(|line| line.starts_with("dbo.orders ")).unwrap();
    assert!(row.contains("paused") && done.out.contains("moving"), "{}", done.all());
    let events = world.succeeds(&["plan", "--json"]).events("paused");
    assert_eq!(events[0]["table"], "dbo.orders");
}

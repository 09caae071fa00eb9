//! `backfill`: an interval of a table that is copied again, beside its chain.

use std::fs;

use serde_json::{Value, json};

use crate::by_hand::{insert_fourth, set};
use crate::world::{SCRIPT, World};

#[test]
fn a_backfill_is_shown_and_then_copied_beside_the_chain() {
    let world = set();
    world
        .sandbox
        .execute("INSERT orders VALUES (9, '2020-01-02', N'late')")
        .unwrap();
    let range = ["backfill", "orders", "--from", "2020-01-02", "--to", "2020-01-03"];
    let shown = world.succeeds(&[&range[..], &["--sql"]].concat());
    assert!(shown.out.contains("3 rows from 2020-01-02"), "{}", shown.all());
    assert!(
        shown.out.contains(">= ") && shown.err.contains("--yes"),
        "{}",
        shown.all()
    );
    assert_eq!(world.lines("dbo.orders").len(), 3, "nothing is copied");
    let done = world.succeeds(&[&range[..], &["--yes"]].concat());
    assert!(
        done.out.contains("1 copied, 0 unchanged, 0 failed: 3 rows"),
        "{}",
        done.all()
    );
    let path = world.lake().join("_ledger/dbo.orders/backfill-1/manifest.json");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(
        manifest["replaces"],
        json!({"column": "modified_at", "includes": {"old_watermark": true, "new_watermark": true}, "through": "initial"})
    );
    assert_eq!(world.lines("dbo.orders/tidemark_window=backfill-1").len(), 3);
    // The chain is as it was.
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("0 copied, 2 unchanged"), "{}", done.all());
    world.succeeds(&["verify"]);
    let history = world.succeeds(&["history", "orders"]);
    assert_eq!(history.out.lines().count(), 3, "{}", history.all());
    let done = world.run(&[
        "backfill",
        "orders",
        "--from",
        "2020-01-01",
        "--to",
        "2030-01-01",
        "--yes",
    ]);
    assert_eq!(done.code, Some(0), "no row is beyond the last window: {}", done.all());
    insert_fourth(&world);
    let done = world.run(&[
        "backfill",
        "orders",
        "--from",
        "2020-01-01",
        "--to",
        "2030-01-01",
        "--yes",
    ]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("the next run copies what comes after that"),
        "{}",
        done.all()
    );
}

#[test]
fn changes_are_copied_again_since_a_version() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
         GO
         CREATE TABLE tracked (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
         GO
         ALTER TABLE tracked ENABLE CHANGE_TRACKING;
         GO
         INSERT tracked VALUES (1, N'a'), (2, N'b');",
    );
    world.tables(&json!([{"table": "tracked", "format": "csv", "tracking": {"change_tracking": {}}}]));
    world.succeeds(&["run"]);
    let status = world.json_lines(&["status", "--json"]);
    let version = status[0]["watermark"].as_str().unwrap().to_owned();
    world
        .sandbox
        .execute("DELETE tracked WHERE id = 2; UPDATE tracked SET note = N'c' WHERE id = 1")
        .unwrap();
    world.succeeds(&["run"]);
    let done = world.succeeds(&["backfill", "tracked", "--since", &version, "--yes"]);
    assert!(
        done.out.contains("1 copied, 0 unchanged, 0 failed: 2 rows"),
        "{}",
        done.all()
    );
    let again = world.lines("dbo.tracked/tidemark_window=backfill-1");
    let window = format!("dbo.tracked/tidemark_window=from-{version}");
    assert_eq!(again, world.lines(&window));
    let done = world.run(&["backfill", "tracked", "--from", "1", "--yes"]);
    assert!(
        done.code == Some(1) && done.err.contains("give --since"),
        "{}",
        done.all()
    );
}

#[test]
fn a_backfill_of_a_table_that_is_kept_copies_nothing_and_is_to_be_tried_again() {
    let world = set();
    world.succeeds(&["pause", "orders", "--yes"]);
    let backfill = ["backfill", "orders", "--from", "2020-01-02", "--yes"];
    let done = world.run(&backfill);
    assert_eq!(done.code, Some(2), "{}", done.all());
    assert!(done.out.contains("paused by"), "{}", done.all());
    assert!(done.err.contains("the same command goes on with it"), "{}", done.all());
    world.succeeds(&["resume", "orders", "--yes"]);
    let done = world.succeeds(&backfill);
    assert!(done.out.contains("1 copied"), "{}", done.all());
    let windows = world.lake().join("_ledger/dbo.orders");
    assert!(windows.join("backfill-1").exists() && !windows.join("backfill-2").exists());
}

#[test]
fn a_backfill_in_an_older_folder_does_not_describe_the_table() {
    let world = set();
    world.succeeds(&["backfill", "orders", "--from", "2020-01-02", "--yes"]);
    let mut tables = World::both(0);
    tables[0]["columns"] = json!(["id", "modified_at"]);
    tables[0]["on_schema_change"] = json!("reload");
    world.tables(&tables);
    insert_fourth(&world);
    world.succeeds(&["run"]);
    let done = world.succeeds(&["sql", "duckdb", "orders"]);
    assert!(done.out.contains("/dbo.orders.g1/"), "{}", done.all());
}

#[test]
fn a_frozen_backfill_is_seen_and_can_be_given_up() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    // A file where the folder of the backfill would be keeps it from being committed.
    world.succeeds(&["pause", "orders", "--yes"]);
    let range = ["backfill", "orders", "--from", "2020-01-02", "--yes"];
    let done = world.run(&range);
    assert_eq!(done.code, Some(2), "{}", done.all());
    let status = world.succeeds(&["status"]);
    assert!(
        status.out.contains("tidemark give-up dbo.orders --window backfill-1"),
        "{}",
        status.all()
    );
    let status = world.json_lines(&["status", "--json", "orders"]);
    assert_eq!(status[0]["backfill"]["window"], "backfill-1", "{status:?}");
    world.succeeds(&["resume", "orders", "--yes"]);
    let done = world.run(&["give-up", "orders", "--yes"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("--window backfill-1"), "{}", done.all());
    let done = world.run(&["give-up", "orders", "--window", "backfill-9", "--yes"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    let done = world.run(&["give-up", "orders", "--window", "backfill-1"]);
    assert!(done.out.contains("with 0 of 1 slices copied"), "{}", done.all());
    world.succeeds(&["give-up", "orders", "--window", "backfill-1", "--yes"]);
    world.succeeds(&range);
    let history = world.succeeds(&["history", "orders"]);
    assert!(
        history.out.contains(" initial ") && history.out.contains(" backfill-1 "),
        "{}",
        history.all()
    );
}

#[test]
fn a_backfill_refuses_a_range_that_is_not_copied_yet_before_it_is_begun() {
    let world = set();
    insert_fourth(&world);
    for (range, said) in [
        (
            &["--from", "2020-01-02", "--to", "2030-01-01"][..],
            "--to 2030-01-01T00:00:00.000 lies beyond",
        ),
        (
            &["--from", "2020-01-03", "--to", "2020-01-02"],
            "--from 2020-01-03T00:00:00.000 is after --to",
        ),
        (&["--from", "2030-01-01"], "--from 2030-01-01T00:00:00.000 lies beyond"),
        (&["--since", "5"], "give --from and --to"),
        (&["--from", "yesterday"], "write it like 2017-09-05T08:06:00"),
    ] {
        for yes in [&[][..], &["--yes"]] {
            let done = world.run(&[&["backfill", "orders"], range, yes].concat());
            assert_eq!(done.code, Some(1), "{range:?}: {}", done.all());
            assert!(done.err.contains(said), "{range:?}: {}", done.all());
        }
    }
    let done = world.run(&["backfill", "items", "--from", "5"]);
    assert!(done.err.contains("write it like 0x00000000000007E4"), "{}", done.all());
    let done = world.run(&["backfill", "items", "--from", "5", "--file", "no-such.json"]);
    assert!(done.err.contains("no-such.json"), "{}", done.all());
}

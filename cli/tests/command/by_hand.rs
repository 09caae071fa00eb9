//! What a person does to a table: pausing, starting over, giving up, setting the watermark.

use std::fs;

use serde_json::{Value, json};

use crate::world::{SCRIPT, World, fed};

/// Makes a world with both tables copied.
pub fn set() -> World {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world
}

/// Adds a row to a table.
pub fn insert_fourth(world: &World) {
    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four')")
        .unwrap();
}

#[test]
fn runs_pass_over_a_paused_table_until_it_is_resumed() {
    let world = set();
    insert_fourth(&world);
    let done = world.run(&["pause", "orders"]);
    assert_eq!(done.code, Some(5), "nobody can be asked: {}", done.all());
    assert!(done.err.contains("--yes"), "{}", done.all());
    world.succeeds(&["pause", "orders", "--yes", "--reason", "the source is moving"]);
    let done = world.succeeds(&["run"]);
    let row = done.out.lines().find(|line| line.starts_with("dbo.orders"));
    assert!(row.is_some_and(|row| row.contains("paused")), "{}", done.all());
    let status = world.succeeds(&["status"]);
    assert!(status.out.contains("paused by operator:"), "{}", status.all());
    let status = world.json_lines(&["status", "--json", "orders"]);
    assert_eq!(status[0]["keeper"]["paused"]["reason"], "the source is moving");
    world.succeeds(&["pause", "orders", "--yes"]);
    let again = world.json_lines(&["status", "--json", "orders"]);
    assert_eq!(
        again[0]["keeper"], status[0]["keeper"],
        "who pauses it again takes no reason away"
    );
    let events = world.succeeds(&["run", "--json"]).events("paused");
    assert_eq!(events[0]["table"], "dbo.orders");
    world.succeeds(&["resume", "orders", "--yes"]);
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("1 copied, 1 unchanged"), "{}", done.all());
    world.succeeds(&["pause", "orders", "--yes"]);
    let idle = world.succeeds(&["run"]);
    let row = idle.out.lines().find(|line| line.starts_with("dbo.orders"));
    assert!(row.is_some_and(|row| row.contains("paused")), "{}", idle.all());
    assert_eq!(world.run(&["pause", "no.such", "--yes"]).code, Some(1));
}

#[test]
fn a_table_that_is_reset_is_loaded_in_full_and_what_was_there_is_in_the_archive() {
    let world = set();
    insert_fourth(&world);
    world.succeeds(&["run"]);
    let shown = world.run(&["reset", "orders"]);
    assert_eq!(shown.code, Some(5), "{}", shown.all());
    assert!(shown.out.contains("2 windows, 2 files, 4 rows"), "{}", shown.all());
    assert_eq!(world.lines("dbo.orders").len(), 4, "nothing has changed");
    let done = world.succeeds(&["reset", "orders", "--yes", "--json"]);
    let reset = &done.events("reset")[0];
    assert_eq!(reset["objects"], 2, "{}", done.all());
    let archive = reset["archive"].as_str().unwrap();
    assert_eq!(world.lines("dbo.orders"), Vec::<String>::new());
    let archived = world.lines(&format!("_archive/dbo.orders/{archive}/data"));
    assert_eq!(archived.len(), 4, "{archived:?}");
    world.sandbox.execute("DELETE orders WHERE id = 1").unwrap();
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("1 copied, 1 unchanged"), "{}", done.all());
    assert_eq!(world.lines("dbo.orders").len(), 3);
    world.succeeds(&["verify"]);
}

#[test]
fn a_reset_takes_the_watermark_out_of_a_control_table() {
    let control = "
        CREATE TABLE watermarktable (TableName varchar(255), WatermarkValue datetime2(7));
        GO
        CREATE PROCEDURE usp_write_watermark @LastModifiedtime datetime2(7), @TableName varchar(50) AS
        BEGIN
            UPDATE watermarktable SET [WatermarkValue] = @LastModifiedtime WHERE [TableName] = @TableName
        END
        GO
        INSERT INTO watermarktable VALUES ('Orders of 2020', NULL);";
    let world = World::new(&format!("{SCRIPT}\nGO\n{control}"));
    let mut table = World::both(0)[0].take();
    table["watermark_name"] = json!("Orders of 2020");
    world.tables(&json!([table]));
    let stored = ["--watermark-table", "dbo.watermarktable"];
    world.succeeds(&[&["run"], &stored[..]].concat());
    let before = world.json_lines(&[&["status", "--json"], &stored[..]].concat());
    assert_eq!(before[0]["watermark"], "2020-01-03T00:00:00.0000000");
    world.succeeds(&[&["reset", "orders", "--yes"], &stored[..]].concat());
    let after = world.json_lines(&[&["status", "--json"], &stored[..]].concat());
    assert_eq!(after[0]["watermark"], Value::Null, "{after:?}");
    let done = world.succeeds(&[&["run"], &stored[..]].concat());
    assert!(done.out.contains("1 copied"), "{}", done.all());
    assert_eq!(world.lines("dbo.orders").len(), 3);
}

#[test]
fn a_table_whose_lease_cannot_be_read_is_still_there() {
    let world = World::new("CREATE TABLE [my orders] (id int NOT NULL PRIMARY KEY); INSERT [my orders] VALUES (1);");
    world.tables(&json!([{"table": "[my orders]", "tracking": {"watermark": {"column": "id", "settle_seconds": 0}}}]));
    world.succeeds(&["run"]);
    let ledger = world.lake().join("_ledger");
    let folder = fs::read_dir(&ledger).unwrap().next().unwrap().unwrap().path();
    fs::write(folder.join("lease.json"), "{").unwrap();
    world.succeeds(&["history", "[my orders]"]);
    fs::remove_dir_all(folder.join("initial")).unwrap();
    let done = world.run(&["status"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    assert!(
        done.err.contains("lease.json is not what Tidemark wrote there"),
        "{}",
        done.all()
    );
}

#[test]
fn a_window_that_is_given_up_is_planned_anew() {
    let world = set();
    insert_fourth(&world);
    assert_eq!(
        world.run(&["give-up", "orders", "--yes"]).code,
        Some(1),
        "nothing is pending"
    );
    let old = world.succeeds(&["step", "lookup-old-watermark", "tables.json"]).out;
    assert_eq!(
        fed(world.command(&["step", "lookup-new-watermark", "-"]), &old).code,
        Some(0)
    );
    let busy = world.run(&["give-up", "orders", "--yes"]);
    assert_eq!(busy.code, Some(2), "{}", busy.all());
    assert!(busy.err.contains("run by-hand is copying dbo.orders"), "{}", busy.all());
    // The frozen window can never be copied, and the run that froze it is gone.
    world.sandbox.execute("ALTER TABLE orders DROP COLUMN note").unwrap();
    fs::remove_file(world.lake().join("_ledger/dbo.orders/lease.json")).unwrap();
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    let shown = world.run(&["give-up", "orders"]);
    assert_eq!(shown.code, Some(5), "{}", shown.all());
    assert!(shown.out.contains("with 0 of 1 slices copied"), "{}", shown.all());
    let done = world.succeeds(&["give-up", "orders", "--yes"]);
    assert!(done.out.contains("_archive/dbo.orders/"), "{}", done.all());
    let mut tables = World::both(0);
    tables[0]["on_schema_change"] = json!("continue");
    world.tables(&tables);
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("1 copied"), "{}", done.all());
    assert_eq!(
        world.lines("dbo.orders").last().map(String::as_str),
        Some("4,2020-01-04 00:00:00.000")
    );
}

#[test]
fn rows_that_the_files_lack_are_found_by_count_and_by_key() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
         GO
         CREATE TABLE orders (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL, note nvarchar(40) NULL);
         INSERT orders VALUES (1, '2020-01-01', N'one'), (2, '2020-01-02', N'two'), (3, '2020-01-03', NULL);
         CREATE TABLE tracked (id int NOT NULL, part nvarchar(5) NOT NULL, note nvarchar(20) NULL, PRIMARY KEY (id, part));
         GO
         ALTER TABLE tracked ENABLE CHANGE_TRACKING;
         GO
         INSERT tracked VALUES (1, N'x', N'a'), (2, N'x', N'b');",
    );
    world.tables(&json!([
        {"table": "orders", "tracking": {"watermark": {"column": "modified_at", "settle_seconds": 0}}},
        {"table": "tracked", "tracking": {"change_tracking": {}}},
    ]));
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("UPDATE orders SET modified_at = '2020-01-05' WHERE id = 1; DELETE tracked WHERE id = 2")
        .unwrap();
    world.succeeds(&["run"]);
    let equal = world.json_lines(&["reconcile", "--json"]);
    assert_eq!(equal.len(), 2);
    for table in &equal {
        assert_eq!(
            (&table["keys"]["missing"], &table["keys"]["surplus"]),
            (&json!(0), &json!(0)),
            "{table}"
        );
    }
    assert_eq!(
        (&equal[0]["keys"]["rows"], &equal[1]["keys"]["rows"]),
        (&json!(3), &json!(1))
    );
    assert!(!world.folder.path().join("differences.jsonl").exists());
    // These rows were committed too late for their window.
    world
        .sandbox
        .execute("INSERT orders VALUES (8, '2020-01-03', N'late'), (9, '2020-01-02', N'late')")
        .unwrap();
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    assert!(done.out.contains("2 missing, 0 too many"), "{}", done.all());
    // The windows of a tracked table are not intervals of the source.
    let tracked = done.out.lines().find(|line| line.contains("dbo.tracked")).unwrap();
    let cells: Vec<&str> = tracked.split_whitespace().collect();
    assert_eq!((cells[1], cells[3]), ("-", "-"), "{}", done.all());
    let text = fs::read_to_string(world.folder.path().join("differences.jsonl")).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 2, "{text}");
    assert!(
        found[1]["key"] == json!({"id": 9}) && found[1]["only_in"] == "source",
        "{text}"
    );
    let counted = world.run(&["reconcile", "--counts", "orders"]);
    assert_eq!(counted.code, Some(3), "{}", counted.all());
    // A person repairs it by copying the interval again.
    world.succeeds(&[
        "backfill",
        "orders",
        "--from",
        "2020-01-02",
        "--to",
        "2020-01-03",
        "--yes",
    ]);
    world.succeeds(&["reconcile"]);
}

#[test]
fn changes_from_before_a_full_load_are_not_taken_for_rows() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
         GO
         CREATE TABLE tracked (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
         GO
         ALTER TABLE tracked ENABLE CHANGE_TRACKING;
         GO
         INSERT tracked VALUES (1, N'a'), (2, N'b');",
    );
    world.tables(&json!([{"table": "tracked", "tracking": {"change_tracking": {}}}]));
    world.succeeds(&["run"]);
    let version = world.json_lines(&["status", "--json"])[0]["watermark"].clone();
    let change = |statement: &str| world.sandbox.execute(statement).unwrap();
    change("UPDATE tracked SET note = N'c'");
    world.succeeds(&["run"]);
    world.succeeds(&["backfill", "tracked", "--since", version.as_str().unwrap(), "--yes"]);
    change("DELETE tracked WHERE id = 2");
    world.sandbox.expire_change_tracking().unwrap();
    change("UPDATE tracked SET note = N'd'");
    world.succeeds(&["run"]);
    let windows = fs::read_dir(world.lake().join("_ledger/dbo.tracked")).unwrap();
    let names = windows.map(|window| window.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("reinit-")).count(), 1);
    let done = world.run(&["reconcile"]);
    assert!(done.code == Some(0) && done.out.contains("equal"), "{}", done.all());
}

#[test]
fn a_watermark_is_set_to_the_end_of_a_window_after_it_was_shown() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let to = ["reset", "orders", "--to", "initial", "--json"];
    let set = world.succeeds(&to).events("watermark_set");
    assert_eq!(set[0]["from"], "2020-01-03T00:00:00.000", "it is there already");
    let pointer = world.lake().join("_ledger/dbo.orders/watermark.json");
    let text = fs::read_to_string(&pointer).unwrap();
    fs::write(&pointer, text.replace("2020-01-03", "2019-01-01")).unwrap();
    let done = world.run(&to);
    assert_eq!(done.code, Some(5), "{}", done.all());
    assert_eq!(done.events("to_set_watermark")[0]["from"], "2019-01-01T00:00:00.000");
    assert_eq!(
        done.events("not_confirmed"),
        [json!({"event": "not_confirmed", "asked": false, "exit": 5})]
    );
    world.succeeds(&["reset", "orders", "--to", "initial", "--yes"]);
    assert_eq!(
        world.json_lines(&["status", "--json", "orders"])[0]["watermark"],
        "2020-01-03T00:00:00.000"
    );
    for (arguments, said) in [
        (
            &["reset", "orders", "items", "--to", "initial"][..],
            "--to names a window of one table",
        ),
        (&["reset", "orders", "--to", "from-x"], "window from-x is not committed"),
        (&["reset", "ordrs", "--to", "initial"], "did you mean dbo.orders?"),
    ] {
        let done = world.run(arguments);
        assert_eq!(done.code, Some(1), "{}", done.all());
        assert!(done.err.contains(said), "{}", done.all());
    }
    assert_eq!(world.lines("dbo.orders").len(), 3, "no file is moved");
}

//! What an operator met who looked for what the command does not say.

use std::fs;

use serde_json::{Value, json};

use crate::world::{SCRIPT, World, fed};

fn of_parquet() -> Value {
    let mut tables = World::both(0);
    for table in tables.as_array_mut().unwrap() {
        table["format"] = json!("parquet");
    }
    tables
}

/// Freezes a window of every table, and copies none.
fn freeze(world: &World) {
    let old = world.succeeds(&["step", "lookup-old-watermark", "tables.json"]).out;
    let done = fed(world.command(&["step", "lookup-new-watermark", "-"]), &old);
    assert_eq!(done.code, Some(0), "{}", done.all());
}

fn row<'a>(text: &'a str, table: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(&format!("{table} ")))
        .unwrap_or_default()
}

#[test]
fn no_statement_for_an_engine_replaces_what_another_one_made() {
    let world = World::new(
        "CREATE TABLE ct (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
         CREATE TABLE ct_current (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
         CREATE TABLE [a-b] (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
         CREATE TABLE a_b (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
         INSERT ct (id) VALUES (1); INSERT ct_current (id) VALUES (1); INSERT [a-b] (id) VALUES (1); INSERT a_b (id) VALUES (1);",
    );
    let table = |name: &str| json!({"table": name, "tracking": {"watermark": {"column": "stamp"}}});
    world.tables(&json!([table("ct"), table("ct_current"), table("[a-b]"), table("a_b")]));
    world.succeeds(&["run"]);
    for engine in ["duckdb", "athena"] {
        let all = world.succeeds(&["sql", engine, "--key", "id"]).out;
        let made = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("CREATE "));
            lines.map(str::to_lowercase).collect()
        };
        let mut names = made(&all);
        assert_eq!(names.len(), 8, "{all}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 8, "{all}");
        // A table has the same name when it is chosen alone.
        let alone = made(&world.succeeds(&["sql", engine, "ct", "--key", "id"]).out);
        assert!(alone.iter().all(|name| names.contains(name)), "{alone:?} {names:?}");
    }
}

#[test]
fn a_comparison_tells_of_tables_that_were_never_copied_and_of_every_table_that_fails() {
    let world = World::new(SCRIPT);
    world.tables(&of_parquet());
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute(
            "CREATE TABLE fresh (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
             CREATE TABLE bare (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
             INSERT fresh (id) VALUES (1), (2);",
        )
        .unwrap();
    let by_stamp = |table: &str| json!({"table": table, "tracking": {"watermark": {"column": "stamp"}}});
    let with = |more: &[&str]| {
        let mut tables = of_parquet();
        tables
            .as_array_mut()
            .unwrap()
            .extend(more.iter().map(|table| by_stamp(table)));
        tables
    };
    // A table without rows has nothing to copy.
    world.tables(&with(&["bare"]));
    let done = world.succeeds(&["reconcile"]);
    assert!(row(&done.out, "dbo.bare").contains("never copied"), "{}", done.all());

    world.tables(&with(&["bare", "fresh"]));
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let cells: Vec<&str> = row(&done.out, "dbo.fresh").split_whitespace().collect();
    assert_eq!(cells[1..], ["0", "0", "2", "never", "copied"], "{}", done.all());
    let done = world.run(&["reconcile", "--json", "fresh"]);
    assert_eq!(
        done.events("reconciled")[0]["never_copied"]["on_source"],
        2,
        "{}",
        done.all()
    );

    // The source of the first table fails, and the others are compared all the same.
    world.sandbox.execute("DROP TABLE items").unwrap();
    world.tables(&with(&["bare"]));
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(row(&done.out, "dbo.items").contains("not compared"), "{}", done.all());
    assert!(row(&done.out, "dbo.orders").contains("equal"), "{}", done.all());
    let errors: Vec<&str> = done.err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(
        errors.len() == 1 && errors[0].starts_with("error: dbo.items"),
        "{}",
        done.all()
    );
}

#[test]
fn a_window_that_is_frozen_and_not_committed_is_not_equal() {
    let world = World::new(SCRIPT);
    world.tables(&of_parquet());
    freeze(&world);
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let cells: Vec<&str> = row(&done.out, "dbo.orders").split_whitespace().collect();
    assert_eq!(cells[1..], ["0", "0", "3", "never", "copied"], "{}", done.all());
}

#[test]
fn the_status_goes_on_after_a_table_whose_ledger_is_damaged() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let manifest = world.lake().join("_ledger/dbo.items/initial/manifest.json");
    fs::write(manifest, "{").unwrap();
    let done = world.run(&["status"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    assert!(
        row(&done.out, "dbo.items").ends_with("ledger unreadable"),
        "{}",
        done.all()
    );
    assert!(row(&done.out, "dbo.orders").contains("2020-01-03"), "{}", done.all());
    assert!(done.err.contains("dbo.items/initial/manifest.json"), "{}", done.all());
    let done = world.run(&["status", "--json"]);
    assert_eq!(done.events("failed")[0]["table"], "dbo.items", "{}", done.all());
    assert_eq!(done.events("status").len(), 1, "{}", done.all());
}

#[test]
fn the_status_has_the_tables_of_a_file_and_both_a_pause_and_a_frozen_window() {
    let world = World::new(SCRIPT);
    let tables = of_parquet();
    world.tables(&json!([tables[0]]));
    freeze(&world);
    world.succeeds(&["pause", "orders", "--yes", "--reason", "it moves"]);
    world.tables(&tables);
    let done = world.succeeds(&["status", "--file", "tables.json"]);
    assert!(row(&done.out, "dbo.items").ends_with("never copied"), "{}", done.all());
    let orders = row(&done.out, "dbo.orders");
    assert!(
        orders.contains("0 of 1 slices, frozen") && orders.contains("paused by operator: it moves"),
        "{}",
        done.all()
    );
    let done = world.succeeds(&["status", "--file", "tables.json", "--json"]);
    assert_eq!(done.events("never_copied")[0]["table"], "dbo.items", "{}", done.all());
}

#[test]
fn what_is_taken_from_a_pipeline_of_azure_is_what_a_run_takes() {
    let world = World::new(SCRIPT);
    let list = json!({"tableList": [
        {"TABLE_NAME": "[dbo].[orders]", "WaterMark_Column": "[modified_at]"},
        {"TABLE_NAME": "@{item().name}", "WaterMark_Column": "m"},
        {"TABLE_NAME": "dbo.Orders", "WaterMark_Column": "modified_at"},
        {"TABLE_NAME": "items"},
    ]});
    let pipeline = world.folder.path().join("pipeline.json");
    fs::write(&pipeline, list.to_string()).unwrap();
    let done = world.run(&["init", "--from-adf", "pipeline.json"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    for said in [
        "entry 2 of tableList (@{item().name}): its TABLE_NAME is an expression",
        "entry 3 of tableList (dbo.Orders): the table is at entry 1 of tableList already",
        "entry 4 of tableList (items): it has no WaterMark_Column",
    ] {
        assert!(done.err.contains(said), "{said}: {}", done.all());
    }
    assert!(!world.folder.path().join("tables.json").exists(), "nothing is written");
    fs::write(&pipeline, json!([list["tableList"][0]]).to_string()).unwrap();
    world.succeeds(&["init", "--from-adf", "pipeline.json"]);
    let done = world.succeeds(&["plan"]);
    assert!(row(&done.out, "dbo.orders").contains('3'), "{}", done.all());
}

#[test]
fn init_proposes_what_every_change_sets_and_says_what_it_leaves_out() {
    let world = World::new(
        "CREATE TABLE users (id int NOT NULL PRIMARY KEY, last_login datetime2(3) NOT NULL, modified_at datetime2(3) NOT NULL);
         CREATE INDEX by_login ON users (last_login);
         CREATE TABLE rates (id int NOT NULL PRIMARY KEY, exchange_date datetime NOT NULL);
         CREATE INDEX by_date ON rates (exchange_date);
         CREATE TABLE [a\tb] (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);",
    );
    let done = world.succeeds(&["init", "--json"]);
    let tables = done.events("table");
    let of = |name: &str| tables.iter().find(|event| event["table"] == name).unwrap();
    let best = &of("dbo.users")["candidates"][0];
    assert_eq!(best["tracking"]["watermark"]["column"], "modified_at", "{}", done.all());
    for (table, said) in [
        (
            "dbo.rates",
            "exchange_date datetime is a time with an index: name it yourself if every change sets it",
        ),
        ("dbo.[a\tb]", "its name has a control character"),
    ] {
        let why = of(table)["left_out"].as_str().unwrap_or_default();
        assert!(why.contains(said), "{table}: {}", done.all());
    }
    world.tables(&json!([{"table": "[a\tb]", "tracking": {"watermark": {"column": "stamp"}}}]));
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("the name has a control character"), "{}", done.all());
}

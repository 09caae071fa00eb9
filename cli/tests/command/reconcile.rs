//! `verify` and `reconcile`: files against manifests, and manifests against the source.

use std::fs;

use serde_json::{Value, json};

use crate::world::{SCRIPT, World};

#[test]
fn verify_and_reconcile_go_on_after_a_table_whose_ledger_is_damaged() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    for table in tables.as_array_mut().unwrap() {
        table["format"] = json!("parquet");
    }
    world.tables(&tables);
    world.succeeds(&["run"]);
    let manifest = world.lake().join("_ledger/dbo.items/initial/manifest.json");
    fs::write(&manifest, "{").unwrap();
    let part = world
        .lake()
        .join("dbo.orders/tidemark_window=initial/part-00000.parquet");
    fs::copy(&part, part.with_file_name("part-00009.parquet")).unwrap();
    let done = world.run(&["verify"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    for said in [
        "dbo.items/initial/manifest.json",
        "part-00009.parquet is in no manifest",
        "Move away what is in no manifest",
    ] {
        assert!(done.err.contains(said), "{said}: {}", done.all());
    }
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let row = |table: &str| {
        done.out
            .lines()
            .find(|line| line.starts_with(table))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        row("dbo.items").contains("not compared") && row("dbo.orders").contains("equal"),
        "{}",
        done.all()
    );
    assert!(done.err.contains("dbo.items/initial/manifest.json"), "{}", done.all());
}

#[test]
fn a_comparison_refuses_a_key_that_is_no_column_and_leaves_no_old_differences() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    for table in tables.as_array_mut().unwrap() {
        table["format"] = json!("parquet");
    }
    world.tables(&tables);
    world.succeeds(&["run"]);
    let done = world.run(&["reconcile", "orders", "--key", "nope"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("--key names nope"), "{}", done.all());
    let old = world.folder.path().join("differences.jsonl");
    let line = json!({"table": "dbo.orders", "key": {"id": 1}, "only_in": "source"});
    fs::write(&old, format!("{line}\n")).unwrap();
    world.succeeds(&["reconcile", "--counts"]);
    assert!(old.exists(), "no keys were compared");
    world.succeeds(&["reconcile"]);
    assert!(!old.exists());
}

#[test]
fn a_comparison_leaves_a_file_alone_that_it_has_not_written() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    for table in tables.as_array_mut().unwrap() {
        table["format"] = json!("parquet");
    }
    world.tables(&tables);
    world.succeeds(&["run"]);
    let own = world.folder.path().join("own.jsonl");
    for text in [
        "{}\n",
        "my notes\n",
        "{\"table\": 1, \"key\": {}, \"only_in\": \"source\"}\n",
    ] {
        fs::write(&own, text).unwrap();
        let done = world.run(&["reconcile", "--differences", "own.jsonl"]);
        assert_eq!(done.code, Some(1), "{}", done.all());
        let said = "--differences names own.jsonl, which is not of an earlier comparison: name another file";
        assert!(done.err.contains(said), "{}", done.all());
        assert_eq!(fs::read_to_string(&own).unwrap(), text);
    }
    let tables = fs::read(world.folder.path().join("tables.json")).unwrap();
    let done = world.run(&["reconcile", "--differences", "tables.json"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert_eq!(fs::read(world.folder.path().join("tables.json")).unwrap(), tables);
    let done = world.run(&["reconcile", "--differences", "nowhere/own.jsonl"]);
    assert!(
        done.code == Some(1) && done.err.contains("there is no folder nowhere"),
        "{}",
        done.all()
    );
}

#[test]
fn the_differences_of_a_table_stay_until_it_is_compared_again() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    for table in tables.as_array_mut().unwrap() {
        table["format"] = json!("parquet");
    }
    world.tables(&tables);
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("INSERT orders VALUES (8, '2020-01-03', N'late')")
        .unwrap();
    let path = world.folder.path().join("differences.jsonl");
    let found = || {
        let text = fs::read_to_string(&path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>()
    };
    let done = world.run(&["reconcile"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let late = json!({"table": "dbo.orders", "key": {"id": 8}, "watermark": "2020-01-03T00:00:00.000000", "only_in": "source"});
    assert_eq!(found(), std::slice::from_ref(&late));
    // Another table is equal, which says nothing of this one.
    world.succeeds(&["reconcile", "items"]);
    assert_eq!(found(), std::slice::from_ref(&late));
    // It is no longer compared, because its files are gone.
    let part = world
        .lake()
        .join("dbo.orders/tidemark_window=initial/part-00000.parquet");
    let away = part.with_file_name("away");
    fs::rename(&part, &away).unwrap();
    let done = world.run(&["reconcile", "orders"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    assert_eq!(found(), [late]);
    fs::rename(&away, &part).unwrap();
    world.sandbox.execute("DELETE orders WHERE id = 8").unwrap();
    world.succeeds(&["reconcile", "orders"]);
    assert!(!path.exists() && !path.with_file_name("differences.jsonl.partial").exists());
}

#[test]
fn a_composite_key_is_found_in_slices_and_shown_by_its_columns() {
    let world = World::new(
        "CREATE TABLE lines (doc nvarchar(9) NOT NULL, line bigint NOT NULL, stamp rowversion NOT NULL, PRIMARY KEY (doc, line));
         INSERT lines (doc, line) VALUES (N'a', 1), (N'a', 9007199254740993), (N'b', 1), (N'b', 2), (N'c', 7);",
    );
    world.tables(&json!([{"table": "lines", "tracking": {"watermark": {"column": "stamp"}}}]));
    world.succeeds(&["run"]);
    let equal = world.json_lines(&["reconcile", "--json", "--keys-at-once", "2"]);
    assert_eq!(
        (
            &equal[0]["keys"]["slices"],
            &equal[0]["keys"]["rows"],
            &equal[0]["keys"]["missing"]
        ),
        (&json!(3), &json!(5), &json!(0)),
        "{equal:?}"
    );
    let manifest = world.lake().join("_ledger/dbo.lines/initial/manifest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    document["parts"] = json!([]);
    fs::write(&manifest, document.to_string()).unwrap();
    let done = world.run(&["reconcile", "--json", "--keys-at-once", "2"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let text = fs::read_to_string(world.folder.path().join("differences.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(
        text.contains(r#""key":{"doc":"a","line":"9007199254740993"}"#),
        "{text}"
    );
    assert!(
        text.contains(r#""key":{"doc":"b","line":2}"#) && text.contains(r#""watermark":"0x0000"#),
        "{text}"
    );
}

//! `status`, `history` and `verify`: how the tables are, and what a reader should know of their windows.

use std::fs;

use serde_json::{Value, json};

use crate::by_hand::{insert_fourth, set};
use crate::world::{SCRIPT, World, of_t};

#[test]
fn status_history_and_verify_say_how_the_tables_are() {
    let world = set();
    insert_fourth(&world);
    world.succeeds(&["run"]);
    let status = world.json_lines(&["status", "--json"]);
    assert_eq!(status.len(), 2);
    assert_eq!(status[1]["watermark"], "2020-01-04T00:00:00.000");
    assert_eq!((&status[1]["rows"], &status[1]["pending"]), (&json!(1), &Value::Null));
    let history = world.succeeds(&["history", "orders"]);
    assert_eq!(history.out.lines().count(), 3, "{}", history.all());
    assert_eq!(world.run(&["history", "no.such"]).code, Some(1));

    let done = world.succeeds(&["verify"]);
    assert!(done.out.contains("as they must be"), "{}", done.all());
    let part = world.lake().join("dbo.orders/tidemark_window=initial/part-00000.csv");
    let content = fs::read_to_string(&part).unwrap();
    fs::write(&part, content.replace("one", "0ne")).unwrap();
    fs::write(part.with_file_name("part-00009.csv"), "id\n").unwrap();
    let done = world.run(&["verify", "orders"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    assert!(
        done.err.contains("has another checksum") && done.err.contains("is in no manifest"),
        "{}",
        done.all()
    );
    let done = world.run(&["verify", "--quick", "orders"]);
    assert!(!done.err.contains("checksum"), "{}", done.all());
    fs::remove_file(&part).unwrap();
    assert!(world.run(&["verify"]).err.contains("is missing"));
}

#[test]
fn texts_that_could_not_be_decoded_are_a_mark_of_the_window_they_are_in() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let sound = world.succeeds(&["status"]).all() + &world.succeeds(&["history", "orders"]).all();
    assert!(!sound.contains("decoded"), "{sound}");

    let manifest = world.lake().join("_ledger/dbo.orders/initial/manifest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    document["malformed_texts"] = json!({"note": 2, "name": 1_300});
    fs::write(&manifest, document.to_string()).unwrap();
    let said = "texts that could not be decoded, with U+FFFD in place of what was malformed: 1,300 in name, 2 in note.";
    let status = world.succeeds(&["status"]);
    assert!(
        status.out.contains(&format!("dbo.orders: its last window has {said}")),
        "{}",
        status.all()
    );
    let history = world.succeeds(&["history", "orders"]);
    assert!(
        history.out.contains(&format!("dbo.orders, window initial: {said}")),
        "{}",
        history.all()
    );
    let status = world.json_lines(&["status", "--json"]);
    assert_eq!(status[1]["malformed_texts"], json!({"note": 2, "name": 1_300}));
    assert_eq!(status[0].get("malformed_texts"), None);
}

#[test]
fn what_the_login_did_not_see_is_a_mark_of_the_window_and_of_the_check() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let sound = world.json_lines(&["verify", "orders", "--json"]);
    assert_eq!(sound[0]["unseen"], json!({}));

    let manifest = world.lake().join("_ledger/dbo.orders/initial/manifest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    document["unseen"] = json!({ "filtered": true, "veiled": true });
    document["columns"][0]["values"] = json!("server_mask");
    fs::write(&manifest, document.to_string()).unwrap();
    let history = world.succeeds(&["history", "orders"]);
    let said = "dbo.orders, window initial: a security policy may have hidden rows from the login; there may be masks in place of \
                values; masks of SQL Server in place of the values of id.";
    assert!(history.out.contains(said), "{}", history.all());
    let history = world.json_lines(&["history", "orders", "--json"]);
    assert_eq!(history[0]["unseen"], json!({ "filtered": true, "veiled": true }));
    let verified = world.json_lines(&["verify", "orders", "--json"]);
    assert_eq!(verified[0]["unseen"], json!({ "filtered": true, "veiled": true }));
}

#[test]
fn a_sink_of_empty_tables_is_no_error_of_the_status_of_its_file() {
    let world = World::new("CREATE TABLE t (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);");
    world.tables(&of_t(json!({})));
    world.succeeds(&["run"]);
    let done = world.succeeds(&["status", "--file", "tables.json"]);
    assert!(done.out.contains("never copied"), "{}", done.all());
    // A place without any ledger is most often a wrong one.
    let done = world.run(&["status"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("a run begins one when a table has rows to copy"),
        "{}",
        done.all()
    );
    let done = world.run(&["pause", "t", "--yes"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("has no ledger of dbo.t yet"), "{}", done.all());
}

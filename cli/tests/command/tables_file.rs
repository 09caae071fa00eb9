//! `tables.json`: what is wrong in it is told by its field, and can be corrected.

use std::fs;

use serde_json::json;

use crate::world::{T, World, fed, of_t};

#[test]
fn a_field_that_is_given_twice_is_a_mistake_and_not_the_last_of_both() {
    let world = World::new(T);
    let text = r#"{"tables": [{"table": "t", "tracking": {"watermark": {"column": "stamp"}}, "exclude": ["ssn"], "exclude": []}]}"#;
    fs::write(world.folder.path().join("tables.json"), text).unwrap();
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    let said = "tables.json: tables[0].exclude (dbo.t): this field is there more than once";
    assert!(done.err.contains(said), "{}", done.all());
    let done = fed(world.command(&["step", "lookup-old-watermark", "-"]), text);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("standard input: tables[0].exclude (dbo.t)"),
        "{}",
        done.all()
    );
    assert!(done.err.contains("standard input has 1 mistake"), "{}", done.all());
}

#[test]
fn a_file_that_is_no_utf_8_is_told_so() {
    let world = World::new("");
    let path = world.folder.path().join("tables.json");
    for (bytes, said) in [
        (vec![0xFF, 0xFE, b'{', 0], "tables.json is UTF-16"),
        (
            b"{\"tables\": [\n\"\xE9\"]}".to_vec(),
            "tables.json is not UTF-8: line 2",
        ),
        (Vec::new(), "tables.json is empty"),
        (vec![0x1F, 0x8B, 8, 0], "tables.json is compressed by gzip"),
        (b"PK\x03\x04".to_vec(), "tables.json is a ZIP archive"),
        (vec![0xFF, 0xFE, 0, 0, b'{', 0, 0, 0], "tables.json is UTF-32"),
        (vec![b'{', 0, 0, 0, b'}', 0, 0, 0], "tables.json is UTF-32"),
        (
            b"{\"tables\":\n\n\0]}".to_vec(),
            "tables.json has a zero character in line 3",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let done = world.run(&["plan"]);
        assert_eq!(done.code, Some(1), "{}", done.all());
        assert!(done.err.contains(said), "{}", done.all());
    }
}

#[test]
fn what_is_wrong_in_tables_json_is_told_by_its_field() {
    for (fields, said) in [
        (json!({"where": "no_such = 1"}), "the `where` of dbo.t"),
        (
            json!({"exclude": ["ssn"], "mask": {"ssn": "null"}}),
            "names ssn, which is not copied: leave it out of mask",
        ),
        (
            json!({"exclude": ["ssn"], "column_types": {"ssn": "native"}}),
            "names ssn, which is not copied",
        ),
        (json!({"mask": {"name": "hash"}}), "TIDEMARK_MASK_KEY"),
    ] {
        let world = World::new(T);
        world.tables(&of_t(fields.clone()));
        let done = world.run(&["run"]);
        assert_eq!(done.code, Some(1), "{fields}: {}", done.all());
        assert!(done.err.contains(said), "{fields}: {}", done.all());
    }
}

/// A frozen window is copied with the condition that it was frozen with, so a wrong one must freeze none.
#[test]
fn a_mistake_in_where_may_be_corrected_and_the_table_is_copied() {
    let world = World::new(T);
    for (condition, code, copied) in [("nmae = 'a'", 1, 0), ("name = 'a'", 0, 1)] {
        world.tables(&of_t(json!({"where": condition, "format": "csv", "columns": ["id"]})));
        let done = world.run(&["run"]);
        assert_eq!(done.code, Some(code), "{condition}: {}", done.all());
        assert_eq!(world.lines("dbo.t").len(), copied, "{condition}");
        let is_told = done.err.contains("the `where` of dbo.t is refused") && done.err.contains("InvalidInput");
        assert_eq!(is_told, code == 1, "{}", done.all());
    }
}

#[test]
fn what_is_no_json_is_told_by_the_character_at_which_it_ends() {
    let world = World::new("");
    fs::create_dir(world.folder.path().join("folder.json")).unwrap();
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (text, said) in [
        (
            "{'tables': []}",
            "line 1, column 2: this is not JSON: `'` does not fit here: names and texts are in double quotes",
        ),
        (
            "{\"tables\": [\n  {\"table\" \"a\"}]}",
            "line 2, column 12: this is not JSON: `\"` does not fit here: a comma or a colon",
        ),
        ("{\"tables\": []} x", "`x` does not fit here"),
        ("tables: []", "a name or a text is in double quotes"),
        ("{\"tables\": [", "it ends too early"),
        ("{\"tables\": \"C:\\data\"}", "write a backslash in a text twice"),
        (
            "{\"tables\": \"a\nb\"}",
            "a text must end in the line that it begins in",
        ),
        (&nested, "128 brackets within one another"),
    ] {
        let done = fed(world.command(&["tables", "-"]), text);
        assert_eq!(done.code, Some(1), "{text}: {}", done.all());
        assert!(done.err.contains(said), "{text}: {}", done.all());
        for of_a_library in ["expected", "trailing", "recursion", "control character"] {
            assert!(!done.err.contains(of_a_library), "{text}: {}", done.all());
        }
    }
    let done = world.run(&["tables", "folder.json"]);
    assert!(
        done.err.contains("cannot read folder.json: it is a folder"),
        "{}",
        done.all()
    );
}

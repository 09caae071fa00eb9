//! Mistakes in what was given: all of them are reported before anything starts.

use std::fs;

use serde_json::json;

use crate::world::{Done, SCRIPT, World, bare, fed};

#[test]
fn mistakes_of_the_file_are_all_said_before_anything_starts() {
    let world = World::new(SCRIPT);
    fs::write(
        world.folder.path().join("tables.json"),
        "\u{feff}{ // two mistakes\n\"tables\": [{\"table\": \"orders\", \"tracking\": \"rowversion\"},
         {\"table\": \"items\", \"traking\": {}}]}",
    )
    .unwrap();
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    for said in [
        "tables.json: tables[0].tracking (dbo.orders): this is the text \"rowversion\"",
        "tables.json: tables[1].traking (dbo.items): there is no such field: did you mean `tracking`?",
        "tables[1] (dbo.items): `tracking` is missing",
        "has 3 mistakes. Nothing was started.",
    ] {
        assert!(done.err.contains(said), "{said}\n{}", done.all());
    }
    assert!(!world.lake().exists());
    let done = world.run(&["run", "--json"]);
    assert_eq!(done.events("mistake").len(), 3, "{}", done.all());
}

#[test]
fn tables_are_written_as_state_machines_take_them() {
    let world = World::new("");
    let file = world.folder.path().join("tables.json");
    fs::write(
        &file,
        "{ // every table is masked\n\"defaults\": {\"mask\": {\"email\": \"null\"}, \"exclude\": [\"note\"]},
          \"tables\": [{\"table\": \"dbo.a\", \"tracking\": {\"change_tracking\": {}}},
          {\"table\": \"dbo.b\", \"tracking\": {\"change_tracking\": {}}, \"columns\": [\"email\"]},]}",
    )
    .unwrap();
    let tracking = json!({"change_tracking": {}});
    let expected = json!([
        {"table": "dbo.a", "tracking": tracking, "mask": {"email": "null"}, "exclude": ["note"]},
        {"table": "dbo.b", "tracking": tracking, "mask": {"email": "null"}, "columns": ["email"]},
    ]);
    let read = |out: &str| serde_json::from_str::<serde_json::Value>(out).unwrap();
    assert_eq!(read(&world.succeeds(&["tables"]).out), json!({"tables": expected}));
    let list = world.succeeds(&["tables", "--list", "tables.json"]).out;
    assert_eq!(read(&list), expected);
    assert_eq!(list.lines().count(), 4, "one table a line: {list}");
    fs::write(&file, r#"{"tables": [{"table": "dbo.a", "traking": {}}]}"#).unwrap();
    let done = world.run(&["tables"]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{}", done.all());
    assert!(done.err.contains("did you mean `tracking`?"), "{}", done.all());
}

#[test]
fn usage_is_class_1_and_help_is_class_0() {
    let world = World::new("");
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["run", "--help"], 0),
        (&["--version"], 0),
        (&["schema"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&[], 1),
        (&["rum"], 1),
        (&["run", "--watch", "5"], 1),
        (&["run", "no-such-file.json"], 1),
    ] {
        let done = world.run(arguments);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.all());
    }
    let version = world.run(&["--version"]).out;
    assert!(
        version.starts_with(concat!("tidemark ", env!("CARGO_PKG_VERSION"), " (")) && !version.contains("unknown"),
        "{version}"
    );
    assert!(world.run(&["rum"]).err.contains("'run'"), "a nearest spelling");
}

#[test]
fn without_a_source_the_ways_to_give_one_are_named() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut command = bare(&["run"]);
    let output = command.current_dir(world.folder.path()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("--source") && err.contains("TIDEMARK_SOURCE"), "{err}");
}

#[test]
fn a_wrong_name_of_a_database_ends_the_command_and_is_said() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let nowhere = world.address().replace("/tidemark?", "/tidemrk?");
    let output = world.command(&["run"]).env("TIDEMARK_SOURCE", nowhere).output();
    let done = Done::from(output.unwrap());
    assert_eq!(done.code, Some(1), "{}", done.all());
    for said in ["Cannot open database \"tidemrk\"", "check the name of the database"] {
        assert!(done.err.contains(said), "{}", done.all());
    }
}

#[test]
fn a_wrong_name_of_a_table_is_answered_with_the_one_that_is_like_it() {
    let world = World::new(SCRIPT);
    world.tables(&json!([
        {"table": "ordrs", "tracking": {"watermark": {"column": "modified_at"}}},
        {"table": "sales.Items", "tracking": {"change_tracking": {}}},
    ]));
    for (verb, tables) in [
        ("plan", ["dbo.ordrs is not there", "sales.Items is not there"]),
        // The doctor has the name before what it says.
        (
            "doctor",
            ["dbo.ordrs: 127.0.0.1", "sales.Items: the table is not there"],
        ),
    ] {
        let done = world.run(&[verb]);
        assert_eq!(done.code, Some(1), "{}", done.all());
        for meant in tables.into_iter().chain(["mean dbo.orders?", "mean dbo.items?"]) {
            assert!(done.all().contains(meant), "{verb}, {meant}: {}", done.all());
        }
    }
}

#[test]
fn standard_input_is_one_thing_only_and_so_is_the_source() {
    let world = World::new(SCRIPT);
    let done = fed(
        world.command(&["run", "-", "--password-stdin"]),
        r#"{"tables": [{"table": "t", "tracking": {"change_tracking": {}}}]}"#,
    );
    assert_eq!(done.code, Some(1), "{}", done.all());
    let said = "standard input is the file already, and cannot be the password as well";
    assert!(done.err.contains(said), "{}", done.all());
    world.tables(&World::both(0));
    let done = world.run(&["run", "--source", "sqlserver://u@h/d", "--secret", "arn:s"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("--source and --secret are both given"),
        "{}",
        done.all()
    );
}

#[test]
fn mistakes_of_the_file_end_with_a_line_that_has_the_exit_code() {
    let world = World::new("");
    world.tables(&json!([{"table": "t"}]));
    let done = world.run(&["run", "--json"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert_eq!(done.events("mistake").len(), 1, "{}", done.all());
    let end = &done.events("error")[0];
    assert_eq!(
        (&end["error"], &end["exit"]),
        (&json!("InvalidInput"), &json!(1)),
        "{end}"
    );
    assert!(
        done.out
            .lines()
            .last()
            .is_some_and(|line| line.contains("has 1 mistake")),
        "{}",
        done.all()
    );
}

#[test]
fn wrong_arguments_are_a_line_of_json_where_json_is_asked_for() {
    let world = World::new("");
    let output = bare(&["run", "--json", "--no-such"])
        .current_dir(world.folder.path())
        .output();
    let done: Done = output.unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.all());
    let errors = done.events("error");
    assert_eq!(
        (errors.len(), &errors[0]["error"]),
        (1, &json!("InvalidInput")),
        "{}",
        done.all()
    );
    assert!(
        errors[0]["message"].as_str().unwrap().contains("--no-such"),
        "{}",
        done.all()
    );
}

//! What a verb writes, wherever it goes: whole, said once, and without any value of a row.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::{Value, json};
use tidemark_sandbox::{Action, Fault, SqlError};

use crate::world::{Done, SCRIPT, World};

/// Whoever reads a terminal or its log need not be one who may read rows.
#[test]
fn a_value_that_the_server_quotes_is_in_nothing_that_a_verb_says() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let said = "Conversion failed when converting the varchar value 'm4rk3d' to data type int.";
    for (verb, text) in [
        (&["reconcile", "orders"][..], "COUNT_BIG(*)"),
        (&["reconcile", "orders"][..], "FROM [dbo].[orders]"),
        (&["doctor"][..], "SELECT TOP 0"),
        (&["doctor"][..], "sys.security"),
        (&["plan"][..], "MAX("),
        (&["init", "--output", "new.json"][..], "sys.partitions"),
    ] {
        for number in [245, 2628, 50000] {
            world.sandbox.clear_faults();
            world.sandbox.inject(Fault {
                text: text.to_owned(),
                after_rows: None,
                action: Action::Error(SqlError::new(number, said)),
                times: u32::MAX,
            });
            let mut command = world.command(verb);
            let done: Done = command.env("RUST_LOG", "trace").output().unwrap().into();
            // What the catalog does not tell is not asked for again.
            let is_told = done.code != Some(0) && done.all().contains(&number.to_string());
            assert_eq!(
                is_told,
                text != "sys.security",
                "{verb:?} {text} {number}: {}",
                done.all()
            );
            assert!(
                !done.all().contains("m4rk3d"),
                "{verb:?} {text} {number}: {}",
                done.all()
            );
        }
    }
    world.sandbox.clear_faults();
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["schema"],
        &["--help"],
        &["man"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = world.command(arguments);
        let done: Done = command.stdout(Stdio::from(full)).output().unwrap().into();
        assert_eq!(done.code, Some(1), "{arguments:?}: {}", done.all());
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let mut command = world.command(arguments);
        let done: Done = command.stdout(Stdio::from(write)).output().unwrap().into();
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.all());
    }
}

#[test]
fn a_cause_that_many_tables_share_is_told_once() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    for number in 0..40 {
        let table = json!({"table": format!("gone_{number:02}"), "tracking": {"watermark": {"column": "stamp"}}});
        tables.as_array_mut().unwrap().push(table);
    }
    world.tables(&tables);
    for verb in ["run", "plan"] {
        let done = world.run(&[verb]);
        assert_eq!(done.code, Some(1), "{}", done.all());
        let errors: Vec<&str> = done.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", done.all());
        assert!(errors[0].starts_with("error: 40 tables: "), "{}", done.all());
        for said in ["dbo.gone_00, ", "dbo.gone_39."] {
            assert!(done.err.contains(said), "{}", done.all());
        }
        assert_eq!(done.err.matches("tidemark doctor").count(), 1, "{}", done.all());
        let failed = world.run(&[verb, "--json"]).events("failed");
        assert_eq!(failed.len(), 40);
        assert!(
            failed
                .iter()
                .all(|failed| failed["exit"] == 1 && failed["advice"].is_string()),
            "{failed:?}"
        );
    }
}

#[test]
fn a_pipe_gets_every_name_whole_and_a_line_for_each_row() {
    let table = "t_very_long_name_that_no_terminal_of_eighty_columns_has_room_for_in_a_row";
    let world = World::new(&format!(
        "CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL); INSERT {table} (id) VALUES (1);"
    ));
    for verb in [
        &["init"][..],
        &["plan"],
        &["run"],
        &["status"],
        &["verify"],
        &["reconcile", "--counts"],
    ] {
        let done = world.succeeds(verb);
        let rows = done
            .out
            .lines()
            .filter(|line| line.starts_with(&format!("dbo.{table} ")));
        assert_eq!(rows.count(), 1, "{verb:?}: {}", done.all());
    }
}

/// Machines read line by line, whatever the verb is and however it ends.
#[test]
fn every_verb_writes_nothing_but_lines_of_json_where_json_is_asked_for() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    tables[1]["format"] = json!("parquet");
    world.tables(&tables);
    for (arguments, code) in [
        (&["run"][..], 0),
        (&["init", "--output", "proposed.json"], 0),
        (&["doctor"], 0),
        (&["plan", "--sql"], 0),
        (&["status"], 0),
        (&["history", "items"], 0),
        (&["backfill", "orders", "--from", "2020-01-01"], 0),
        (&["reset", "items"], 5),
        (&["give-up", "items"], 1),
        (&["pause", "items"], 5),
        (&["pause", "items", "--yes"], 0),
        (&["resume", "items", "--yes"], 0),
        (&["verify"], 0),
        (&["reconcile"], 0),
        (&["step", "lookup-old-watermark", "tables.json"], 0),
        (&["sql", "duckdb", "--key", "id"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["tables"], 0),
        (&["tables", "--list"], 0),
        (&["schema"], 0),
        (&["run", "no-such.json"], 1),
        (&["history"], 1),
    ] {
        let done = world.run(&[arguments, &["--json"]].concat());
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.all());
        assert!(done.out.lines().count() > 0, "{arguments:?}: {}", done.all());
        for line in done.out.lines() {
            let read = serde_json::from_str::<Value>(line);
            assert!(read.is_ok(), "{arguments:?}: {line}");
        }
    }
}

#[test]
fn a_first_load_names_the_command_that_reads_its_files_once() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut first = world.command(&["run", "--sink", "my lake"]);
    let done: Done = first.output().unwrap().into();
    let hint = done
        .err
        .lines()
        .find(|line| line.contains("sql duckdb --sink"))
        .unwrap();
    let (_, hint) = hint.split_once(" by: ").unwrap();
    assert!(hint.ends_with(" sql duckdb --sink 'my lake'"), "{}", done.all());
    // It works as it is written.
    let read = std::process::Command::new("sh")
        .args(["-c", hint])
        .current_dir(world.folder.path())
        .output();
    let read: Done = read.unwrap().into();
    assert!(
        read.out.contains("dbo.orders/") && read.out.contains("dbo.items/"),
        "{}",
        read.all()
    );
    let again = world.run(&["run", "--sink", "my lake"]);
    assert!(!again.err.contains("sql duckdb"), "{}", again.all());
    let machines = world.run(&["run", "--sink", "another", "--json"]);
    assert!(!machines.err.contains("sql duckdb"), "{}", machines.all());
}

#[test]
fn a_table_that_is_given_twice_is_shown_once() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    assert_eq!(world.json_lines(&["status", "orders", "dbo.orders", "--json"]).len(), 1);
}

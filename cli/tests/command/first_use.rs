//! What people met who gave the command wrong things, and changed things under it, so that it does not come back.

use std::fs::{self, OpenOptions};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{Done, SCRIPT, World, bare, fed};

/// Returns the tables that track `t` by its rowversion, with these fields.
fn of_t(fields: Value) -> Value {
    let mut table = json!({"table": "t", "tracking": {"watermark": {"column": "stamp"}}});
    for (name, value) in fields.as_object().unwrap() {
        table[name] = value.clone();
    }
    json!([table])
}

const T: &str = "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(9) NULL, ssn varchar(11) NULL, stamp rowversion NOT NULL,
    at datetime2(3) NOT NULL DEFAULT '2020-01-01');
    CREATE INDEX i ON t (stamp);
    INSERT t (id, name) VALUES (1, 'a'), (2, 'b');";

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

/// Whatever the next run would fail with, the doctor finds before it.
#[test]
fn the_doctor_finds_what_the_next_run_would_fail_with() {
    let key = ("TIDEMARK_MASK_KEY", "k".repeat(32));
    for (fields, said) in [
        (json!({"exclude": ["no_such"]}), "no_such"),
        (json!({"mask": {"no_such": "null"}}), "no_such"),
        (json!({"column_types": {"no_such": "native"}}), "no_such"),
        (json!({"where": "no_such = 1"}), "the `where` of the table"),
        (json!({"where": "id = = 1"}), "the `where` of the table"),
        (
            json!({"tracking": {"watermark": {"column": "at"}}, "where": "no_such = 1"}),
            "the `where` of the table",
        ),
        (json!({"mask": {"name": "hash"}}), "TIDEMARK_MASK_KEY"),
    ] {
        let world = World::new(T);
        world.tables(&of_t(fields.clone()));
        let done = world.run(&["doctor"]);
        let plan = world.run(&["plan"]);
        assert_ne!(plan.code, Some(0), "{fields}: {}", plan.all());
        assert_eq!(done.code, plan.code, "{fields}: {}", done.all());
        let line = done.out.lines().find(|line| line.starts_with("✗ dbo.t: "));
        assert!(line.is_some_and(|line| line.contains(said)), "{fields}: {}", done.all());
    }
    let world = World::new(T);
    world.tables(&of_t(json!({"mask": {"name": "hash"}})));
    let mut command = world.command(&["doctor"]);
    let done: Done = command.env(key.0, key.1).output().unwrap().into();
    assert_eq!(done.code, Some(0), "{}", done.all());
}

#[test]
fn the_doctor_finds_what_has_changed_since_the_last_run() {
    for (change, fields, code, said) in [
        (
            "ALTER TABLE t DROP COLUMN name; ALTER TABLE t ADD name int NULL",
            json!({}),
            4,
            "name is int and was varchar(9)",
        ),
        ("", json!({"format": "csv"}), 4, "another format"),
        (
            "",
            json!({"tracking": {"watermark": {"column": "id"}}}),
            1,
            "tracked by another column",
        ),
        (
            "ALTER TABLE t ADD tidemark_window int NULL",
            json!({}),
            1,
            "tidemark_window",
        ),
    ] {
        let world = World::new(T);
        world.tables(&of_t(json!({})));
        world.succeeds(&["run"]);
        let insert = "INSERT t (id) VALUES (3)";
        for statement in [insert, change].into_iter().filter(|statement| !statement.is_empty()) {
            world.sandbox.execute(statement).unwrap();
        }
        world.tables(&of_t(fields.clone()));
        let done = world.run(&["doctor"]);
        assert_eq!(done.code, Some(code), "{change} {fields}: {}", done.all());
        let line = done.out.lines().find(|line| line.starts_with("✗ dbo.t: "));
        assert!(
            line.is_some_and(|line| line.contains(said)),
            "{change} {fields}: {}",
            done.all()
        );
    }
}

#[test]
fn a_server_that_is_not_served_is_refused_by_its_name_by_the_doctor_and_by_a_run() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    for (engine, major, said) in [
        (3, Some(12), "SQL Server 2016 is the oldest version"),
        (2, None, "SQL Server 2016 is the oldest version"),
        (6, Some(10), "Azure Synapse"),
        (11, Some(12), "a warehouse of Fabric"),
    ] {
        world.sandbox.become_product(engine, major);
        for verb in ["doctor", "run"] {
            let done = world.run(&[verb]);
            assert!(
                done.code == Some(1) && done.all().contains(said),
                "{verb} {engine}: {:?} {}",
                done.code,
                done.all()
            );
        }
    }
    // Azure SQL Database says that it is of 2014.
    world.sandbox.become_product(5, Some(12));
    world.succeeds(&["doctor"]);
}

#[test]
fn the_doctor_says_when_the_login_would_not_see_that_a_policy_hides_rows() {
    let world = World::new(&format!(
        "{T} CREATE LOGIN reader WITH PASSWORD = 'Reader-1'; CREATE USER reader FOR LOGIN reader; GRANT SELECT ON t TO reader;"
    ));
    world.tables(&of_t(json!({})));
    let rights = || {
        let mut command = world.command(&["doctor", "--json"]);
        command
            .env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//reader@"))
            .env("TIDEMARK_PASSWORD", "Reader-1");
        let done: Done = command.output().unwrap().into();
        let mut checks = done.events("check");
        checks.retain(|check| check["subject"] == "rights");
        assert!(done.code == Some(0) && checks.len() == 1, "{}", done.all());
        checks.remove(0)
    };
    let unknown = rights();
    let said = unknown["message"].as_str().unwrap();
    assert!(
        unknown["mark"] == "doubtful" && said.contains("GRANT VIEW DEFINITION TO [reader];"),
        "{unknown}"
    );
    world.sandbox.execute("GRANT VIEW DEFINITION TO reader").unwrap();
    assert_eq!(rights()["mark"], "good");
    world
        .sandbox
        .execute("REVOKE VIEW DEFINITION FROM reader; GRANT ALTER ANY SECURITY POLICY TO reader")
        .unwrap();
    assert_eq!(rights()["mark"], "good");
}

#[test]
fn the_doctor_finds_a_source_that_lies_before_its_watermark() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world.sandbox.execute("DELETE orders WHERE id = 3").unwrap();
    let done = world.run(&["doctor"]);
    assert_eq!(done.code, Some(5), "{}", done.all());
    assert!(
        done.out.contains("✗ dbo.orders: the stored watermark"),
        "{}",
        done.all()
    );
}

#[test]
fn the_doctor_marks_what_a_person_should_know_for_people_and_for_machines() {
    let world = World::new(&format!(
        "{T} CREATE TABLE u (id int NOT NULL PRIMARY KEY, at datetime2(3) NULL);"
    ));
    let mut tables = of_t(json!({}));
    let nullable = json!({"column": "at", "null_watermark": "first_load"});
    tables
        .as_array_mut()
        .unwrap()
        .push(json!({"table": "u", "tracking": {"watermark": nullable}}));
    world.tables(&tables);
    let done = world.succeeds(&["doctor"]);
    assert!(done.out.contains("✓ dbo.t: "), "{}", done.all());
    let line = done.out.lines().find(|line| line.starts_with("! dbo.u: ")).unwrap();
    for said in ["no index begins with it", "only the first load copies such rows"] {
        assert!(line.contains(said), "{line}");
    }
    let checks = world.succeeds(&["doctor", "--json"]).events("check");
    let marks = |subject: &str| {
        let of = checks.iter().filter(|check| check["subject"] == subject);
        of.map(|check| check["mark"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (marks("dbo.t"), marks("dbo.u")),
        (vec![json!("good")], vec![json!("doubtful")])
    );
    assert!(!world.lake().exists(), "the doctor leaves nothing behind");
}

#[test]
fn a_host_without_an_address_is_the_same_mistake_for_the_doctor_and_for_a_run() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    for verb in ["doctor", "run"] {
        let mut command = world.command(&[verb]);
        command.env("TIDEMARK_SOURCE", "sqlserver://sa@no-such-host.invalid/tidemark");
        let done: Done = command.output().unwrap().into();
        assert_eq!(done.code, Some(1), "{verb}: {}", done.all());
        assert!(
            done.all().contains("no-such-host.invalid has no address"),
            "{}",
            done.all()
        );
    }
    let done = world.run(&["doctor", "--sink", "tables.json"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.out.contains("✗ sink: --sink names a file"), "{}", done.all());
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

#[test]
fn what_init_proposes_can_be_copied() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
         GO
         CREATE TABLE a (id int NOT NULL PRIMARY KEY, tidemark_window int NULL, stamp rowversion NOT NULL);
         CREATE TABLE b (id int NOT NULL PRIMARY KEY, sys_change_version int NULL);
         CREATE TABLE c (tidemark_window int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);
         GO
         ALTER TABLE b ENABLE CHANGE_TRACKING;
         GO
         INSERT a (id) VALUES (1); INSERT b (id) VALUES (1); INSERT c (tidemark_window) VALUES (1);",
    );
    let done = world.succeeds(&["init"]);
    let row = done.out.lines().find(|line| line.starts_with("dbo.c ")).unwrap();
    assert!(row.contains("left out"), "{}", done.all());
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("2 copied, 0 unchanged, 0 failed"), "{}", done.all());
}

#[test]
fn patterns_of_init_are_about_the_name_alone_where_they_have_no_point() {
    let world = World::new(SCRIPT);
    let done = world.succeeds(&["init", "--json", "--include", "orders"]);
    let tables: Vec<Value> = done
        .events("table")
        .iter()
        .map(|event| event["table"].clone())
        .collect();
    assert_eq!(tables, ["dbo.orders"], "{}", done.all());
    let done = world.run(&["init", "--include", "no_such", "--output", "other.json"]);
    assert!(
        done.code == Some(1) && done.err.contains("schema.name"),
        "{}",
        done.all()
    );
}

#[test]
fn a_backfill_refuses_a_range_that_is_not_copied_yet_before_it_is_begun() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four')")
        .unwrap();
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
fn a_password_in_the_address_goes_before_that_of_the_environment_and_names_that_cannot_be_are_refused() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let own = format!("//sa:{}@", world.sandbox.password());
    let mut command = world.command(&["run"]);
    command
        .env("TIDEMARK_SOURCE", world.address().replace("//sa@", &own))
        .env("TIDEMARK_PASSWORD", "of another server");
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(0), "{}", done.all());

    let mut command = world.command(&["run"]);
    command.env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//CORP\\sa@"));
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("Windows logins are not supported"), "{}", done.all());

    let mut command = world.command(&["run"]);
    command.env("SSL_CERT_FILE", "/nonexistent.pem");
    let done: Done = command.output().unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err
            .contains("SSL_CERT_FILE names /nonexistent.pem, which cannot be read"),
        "{}",
        done.all()
    );
}

//! What `doctor` finds of tables that a run would fail with, or that a person should know, each with what to do about it.

use serde_json::json;

use crate::world::{Done, SCRIPT, T, World, of_t};

#[test]
fn the_doctor_names_what_is_missing_and_changes_nothing() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    world.tables(&tables);
    let done = world.succeeds(&["doctor"]);
    assert!(!done.out.contains('✗'), "{}", done.all());
    assert!(done.out.contains("no index begins with it"), "{}", done.all());
    let said = "✓ sink conditions: what is there is never overwritten\n";
    assert!(done.out.contains(said), "{}", done.all());
    assert!(!world.lake().exists(), "nothing is left");

    tables[0]["tracking"] = json!({"change_tracking": {}});
    tables[1]["tracking"]["watermark"]["column"] = json!("name");
    world.tables(&tables);
    let done = world.run(&["doctor"]);
    assert_eq!(done.code, Some(5), "{}", done.all());
    assert!(done.out.contains("✗ dbo.orders"), "{}", done.all());
    assert!(
        done.out
            .contains("✗ dbo.items: column name of the table: a column of type nvarchar(40) cannot be a watermark"),
        "{}",
        done.all()
    );
}

/// Tries each thing that a login may lack, and what the doctor says of it and advises.
#[test]
fn the_doctor_names_the_right_that_is_missing_and_the_statement_that_grants_it() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
         GO
         CREATE TABLE nothing (id int NOT NULL PRIMARY KEY, stamp rowversion);
         CREATE TABLE denied (id int NOT NULL PRIMARY KEY, secret varchar(9) NULL, stamp rowversion);
         CREATE TABLE masked (id int NOT NULL PRIMARY KEY, mail varchar(30) MASKED WITH (FUNCTION = 'default()') NULL, stamp rowversion);
         CREATE TABLE untracked (id int NOT NULL PRIMARY KEY);
         CREATE TABLE [order] (id int NOT NULL PRIMARY KEY);
         GO
         ALTER TABLE [order] ENABLE CHANGE_TRACKING;
         CREATE LOGIN reader WITH PASSWORD = 'Reader-1';
         CREATE USER reader FOR LOGIN reader;
         GRANT SELECT ON denied TO reader; DENY SELECT ON denied (secret) TO reader;
         GRANT SELECT ON masked TO reader; GRANT SELECT ON untracked TO reader; GRANT SELECT ON [order] TO reader;",
    );
    let by_stamp = |table: &str| json!({"table": table, "tracking": {"watermark": {"column": "stamp"}}});
    let by_changes = |table: &str| json!({"table": table, "tracking": {"change_tracking": {}}});
    world.tables(&json!([
        by_stamp("nothing"),
        by_stamp("denied"),
        by_stamp("masked"),
        by_changes("untracked"),
        by_changes("order"),
    ]));
    let mut command = world.command(&["doctor", "--json", "--watermark-table", "dbo.no_such_table"]);
    command
        .env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//reader@"))
        .env("TIDEMARK_PASSWORD", "Reader-1");
    let done: Done = command.output().unwrap().into();
    let checks = done.events("check");
    for (subject, said, advice) in [
        (
            "dbo.nothing",
            "",
            "GRANT SELECT ON OBJECT::[dbo].[nothing] TO [reader];",
        ),
        (
            "dbo.denied",
            "column secret of the table may not be read",
            "GRANT SELECT ON OBJECT::[dbo].[denied] ([secret]) TO [reader];",
        ),
        (
            "dbo.masked",
            "column mail of the table is masked",
            "GRANT UNMASK TO [reader];",
        ),
        (
            "dbo.untracked",
            "",
            "ALTER TABLE [dbo].[untracked] ENABLE CHANGE_TRACKING",
        ),
        (
            "dbo.order",
            "",
            "GRANT VIEW CHANGE TRACKING ON OBJECT::[dbo].[order] TO [reader];",
        ),
        ("watermarks", "no_such_table", "infra/sql/control-table.sql"),
    ] {
        let check = checks.iter().find(|check| check["subject"] == subject);
        let check = check.unwrap_or_else(|| panic!("{subject}: {}", done.all()));
        assert_eq!(check["ok"], false, "{check}");
        assert!(check["message"].as_str().unwrap().contains(said), "{check}");
        assert!(check["advice"].as_str().unwrap().contains(advice), "{check}");
    }
    assert_ne!(done.code, Some(0));
}

#[test]
fn the_doctor_asks_only_for_what_a_run_copies_and_finds_columns_as_a_run_does() {
    let world = World::new(
        "CREATE TABLE t (id int NOT NULL PRIMARY KEY, secret varchar(9) NULL, [Geändert] datetime2(3) NOT NULL);
         CREATE INDEX i ON t ([Geändert]);
         INSERT t VALUES (1, 'x', '2020-01-01');
         CREATE LOGIN reader WITH PASSWORD = 'Reader-1';
         CREATE USER reader FOR LOGIN reader;
         GRANT SELECT ON t TO reader; DENY SELECT ON t (secret) TO reader;",
    );
    world.tables(&json!([{"table": "t", "exclude": ["SECRET"],
        "tracking": {"watermark": {"column": "GEÄNDERT", "settle_seconds": 0}}}]));
    for verb in ["doctor", "run"] {
        let mut command = world.command(&[verb]);
        command
            .env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//reader@"))
            .env("TIDEMARK_PASSWORD", "Reader-1");
        let done: Done = command.output().unwrap().into();
        assert_eq!(done.code, Some(0), "{verb}: {}", done.all());
        let said = "✓ dbo.t: 2 columns are copied; Geändert datetime2(3) tracks it\n";
        assert!(verb == "run" || done.out.contains(said), "{}", done.all());
    }
}

#[test]
fn the_doctor_finds_changes_that_are_not_kept_until_the_next_run() {
    let world = World::new(
        "ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);
         GO
         CREATE TABLE t (id int NOT NULL PRIMARY KEY);
         GO
         ALTER TABLE t ENABLE CHANGE_TRACKING;",
    );
    world.tables(&json!([{"table": "t", "tracking": {"change_tracking": {}}}]));
    world.succeeds(&["doctor"]);
    world.succeeds(&["doctor", "--every", "48h"]);
    let done = world.run(&["doctor", "--every", "3d"]);
    assert_eq!(done.code, Some(5), "{}", done.all());
    for said in [
        "the database keeps changes for 48h 00m",
        "runs are 72h 00m apart",
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);",
    ] {
        assert!(done.out.contains(said), "{said}: {}", done.all());
    }
    let done = world.run(&["doctor", "--every", "15d"]);
    assert!(done.out.contains("CHANGE_RETENTION = 15 DAYS"), "{}", done.all());
    for (retention, code) in [("47 HOURS", 5), ("2880 MINUTES", 0), ("2879 MINUTES", 5)] {
        let change = format!("ALTER DATABASE tidemark SET CHANGE_TRACKING (CHANGE_RETENTION = {retention})");
        world.sandbox.execute(&change).unwrap();
        let done = world.run(&["doctor"]);
        assert_eq!(done.code, Some(code), "{retention}: {}", done.all());
    }
    let off = "ALTER DATABASE tidemark SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)";
    world.sandbox.execute(off).unwrap();
    world.succeeds(&["doctor", "--every", "90d"]);
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

//! Mistakes that people met who tried the tool for the first time, so that they do not come back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{SCRIPT, World, fed};

/// A mistake, as somebody meets it at a terminal.
pub struct Case {
    /// What is typed.
    pub arguments: &'static [&'static str],
    /// The environment variables that are set.
    pub settings: Vec<(&'static str, String)>,
    /// The tables, where they are not both of the world.
    pub tables: Option<Value>,
    /// How the command ends.
    pub code: i32,
    /// What is said.
    pub said: &'static str,
}

impl Case {
    fn new(arguments: &'static [&'static str], code: i32, said: &'static str) -> Self {
        Self {
            arguments,
            settings: Vec::new(),
            tables: None,
            code,
            said,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }
}

/// Returns the mistakes of which a terminal is to show what they are, for a world of [`SCRIPT`].
pub fn at_a_terminal(world: &World) -> Vec<Case> {
    let event = json!({"run_id": "r", "table": "dbo.orders", "window": "initial", "slice": 0});
    std::fs::write(world.folder.path().join("event.json"), event.to_string()).unwrap();
    let untrusted = world.address().replace("?tls=trust", "");
    let both = json!([{"table": "two", "tracking": {"watermark": {"column": "c"}, "change_tracking": {}}}]);
    vec![
        Case::new(
            &["run", "--watermark-table", "dbo.watermarks"],
            1,
            "infra/sql/control-table.sql makes them",
        ),
        Case::new(&["run", "--sink", "by-proxy"], 0, "2 copied, 0 unchanged, 0 failed")
            .with("HTTPS_PROXY", "http://127.0.0.1:9"),
        Case::new(&["run"], 1, "no-such-host.invalid has no address")
            .with("TIDEMARK_SOURCE", "sqlserver://sa@no-such-host.invalid/tidemark"),
        Case::new(&["run"], 1, "name a file with its certificate").with("TIDEMARK_SOURCE", untrusted),
        Case::new(
            &["step", "copy-delta", "event.json"],
            1,
            "run lookup-old-watermark and lookup-new-watermark first",
        ),
        Case {
            tables: Some(both),
            ..Case::new(&["run"], 1, "tables.json: tables[0].tracking (dbo.two)")
        },
        Case::new(
            &["plan", "--sql"],
            0,
            "CAST(N'2020-01-03T00:00:00.000' AS datetime2(3))",
        ),
    ]
}

#[test]
fn a_password_may_hold_what_shells_and_make_expand() {
    let password = "Pa$$w0rd-${HOME}-$(id)-%41-@:/?#";
    let world = World::new(&format!(
        "{SCRIPT}
         GO
         CREATE LOGIN reader WITH PASSWORD = '{password}';
         CREATE USER reader FOR LOGIN reader;
         GRANT SELECT ON orders TO reader; GRANT SELECT ON items TO reader;"
    ));
    world.tables(&World::both(0));
    let address = world.address().replace("//sa@", "//reader@");
    let mut by_variable = world.command(&["run"]);
    by_variable
        .env("TIDEMARK_SOURCE", &address)
        .env("TIDEMARK_PASSWORD", password);
    let mut by_input = world.command(&["run", "--password-stdin"]);
    by_input
        .env("TIDEMARK_SOURCE", &address)
        .env_remove("TIDEMARK_PASSWORD");
    let escaped = "Pa$$w0rd-$%7BHOME%7D-$(id)-%2541-%40%3A%2F%3F%23";
    let mut by_address = world.command(&["run"]);
    let with_password = address.replace("//reader@", &format!("//reader:{escaped}@"));
    by_address
        .env("TIDEMARK_SOURCE", with_password)
        .env_remove("TIDEMARK_PASSWORD");
    for (command, text) in [
        (by_variable, String::new()),
        (by_input, format!("{password}\n")),
        (by_address, String::new()),
    ] {
        let done = fed(command, &text);
        assert_eq!(done.code, Some(0), "{}", done.all());
        assert!(!done.all().contains("w0rd"), "{}", done.all());
    }
}

#[test]
fn a_proxy_for_the_web_is_not_in_the_way_of_a_server_and_a_folder() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut command = world.command(&["run"]);
    // Nobody listens there.
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env(name, "http://127.0.0.1:9");
    }
    let began = Instant::now();
    let done = fed(command, "");
    assert_eq!(done.code, Some(0), "{}", done.all());
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(world.lines("dbo.orders").len(), 3);
}

#[test]
fn a_control_table_that_is_not_there_is_said_with_its_script_and_the_other_store() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let done = world.run(&["run", "--watermark-table", "dbo.watermarks"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    for said in ["dbo.watermarks", "infra/sql/control-table.sql", "--watermark-table"] {
        assert!(done.err.contains(said), "{said}: {}", done.all());
    }
}

#[test]
fn a_slice_of_a_window_without_a_plan_says_which_step_comes_before() {
    let world = World::new(SCRIPT);
    let mut command = world.command(&["step", "copy-delta", "-"]);
    command.env("TIDEMARK_SINK", "./lake");
    let event = json!({"run_id": "r", "table": "dbo.orders", "window": "initial", "slice": 0});
    let done = fed(command, &event.to_string());
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("lookup-new-watermark first"), "{}", done.all());
    assert!(!done.err.contains("Restore"), "{}", done.all());
    assert_eq!(done.out, "", "an error is no output");
}

#[test]
fn thirty_tables_are_a_sorted_line_each_and_what_failed_says_what_to_do() {
    let tables: Vec<String> = (0..30).map(|number| format!("t{number:02}")).collect();
    let script: String = tables
        .iter()
        .map(|table| format!("CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, stamp rowversion NOT NULL);\n"))
        .chain(["INSERT t03 (id) VALUES (1); INSERT t17 (id) VALUES (1), (2);".to_owned()])
        .collect();
    let world = World::new(&script);
    let mut specs: Vec<_> = tables
        .iter()
        .rev()
        .map(|table| json!({"table": table, "format": "csv", "tracking": {"watermark": {"column": "stamp"}}}))
        .collect();
    specs.push(json!({"table": "missing", "tracking": {"watermark": {"column": "stamp"}}}));
    specs.push(json!({"table": "absent", "tracking": {"watermark": {"column": "stamp"}}}));
    world.tables(&json!(specs));
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    let summary: Vec<&str> = done.out.lines().filter(|line| line.starts_with("dbo.")).collect();
    let names: Vec<&str> = summary
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted, "{}", done.all());
    assert_eq!(names.len(), 32, "{}", done.all());
    // Both failed for one reason, which is told once, with what to do.
    let errors: Vec<&str> = done
        .err
        .lines()
        .skip_while(|line| !line.starts_with("error: 2 tables: "))
        .take_while(|line| !line.contains(" sql duckdb --sink "))
        .collect();
    assert_eq!(errors.len(), 4, "{}", done.all());
    assert!(errors[1].contains("dbo.absent, dbo.missing"), "{}", done.all());
    assert_eq!(errors[3], "  See docs/reference/errors.md#sourcerejected.");
}

#[test]
fn every_mistake_of_tables_json_is_said_by_its_place_and_the_tables_name() {
    let world = World::new(SCRIPT);
    let good = |number: usize| json!({"table": format!("t{number}"), "tracking": {"watermark": {"column": "stamp"}}});
    let mut tables: Vec<_> = (0..24).map(good).collect();
    let both = json!({"watermark": {"column": "c"}, "change_tracking": {}});
    tables.push(json!({"table": "two", "tracking": both}));
    tables.push(json!({"table": "text", "tracking": "watermark"}));
    tables.push(json!({"table": "number", "tracking": {"watermark": {"column": "c", "settle_seconds": "30"}}}));
    tables.push(json!({"table": "negative", "tracking": {"watermark": {"column": "c", "settle_seconds": -1}}}));
    tables.push(json!({"table": "format", "tracking": {"change_tracking": {}}, "format": "parqet"}));
    tables.push(good(3));
    world.tables(&json!(tables));
    let done = world.run(&["plan"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    for said in [
        "tables[24].tracking (dbo.two)",
        "tables[25].tracking (dbo.text)",
        "tables[26].tracking.watermark.settle_seconds (dbo.number)",
        "tables[27].tracking.watermark.settle_seconds (dbo.negative)",
        "tables[28].format (dbo.format)",
        "`parquet`",
        "tables[29]",
    ] {
        assert!(done.err.contains(said), "{said}: {}", done.all());
    }
    for of_a_library in ["line 1", "invalid type", "unknown variant", "missing field"] {
        assert!(!done.err.contains(of_a_library), "{of_a_library}: {}", done.all());
    }
}

#[test]
fn two_runs_of_one_second_copy_every_row_once() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let started = || {
        world
            .command(&["run"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let both = [started().unwrap(), started().unwrap()];
    // A run that finds a table busy says so with its own exit class.
    let ended = both.map(|mut run| run.wait().unwrap().code());
    assert!(ended.iter().all(|code| matches!(code, Some(0 | 2))), "{ended:?}");
    // What one of them left to the other is done by now, or is done by the next run.
    world.succeeds(&["run"]);
    assert_eq!(world.lines("dbo.orders").len(), 3);
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);
    world.succeeds(&["verify"]);
}

#[test]
fn tables_of_different_columns_and_forms_are_read_each_by_a_statement_of_its_own() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    tables[1]["format"] = json!("parquet");
    world.tables(&tables);
    world.succeeds(&["run"]);
    let statements = world.succeeds(&["sql", "duckdb", "--key", "id"]).out;
    for (reader, folder) in [("read_csv", "dbo.orders/"), ("read_parquet", "dbo.items/")] {
        let line = statements.lines().find(|line| line.contains(reader));
        assert!(line.is_some_and(|line| line.contains(folder)), "{statements}");
    }
    let of_both = |line: &str| line.contains("FROM") && line.contains("/**/") && !line.contains("dbo.");
    assert!(!statements.lines().any(of_both), "{statements}");
}

#[test]
fn what_goes_wrong_for_the_command_is_not_said_in_the_words_of_a_secret() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let trusting = world.address();
    let verifying = trusting.replace("tls=trust", "tls=verify");
    let closed = "sqlserver://sa@127.0.0.1:9/tidemark".to_owned();
    let instance = "sqlserver://sa@localhost\\SQLEXPRESS/tidemark".to_owned();
    for (address, password, said) in [
        (trusting, "wrong", "check the user name and the password"),
        (verifying, world.sandbox.password(), "tls=trust"),
        (
            closed,
            world.sandbox.password(),
            "the connection failed: Connection refused",
        ),
        (instance, world.sandbox.password(), "--source is not usable"),
    ] {
        let mut command = world.command(&["run"]);
        command
            .env("TIDEMARK_SOURCE", &address)
            .env("TIDEMARK_PASSWORD", password);
        let done = fed(command, "");
        assert!(done.err.contains(said), "{said}: {}", done.all());
        assert!(
            !done.err.contains("secret") && !done.err.contains("performing I/O"),
            "{}",
            done.all()
        );
    }
}

#[test]
fn a_table_that_is_tracked_in_another_way_from_now_on_is_told_how_to_go_on() {
    let world = World::new(&format!(
        "{SCRIPT}
         GO
         ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);
         GO
         ALTER TABLE items ENABLE CHANGE_TRACKING;"
    ));
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world.tables(&json!([{"table": "items", "format": "csv", "tracking": {"change_tracking": {}}}]));
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("tidemark reset"), "{}", done.all());
    world.succeeds(&["reset", "items", "--yes"]);
    world.succeeds(&["run"]);
    assert_eq!(world.lines("dbo.items").len(), 2);
}

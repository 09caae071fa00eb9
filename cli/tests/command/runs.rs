//! `run`: a first load, increments, failures beside successes, and results for people and for machines.

use serde_json::json;

use crate::world::{SCRIPT, World, fed};

#[test]
fn a_first_run_loads_and_every_further_one_copies_what_changed() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let done = world.succeeds(&["run"]);
    assert!(
        done.out.contains("2 copied, 0 unchanged, 0 failed: 5 rows"),
        "{}",
        done.all()
    );
    let orders = [
        "1,2020-01-01 00:00:00.000,one",
        "2,2020-01-02 00:00:00.000,two",
        "3,2020-01-03 00:00:00.000,",
    ];
    assert_eq!(world.lines("dbo.orders"), orders);
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);

    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("0 copied, 2 unchanged"), "{}", done.all());

    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four'); UPDATE items SET name = N'c' WHERE id = 2")
        .unwrap();
    let done = world.succeeds(&["run"]);
    assert!(
        done.out.contains("2 copied, 0 unchanged, 0 failed: 2 rows"),
        "{}",
        done.all()
    );
    assert_eq!(world.lines("dbo.orders").len(), 4);
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b", "2,c"]);
}

#[test]
fn tables_that_fail_stand_beside_those_that_do_not_and_say_what_to_do() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    tables[0]["tracking"]["watermark"]["column"] = json!("modified");
    tables
        .as_array_mut()
        .unwrap()
        .push(json!({"table": "gone", "tracking": {"change_tracking": {}}}));
    world.tables(&tables);
    let done = world.run(&["run"]);
    assert_eq!(done.code, Some(1), "{}", done.all());
    // The tables are sorted, and every table of the run is there.
    let order = ["dbo.gone", "dbo.items", "dbo.orders"].map(|table| done.out.find(table).unwrap());
    assert!(order.is_sorted(), "{}", done.all());
    assert!(done.out.contains("1 copied, 0 unchanged, 2 failed"), "{}", done.all());
    let failures = done.err.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(failures, 2, "{}", done.all());
    assert!(done.err.contains("tidemark doctor"), "{}", done.all());
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);
}

#[test]
fn a_sink_may_be_a_folder_of_one_name_or_an_absolute_one() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run", "--sink", "lake"]);
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);
    let absolute = world.folder.path().join("a/b");
    world.succeeds(&["run", "--sink", absolute.to_str().unwrap()]);
    assert!(absolute.join("dbo.items").is_dir());
}

#[test]
fn machines_get_a_line_of_json_for_everything() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let done = world.succeeds(&["run", "--json"]);
    assert_eq!(done.events("committed").len(), 2, "{}", done.all());
    let summary = &done.events("summary")[0];
    assert_eq!((&summary["committed"], &summary["rows"]), (&json!(2), &json!(5)));
    let again = world.succeeds(&["--json", "run"]);
    assert_eq!(again.events("unchanged").len(), 2, "{}", again.all());
}

#[test]
fn where_nobody_watches_every_line_has_its_time_and_a_wait_says_that_it_is_one() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(1));
    let done = world.succeeds(&["run"]);
    assert!(
        done.err
            .contains("dbo.orders: waits 1 s for open transactions to commit."),
        "{}",
        done.all()
    );
    for line in done.err.lines() {
        let is_timed = line
            .get(..20)
            .is_some_and(|time| time.ends_with('Z') && time.contains('T'));
        assert!(is_timed && !line.contains('\x1b'), "{line:?}");
    }
    assert!(!done.out.contains('\x1b'), "{}", done.all());
}

#[test]
fn a_password_comes_by_the_environment_or_by_standard_input() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut command = world.command(&["run", "--password-stdin"]);
    command.env_remove("TIDEMARK_PASSWORD");
    let done = fed(command, &format!("{}\n", world.sandbox.password()));
    assert_eq!(done.code, Some(0), "{}", done.all());

    let mut command = world.command(&["run"]);
    command.env("TIDEMARK_PASSWORD", "wr$ong");
    let done = fed(command, "");
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(
        done.err.contains("Login failed") && !done.err.contains("wr$ong"),
        "{}",
        done.all()
    );
    assert_eq!(
        done.err.matches("Login failed").count(),
        1,
        "it is said once: {}",
        done.all()
    );

    let mut command = world.command(&["run"]);
    command.env_remove("TIDEMARK_PASSWORD");
    let done = fed(command, "");
    assert_eq!(done.code, Some(1), "{}", done.all());
    assert!(done.err.contains("--password-stdin"), "{}", done.all());
}

#[test]
fn a_server_that_is_not_there_is_said_soon_with_every_attempt() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut command = world.command(&["run"]);
    // The port of a socket that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    command.env(
        "TIDEMARK_SOURCE",
        format!("sqlserver://sa@127.0.0.1:{port}/tidemark?tls=trust"),
    );
    let began = std::time::Instant::now();
    let done = fed(command, "");
    assert_eq!(done.code, Some(2), "{}", done.all());
    assert!(began.elapsed().as_secs() < 20);
    assert!(
        done.err.contains("Attempt 1 of 4 failed; the next is in 1 s."),
        "{}",
        done.all()
    );
    assert!(done.err.contains(&format!("127.0.0.1:{port}")), "{}", done.all());
}

#[test]
fn a_host_without_an_address_or_an_untrusted_certificate_is_said_once_and_not_tried_again() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let untrusted = format!("sqlserver://sa@127.0.0.1:{}/tidemark", world.sandbox.port());
    for (address, said) in [
        (
            "sqlserver://sa@no-such-host.invalid/tidemark",
            "no-such-host.invalid has no address",
        ),
        (untrusted.as_str(), "SSL_CERT_FILE"),
    ] {
        for verb in ["run", "plan", "init"] {
            let arguments = [verb, "--source", address, "--json"];
            let arguments = if verb == "init" {
                [&arguments[..], &["-o", "other.json"]].concat()
            } else {
                arguments.to_vec()
            };
            let done = world.run(&arguments);
            assert_eq!(done.code, Some(1), "{}", done.all());
            assert_eq!(done.err.matches(said).count(), 1, "{}", done.all());
            assert!(!done.err.contains("Attempt"), "{}", done.all());
        }
    }
    let mut trusted = world.command(&["run", "--source", &untrusted]);
    trusted.env("SSL_CERT_FILE", world.sandbox.ca_path());
    let done = fed(trusted, "");
    assert_eq!(done.code, Some(0), "{}", done.all());
}

#[test]
fn the_control_table_of_the_tutorials_can_hold_the_watermarks() {
    // The tutorials' table holds a datetime, which does not hold every datetime2.
    let script = SCRIPT.replace("datetime2(3)", "datetime");
    let script = format!(
        "{script}
        CREATE TABLE watermarktable (TableName varchar(255), WatermarkValue datetime);
        INSERT watermarktable VALUES ('orders', '2020-01-01');
        GO
        CREATE PROCEDURE usp_write_watermark @LastModifiedtime datetime, @TableName varchar(50) AS
        BEGIN UPDATE watermarktable SET WatermarkValue = @LastModifiedtime WHERE TableName = @TableName END"
    );
    let world = World::new(&script);
    let mut tables = World::both(0);
    tables.as_array_mut().unwrap().pop();
    world.tables(&tables);
    world.succeeds(&["run", "--watermark-table", "dbo.watermarktable"]);
    assert_eq!(world.lines("dbo.orders").len(), 2);
    let sets = world
        .sandbox
        .execute("SELECT CONVERT(varchar(30), WatermarkValue, 126) FROM watermarktable")
        .unwrap();
    assert!(format!("{sets:?}").contains("2020-01-03"));
}

#[test]
fn a_run_whose_budget_is_spent_stops_and_says_so_and_the_next_one_goes_on() {
    let world = World::new(SCRIPT);
    let mut tables = World::both(0);
    tables[0]["slice_rows"] = json!(1);
    world.tables(&json!([tables[0]]));
    let limited = ["run", "--parallel", "1", "--budget-rows", "1"];
    let done = world.succeeds(&[&limited[..], &["--json"]].concat());
    let stopped = &done.events("stopped")[0];
    assert!(stopped["slices_left"].as_u64() >= Some(2), "{stopped}");
    assert_eq!(
        (&stopped["table"], &stopped["rows"]),
        (&json!("dbo.orders"), &json!(1)),
        "{}",
        done.all()
    );
    assert_eq!(done.events("summary")[0]["stopped"], 1, "{}", done.all());
    assert_eq!(world.lines("dbo.orders").len(), 0, "readers see nothing of it");
    let done = world.succeeds(&limited);
    assert!(
        done.out.contains("the run's budget is spent after 1 row, "),
        "{}",
        done.all()
    );
    assert!(
        done.out.contains("slices are left of window initial for the next run"),
        "{}",
        done.all()
    );
    let done = world.succeeds(&["run", "--budget-bytes", "0"]);
    assert!(done.out.contains("1 copied, 0 unchanged"), "{}", done.all());
    assert_eq!(world.lines("dbo.orders").len(), 3);
}

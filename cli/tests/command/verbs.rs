//! The verbs around a run: from the catalog to the files, and what is found of them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};
use tidemark_sandbox::{Action, Fault, SqlError};

use crate::world::{Done, SCRIPT, World, bare, fed};

const CATALOG: &str = "
    ALTER DATABASE tidemark SET CHANGE_TRACKING = ON;
    GO
    CREATE TABLE stamped (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL, stamp rowversion NOT NULL);
    CREATE TABLE tracked (id int NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
    CREATE TABLE changed (id int NOT NULL PRIMARY KEY, modified_at datetime2(3) NOT NULL);
    CREATE INDEX i ON changed (modified_at);
    CREATE TABLE appended (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, note nvarchar(20) NULL);
    CREATE TABLE neither (note nvarchar(20) NULL);
    GO
    ALTER TABLE tracked ENABLE CHANGE_TRACKING;
    GO
    INSERT stamped (id, note) VALUES (1, N'a'), (2, N'b');
    INSERT tracked VALUES (1, N'a'), (2, N'b'), (3, N'c');
    INSERT changed VALUES (1, '2020-01-01');
    INSERT appended (note) VALUES (N'a');";

#[test]
fn from_the_catalog_to_files_and_an_increment_in_three_commands() {
    let world = World::new(CATALOG);
    let done = world.succeeds(&["init"]);
    for said in [
        "a rowversion is exact and needs no wait",
        "it is on; deletes are copied",
        "its name says that every change sets it; an index begins with it",
        "an identity grows; updates are not seen",
        "left out",
    ] {
        // Cells are broken into lines.
        let words = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_said = said.split(' ').all(|word| words.contains(word));
        assert!(is_said, "{said}\n{}", done.all());
    }
    let path = world.folder.path().join("tables.json");
    let written: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let tracking = |table: &str| {
        let tables = written["tables"].as_array().unwrap().iter();
        tables
            .clone()
            .find(|entry| entry["table"] == table)
            .map(|entry| entry["tracking"].clone())
    };
    assert_eq!(tracking("dbo.tracked"), Some(json!({"change_tracking": {}})));
    assert_eq!(tracking("dbo.stamped"), Some(json!({"watermark": {"column": "stamp"}})));
    assert_eq!(
        tracking("dbo.changed"),
        Some(json!({"watermark": {"column": "modified_at"}}))
    );
    assert_eq!(tracking("dbo.neither"), None);
    assert_eq!(world.run(&["init"]).code, Some(1), "what is there is not written over");

    // No test waits half a minute for transactions.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"column\":", "\"settle_seconds\": 0, \"column\":")).unwrap();
    let done = world.succeeds(&["run"]);
    assert!(
        done.out.contains("4 copied, 0 unchanged, 0 failed: 7 rows"),
        "{}",
        done.all()
    );
    world
        .sandbox
        .execute("DELETE tracked WHERE id = 2; INSERT stamped (id) VALUES (3)")
        .unwrap();
    let done = world.succeeds(&["run"]);
    assert!(
        done.out.contains("2 copied, 2 unchanged, 0 failed: 2 rows"),
        "{}",
        done.all()
    );
}

#[test]
fn patterns_choose_the_tables_of_init() {
    let world = World::new(CATALOG);
    let done = world.succeeds(&[
        "init",
        "--json",
        "--include",
        "*.t*",
        "--include",
        "dbo.stamped",
        "--exclude",
        "*ked",
    ]);
    let tables: Vec<Value> = done
        .events("table")
        .iter()
        .map(|event| event["table"].clone())
        .collect();
    assert_eq!(tables, ["dbo.stamped"], "{}", done.all());
    assert_eq!(done.events("table")[0]["candidates"][0]["score"], 90);
}

#[test]
fn three_hundred_tables_are_proposed_in_seconds_by_a_question_for_all() {
    let tables: Vec<String> = (0..300)
        .map(|number| {
            format!("CREATE TABLE t{number} (id int NOT NULL PRIMARY KEY, a int, b int, stamp rowversion NOT NULL)")
        })
        .collect();
    let world = World::new(&tables.join(";\n"));
    world.sandbox.statements();
    let began = std::time::Instant::now();
    world.succeeds(&["init"]);
    let took = began.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    let asked = world.sandbox.statements();
    assert_eq!(
        asked.iter().filter(|line| line.contains("sys.tables")).count(),
        1,
        "{asked:?}"
    );
}

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

#[test]
fn a_plan_shows_windows_rows_and_statements_with_their_values() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four')")
        .unwrap();
    let done = world.succeeds(&["plan", "--sql"]);
    assert!(
        done.out.contains("N'2020-01-03T00:00:00.000'") && !done.out.contains("@P1"),
        "{}",
        done.all()
    );
    let planned = world.succeeds(&["plan", "--json"]).events("planned");
    assert_eq!(planned.len(), 1);
    assert_eq!(
        (&planned[0]["table"], &planned[0]["rows"]),
        (&json!("dbo.orders"), &json!(1))
    );
    assert!(
        planned[0]["estimate"]["usd"].as_f64().is_some_and(|usd| usd > 0.0),
        "{planned:?}"
    );
    assert!(
        done.out.contains("Deployed functions cost about $0.00"),
        "{}",
        done.all()
    );
    // It has written nothing.
    assert!(
        !world
            .lake()
            .join("_ledger/dbo.orders/from-2020-01-03T00-00-00/plan.json")
            .exists()
    );
}

#[test]
fn status_history_and_verify_say_how_the_tables_are() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    world
        .sandbox
        .execute("INSERT orders VALUES (4, '2020-01-04', N'four')")
        .unwrap();
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
fn what_one_step_writes_the_next_one_reads() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    let mut answer = world.succeeds(&["step", "lookup-old-watermark", "tables.json"]).out;
    for step in ["lookup-new-watermark", "copy-delta", "update-watermark"] {
        let done = fed(world.command(&["step", step, "-"]), &answer);
        assert_eq!(done.code, Some(0), "{step}: {}", done.all());
        answer = done.out;
    }
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["committed"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(world.lines("dbo.items"), ["1,a", "2,b"]);
    let done = world.succeeds(&["run"]);
    assert!(done.out.contains("0 copied, 2 unchanged"), "{}", done.all());
}

#[test]
fn engines_are_told_of_the_files_and_of_the_present_rows() {
    let world = World::new(CATALOG);
    let table = |name: &str, tracking: Value| json!({"table": name, "tracking": tracking});
    world.tables(&json!([
        table("tracked", json!({"change_tracking": {}})),
        table(
            "changed",
            json!({"watermark": {"column": "modified_at", "settle_seconds": 0}})
        ),
    ]));
    world.succeeds(&["run"]);
    // The plan of the load has the key of the tracked table, before there is any change.
    let done = world.succeeds(&["sql", "duckdb", "tracked"]);
    assert!(
        done.out.contains("PARTITION BY \"id\"") && !done.out.contains("Give --key"),
        "{}",
        done.all()
    );
    world.sandbox.execute("DELETE tracked WHERE id = 2").unwrap();
    world.succeeds(&["run"]);
    for (engine, said) in [
        ("athena", "STORED AS PARQUET"),
        ("spark", "USING parquet"),
        ("duckdb", "read_parquet"),
        ("snowflake", "EXTERNAL TABLE"),
        ("redshift", "NO SCHEMA BINDING"),
    ] {
        let done = world.succeeds(&["sql", engine, "tracked"]);
        assert!(
            done.out.contains(said) && done.out.contains("ROW_NUMBER()"),
            "{}",
            done.all()
        );
        assert!(
            done.out.contains("<> 'D'") && done.out.contains("LIKE 'reinit-%'"),
            "{}",
            done.all()
        );
    }
    let done = world.succeeds(&["sql", "duckdb", "changed"]);
    assert!(done.out.contains("Give --key"), "{}", done.all());
    let done = world.succeeds(&["sql", "duckdb", "changed", "--key", "id"]);
    assert!(
        done.out.contains("PARTITION BY \"id\" ORDER BY \"modified_at\" DESC"),
        "{}",
        done.all()
    );
    assert_eq!(world.run(&["sql", "duckdb", "changed", "--key", "no"]).code, Some(1));
}

#[test]
fn engines_are_told_of_csv_as_each_of_them_reads_it() {
    let world = World::new(SCRIPT);
    let tracking = json!({"watermark": {"column": "modified_at", "settle_seconds": 0}});
    let csv = |options: Value| json!([{"table": "orders", "format": {"csv": options}, "tracking": tracking}]);
    let told = |engine: &str| {
        world
            .json_lines(&["sql", engine, "orders", "--key", "id", "--json"])
            .remove(0)
    };
    let said = |engine: &str, field: &str| told(engine)[field].as_str().unwrap().to_owned();
    world.tables(&csv(json!({"header": false, "null": "\\N"})));
    world.succeeds(&["run"]);
    // Redshift takes a backslash in a text for an escape, and knows no \u.
    assert!(
        said("redshift", "ddl").contains("'escapeChar' = '\u{1}'"),
        "{}",
        told("redshift")
    );
    assert!(
        said("redshift", "view").contains(r#"NULLIF("note", '\\N')"#),
        "{}",
        told("redshift")
    );
    assert!(
        said("athena", "ddl").contains(r"'escapeChar' = '\u0001'"),
        "{}",
        told("athena")
    );
    assert!(
        said("athena", "view").contains(r#"NULLIF("note", '\N')"#),
        "{}",
        told("athena")
    );
    assert!(
        said("duckdb", "ddl").contains("null_padding = true, parallel = false"),
        "{}",
        told("duckdb")
    );
    assert!(
        said("snowflake", "ddl").contains(r"NULL_IF = ('\\N') EMPTY_FIELD_AS_NULL = FALSE"),
        "{}",
        told("snowflake")
    );
    let world = World::new(SCRIPT);
    world.tables(&csv(json!({})));
    world.succeeds(&["run"]);
    // A NULL is a field without anything, and an empty text is a field of two quotes.
    let snowflake = world.json_lines(&["sql", "snowflake", "orders", "--json"]).remove(0);
    let ddl = snowflake["ddl"].as_str().unwrap();
    assert!(ddl.contains("NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE"), "{ddl}");
}

/// Answers in the place of CloudFormation and S3. Returns its address and, at the end, the requests that it received.
fn deployed(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = [0; 8192];
            let length = stream.read(&mut read).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&read[..length]).into_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, asked)
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_deployed_stack_says_where_the_sink_is() {
    let stack = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
        <Parameters><member><ParameterKey>SinkPrefix</ParameterKey><ParameterValue>raw</ParameterValue></member>\
        <member><ParameterKey>SinkBucketOwner</ParameterKey><ParameterValue>444455556666</ParameterValue></member></Parameters>\
        <Outputs><member><OutputKey>BucketName</OutputKey><OutputValue>lake</OutputValue></member></Outputs>\
        </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
    let nothing = "<ListBucketResult><Name>lake</Name></ListBucketResult>";
    let (address, asked) = deployed(vec![http("200 OK", stack), http("200 OK", nothing)]);
    let mut command = bare(&["status", "--stack", "mine"]);
    command
        .env("AWS_ENDPOINT_URL", address)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let done: Done = command.output().unwrap().into();
    assert!(done.err.contains("s3://lake/raw has no ledger"), "{}", done.all());
    let asked = asked.join().unwrap();
    assert!(
        asked[0].contains("/eu-west-1/cloudformation/aws4_request"),
        "{}",
        asked[0]
    );
    assert!(
        asked[1].starts_with("GET /lake") && asked[1].contains("raw%2F_ledger"),
        "{}",
        asked[1]
    );
    let owner = "x-amz-expected-bucket-owner: 444455556666";
    assert!(asked[1].to_lowercase().contains(owner), "{}", asked[1]);
}

#[test]
fn the_list_of_a_pipeline_of_azure_becomes_a_file_that_runs() {
    let world = World::new(
        "CREATE TABLE customer_table (PersonID int, Name varchar(255), LastModifytime datetime);
         INSERT INTO customer_table VALUES (1, 'John', '2017-09-01 00:56:00'), (2, 'Mike', '2017-09-02 05:23:00');
         CREATE TABLE project_table (Project varchar(255), Creationtime datetime);
         INSERT INTO project_table VALUES ('project1', '2015-01-01 00:00:00');",
    );
    let pipeline = json!({"properties": {"parameters": {"tableList": {"type": "array", "defaultValue": [
        {"TABLE_NAME": "customer_table", "WaterMark_Column": "LastModifytime",
         "TableType": "DataTypeforCustomerTable", "StoredProcedureNameForMergeOperation": "usp_upsert_customer_table"},
        {"TABLE_NAME": "project_table", "WaterMark_Column": "Creationtime"},
    ]}}}});
    let folder = world.folder.path();
    fs::write(folder.join("pipeline.json"), pipeline.to_string()).unwrap();
    world.succeeds(&["init", "--from-adf", "pipeline.json"]);
    let path = folder.join("tables.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"column\":", "\"settle_seconds\": 0, \"column\":")).unwrap();
    let done = world.succeeds(&["run"]);
    assert!(
        done.out.contains("2 copied, 0 unchanged, 0 failed: 3 rows"),
        "{}",
        done.all()
    );
    let done = world.run(&["init", "--from-adf", "tables.json", "--output", "other.json"]);
    assert!(
        done.code == Some(1) && done.err.contains("no tableList"),
        "{}",
        done.all()
    );
}

#[test]
fn a_watermark_is_set_to_the_end_of_a_window_after_it_was_shown() {
    let world = World::new(SCRIPT);
    world.tables(&World::both(0));
    world.succeeds(&["run"]);
    let to = ["reset", "orders", "--to", "initial", "--json"];
    let set = world.succeeds(&to).events("watermark_set");
    assert_eq!(set[0]["from"], "2020-01-03T00:00:00.000", "it is there already");
    let pointer = world.lake().join("_ledger/dbo.orders/watermark.json");
    let text = fs::read_to_string(&pointer).unwrap();
    fs::write(&pointer, text.replace("2020-01-03", "2019-01-01")).unwrap();
    let done = world.run(&to);
    assert_eq!(done.code, Some(5), "{}", done.all());
    assert_eq!(done.events("to_set_watermark")[0]["from"], "2019-01-01T00:00:00.000");
    assert_eq!(
        done.events("not_confirmed"),
        [json!({"event": "not_confirmed", "asked": false, "exit": 5})]
    );
    world.succeeds(&["reset", "orders", "--to", "initial", "--yes"]);
    assert_eq!(
        world.json_lines(&["status", "--json", "orders"])[0]["watermark"],
        "2020-01-03T00:00:00.000"
    );
    for (arguments, said) in [
        (
            &["reset", "orders", "items", "--to", "initial"][..],
            "--to names a window of one table",
        ),
        (&["reset", "orders", "--to", "from-x"], "window from-x is not committed"),
        (&["reset", "ordrs", "--to", "initial"], "did you mean dbo.orders?"),
    ] {
        let done = world.run(arguments);
        assert_eq!(done.code, Some(1), "{}", done.all());
        assert!(done.err.contains(said), "{}", done.all());
    }
    assert_eq!(world.lines("dbo.orders").len(), 3, "no file is moved");
}

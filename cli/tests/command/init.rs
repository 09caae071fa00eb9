//! `init`: what it proposes for the tables of a catalog or of a pipeline, and that this can be copied.

use std::fs;

use serde_json::{Value, json};

use crate::world::{CATALOG, Done, SCRIPT, World};

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
fn the_size_of_a_table_stands_beside_its_rows() {
    let world = World::new(SCRIPT);
    let done = world.succeeds(&["init"]);
    let heading = done.out.lines().next().unwrap_or_default();
    let columns: Vec<&str> = heading.split_whitespace().collect();
    assert_eq!(columns[..3], ["table", "rows", "size"], "{}", done.all());
    let row = done.out.lines().find(|line| line.starts_with("dbo.orders ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert!(cells[1] == "3" && cells[2].ends_with('B'), "{}", done.all());
    let events = world
        .succeeds(&["init", "--json", "--output", "other.json"])
        .events("table");
    let bytes = events.iter().map(|event| event["bytes"].as_u64());
    assert!(
        bytes.into_iter().all(|bytes| bytes.is_some_and(|bytes| bytes > 0)),
        "{events:?}"
    );
    // Whoever may read a table and nothing else is told the size as well.
    world
        .sandbox
        .execute("CREATE LOGIN reader WITH PASSWORD = 'Reader-1'; CREATE USER reader FOR LOGIN reader; GRANT SELECT ON items TO reader;")
        .unwrap();
    let mut command = world.command(&["init", "--json", "--output", "readers.json"]);
    command
        .env("TIDEMARK_SOURCE", world.address().replace("//sa@", "//reader@"))
        .env("TIDEMARK_PASSWORD", "Reader-1");
    let done: Done = command.output().unwrap().into();
    let events = done.events("table");
    assert!(events.len() == 1 && events[0]["bytes"].is_u64(), "{}", done.all());
}

#[test]
fn a_file_that_cannot_be_made_is_refused_before_the_catalog_is_read() {
    let world = World::new(SCRIPT);
    fs::write(world.folder.path().join("there.json"), "{}").unwrap();
    for (output, said) in [
        (
            "there.json",
            "there.json is there already: name another file with --output",
        ),
        ("-", "--output is -, and init writes a file"),
        ("no/such/tables.json", "there is no folder no/such"),
    ] {
        let done = world.run(&["init", "--output", output]);
        assert_eq!(done.code, Some(1), "{}", done.all());
        assert!(done.err.contains(said) && done.out.is_empty(), "{}", done.all());
    }
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

//! Names of tables, schemas and columns as anybody may write them.

use serde_json::{Value, json};
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::keys::table_segment;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::names::Identifier;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::{AskBucket, CompleteObjects, CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use tidemark::ports::sink_table::NoSinks;
use tidemark::testing::MemoryStore;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_files::encoder::Files;
use tidemark_lambda::runner::decode;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// Returns names that are unusual and still valid.
fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "plain",
        "two words",
        "a]b",
        "]]]",
        "[bracketed]",
        "it's",
        "double\"quoted",
        "semi;colon -- comment",
        "dot.ted",
        "per%20cent",
        "sl/ash and back\\slash",
        "..",
        "*",
        "@P1",
        "Größe",
        "表の名前",
        "😀 and 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
        "select",
        "tidemark_window=initial",
    ]
    .map(str::to_owned)
    .into();
    names.push("n".repeat(128));
    names.push("]".repeat(128));
    names.push("表".repeat(128));
    names
}

fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn spec(table: &str, column: &str) -> TableSpec {
    decode(json!({
        "table": table, "tracking": { "watermark": { "column": column, "settle_seconds": 0 } }, "format": "jsonl",
    }))
    .unwrap()
}

/// Runs the steps once, into any bucket.
async fn run<S>(world: &World, store: &S, prefix: &str, specs: &[TableSpec]) -> Result<RunOutcome>
where
    S: ReadObjects + AskBucket + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects,
{
    let server = || Server::new(world.login());
    let (source, watermarks) = (server(), shipped_control_table(server()));
    let mut pipeline = Pipeline::new(
        &source,
        RowReader::new(world.login()),
        &watermarks,
        Place::new(store, prefix),
        Files,
        NoSinks::default(),
    );
    Box::pin(pipeline.run("r", specs)).await
}

fn lines(part: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(part).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_of_schemas_tables_and_columns_are_copied_whole() {
    let world = World::new(CONTROL_TABLE).await;
    let names = odd_names();
    for (number, name) in names.iter().enumerate() {
        // Each name stands once for a table, once for a schema, and twice for a column.
        let (schema, column) = (&names[(number + 1) % names.len()], &names[(number + 2) % names.len()]);
        let table = format!("{}.{}", quoted(schema), quoted(name));
        world.execute(&format!("create schema {}", quoted(schema)));
        world.execute(&format!(
            "create table {table} ({} int not null, {} varchar(20)); insert into {table} values (1, 'one'), (2, 'two')",
            quoted(column),
            quoted(name)
        ));
        let mut both = spec(&table, column);
        both.columns = Some(
            [name, column]
                .map(|name| Identifier::new(name.as_str()).unwrap())
                .into(),
        );
        // The second run finds the watermark under the table's name, and nothing above it.
        for (spec, rows) in [(both, Some(2)), (spec(&table, column), None)] {
            let store = MemoryStore::default();
            let outcome = run(&world, &store, "lake", std::slice::from_ref(&spec)).await.unwrap();
            assert!(outcome.failed.is_empty(), "{table}: {:?}", outcome.failed);
            assert_eq!(
                outcome.committed.first().map(|committed| committed.rows),
                rows,
                "{table}"
            );
            if rows.is_some() {
                let ledger = Ledger::new(Place::new(&store, "lake"), &spec.table);
                let plan = ledger.existing_plan(&WindowName::initial()).await.unwrap();
                let key = ledger.keys().part(&plan, &0.into());
                let row = json!({ column: 2, name: "two" });
                assert_eq!(lines(&store.body(&key).unwrap())[1], row, "{table}");
            }
        }
    }
    let stored = world
        .sandbox
        .execute("SELECT TableName FROM dbo.tidemark_watermark")
        .unwrap();
    assert_eq!(stored[0].rows.len(), names.len(), "each has a row of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_keys_that_s3_takes() {
    let world = World::new(CONTROL_TABLE).await;
    let store = world.s3.store();
    // The server keeps a file for each object, and the name of this one would be too long.
    for name in odd_names().iter().filter(|name| name.chars().count() < 128) {
        let table = quoted(name);
        world.execute(&format!(
            "create table dbo.{table} (v int); insert into dbo.{table} values (1)"
        ));
        let spec = spec(&table, "v");
        let outcome = run(&world, &store, "lake", std::slice::from_ref(&spec)).await.unwrap();
        assert!(outcome.failed.is_empty(), "{table}: {:?}", outcome.failed);
        let path = world.s3.files().join("lake").join(table_segment(&spec.table));
        let part = std::fs::read(path.join("tidemark_window=initial/part-00000.jsonl")).unwrap();
        assert_eq!(lines(&part), [json!({ "v": 1 })], "{table}");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused_by_name() {
    let long = "x".repeat(129);
    for (table, column) in [
        (format!("dbo.{long}"), "v".to_owned()),
        (format!("{long}.t"), "v".to_owned()),
        ("t".to_owned(), long.clone()),
    ] {
        let error = decode::<TableSpec>(json!({ "table": table, "tracking": { "watermark": { "column": column } } }));
        let error = error.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert!(
            error.to_string().contains(&long) && error.to_string().contains("128"),
            "{error}"
        );
    }
}

/// The texts that strangers write where a name is expected.
const ATTEMPTS: [&str; 12] = [
    "victim; DROP TABLE victim; --",
    "victim]; DROP TABLE victim; --",
    "[victim]; DROP TABLE victim; --",
    "[victim]]; DROP TABLE victim; --",
    "[dbo].[victim]; DELETE FROM victim; --",
    "victim\"; DROP TABLE victim; --",
    "victim'; DROP TABLE victim; --",
    "victim' OR '1'='1",
    "victim WHERE 1=1; DROP TABLE victim",
    "(SELECT 1); DROP TABLE victim; --",
    "victim/**/UNION/**/SELECT/**/1",
    "v, (SELECT COUNT(*) FROM victim) AS x",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_event_is_run_as_sql() {
    let world = World::new(&format!(
        "{CONTROL_TABLE}\nGO\ncreate table victim (v int, n int); insert into victim values (1, 1), (2, 2), (3, 3)"
    ))
    .await;
    let valid = json!({
        "table": "victim", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": "csv",
    });
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        for place in ["table", "schema", "column", "columns", "watermark_name", "prefix"] {
            let mut event = valid.clone();
            match place {
                "table" => event["table"] = json!(attempt),
                "schema" => event["table"] = json!(format!("{attempt}.victim")),
                "column" => event["tracking"]["watermark"]["column"] = json!(attempt),
                "columns" => event["columns"] = json!(["v", attempt]),
                "watermark_name" => event["watermark_name"] = json!(format!("{number} {attempt}")),
                _ => {}
            }
            let prefix = if place == "prefix" { attempt } else { "lake" };
            let case = format!("{place}: {attempt}");
            // Each attempt has a bucket of its own, so that what is frozen for one is not adopted by the next.
            let store = MemoryStore::default();
            let names = matches!(place, "table" | "schema" | "column" | "columns");
            match decode::<TableSpec>(event) {
                Ok(spec) => {
                    let outcome = run(&world, &store, prefix, &[spec]).await;
                    let outcome = outcome.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
                    // A text in the place of a name is the name of nothing; in the place of a value or a key it is only
                    // that.
                    let failed: Vec<_> = outcome.failed.iter().map(|failed| failed.error).collect();
                    assert_eq!(
                        failed,
                        if names { vec![ErrorCode::SourceRejected] } else { vec![] },
                        "{case}"
                    );
                }
                Err(error) => {
                    assert!(names, "{case}: {error}");
                    assert_eq!(error.code(), ErrorCode::InvalidInput, "{case}");
                }
            }
            let found = world
                .sandbox
                .execute("SELECT COUNT(*), SUM(v), SUM(n) FROM victim")
                .unwrap();
            let as_it_was = ["3", "6", "6"].map(|number| Some(number.to_owned()));
            assert_eq!(found[0].rows, [as_it_was], "{case}");
            world.execute("DELETE FROM dbo.tidemark_watermark WHERE TableName = 'dbo.victim'");
        }
    }
}

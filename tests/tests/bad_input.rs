//! What users and strangers may write into an event: odd names work or are refused, nothing of it is ever run as SQL,
//! and a mistake is named by its field.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::Server;
use tidemark::error::{ErrorCode, Result};
use tidemark::identifier::Identifier;
use tidemark::ledger::{Ledger, WindowName};
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects, StageObjects};
use tidemark::runner::decode;
use tidemark::table::{TableSpec, check_all};
use tidemark::testing::MemoryStore;
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::stand_in::{CONTROL_TABLE, World, shipped_control_table};

/// Names that are names all the same.
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
        "window=initial",
    ]
    .map(str::to_owned)
    .into();
    names.push("n".repeat(128));
    names.push("]".repeat(128));
    names
}

fn quoted(name: &str) -> String {
    Identifier::new(name).unwrap().quoted()
}

fn spec(table: &str, column: &str) -> TableSpec {
    decode(json!({
        "table": table, "tracking": { "watermark": { "column": column, "settle_seconds": 0 } }, "format": "jsonl",
    }))
    .unwrap()
}

/// One run into any bucket.
async fn run<S>(world: &World, store: &S, prefix: &str, specs: &[TableSpec]) -> Result<Outcome>
where
    S: ReadObjects + CreateObjects + StageObjects + CompleteObjects,
{
    let server = || Server::new(world.login());
    let (source, watermarks) = (server(), shipped_control_table(server()));
    let mut pipeline = Pipeline {
        source: &source,
        rows: MssqlRows::new(world.login()),
        watermarks: &watermarks,
        store,
        prefix,
        sinks: (),
    };
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
                let ledger = Ledger::new(&store, "lake", &spec.table);
                let plan = ledger.frozen_plan(&WindowName::initial()).await.unwrap();
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
    for name in odd_names().iter().filter(|name| name.len() < 30) {
        let table = quoted(name);
        world.execute(&format!(
            "create table dbo.{table} (v int); insert into dbo.{table} values (1)"
        ));
        let spec = spec(&table, "v");
        let outcome = run(&world, &store, "lake", std::slice::from_ref(&spec)).await.unwrap();
        assert!(outcome.failed.is_empty(), "{table}: {:?}", outcome.failed);
        let path = world.s3.files().join("lake").join(spec.table.key_segment());
        let part = std::fs::read(path.join("window=initial/part-00000.jsonl")).unwrap();
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
    // Percent-encoded, 128 characters of Chinese are more than the 1,024 bytes of a key.
    let table = "表".repeat(128);
    let error = check_all([spec(&table, "v")].iter()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert!(error.to_string().contains(&table), "{error}");
    assert!(check_all([spec(&quoted(&" ".repeat(128)), "v")].iter()).is_ok());
}

/// What strangers write where a name is asked for.
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
            // Its own bucket: what is frozen for one attempt is not adopted by the next.
            let store = MemoryStore::default();
            let names = matches!(place, "table" | "schema" | "column" | "columns");
            match decode::<TableSpec>(event) {
                Ok(spec) => {
                    let outcome = run(&world, &store, prefix, &[spec]).await;
                    let outcome = outcome.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
                    // As a name it is one of nothing; as a value or a key it is only that.
                    let failed: Vec<_> = outcome.failed.iter().map(|failed| failed.error.as_str()).collect();
                    assert_eq!(failed, if names { vec!["SourceRejected"] } else { vec![] }, "{case}");
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

/// The error of a function's request, which must be `InvalidInput`.
fn refusal<T: DeserializeOwned>(event: Value) -> String {
    let Err(error) = decode::<T>(event.clone()) else {
        panic!("{event} is taken")
    };
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    error.to_string()
}

/// `event` with another value at a place, or without it.
fn with(event: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut event = event.clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match (event.pointer_mut(parent).unwrap(), value) {
        (Value::Array(items), Some(value)) => items[field.parse::<usize>().unwrap()] = value,
        (Value::Object(fields), Some(value)) => drop(fields.insert(field.to_owned(), value)),
        (Value::Object(fields), None) => drop(fields.remove(field).unwrap()),
        (other, _) => panic!("{pointer} leads to {other}"),
    }
    event
}

/// Checks that each value at its place is refused by a message that names the place, or what else is given.
fn each_is_named<T: DeserializeOwned>(event: &Value, cases: &[(&str, Option<Value>, &str)]) {
    decode::<T>(event.clone()).unwrap_or_else(|error| panic!("{event}: {error}"));
    for (pointer, value, named) in cases {
        let wrong = with(event, pointer, value.clone());
        let said = refusal::<T>(wrong);
        assert!(said.contains(named), "{pointer} = {value:?}: {said}");
    }
    for whole in [json!(null), json!("event"), json!(7), json!([1, 2])] {
        refusal::<T>(whole);
    }
}

/// The mistakes in a table's settings, wherever it stands.
fn table_cases(at: &str) -> Vec<(String, Option<Value>, String)> {
    let path = at.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
    let cases: Vec<(&str, Option<Value>, &str)> = vec![
        ("/table", Some(json!(7)), "{}.table: invalid type: integer"),
        (
            "/table",
            Some(json!("a.b.c")),
            "{}.table: 'a.b.c' has more than two parts",
        ),
        ("/table", Some(json!("")), "{}.table: "),
        ("/table", None, "missing field `table`"),
        ("/tracking", Some(json!("watermark")), "{}.tracking"),
        ("/tracking", Some(json!({})), "{}.tracking"),
        (
            "/tracking",
            Some(json!({ "rowversion": {} })),
            "{}.tracking: unknown variant `rowversion`",
        ),
        (
            "/tracking/watermark/column",
            Some(json!(["v"])),
            "{}.tracking.watermark.column: invalid type: sequence",
        ),
        ("/tracking/watermark/column", None, "missing field `column`"),
        (
            "/tracking/watermark/settle_seconds",
            Some(json!("30")),
            "{}.tracking.watermark.settle_seconds: invalid type",
        ),
        (
            "/tracking/watermark/settle_seconds",
            Some(json!(-1)),
            "{}.tracking.watermark.settle_seconds: invalid value",
        ),
        (
            "/tracking/watermark/settle_seconds",
            Some(json!(1.5)),
            "{}.tracking.watermark.settle_seconds: invalid type",
        ),
        (
            "/tracking/watermark/clock",
            Some(json!("mars")),
            "{}.tracking.watermark.clock: unknown variant",
        ),
        (
            "/tracking/watermark/null_watermark",
            Some(json!(true)),
            "{}.tracking.watermark.null_watermark",
        ),
        ("/tracking/watermark/settle", Some(json!(1)), "unknown field `settle`"),
        ("/columns", Some(json!("id")), "{}.columns: invalid type: string"),
        (
            "/columns",
            Some(json!(["id", 5])),
            "{}.columns[1]: invalid type: integer",
        ),
        (
            "/columns",
            Some(json!(["id", ""])),
            "{}.columns[1]: the name '' is empty",
        ),
        ("/format", Some(json!("orc")), "{}.format: unknown variant `orc`"),
        ("/format", Some(json!({ "csv": { "header": "no" } })), "{}.format"),
        (
            "/format",
            Some(json!({ "csv": { "heading": true } })),
            "unknown field `heading`",
        ),
        ("/format", Some(json!({ "parquet": {}, "csv": {} })), "{}.format"),
        ("/timestamps", Some(json!("ms")), "{}.timestamps: unknown variant `ms`"),
        (
            "/watermark_name",
            Some(json!(5)),
            "{}.watermark_name: invalid type: integer",
        ),
        ("/colums", Some(json!([])), "unknown field `colums`"),
    ];
    let named = |named: &str| named.replace("{}", &path);
    cases
        .into_iter()
        .map(|(pointer, value, said)| (format!("{at}{pointer}"), value, named(said)))
        .collect()
}

fn table_event() -> Value {
    json!({
        "table": "dbo.t", "tracking": { "watermark": { "column": "v" } }, "columns": ["id"], "format": "csv",
    })
}

fn check_tables<T: DeserializeOwned>(event: &Value, at: &str) {
    let cases = table_cases(at);
    let cases: Vec<_> = cases
        .iter()
        .map(|(pointer, value, named)| (pointer.as_str(), value.clone(), named.as_str()))
        .collect();
    each_is_named::<T>(event, &cases);
}

#[test]
fn a_wrong_event_of_lookup_old_watermark_names_the_field() {
    type Request = lookup_old_watermark::Request;
    let event = json!({ "run_id": "r", "tables": [table_event()] });
    check_tables::<Request>(&event, "/tables/0");
    let cases = [
        ("/run_id", Some(json!(7)), "run_id: invalid type: integer"),
        ("/run_id", None, "missing field `run_id`"),
        ("/tables", Some(json!({})), "tables: invalid type: map"),
        ("/tables", None, "missing field `tables`"),
        ("/tables/0", Some(json!("dbo.t")), "tables[0]: invalid type: string"),
        ("/dry_run", Some(json!("yes")), "dry_run: invalid type: string"),
        ("/dryrun", Some(json!(true)), "unknown field `dryrun`"),
    ];
    each_is_named::<Request>(&event, &cases);
}

#[test]
fn a_wrong_event_of_lookup_new_watermark_names_the_field() {
    type Request = lookup_new_watermark::Request;
    let committed = json!({ "window": "initial", "new_watermark": { "type": "int", "value": "1" } });
    let looked_up = json!({
        "spec": table_event(), "stored": { "store_type": "text", "value": null }, "committed": committed,
    });
    let event = json!({ "run_id": "r", "tables": [looked_up] });
    check_tables::<Request>(&event, "/tables/0/spec");
    let cases = [
        ("/tables/0/stored", None, "missing field `stored`"),
        (
            "/tables/0/stored/store_type",
            Some(json!("blob")),
            "tables[0].stored.store_type: ",
        ),
        (
            "/tables/0/stored/value",
            Some(json!(5)),
            "tables[0].stored.value: invalid type: integer",
        ),
        ("/tables/0/stored/values", Some(json!(5)), "unknown field `values`"),
        (
            "/tables/0/committed/window",
            Some(json!("a/b")),
            "tables[0].committed.window: 'a/b' is not the name",
        ),
        (
            "/tables/0/committed/new_watermark",
            Some(json!("1")),
            "tables[0].committed.new_watermark: ",
        ),
        (
            "/tables/0/committed/new_watermark/value",
            Some(json!("x")),
            "'x' is not a watermark of type int",
        ),
        (
            "/tables/0/committed/new_watermark/value",
            Some(json!(1)),
            "tables[0].committed.new_watermark.value: ",
        ),
        (
            "/tables/0/committed/new_watermark/type",
            Some(json!("xml")),
            "xml cannot be a watermark",
        ),
        ("/dry_run", Some(json!(1)), "dry_run: invalid type: integer"),
    ];
    each_is_named::<Request>(&event, &cases);
}

#[test]
fn a_wrong_event_of_copy_delta_names_the_field() {
    let event = json!({ "run_id": "r", "table": "dbo.t", "window": "initial", "slice": 0 });
    let cases = [
        ("/run_id", Some(json!(null)), "run_id: invalid type: null"),
        ("/table", Some(json!("[t")), "table: '[t' is not a table name"),
        (
            "/window",
            Some(json!("../x")),
            "window: '../x' is not the name of a window",
        ),
        ("/window", Some(json!("")), "window: '' is not the name of a window"),
        ("/window", Some(json!(7)), "window: invalid type: integer"),
        ("/slice", Some(json!("0")), "slice: invalid value: string \"0\""),
        ("/slice", Some(json!("0.")), "slice: invalid value: string \"0.\""),
        ("/slice", Some(json!("0/1")), "slice: invalid value: string \"0/1\""),
        ("/slice", Some(json!([0, 1])), "slice: invalid type: sequence"),
        ("/slice", Some(json!(-1)), "slice: invalid type: integer `-1`"),
        (
            "/slice",
            Some(json!(4_294_967_296_u64)),
            "slice: invalid value: integer `4294967296`",
        ),
        ("/slice", None, "missing field `slice`"),
        ("/slices", Some(json!(1)), "unknown field `slices`"),
    ];
    each_is_named::<copy_delta::Request>(&event, &cases);
}

#[test]
fn a_wrong_event_of_a_split_names_the_field() {
    let slice = json!({ "table": "dbo.t", "window": "initial", "slice": "0.7" });
    let event = json!({ "run_id": "r", "split": slice });
    let cases = [
        ("/run_id", None, "missing field `run_id`"),
        ("/split", Some(json!("0.7")), "split: invalid type: string"),
        ("/split/table", Some(json!(7)), "split.table: invalid type: integer"),
        (
            "/split/window",
            Some(json!("_x")),
            "split.window: '_x' is not the name of a window",
        ),
        (
            "/split/slice",
            Some(json!("0.1.2.3.4.5.6")),
            "split.slice: invalid value: string",
        ),
        ("/split/slice", None, "split: missing field `slice`"),
        ("/split/slices", Some(json!(8)), "split.slices: unknown field `slices`"),
        ("/tables", Some(json!([])), "unknown field `tables`"),
    ];
    each_is_named::<lookup_new_watermark::SplitRequest>(&event, &cases);
}

#[test]
fn a_wrong_event_of_update_watermark_names_the_field() {
    let event = json!({ "run_id": "r", "table": "dbo.t", "window": "initial" });
    let cases = [
        ("/run_id", None, "missing field `run_id`"),
        ("/table", Some(json!(["dbo", "t"])), "table: invalid type: sequence"),
        ("/window", Some(json!(null)), "window: invalid type: null"),
        (
            "/window",
            Some(json!("window=1")),
            "window: 'window=1' is not the name of a window",
        ),
        ("/slice", Some(json!(0)), "unknown field `slice`"),
    ];
    each_is_named::<update_watermark::Request>(&event, &cases);
}

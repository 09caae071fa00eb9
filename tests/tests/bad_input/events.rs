//! Events with a mistake: each is refused by a message that names the place.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::steps::copy::CopyRequest;
use tidemark::steps::lookup_new::LookupNewRequest;
use tidemark::steps::lookup_old::LookupOldRequest;
use tidemark::steps::split::SplitRequest;
use tidemark::steps::update::UpdateRequest;
use tidemark::steps::update_all::UpdateAllRequest;
use tidemark_lambda::runner::decode;

/// Returns the error of a function's request, which must be `InvalidInput`.
fn refusal<T: DeserializeOwned>(event: Value) -> String {
    let Err(error) = decode::<T>(event.clone()) else {
        panic!("{event} is taken")
    };
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    error.to_string()
}

/// Returns `event` with another value at a place, or without it.
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

/// Returns the mistakes in what names something that is run or opened for a table.
fn settings_cases() -> Vec<(&'static str, Option<Value>, &'static str)> {
    vec![
        ("/settings", Some(json!("all")), "settings: invalid type: string"),
        (
            "/settings/wher",
            Some(json!("a = 1")),
            "settings.wher: unknown field `wher`",
        ),
        (
            "/settings/where",
            Some(json!(7)),
            "settings.where: invalid type: integer",
        ),
        (
            "/settings/where",
            Some(json!("a = 1; DROP TABLE t")),
            "settings.where: ",
        ),
        ("/settings/where", Some(json!("a = 1) OR (1 = 1")), "settings.where: "),
        ("/settings/sink", Some(json!("arn")), "settings.sink: "),
        (
            "/settings/sink",
            Some(json!({ "postgres": {} })),
            "settings.sink: unknown variant `postgres`",
        ),
        (
            "/settings/sink/sqlserver/secret_arn",
            None,
            "settings.sink.sqlserver: missing field `secret_arn`",
        ),
        (
            "/settings/sink/sqlserver/table",
            Some(json!("a.b.c")),
            "settings.sink.sqlserver.table: 'a.b.c' has more than two parts",
        ),
        (
            "/settings/sink/sqlserver/keys",
            Some(json!([""])),
            "settings.sink.sqlserver.keys[0]: the name '' is empty",
        ),
        ("/settings/sink/sqlserver/key", Some(json!([])), "unknown field `key`"),
    ]
}

fn settings() -> Value {
    json!({ "where": "a = 1", "sink": { "sqlserver": { "secret_arn": "arn", "keys": ["id"] } } })
}

/// A place in a table's settings, what is put there, and what the error says of it.
type Mistake = (&'static str, Option<Value>, &'static str);

fn mistakes_of_table_and_tracking() -> Vec<Mistake> {
    vec![
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
    ]
}

fn other_mistakes() -> Vec<Mistake> {
    vec![
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
    ]
}

/// Returns the mistakes in a table's settings, which stand at this place.
fn table_cases(at: &str) -> Vec<(String, Option<Value>, String)> {
    let path = at.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
    let named = |named: &str| named.replace("{}", &path);
    mistakes_of_table_and_tracking()
        .into_iter()
        .chain(other_mistakes())
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
    let event = json!({ "run_id": "r", "tables": [table_event()] });
    check_tables::<LookupOldRequest>(&event, "/tables/0");
    let cases = [
        ("/run_id", Some(json!(7)), "run_id: invalid type: integer"),
        ("/run_id", None, "missing field `run_id`"),
        ("/tables", Some(json!({})), "tables: invalid type: map"),
        ("/tables", None, "missing field `tables`"),
        ("/tables/0", Some(json!("dbo.t")), "tables[0]: invalid type: string"),
        ("/dry_run", Some(json!("yes")), "dry_run: invalid type: string"),
        ("/dryrun", Some(json!(true)), "unknown field `dryrun`"),
    ];
    each_is_named::<LookupOldRequest>(&event, &cases);
}

#[test]
fn a_wrong_event_of_lookup_new_watermark_names_the_field() {
    let committed = json!({ "window": "initial", "new_watermark": { "type": "int", "value": "1" } });
    let looked_up = json!({
        "spec": table_event(), "stored": { "store_type": "text", "value": null }, "start": { "committed": committed },
    });
    let event = json!({ "run_id": "r", "tables": [looked_up] });
    check_tables::<LookupNewRequest>(&event, "/tables/0/spec");
    let committed = "/tables/0/start/committed";
    let at = |field: &str| format!("{committed}{field}");
    let (window, watermark, value, sql_type) = (
        at("/window"),
        at("/new_watermark"),
        at("/new_watermark/value"),
        at("/new_watermark/type"),
    );
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
            "/tables/0/start",
            Some(json!("middle")),
            "tables[0].start: unknown variant `middle`",
        ),
        (
            &window,
            Some(json!("a/b")),
            "tables[0].start.committed.window: 'a/b' is not the name",
        ),
        (
            &watermark,
            Some(json!("1")),
            "tables[0].start.committed.new_watermark: ",
        ),
        (
            &value,
            Some(json!("1; DROP TABLE t")),
            "'1; DROP TABLE t' is not a watermark of type int",
        ),
        (
            &value,
            Some(json!(1)),
            "tables[0].start.committed.new_watermark.value: ",
        ),
        (&sql_type, Some(json!("")), "'' is not the name of a column type"),
        ("/dry_run", Some(json!(1)), "dry_run: invalid type: integer"),
    ];
    each_is_named::<LookupNewRequest>(&event, &cases);
}

#[test]
fn a_wrong_event_of_copy_delta_names_the_field() {
    let event = json!({ "run_id": "r", "table": "dbo.t", "window": "initial", "slice": 0, "settings": settings() });
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
    each_is_named::<CopyRequest>(&event, &cases);
    each_is_named::<CopyRequest>(&event, &settings_cases());
}

#[test]
fn a_wrong_event_of_a_split_names_the_field() {
    let slice = json!({ "table": "dbo.t", "window": "initial", "slice": "0.7" });
    let event = json!({ "run_id": "r", "split": slice, "settings": settings() });
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
    each_is_named::<SplitRequest>(&event, &cases);
    each_is_named::<SplitRequest>(&event, &settings_cases());
}

#[test]
fn a_wrong_event_of_update_watermark_names_the_field() {
    let event = json!({ "run_id": "r", "table": "dbo.t", "window": "initial", "settings": settings() });
    let cases = [
        ("/run_id", None, "missing field `run_id`"),
        ("/table", Some(json!(["dbo", "t"])), "table: invalid type: sequence"),
        ("/window", Some(json!(null)), "window: invalid type: null"),
        (
            "/window",
            Some(json!("tidemark_window=1")),
            "window: 'tidemark_window=1' is not the name of a window",
        ),
        ("/slice", Some(json!(0)), "unknown field `slice`"),
    ];
    each_is_named::<UpdateRequest>(&event, &cases);
    each_is_named::<UpdateRequest>(&event, &settings_cases());
}

#[test]
fn a_wrong_event_of_the_windows_without_changes_names_the_field() {
    let event = json!({ "run_id": "r", "windows": [{ "table": "dbo.t", "window": "from-4" }] });
    let cases = [
        ("/run_id", None, "missing field `run_id`"),
        ("/windows", Some(json!("from-4")), "windows: invalid type: string"),
        ("/windows/0/table", None, "windows[0]: missing field `table`"),
        (
            "/windows/0/window",
            Some(json!("4")),
            "windows[0].window: '4' is not the name of a window",
        ),
        (
            "/windows/0/settings",
            Some(json!({})),
            "windows[0].settings: unknown field `settings`",
        ),
        ("/window", Some(json!("from-4")), "unknown field `window`"),
    ];
    each_is_named::<UpdateAllRequest>(&event, &cases);
}

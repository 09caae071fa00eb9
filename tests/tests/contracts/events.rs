//! The events: the examples, and what one step passes on to the next.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::model::lookup::{CopyWindow, EmptyWindow, LookedUp, Start};
use tidemark::model::table::{TableSpec, check_all};
use tidemark::model::types::TypeName;
use tidemark::model::watermark::{StoreType, StoredWatermark, Watermark};
use tidemark::steps::copy::CopyRequest;
use tidemark::steps::lookup_new::LookupNewRequest;
use tidemark::steps::lookup_old::LookupOldRequest;
use tidemark::steps::report_failed::ReportFailedRequest;
use tidemark::steps::split::SplitRequest;
use tidemark::steps::update::UpdateRequest;
use tidemark::steps::update_all::UpdateAllRequest;
use tidemark_lambda::runner::decode;

use super::json;

#[test]
fn the_example_events_decode() {
    decode::<LookupOldRequest>(json("events/lookup-old-watermark.json")).unwrap();
    decode::<LookupNewRequest>(json("events/lookup-new-watermark.json")).unwrap();
    decode::<SplitRequest>(json("events/lookup-new-watermark-split.json")).unwrap();
    decode::<CopyRequest>(json("events/copy-delta.json")).unwrap();
    decode::<UpdateRequest>(json("events/update-watermark.json")).unwrap();
    decode::<UpdateAllRequest>(json("events/update-watermark-empty.json")).unwrap();
    decode::<ReportFailedRequest>(json("events/update-watermark-failed.json")).unwrap();
    let wrong = json!({ "run_id": "r", "windows": [{ "table": "t", "widow": "4" }] });
    let error = decode::<UpdateAllRequest>(wrong).unwrap_err().to_string();
    assert!(error.contains("windows[0]") && error.contains("widow"), "{error}");
    for file in ["tables.json", "events/state-machine.json"] {
        let tables: Vec<TableSpec> = decode(json(file)["tables"].clone()).unwrap();
        check_all(tables.iter()).unwrap();
    }
}

/// Returns the settings of a table with everything that an event may hold of it.
fn spec() -> TableSpec {
    decode(json!({
        "table": "sales.orders", "tracking": { "watermark": { "column": "at", "clock": "local", "settle_seconds": 5 } },
        "columns": ["id", "at"], "where": "region = 'EU'", "on_schema_change": "fail", "slice_rows": 9, "timestamps": "text",
        "types": "native",
        "column_types": { "id": "portable" },
        "variant_columns": "refuse", "layout": "load_date", "watermark_name": "orders",
        "sink": { "sqlserver": { "secret_arn": "arn", "table": "dbo.copy", "keys": ["id"] } },
    }))
    .unwrap()
}

fn watermark() -> Watermark {
    Watermark::new(TypeName::new("datetime2(7)").unwrap(), "2017-09-05T08:06:00.0000000").unwrap()
}

fn event<T: DeserializeOwned>(event: Value) -> T {
    decode(event.clone()).unwrap_or_else(|error| panic!("{event}: {error}"))
}

#[test]
fn what_the_first_lookup_answers_is_what_the_second_takes() {
    let committed = json!({ "committed": { "window": "initial", "new_watermark": watermark() } });
    for start in [json!("stored"), json!("unloaded"), committed] {
        let looked_up = LookedUp {
            spec: spec(),
            stored: StoredWatermark {
                store_type: StoreType::Typed(TypeName::new("datetime").unwrap()),
                value: Some("2017-09-05T08:06:00.000".to_owned()),
                reset: None,
            },
            start: event::<Start>(start),
        };
        let request: LookupNewRequest = event(json!({ "run_id": "r", "tables": [looked_up.clone()] }));
        assert_eq!(request.tables, [looked_up]);
    }
}

#[test]
fn what_the_second_lookup_answers_is_what_the_steps_of_a_window_take() {
    let window = CopyWindow {
        table: spec().table,
        window: event(json!("from-2017-09-05T08-06-00.0000000")),
        slices: 2,
        settle_seconds: 5,
        adopted: false,
        frozen_at: None,
        old_watermark: None,
        new_watermark: watermark(),
        settings: spec().run_settings(),
    };
    let item = serde_json::to_value(&window).unwrap();
    let (table, name, settings) = (&item["table"], &item["window"], &item["settings"]);
    let copy: CopyRequest =
        event(json!({ "run_id": "r", "table": table, "window": name, "slice": 1, "settings": settings }));
    let slice = json!({ "table": table, "window": name, "slice": "1.0" });
    let split: SplitRequest = event(json!({ "run_id": "r", "split": slice, "settings": settings }));
    let update: UpdateRequest = event(json!({ "run_id": "r", "table": table, "window": name, "settings": settings }));
    for (of_event, settings) in [
        (&copy.window, copy.settings),
        (&split.split.window, split.settings),
        (&update.window, update.settings),
    ] {
        assert_eq!((of_event, settings), (&window.window, window.settings.clone()));
    }
    // The state machine leaves out what a table does not have.
    let update: UpdateRequest = event(json!({ "run_id": "r", "table": table, "window": name }));
    assert!(update.settings.is_default());
    let empty = EmptyWindow {
        table: window.table,
        window: window.window,
    };
    let all: UpdateAllRequest = event(json!({ "run_id": "r", "windows": [empty.clone()] }));
    assert_eq!(all.windows, [empty]);
}

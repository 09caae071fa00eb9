//! The events of the steps are accepted as they are documented, and in no other way.

use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::model::table::TableSpec;
use tidemark::steps::copy::CopyRequest;
use tidemark::steps::lookup_new::LookupNewRequest;
use tidemark::steps::lookup_old::LookupOldRequest;
use tidemark::steps::split::SplitRequest;
use tidemark::steps::update::UpdateRequest;
use tidemark::steps::update_all::UpdateAllRequest;

use crate::json::{any_json, disturbed};
use crate::names::{name, object_name};

/// Returns an event for each step.
fn events() -> [Value; 6] {
    let table = json!({
        "table": "dbo.t", "columns": ["id"], "format": { "csv": { "header": false } }, "timestamps": "ns",
        "tracking": { "watermark": { "column": "v", "settle_seconds": 5, "clock": "local", "null_watermark": "skip" } },
        "watermark_name": "w",
    });
    let watermark = json!({ "type": "int", "value": "1" });
    let looked_up = json!({
        "spec": table, "stored": { "store_type": "column int", "value": "1" },
        "start": { "committed": { "window": "initial", "new_watermark": watermark } },
    });
    let settings = json!({ "where": "v > 1", "sink": { "sqlserver": { "secret_arn": "a" } } });
    let slice = json!({ "table": "dbo.t", "window": "from-1", "slice": "0.1" });
    [
        json!({ "run_id": "r", "tables": [table], "dry_run": true }),
        json!({ "run_id": "r", "tables": [looked_up], "dry_run": false }),
        json!({ "run_id": "r", "split": slice, "settings": settings }),
        json!({ "run_id": "r", "table": "dbo.t", "window": "from-1", "slice": 0, "settings": settings, "dry_run": false }),
        json!({ "run_id": "r", "table": "dbo.t", "window": "from-1", "settings": settings }),
        json!({ "run_id": "r", "windows": [{ "table": "dbo.t", "window": "from-1" }] }),
    ]
}

/// Returns, for each step, whether this is an event of it.
fn taken(event: &Value) -> [bool; 6] {
    fn is<T: DeserializeOwned>(event: &Value) -> bool {
        serde_json::from_value::<T>(event.clone()).is_ok()
    }
    [
        is::<LookupOldRequest>(event),
        is::<LookupNewRequest>(event),
        is::<SplitRequest>(event),
        is::<CopyRequest>(event),
        is::<UpdateRequest>(event),
        is::<UpdateAllRequest>(event),
    ]
}

#[test]
fn an_event_is_one_of_its_step_alone() {
    for (step, event) in events().iter().enumerate() {
        let expected: Vec<bool> = (0..6).map(|other| other == step).collect();
        assert_eq!(taken(event).as_slice(), expected, "{event}");
    }
}

fn table_spec() -> impl Strategy<Value = Value> {
    let formats = [
        json!("csv"),
        json!("jsonl"),
        json!({ "csv": { "null": "\\N", "quote": "none", "fraction_digits": 7, "line_end": "\r\n" } }),
        json!({ "jsonl": { "compression": "gzip" } }),
        json!({ "parquet": { "compression_level": 3 } }),
    ];
    let tracking = (
        name(),
        0..=86_400_u32,
        select(vec!["utc", "local"]),
        select(vec!["skip", "first_load"]),
    );
    let tracking = tracking.prop_map(|(column, settle, clock, nulls)| {
        json!({ "watermark": {
            "column": column, "settle_seconds": settle, "clock": clock, "null_watermark": nulls,
        } })
    });
    let columns = prop::option::of(prop::collection::btree_set(name(), 1..4));
    let watermark_name = prop::option::of("(?s:.{1,30})");
    (
        object_name(),
        tracking,
        select(formats.to_vec()),
        columns,
        watermark_name,
    )
        .prop_map(|(table, tracking, format, columns, watermark_name)| {
            let mut spec = json!({ "table": table, "format": format, "tracking": tracking });
            if let Some(columns) = columns {
                spec["columns"] = json!(columns);
            }
            if let Some(name) = watermark_name {
                spec["watermark_name"] = json!(name);
            }
            spec
        })
}

proptest! {
    /// Callers pass objects only, because serde also takes the list of a structure's values for the structure.
    #[test]
    fn an_event_is_taken_only_as_it_is_documented(event in any_json().prop_filter("objects", Value::is_object), near in select(events().to_vec()).prop_flat_map(disturbed).prop_filter("objects", Value::is_object)) {
        prop_assert_eq!(taken(&event), [false; 6]);
        let steps = taken(&near).into_iter().filter(|is_taken| *is_taken).count();
        // A run without tables looks the same to both lookups.
        prop_assert!(steps <= 1 || near["tables"] == json!([]), "{}", near);
    }

    #[test]
    fn a_tables_settings_read_back(json in table_spec()) {
        let spec: TableSpec = serde_json::from_value(json).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(&serde_json::from_value::<TableSpec>(written).unwrap(), &spec);
        prop_assert!(spec.check().is_ok());
    }
}

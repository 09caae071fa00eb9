//! Any JSON, and documents with any JSON at one of their places.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

/// Makes any JSON, from what stands in events and documents, and from anything else.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s:.{0,20})".prop_map(Value::from),
        select(vec!["dbo.t", "watermark", "csv", "text", "int", "initial", "utc"]).prop_map(Value::from),
    ];
    let keys = select(vec![
        "table",
        "tracking",
        "watermark",
        "column",
        "csv",
        "value",
        "type",
        "x",
    ]);
    leaf.prop_recursive(3, 20, 5, move |inner| {
        let fields = (keys.clone(), inner.clone()).prop_map(|(key, value)| (key.to_owned(), value));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(fields, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Collects the places in a document, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                // A pointer escapes these characters so (RFC 6901).
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// Makes `document` with anything at one of its places.
pub fn disturbed(document: Value) -> impl Strategy<Value = Value> {
    let mut places = Vec::new();
    pointers(&document, "", &mut places);
    (select(places), any_json()).prop_map(move |(place, value)| {
        let mut document = document.clone();
        *document.pointer_mut(&place).unwrap() = value;
        document
    })
}

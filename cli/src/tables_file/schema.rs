//! The JSON Schema of `tables.json`, made from its shape, for editors.

use serde_json::{Map, Value, json};

use super::fields::{Allowed, Field, TABLE};

/// Returns the schema (draft 2020-12).
pub(crate) fn json_schema() -> Value {
    let defaults: Vec<&Field> = TABLE.iter().filter(|field| field.name != "table").collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The tables of a Tidemark run",
        "type": "object",
        "required": ["tables"],
        "additionalProperties": false,
        "properties": {
            "$schema": {"description": "The address of this schema, for an editor. Nothing else reads it.",
                        "type": "string"},
            "defaults": {"description": "Fields for all tables that do not have them themselves.", "type": "object",
                         "additionalProperties": false, "properties": properties(&defaults)},
            "tables": {"type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["table"], "additionalProperties": false,
                "properties": properties(&TABLE.iter().collect::<Vec<_>>()),
            }},
        },
    })
}

fn properties(fields: &[&Field]) -> Value {
    let properties = fields.iter().map(|field| {
        let mut schema = of_allowed(&field.allowed);
        schema["description"] = field.about.into();
        (field.name.to_owned(), schema)
    });
    Value::Object(properties.collect::<Map<_, _>>())
}

fn of_allowed(allowed: &Allowed) -> Value {
    let name = json!({"type": "string", "minLength": 1});
    match allowed {
        Allowed::Text => json!({"type": "string"}),
        Allowed::Table | Allowed::Column => name,
        Allowed::Columns => json!({"type": "array", "items": name}),
        Allowed::Truth => json!({"type": "boolean"}),
        Allowed::Number(least, u64::MAX) => json!({"type": "integer", "minimum": least}),
        Allowed::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Allowed::NumberOrNull(least, most) => {
            json!({"type": ["integer", "null"], "minimum": least, "maximum": most})
        }
        Allowed::OneOf(choices) => json!({"enum": choices}),
        Allowed::Several(choices) => json!({"type": "array", "items": {"enum": choices}, "uniqueItems": true}),
        Allowed::OneOfForColumns(choices) => json!({"type": "object", "additionalProperties": {"enum": choices}}),
        Allowed::Object(fields) => object(fields),
        Allowed::Choice(fields) => choice(fields),
        Allowed::NameOrChoice(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            json!({"oneOf": [{"enum": names}, choice(fields)]})
        }
    }
}

fn object(fields: &[Field]) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.is_required)
        .map(|field| field.name)
        .collect();
    json!({
        "type": "object", "required": required, "additionalProperties": false,
        "properties": properties(&fields.iter().collect::<Vec<_>>()),
    })
}

fn choice(fields: &[Field]) -> Value {
    let mut schema = object(fields);
    schema["minProperties"] = 1.into();
    schema["maxProperties"] = 1.into();
    schema
}

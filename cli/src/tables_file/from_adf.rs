//! Turning the list of tables of an Azure Data Factory pipeline, as Microsoft's tutorial names it, into `tables`.

use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;

/// Returns the tables of the parameter `tableList`, wherever it stands in a pipeline, a template or a file of
/// parameters.
///
/// With a secret, the rows go into the database behind it, by the procedures and table types that the list names.
/// Without one, they become files.
///
/// # Errors
///
/// `InvalidInput` when there is no such list, and for an entry without a table or a column, which the message names by
/// its number.
pub(crate) fn tables(document: &Value, secret: Option<&str>) -> Result<Vec<Value>> {
    let Some(list) = list_in(document) else {
        let message = "there is no tableList in it: an array of objects with TABLE_NAME and WaterMark_Column, as the parameter of \
                       the tutorial's pipeline";
        return Err(refused(message.to_owned()));
    };
    (1..)
        .zip(list)
        .map(|(number, entry)| table(number, entry, secret))
        .collect()
}

/// Returns the first array whose entries name tables, wherever it is nested.
fn list_in(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Array(entries) if entries.iter().any(|entry| text_of(entry, "TABLE_NAME").is_some()) => Some(entries),
        Value::Array(entries) => entries.iter().find_map(list_in),
        Value::Object(fields) => fields.values().find_map(list_in),
        _ => None,
    }
}

fn table(number: usize, entry: &Value, secret: Option<&str>) -> Result<Value> {
    let required =
        |name: &str| text_of(entry, name).ok_or_else(|| refused(format!("entry {number} of tableList has no {name}")));
    let name: ObjectName = required("TABLE_NAME")?
        .parse()
        .map_err(|error: Error| error.context(format!("entry {number} of tableList")))?;
    let mut table = json!({
        "table": name,
        "tracking": {"watermark": {"column": required("WaterMark_Column")?}},
    });
    if let Some(secret) = secret {
        let mut sink = json!({"secret_arn": secret});
        let (procedure, table_type) = ("StoredProcedureNameForMergeOperation", "TableType");
        if let (Some(procedure), Some(table_type)) = (text_of(entry, procedure), text_of(entry, table_type)) {
            sink["procedure"] = procedure.into();
            sink["table_type"] = table_type.into();
        }
        table["sink"] = json!({ "sqlserver": sink });
    }
    Ok(table)
}

/// Returns a text that is not empty, by a name in any case, because pipelines are written by hand.
fn text_of<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    let fields = entry.as_object()?;
    let (_, value) = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn refused(message: String) -> Error {
    Error::new(ErrorCode::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Value {
        json!([
            {"TABLE_NAME": "customer_table", "WaterMark_Column": "LastModifytime",
             "TableType": "DataTypeforCustomerTable", "StoredProcedureNameForMergeOperation": "usp_upsert_customer_table"},
            {"TABLE_NAME": "sales.project_table", "WaterMark_Column": "Creationtime"},
        ])
    }

    #[test]
    fn the_list_is_found_in_a_pipeline_a_template_a_file_of_parameters_and_alone() {
        let parameter = json!({"tableList": {"type": "array", "defaultValue": list()}});
        for document in [
            list(),
            json!({"tableList": list()}),
            json!({"parameters": {"tableList": {"value": list()}}}),
            json!({"name": "IncrementalCopyPipeline", "properties": {"activities": [{"name": "a"}], "parameters": parameter}}),
            json!({"resources": [{"type": "Microsoft.DataFactory/factories/pipelines", "properties": {"parameters": parameter}}]}),
        ] {
            let tables = tables(&document, None).unwrap();
            assert_eq!(
                tables,
                [
                    json!({"table": "dbo.customer_table", "tracking": {"watermark": {"column": "LastModifytime"}}}),
                    json!({"table": "sales.project_table", "tracking": {"watermark": {"column": "Creationtime"}}}),
                ]
            );
        }
    }

    #[test]
    fn with_a_secret_the_procedures_and_table_types_are_kept() {
        let tables = tables(&list(), Some("arn")).unwrap();
        assert_eq!(
            tables[0]["sink"],
            json!({"sqlserver": {"secret_arn": "arn", "procedure": "usp_upsert_customer_table", "table_type": "DataTypeforCustomerTable"}})
        );
        assert_eq!(tables[1]["sink"], json!({"sqlserver": {"secret_arn": "arn"}}));
        for table in tables {
            let spec: tidemark::model::table::TableSpec = serde_json::from_value(table).unwrap();
            spec.check().unwrap();
        }
    }

    #[test]
    fn an_entry_that_lacks_something_is_named() {
        for (document, said) in [
            (json!({"tableList": []}), "no tableList"),
            (
                json!([{"TABLE_NAME": "t"}]),
                "entry 1 of tableList has no WaterMark_Column",
            ),
            (json!([{"TABLE_NAME": "a.b.c.d", "WaterMark_Column": "m"}]), "entry 1"),
        ] {
            let error = tables(&document, None).unwrap_err().report();
            assert!(error.contains(said), "{error}");
        }
    }
}

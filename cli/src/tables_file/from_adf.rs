//! Turning the list of tables of an Azure Data Factory pipeline, as Microsoft's tutorial names it, into `tables`.

use serde_json::{Value, json};
use tidemark::error::Error;
use tidemark::model::names::{Identifier, ObjectName};

use crate::failure::Mistake;

/// The field that holds the list.
const LIST: &str = "tableList";

/// What was found in a pipeline.
#[derive(Debug)]
pub(crate) struct FromAdf {
    /// The tables, as they stand in `tables.json`.
    pub(crate) tables: Vec<Value>,
    /// The number of the entry that each table comes from.
    pub(crate) numbers: Vec<usize>,
    /// Every mistake of the list.
    pub(crate) mistakes: Vec<Mistake>,
}

/// Returns the tables of the parameter `tableList`, wherever it stands in a pipeline, a template or a file of
/// parameters, and every mistake in them.
///
/// With a secret, the rows go into the database behind it, by the procedures and table types that the list names.
/// Without one, they become files.
pub(crate) fn tables(document: &Value, secret: Option<&str>) -> FromAdf {
    let mut found = FromAdf {
        tables: Vec::new(),
        numbers: Vec::new(),
        mistakes: Vec::new(),
    };
    let Some(list) = list_named(document).or_else(|| list_of_tables(document)) else {
        found.mistakes.push(Mistake {
            path: "the file".to_owned(),
            table: None,
            message: "there is no tableList in it: an array of objects with TABLE_NAME and WaterMark_Column, as the parameter of the \
                      tutorial's pipeline"
                .to_owned(),
        });
        return found;
    };
    for (number, entry) in (1..).zip(&list) {
        let mut reader = EntryReader {
            number,
            entry,
            mistakes: &mut found.mistakes,
        };
        if let Some(table) = reader.table(secret) {
            found.tables.push(table);
            found.numbers.push(number);
        }
    }
    found
}

/// Returns a mistake of a table of `tables.json` as one of the entry that the table comes from.
pub(crate) fn in_adf(mistake: Mistake, numbers: &[usize]) -> Mistake {
    let number_of = |index: &str| {
        index
            .parse::<usize>()
            .ok()
            .and_then(|index| numbers.get(index).copied())
    };
    let mut parts = mistake.path.strip_prefix("tables[").unwrap_or_default().splitn(2, ']');
    let (index, field) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let path = match number_of(index) {
        Some(number) => format!("{}{field}", place(number)),
        None => mistake.path.clone(),
    };
    // A message may name another table by its place.
    let message = (0..numbers.len()).fold(mistake.message, |message, index| match numbers.get(index) {
        Some(number) => message.replace(&format!("tables[{index}]"), &place(*number)),
        None => message,
    });
    Mistake {
        path,
        message,
        ..mistake
    }
}

fn place(number: usize) -> String {
    format!("entry {number} of {LIST}")
}

/// Returns the list of a field named `tableList`, wherever it is nested: the array itself, or the value or the default
/// of a parameter, which may be a text.
fn list_named(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => values.iter().find_map(list_named),
        Value::Object(fields) => {
            let is_list = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case(LIST);
            let mut named = fields.iter().filter(is_list);
            named
                .find_map(|(_, value)| list_in(value))
                .or_else(|| fields.values().find_map(list_named))
        }
        _ => None,
    }
}

/// Returns the array that a field holds, if it has entries.
fn list_in(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(entries) => Some(entries.clone()).filter(|entries| !entries.is_empty()),
        Value::String(text) => serde_json::from_str::<Vec<Value>>(text)
            .ok()
            .filter(|entries| !entries.is_empty()),
        Value::Object(fields) => ["defaultValue", "value"]
            .iter()
            .find_map(|name| fields.get(*name).and_then(list_in)),
        _ => None,
    }
}

/// Returns the first array whose entries name tables, wherever it is nested.
fn list_of_tables(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(entries) if entries.iter().any(|entry| text_of(entry, "TABLE_NAME").is_some()) => {
            Some(entries.clone())
        }
        Value::Array(entries) => entries.iter().find_map(list_of_tables),
        Value::Object(fields) => fields.values().find_map(list_of_tables),
        _ => None,
    }
}

/// Reads an entry of the list, and notes every mistake in it.
struct EntryReader<'a> {
    number: usize,
    entry: &'a Value,
    mistakes: &'a mut Vec<Mistake>,
}

impl EntryReader<'_> {
    fn mistake(&mut self, message: String) {
        self.mistakes.push(Mistake {
            path: place(self.number),
            table: text_of(self.entry, "TABLE_NAME").map(str::to_owned),
            message,
        });
    }

    /// Returns a text of the entry as it is read, or notes why it cannot be.
    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Error>) -> Option<T> {
        let Some(text) = text_of(self.entry, name) else {
            self.mistake(format!("it has no {name}"));
            return None;
        };
        if text.starts_with('@') || text.contains("@{") {
            self.mistake(format!(
                "its {name} is an expression of the pipeline, {text}: write what it stands for when the pipeline runs"
            ));
            return None;
        }
        match parse(text) {
            Ok(read) => Some(read),
            Err(error) => {
                self.mistake(format!("its {name} is not usable: {error}"));
                None
            }
        }
    }

    fn table(&mut self, secret: Option<&str>) -> Option<Value> {
        let name = self.read("TABLE_NAME", str::parse::<ObjectName>);
        let column = self.read("WaterMark_Column", column_named);
        let sink = secret.map(|secret| self.sink(secret));
        let mut table = json!({"table": name?, "tracking": {"watermark": {"column": column?}}});
        if let Some(sink) = sink {
            table["sink"] = json!({ "sqlserver": sink? });
        }
        Some(table)
    }

    fn sink(&mut self, secret: &str) -> Option<Value> {
        let (procedure, table_type) = ("StoredProcedureNameForMergeOperation", "TableType");
        let given = [procedure, table_type].map(|name| text_of(self.entry, name).is_some());
        match given {
            [false, false] => return Some(json!({"secret_arn": secret})),
            [true, true] => {}
            [false, true] => {
                self.mistake(format!(
                    "it has a {table_type} and no {procedure}: give both, or neither"
                ));
                return None;
            }
            [true, false] => {
                self.mistake(format!(
                    "it has a {procedure} and no {table_type}: give both, or neither"
                ));
                return None;
            }
        }
        let procedure = self.read(procedure, |text| Ok(text.to_owned()));
        let table_type = self.read(table_type, |text| Ok(text.to_owned()));
        Some(json!({"secret_arn": secret, "procedure": procedure?, "table_type": table_type?}))
    }
}

/// Reads the name of a column, which may stand in brackets.
fn column_named(text: &str) -> Result<Identifier, Error> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bracketed {
        Some(name) => Identifier::new(name.replace("]]", "]")),
        None => Identifier::new(text),
    }
}

/// Returns a text that is not empty, by a name in any case, because pipelines are written by hand.
fn text_of<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    let fields = entry.as_object()?;
    let (_, value) = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
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
            // Another array with names of tables may come first, and the list may be a text.
            json!({"log": [{"TABLE_NAME": "log", "WaterMark_Column": "at"}], "tableList": list()}),
            json!({"tableList": {"type": "String", "defaultValue": list().to_string()}}),
            json!({"parameters": {"tableList": {"value": list()}}}),
            json!({"name": "IncrementalCopyPipeline", "properties": {"activities": [{"name": "a"}], "parameters": parameter}}),
            json!({"resources": [{"type": "Microsoft.DataFactory/factories/pipelines", "properties": {"parameters": parameter}}]}),
        ] {
            let tables = tables(&document, None).tables;
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
        let tables = tables(&list(), Some("arn")).tables;
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
    fn a_document_without_a_list_is_told_so() {
        for document in [
            json!({"tableList": []}),
            json!({"tableList": "@pipeline().parameters.tableList"}),
        ] {
            let mistakes = tables(&document, None).mistakes;
            assert!(mistakes[0].message.contains("no tableList"), "{mistakes:?}");
        }
    }

    #[test]
    fn names_may_stand_in_brackets() {
        let list = json!([{"TABLE_NAME": "[sales].[order lines]", "WaterMark_Column": "[modified]]at]"}]);
        let found = tables(&list, None);
        assert_eq!(
            found.tables,
            [json!({"table": "sales.[order lines]", "tracking": {"watermark": {"column": "modified]at"}}})]
        );
    }

    #[test]
    fn every_mistake_of_every_entry_is_found() {
        let list = json!([
            {"TABLE_NAME": "t"},
            {"TABLE_NAME": "fine", "WaterMark_Column": "m"},
            {"TABLE_NAME": "a.b.c.d", "WaterMark_Column": "x".repeat(200)},
            {"TABLE_NAME": "@{item().n}", "WaterMark_Column": "m"},
            {"TABLE_NAME": "p", "WaterMark_Column": "m", "StoredProcedureNameForMergeOperation": "usp"},
        ]);
        let found = tables(&list, Some("arn"));
        let said: Vec<String> = found.mistakes.iter().map(Mistake::to_string).collect();
        for (mistake, begin) in said.iter().zip([
            "entry 1 of tableList (t): it has no WaterMark_Column",
            "entry 3 of tableList (a.b.c.d): its TABLE_NAME is not usable",
            "entry 3 of tableList (a.b.c.d): its WaterMark_Column is not usable",
            "entry 4 of tableList (@{item().n}): its TABLE_NAME is an expression",
            "entry 5 of tableList (p): it has a StoredProcedureNameForMergeOperation and no TableType",
        ]) {
            assert!(mistake.starts_with(begin), "{mistake}");
        }
        assert_eq!((said.len(), found.numbers), (5, vec![2]));
    }
}

//! Finding every mistake of form in a document.

use serde_json::{Map, Value};
use tidemark::model::names::{Identifier, ObjectName, nearest, printable};

use super::fields::{Allowed, FILE, Field, TABLE};
use crate::failure::Mistake;

/// Checks the whole document, and adds its mistakes to `mistakes`.
pub(crate) fn document(document: &Value, mistakes: &mut Vec<Mistake>) {
    let mut checker = Checker { table: None, mistakes };
    let Value::Object(fields) = document else {
        checker.expected("the file", document, "an object with `tables`");
        return;
    };
    for name in fields.keys().filter(|name| !FILE.contains(&name.as_str())) {
        checker.unknown("", name, FILE);
    }
    if let Some(defaults) = fields.get("defaults") {
        let is_default = |field: &&Field| field.name != "table";
        let fields: Vec<&Field> = TABLE.iter().filter(is_default).collect();
        checker.object("defaults", defaults, &fields, false);
    }
    match fields.get("tables") {
        None => checker.add("tables", "`tables` is missing: it is a list of the tables to copy"),
        Some(Value::Array(tables)) if tables.is_empty() => {
            checker.add("tables", "the list is empty: name at least one table");
        }
        Some(Value::Array(tables)) => {
            let defaults = fields.get("defaults").and_then(Value::as_object);
            for (index, table) in tables.iter().enumerate() {
                checker.table = name_of(table);
                checker.table(&format!("tables[{index}]"), table, defaults);
            }
        }
        Some(other) => checker.expected("tables", other, "a list of tables"),
    }
}

/// Returns the name of a table, if it has one.
pub(crate) fn name_of(table: &Value) -> Option<String> {
    let name = table.get("table")?.as_str()?;
    Some(
        name.parse()
            .map_or_else(|_| name.to_owned(), |name: ObjectName| name.to_string()),
    )
}

/// Returns the name of the table that a path like `tables[27].tracking` leads into, if there is one.
pub(crate) fn table_at(document: &Value, path: &str) -> Option<String> {
    let index = path.strip_prefix("tables[")?.split(']').next()?.parse::<usize>().ok()?;
    name_of(document.get("tables")?.get(index)?)
}

struct Checker<'a> {
    table: Option<String>,
    mistakes: &'a mut Vec<Mistake>,
}

impl Checker<'_> {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            path: path.to_owned(),
            table: self.table.clone(),
            message: message.into(),
        });
    }

    fn expected(&mut self, path: &str, found: &Value, expected: &str) {
        self.add(path, format!("this is {}, and {expected} is expected", said(found)));
    }

    fn unknown(&mut self, path: &str, name: &str, known: &[&str]) {
        let at = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        let hint = match nearest(name, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the fields are {}", listed(known, "and")),
        };
        self.add(&at, format!("there is no such field: {hint}"));
    }

    /// Checks a table. `defaults` may hold what is required of it.
    fn table(&mut self, path: &str, table: &Value, defaults: Option<&Map<String, Value>>) {
        let is_given = |field: &&Field| defaults.is_some_and(|defaults| defaults.contains_key(field.name));
        let fields: Vec<&Field> = TABLE.iter().collect();
        self.object(path, table, &fields, false);
        let Value::Object(there) = table else { return };
        let required = fields.into_iter().filter(|field| field.is_required && !is_given(field));
        self.missing(path, there, required);
    }

    fn missing<'f>(&mut self, path: &str, there: &Map<String, Value>, required: impl Iterator<Item = &'f Field>) {
        for field in required.filter(|field| !there.contains_key(field.name)) {
            self.add(path, format!("`{}` is missing", field.name));
        }
    }

    fn object(&mut self, path: &str, value: &Value, fields: &[&Field], checks_required: bool) {
        let Value::Object(there) = value else {
            self.expected(path, value, "an object");
            return;
        };
        if checks_required {
            let required = fields.iter().copied().filter(|field| field.is_required);
            self.missing(path, there, required);
        }
        for (name, value) in there {
            match fields.iter().find(|field| field.name == name) {
                Some(field) => self.value(&format!("{path}.{name}"), value, &field.allowed),
                None => {
                    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    self.unknown(path, name, &known);
                }
            }
        }
    }

    fn choice(&mut self, path: &str, value: &Value, fields: &[Field]) {
        let all: Vec<&Field> = fields.iter().collect();
        self.object(path, value, &all, false);
        let Value::Object(there) = value else { return };
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        match there.len() {
            0 => self.add(path, format!("this is empty: name {}", listed(&names, "or"))),
            1 => {}
            _ => {
                let there: Vec<&str> = there.keys().map(String::as_str).collect();
                let (there, are) = (there.join(" and "), if there.len() == 2 { "both" } else { "all" });
                self.add(path, format!("{there} are {are} there: name exactly one"));
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value, allowed: &Allowed) {
        match (allowed, value) {
            (Allowed::Text, Value::String(_))
            | (Allowed::Truth, Value::Bool(_))
            | (Allowed::NumberOrNull(..), Value::Null) => {}
            (Allowed::Text, other) => self.expected(path, other, "a text"),
            (Allowed::Truth, other) => self.expected(path, other, "true or false"),
            (Allowed::Table, Value::String(name)) => {
                if let Err(error) = name.parse::<ObjectName>() {
                    self.add(path, error.to_string());
                } else if name.contains(char::is_control) {
                    let message = "the name has a control character, and such a table cannot be copied: copy a view that gives it another \
                                   name";
                    self.add(path, message);
                }
            }
            (Allowed::Table, other) => self.expected(path, other, "the name of a table"),
            (Allowed::Column, other) => self.column(path, other),
            (Allowed::Columns, Value::Array(names)) => {
                for (index, name) in names.iter().enumerate() {
                    self.column(&format!("{path}[{index}]"), name);
                }
            }
            (Allowed::Columns, other) => self.expected(path, other, "a list of the names of columns"),
            (Allowed::Number(least, most) | Allowed::NumberOrNull(least, most), other) => {
                let fits = other.as_u64().is_some_and(|number| (*least..=*most).contains(&number));
                if !fits {
                    let most = if *most == u64::MAX {
                        "up".to_owned()
                    } else {
                        format!("to {most}")
                    };
                    self.expected(path, other, &format!("a whole number from {least} {most}"));
                }
            }
            (Allowed::OneOf(choices), other) => self.one_of(path, other, choices),
            (Allowed::Several(choices), Value::Array(several)) => {
                for (index, choice) in several.iter().enumerate() {
                    self.one_of(&format!("{path}[{index}]"), choice, choices);
                }
            }
            (Allowed::Several(choices), other) => {
                self.expected(path, other, &format!("a list of {}", listed(choices, "and")));
            }
            (Allowed::OneOfForColumns(choices), Value::Object(columns)) => {
                for (name, choice) in columns {
                    self.one_of(&format!("{path}.{name}"), choice, choices);
                }
            }
            (Allowed::OneOfForColumns(_), other) => self.expected(path, other, "an object with the names of columns"),
            (Allowed::Object(fields), other) => {
                let fields: Vec<&Field> = fields.iter().collect();
                self.object(path, other, &fields, true);
            }
            (Allowed::NameOrChoice(fields), Value::String(_)) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                self.one_of(path, value, &names);
            }
            (Allowed::Choice(fields) | Allowed::NameOrChoice(fields), other) => self.choice(path, other, fields),
        }
    }

    fn column(&mut self, path: &str, value: &Value) {
        match value {
            Value::String(name) => {
                if let Err(error) = Identifier::new(name.clone()) {
                    self.add(path, error.to_string());
                }
            }
            other => self.expected(path, other, "the name of a column"),
        }
    }

    fn one_of(&mut self, path: &str, value: &Value, choices: &[&str]) {
        let text = value.as_str().unwrap_or_default();
        if value.is_string() && choices.contains(&text) {
            return;
        }
        let mut message = format!("this is {}, and {} is expected", said(value), listed(choices, "or"));
        if let Some(nearest) = nearest(text, choices.iter().copied()) {
            message.push_str(&format!(": did you mean `{nearest}`?"));
        }
        self.add(path, message);
    }
}

fn listed(names: &[&str], joint: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", printable(name))).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {joint} {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Returns a value as a sentence names it.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 40 => "a long text".to_owned(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

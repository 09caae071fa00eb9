//! The schema policy: what became of the columns since the last window, and whether the readers of the files can go on.

use std::fmt;

use super::columns::NAMES_SHOWN;
use crate::error::{Error, ErrorCode, Result};
use crate::model::format::Format;
use crate::model::manifest::Previous;
use crate::model::plan::Plan;
use crate::model::table::{OnSchemaChange, TableSpec};
use crate::model::types::{Column, TypeName};

/// Something that changed between two windows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// The column is new.
    Added(String),
    /// The column is gone, or has another name.
    Dropped(String),
    /// The column has another type.
    Retyped {
        /// The column.
        name: String,
        /// The type before.
        from: TypeName,
        /// The type now.
        to: TypeName,
        /// Whether files hold both in the same form.
        same_form: bool,
    },
    /// The column may be NULL now.
    MadeNullable(String),
    /// The column may not be NULL any more.
    MadeNotNull(String),
    /// The columns of a CSV file are in another order, or new ones are not at the end: readers go by position.
    Reordered,
}

impl Change {
    /// Whether what reads the files of the last window can read those of the next, each value as it was.
    const fn is_compatible(&self) -> bool {
        match self {
            Self::Added(_) | Self::MadeNullable(_) => true,
            Self::Retyped { same_form, .. } => *same_form,
            Self::Dropped(_) | Self::MadeNotNull(_) | Self::Reordered => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "{name} is new"),
            Self::Dropped(name) => write!(f, "{name} is gone"),
            Self::Retyped { name, from, to, .. } => write!(f, "{name} is {to} and was {from}"),
            Self::MadeNullable(name) => write!(f, "{name} may be NULL"),
            Self::MadeNotNull(name) => write!(f, "{name} may not be NULL any more"),
            Self::Reordered => f.write_str("the columns are in another order"),
        }
    }
}

/// Compares the columns of a plan with those of the window before it.
///
/// Errors: `SchemaMismatch` when the table's policy does not take a change.
pub(crate) fn check(spec: &TableSpec, previous: &Previous, plan: &Plan) -> Result<()> {
    let changes = changes(&previous.columns, &plan.columns, &plan.format);
    let is_refused = |change: &&Change| match spec.on_schema_change {
        Some(OnSchemaChange::Continue) => false,
        Some(OnSchemaChange::Fail) => true,
        None => !change.is_compatible(),
    };
    let refused: Vec<&Change> = changes.iter().filter(is_refused).collect();
    if refused.is_empty() {
        if !changes.is_empty() {
            tracing::warn!(table = %spec.table, changes = names(&changes), "The columns are not those of the last window.");
        }
        return Ok(());
    }
    let message = format!(
        "the columns of {} are not those of its last window {}: {}. Put them back, or set on_schema_change to continue, \
         for one run or for good",
        spec.table,
        previous.window,
        names(refused)
    );
    Err(Error::new(ErrorCode::SchemaMismatch, message))
}

fn names<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let names: Vec<String> = changes.into_iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
    names.join(", ")
}

/// What changed from the columns `before` to the columns `now` of files in this format.
fn changes(before: &[Column], now: &[Column], format: &Format) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in before {
        let Some(new) = now.iter().find(|new| new.name == old.name) else {
            changes.push(Change::Dropped(old.name.clone()));
            continue;
        };
        let name = || old.name.clone();
        if old.sql_type != new.sql_type || old.form != new.form {
            changes.push(Change::Retyped {
                name: name(),
                from: old.sql_type.clone(),
                to: new.sql_type.clone(),
                same_form: old.form == new.form,
            });
        }
        match (old.nullable, new.nullable) {
            (false, true) => changes.push(Change::MadeNullable(name())),
            (true, false) => changes.push(Change::MadeNotNull(name())),
            _ => {}
        }
    }
    let is_known = |column: &&Column| before.iter().any(|old| old.name == column.name);
    let added = now.iter().filter(|column| !is_known(column));
    changes.extend(added.map(|column| Change::Added(column.name.clone())));
    let kept: Vec<&str> = before
        .iter()
        .filter(|old| now.iter().any(|new| new.name == old.name))
        .map(|old| old.name.as_str())
        .collect();
    let first = now.iter().take(kept.len()).map(|new| new.name.as_str());
    if matches!(format, Format::Csv(_)) && !first.eq(kept.iter().copied()) {
        changes.push(Change::Reordered);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::format::{CsvOptions, JsonlOptions};
    use crate::model::types::Form;

    /// The form of the types that these tests name.
    fn form(sql_type: &str) -> Form {
        match sql_type {
            "int" => Form::Int32,
            "bigint" => Form::Int64,
            "decimal(9,2)" => Form::Decimal { precision: 9, scale: 2 },
            "decimal(10,3)" => Form::Decimal {
                precision: 10,
                scale: 3,
            },
            _ => Form::Text,
        }
    }

    fn columns(list: &str) -> Vec<Column> {
        let columns = list.split(", ").filter(|column| !column.is_empty());
        let columns = columns.map(|column| {
            let (name, sql_type) = column.split_once(' ').unwrap();
            let not_null = sql_type.strip_suffix(" null");
            let sql_type = not_null.unwrap_or(sql_type);
            Column {
                name: name.to_owned(),
                sql_type: TypeName::new(sql_type).unwrap(),
                form: form(sql_type),
                nullable: not_null.is_some(),
            }
        });
        columns.collect()
    }

    fn told(before: &str, now: &str, format: &Format) -> Vec<(String, bool)> {
        let changes = changes(&columns(before), &columns(now), format);
        let told = changes.iter();
        told.map(|change| (change.to_string(), change.is_compatible()))
            .collect()
    }

    #[test]
    fn every_change_is_told_with_whether_readers_can_go_on() {
        let jsonl = Format::Jsonl(JsonlOptions::default());
        for (before, now, expected, is_compatible) in [
            ("a int", "a int, b int", "b is new", true),
            ("a int, b int", "a int", "b is gone", false),
            ("a int", "a bigint", "a is bigint and was int", false),
            (
                "a decimal(9,2)",
                "a decimal(10,3)",
                "a is decimal(10,3) and was decimal(9,2)",
                false,
            ),
            (
                "a varchar(5)",
                "a varchar(50)",
                "a is varchar(50) and was varchar(5)",
                true,
            ),
            (
                "a varchar(50)",
                "a nvarchar(max)",
                "a is nvarchar(max) and was varchar(50)",
                true,
            ),
            ("a int", "a varchar(9)", "a is varchar(9) and was int", false),
            ("a int", "a int null", "a may be NULL", true),
            ("a int null", "a int", "a may not be NULL any more", false),
        ] {
            let expected = [(expected.to_owned(), is_compatible)];
            assert_eq!(told(before, now, &jsonl), expected, "{before} -> {now}");
        }
        assert_eq!(told("a int, b int", "b int, a int", &jsonl), []);
        let renamed = told("a int, b int", "a int, c int", &jsonl);
        assert_eq!(
            renamed,
            [("b is gone".to_owned(), false), ("c is new".to_owned(), true)]
        );
    }

    #[test]
    fn in_csv_the_order_counts() {
        let csv = Format::Csv(CsvOptions::default());
        let other_order = || ("the columns are in another order".to_owned(), false);
        assert_eq!(told("a int, b int", "b int, a int", &csv), [other_order()]);
        assert_eq!(told("a int", "a int, b int", &csv), [("b is new".to_owned(), true)]);
        assert_eq!(
            told("a int", "b int, a int", &csv),
            [("b is new".to_owned(), true), other_order()]
        );
        assert_eq!(told("a int, b int", "a int, b int", &csv), []);
    }
}

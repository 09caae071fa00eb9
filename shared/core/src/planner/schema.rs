//! The schema policy: what changed in the columns since the last window, and whether the readers of the files can go
//! on.

use std::fmt;

use super::columns::NAMES_SHOWN;
use crate::error::{Error, ErrorCode, Result};
use crate::model::format::Format;
use crate::model::lookup::SchemaChanges;
use crate::model::manifest::Previous;
use crate::model::names::{Identifier, is_alike};
use crate::model::plan::{Content, Plan};
use crate::model::table::{OnSchemaChange, TableSpec};
use crate::model::types::{Column, Digits, Form, TypeName};
use crate::model::values::Values;

/// A change between two windows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// The column is new.
    Added(String),
    /// The last window did not have the column, and an earlier one did, perhaps as another type.
    Returned(String),
    /// The column is gone, or has another name.
    Dropped(String),
    /// The column has another type or form.
    Retyped {
        /// The column.
        name: String,
        /// The type before.
        from: TypeName,
        /// The type now.
        to: TypeName,
        /// Whether files hold both in the same way.
        is_alike: bool,
    },
    /// The column is masked now, or not any more, or by another mask, so that the same value reads differently.
    Masked(String),
    /// The column may be NULL now.
    MadeNullable(String),
    /// The column may not be NULL any more.
    MadeNotNull(String),
    /// The columns of a CSV file are in another order, or new ones are not at the end. Readers of CSV go by position.
    Reordered,
    /// The files would have another format, or other options of it.
    Reformatted,
    /// The files would lie in other places in their folder.
    Rearranged,
    /// The table is tracked by another watermark column. The stored watermark is a value of the column before, so rows
    /// whose value in the new column is not above it would never be copied.
    Retracked {
        /// The column before.
        from: Identifier,
        /// The column now.
        to: Identifier,
    },
    /// The name stands for another table or view than in the last window. Tables are rebuilt under their name and views
    /// made anew, with the same rows, so that only the user can tell whether rows below the watermark are new.
    Replaced,
}

impl Change {
    /// Returns whether a reader of the last window's files can read those of the next beside them, each value as it
    /// was. Columns may always be NULL in files, so it does not matter whether they may be in the table.
    const fn is_compatible(&self) -> bool {
        match self {
            Self::Added(_) | Self::MadeNullable(_) | Self::MadeNotNull(_) | Self::Replaced => true,
            Self::Retyped { is_alike, .. } => *is_alike,
            Self::Returned(_)
            | Self::Dropped(_)
            | Self::Masked(_)
            | Self::Reordered
            | Self::Reformatted
            | Self::Rearranged
            | Self::Retracked { .. } => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "{name} is new"),
            Self::Returned(name) => write!(f, "{name} is back, and older files may have it as another type"),
            Self::Dropped(name) => write!(f, "{name} is gone"),
            Self::Retyped { name, from, to, .. } if from == to => {
                write!(
                    f,
                    "{name} would have another form, as types, column_types or timestamps ask for"
                )
            }
            Self::Retyped { name, from, to, .. } => write!(f, "{name} is {to} and was {from}"),
            Self::Masked(name) => write!(f, "{name} would have another mask"),
            Self::MadeNullable(name) => write!(f, "{name} may be NULL"),
            Self::MadeNotNull(name) => write!(f, "{name} may not be NULL any more"),
            Self::Reordered => f.write_str("the columns are in another order"),
            Self::Reformatted => f.write_str("the files would have another format, or other options of it"),
            Self::Rearranged => f.write_str("the files would have another layout"),
            Self::Retracked { from, to } => {
                write!(f, "the watermark column is {} and was {}", to.as_str(), from.as_str())
            }
            Self::Replaced => f.write_str(
                "the name stands for another table or view than before (one that was made anew, renamed or named by a synonym), and its \
                 rows up to the stored watermark are not copied again: start the table over (tidemark reset) if they are not those \
                 that were copied",
            ),
        }
    }
}

/// Whether a plan goes on from the window before it.
#[derive(Debug)]
pub(crate) enum Fit {
    /// The plan goes on, as this, and with these changes, if there are any.
    GoesOn(Box<Plan>, Option<SchemaChanges>),
    /// The plan does not go on, and its table is loaded in full into a new folder instead.
    Reload(Box<Plan>),
}

/// Compares a plan with the window before it, and makes it follow that one.
///
/// Errors: `SchemaMismatch` when the table's policy does not take a change.
pub(crate) fn fit(spec: &TableSpec, previous: Previous, plan: Plan) -> Result<Fit> {
    let mut changes = changes(&previous.columns, &plan.columns, &plan.format);
    for change in &mut changes {
        if let Change::Added(name) = change
            && is_returned(&previous, name)
        {
            *change = Change::Returned(std::mem::take(name));
        }
    }
    let is_replaced = previous
        .object
        .zip(plan.object)
        .is_some_and(|(before, now)| before != now);
    changes.extend((is_replaced && plan.supersedes().is_none()).then_some(Change::Replaced));
    changes.extend(retracked(&previous, &plan));
    if spec.sink.is_none() {
        changes.extend((!is_same_format(&previous.format, &plan.format)).then_some(Change::Reformatted));
        changes.extend((previous.layout != plan.layout).then_some(Change::Rearranged));
    }
    let is_refused = |change: &&Change| match spec.on_schema_change {
        Some(OnSchemaChange::Continue) => matches!(change, Change::Retracked { .. }),
        Some(OnSchemaChange::Fail) => true,
        Some(OnSchemaChange::Reload) | None => !change.is_compatible(),
    };
    let refused: Vec<&Change> = changes.iter().filter(is_refused).collect();
    let is_reload = spec.on_schema_change == Some(OnSchemaChange::Reload);
    let generation = match (refused.is_empty(), is_reload) {
        // A window is given up for such a load only, and its rows are in the folder before, whatever is asked for
        // since.
        _ if is_reload_begun(&plan) => previous.generation.saturating_add(1),
        (true, _) => previous.generation,
        (false, true) if plan.supersedes().is_some() => previous.generation.saturating_add(1),
        (false, true) => return Ok(reload(spec, &refused, plan)),
        (false, false) => return Err(mismatch(spec, &previous, &refused)),
    };
    let changed = (!changes.is_empty()).then(|| {
        let told = names(&changes);
        tracing::warn!(table = %spec.table, changes = told, generation, "The columns are not those of the last window.");
        SchemaChanges {
            changes: changes.iter().take(NAMES_SHOWN).map(ToString::to_string).collect(),
            generation: Some(generation).filter(|generation| *generation != previous.generation),
        }
    });
    // A folder that begins may have another key for hashes, and so may a table whose policy is to continue.
    let takes_any_key = spec.on_schema_change == Some(OnSchemaChange::Continue) || generation != previous.generation;
    let mask_key = previous.mask_key.filter(|_| !takes_any_key);
    let plan = plan.following(previous.field_ids, generation);
    Ok(Fit::GoesOn(Box::new(Plan { mask_key, ..plan }), changed))
}

/// Returns the change to another watermark column, which does not matter to a full load.
fn retracked(previous: &Previous, plan: &Plan) -> Option<Change> {
    let (from, to) = (previous.watermark_column.as_ref()?, plan.watermark_column()?);
    let is_other = !is_alike(from.as_str(), to.as_str()) && plan.supersedes().is_none();
    is_other.then(|| Change::Retracked {
        from: from.clone(),
        to: to.clone(),
    })
}

/// Returns whether the plan is a full load by the watermark column, in place of a window that was given up for it.
const fn is_reload_begun(plan: &Plan) -> bool {
    matches!(
        plan.content,
        Content::Interval {
            in_place_of: Some(_),
            ..
        }
    )
}

/// Returns whether what is left of a window that was frozen with the columns `frozen` cannot be copied from a table
/// that now has the columns `now`.
pub(crate) fn is_outdated(frozen: &[Column], now: &[Column]) -> bool {
    let is_there = |column: &Column| {
        let mut now = now.iter();
        now.any(|now| now.name == column.name && now.sql_type == column.sql_type)
    };
    !frozen.iter().all(is_there)
}

/// Returns whether a column that the last window did not have was in one before it.
fn is_returned(previous: &Previous, name: &str) -> bool {
    let was_there = previous.columns.iter().any(|column| is_alike(&column.name, name));
    !was_there && previous.field_ids.of(name).is_some()
}

fn reload(spec: &TableSpec, refused: &[&Change], plan: Plan) -> Fit {
    let changes = names(refused.iter().copied());
    tracing::warn!(
        table = %spec.table, window = %plan.window, changes,
        "The files would not be like those before them. The table is loaded in full into a new folder."
    );
    Fit::Reload(Box::new(plan))
}

/// Returns whether files of both formats can be read as one table. The level of compression does not matter to a
/// reader.
fn is_same_format(before: &Format, now: &Format) -> bool {
    match (before, now) {
        (Format::Parquet(before), Format::Parquet(now)) => {
            std::mem::discriminant(&before.codec) == std::mem::discriminant(&now.codec)
                && before.decimals == now.decimals
        }
        _ => before == now,
    }
}

fn mismatch(spec: &TableSpec, previous: &Previous, refused: &[&Change]) -> Error {
    if let Some(retracked) = refused.iter().find(|change| matches!(change, Change::Retracked { .. })) {
        let error = Error::about(ErrorCode::SchemaMismatch, &spec.table, |table| {
            format!(
                "{retracked} in the last window {} of {table}: the stored watermark is a value of that column, so rows of the table may \
                 never be copied",
                previous.window
            )
        });
        return error.advised(
            "Name that column again, or set on_schema_change to reload, which loads the table in full into a new folder, or start the \
             table over (tidemark reset).",
        );
    }
    let refused = names(refused.iter().copied());
    let error = Error::about(ErrorCode::SchemaMismatch, &spec.table, |table| {
        format!(
            "the columns of {table}, or the form of its files, are not those of its last window {}: {refused}. Readers of its files may \
             fail, or read other values",
            previous.window
        )
    });
    error.advised(
        "Put them back, or copy a view that casts columns to what they were, or set on_schema_change to reload, which loads the table \
         in full into a new folder, or to continue for one run, if what reads the files copes (docs/how-to/repair.md).",
    )
}

fn names<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let names: Vec<String> = changes.into_iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
    names.join(", ")
}

/// Returns one form for all those that files of a format hold in the same way: as the same type in Parquet, and as
/// texts that are read in the same way elsewhere.
const fn in_files(form: Form, format: &Format) -> Form {
    match (form, format) {
        (Form::Int16, _) => Form::Int32,
        (Form::Iso(_), Format::Parquet(_)) => Form::Text,
        (Form::RowVersion, Format::Parquet(_) | Format::Csv(_)) => Form::Binary,
        (_, Format::Csv(options)) => with_digits(form, options.fraction_digits),
        _ => form,
    }
}

/// Returns the form of points in time that are written with `digits` instead of their own.
const fn with_digits(form: Form, digits: Option<Digits>) -> Form {
    match (form, digits) {
        (Form::TimeTicks(_), Some(digits)) => Form::TimeTicks(digits),
        (Form::Ticks(_), Some(digits)) => Form::Ticks(digits),
        (Form::TicksAndOffset(_), Some(digits)) => Form::TicksAndOffset(digits),
        _ => form,
    }
}

/// Returns whether only one of the two is masked, here or by the server, or they have different masks. The columns of an audit
/// are the same in every window.
fn is_masked_otherwise(before: &Values, now: &Values) -> bool {
    let is_masked = |values: &Values| matches!(values, Values::Masked(_) | Values::ServerMask);
    (is_masked(before) || is_masked(now)) && before != now
}

/// Returns what changed from the columns `before` to the columns `now` in files of this format.
fn changes(before: &[Column], now: &[Column], format: &Format) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in before {
        let Some(new) = now.iter().find(|new| new.name == old.name) else {
            changes.push(Change::Dropped(old.name.clone()));
            continue;
        };
        let name = || old.name.clone();
        if is_masked_otherwise(&old.values, &new.values) {
            changes.push(Change::Masked(name()));
        } else if old.sql_type != new.sql_type || old.form != new.form {
            changes.push(Change::Retyped {
                name: name(),
                from: old.sql_type.clone(),
                to: new.sql_type.clone(),
                is_alike: in_files(old.form, format) == in_files(new.form, format),
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
    use crate::model::slice::SliceBounds;
    use crate::model::types::Fraction;
    use crate::testing::documents;
    use crate::testing::world::spec_with;

    /// Returns the form of the types that these tests name.
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
                values: Values::OfSource,
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
            ("a int null", "a int", "a may not be NULL any more", true),
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

    /// Older files with the column may still be there, and have it as another type, although it is new to the last
    /// window.
    #[test]
    fn a_column_that_comes_back_is_no_new_one() {
        let mut previous = Previous::of(&documents::plan("dbo.t", None, 1), None);
        previous.columns = columns("a int");
        previous.field_ids.extend(&columns("a int, Gone int"));
        for (now, expected) in [
            ("a int, b int", None),
            ("a int, gone bigint", Some("gone is back")),
            ("A int", Some("a is gone")),
        ] {
            let plan = documents::plan("dbo.t", None, 1).copying(columns(now), vec![SliceBounds::default()]);
            let previous = Previous {
                format: plan.format.clone(),
                ..previous.clone()
            };
            match (fit(&spec_with(serde_json::json!({})), previous, plan), expected) {
                (Ok(Fit::GoesOn(..)), None) => {}
                (Err(error), Some(said)) => assert!(error.to_string().contains(said), "{error}"),
                (other, _) => panic!("{now}: {other:?}"),
            }
        }
    }

    /// Whoever takes every other change has to say that the table is to be loaded anew.
    #[test]
    fn another_watermark_column_is_never_taken_in_silence() {
        let previous = Previous {
            watermark_column: Some(Identifier::new("before").unwrap()),
            ..Previous::of(&documents::plan("dbo.t", None, 1), None)
        };
        for (policy, is_refused) in [("fail", true), ("continue", true), ("reload", false)] {
            let spec = spec_with(serde_json::json!({ "on_schema_change": policy }));
            match fit(&spec, previous.clone(), documents::plan("dbo.t", None, 1)) {
                Ok(Fit::Reload(_)) => assert!(!is_refused, "{policy}"),
                Ok(Fit::GoesOn(..)) => panic!("{policy}"),
                Err(error) => assert!(
                    is_refused && error.to_string().contains("and was before"),
                    "{policy}: {error}"
                ),
            }
        }
    }

    /// Checks, for each pair of forms, whether files of each format hold both in the same way.
    #[test]
    fn a_type_may_change_where_the_files_type_does_not() {
        let decimal = |precision, scale| Form::Decimal { precision, scale };
        let (us, ns) = (Fraction::Micros, Fraction::Nanos);
        let csv = |fraction_digits| {
            Format::Csv(CsvOptions {
                fraction_digits,
                ..CsvOptions::default()
            })
        };
        let formats = [
            Format::default(),
            Format::Jsonl(JsonlOptions::default()),
            csv(None),
            csv(Some(7)),
        ];
        for (old, new, expected) in [
            (Form::Int16, Form::Int32, [true; 4]),
            (Form::Int32, Form::Int64, [false; 4]),
            (Form::Int16, Form::Int64, [false; 4]),
            (Form::Float32, Form::Float64, [false; 4]),
            (decimal(9, 2), decimal(10, 2), [false; 4]),
            (decimal(19, 4), decimal(10, 4), [false; 4]),
            (decimal(9, 2), decimal(9, 3), [false; 4]),
            (Form::Iso(0), Form::Iso(7), [true, false, false, false]),
            (Form::Iso(0), Form::Text, [true, false, false, false]),
            (Form::Time(us), Form::Iso(7), [false; 4]),
            (Form::Timestamp(us), Form::Timestamp(ns), [false; 4]),
            (Form::Timestamp(us), Form::Instant(us), [false; 4]),
            (Form::Ticks(3), Form::Ticks(7), [false, false, false, true]),
            (Form::TimeTicks(0), Form::TimeTicks(3), [false, false, false, true]),
            (
                Form::TicksAndOffset(7),
                Form::TicksAndOffset(3),
                [false, false, false, true],
            ),
            (Form::Ticks(7), Form::TicksAndOffset(7), [false; 4]),
            (Form::RowVersion, Form::Binary, [true, false, true, true]),
            (Form::Uuid, Form::Text, [false; 4]),
        ] {
            let alike = formats
                .each_ref()
                .map(|format| in_files(old, format) == in_files(new, format));
            assert_eq!(alike, expected, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn another_form_of_the_same_type_is_said_to_be_one() {
        let column = |form| Column {
            form,
            ..columns("a uniqueidentifier").remove(0)
        };
        let found = changes(&[column(Form::Text)], &[column(Form::Uuid)], &Format::default());
        assert!(!found[0].is_compatible());
        assert!(found[0].to_string().contains("column_types"), "{}", found[0]);
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

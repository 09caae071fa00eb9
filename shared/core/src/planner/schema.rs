//! The columns of a table from window to window: their fingerprint, and what changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::checksum::crc64nvme_base64;
use crate::format::Format;
use crate::types::{Column, SqlType};

/// What becomes of a table whose columns are not those of its last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSchemaChange {
    /// Every change is taken.
    Continue,
    /// None is.
    Fail,
}

/// A short name of a column list: equal lists, in the same order, have equal ones. The CRC-64/NVME, base64, of a line
/// `name⇥type⇥null` or `name⇥type⇥not null` per column.
#[must_use]
pub fn fingerprint(columns: &[Column]) -> String {
    let mut lines = String::new();
    for column in columns {
        let null = if column.nullable { "null" } else { "not null" };
        lines.push_str(&format!("{}\t{}\t{null}\n", column.name, column.sql_type));
    }
    crc64nvme_base64(lines.as_bytes())
}

/// Something that changed between two windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The column is new.
    Added(String),
    /// The column is gone, or has another name.
    Dropped(String),
    /// The column has a type with room for every value of the one before.
    Widened {
        /// The column.
        name: String,
        /// The type before.
        from: SqlType,
        /// The type now.
        to: SqlType,
    },
    /// The column has another type.
    Retyped {
        /// The column.
        name: String,
        /// The type before.
        from: SqlType,
        /// The type now.
        to: SqlType,
    },
    /// The column may be NULL now.
    MadeNullable(String),
    /// The column may not be NULL any more.
    MadeNotNull(String),
    /// The columns of a CSV file are in another order, or new ones are not at the end: readers go by position.
    Reordered,
}

impl Change {
    /// Whether what reads the files of the last window can read those of the next.
    #[must_use]
    pub const fn is_compatible(&self) -> bool {
        match self {
            Self::Added(_) | Self::Widened { .. } | Self::MadeNullable(_) => true,
            Self::Dropped(_) | Self::Retyped { .. } | Self::MadeNotNull(_) | Self::Reordered => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "{name} is new"),
            Self::Dropped(name) => write!(f, "{name} is gone"),
            Self::Widened { name, from, to } | Self::Retyped { name, from, to } => {
                write!(f, "{name} is {to} and was {from}")
            }
            Self::MadeNullable(name) => write!(f, "{name} may be NULL"),
            Self::MadeNotNull(name) => write!(f, "{name} may not be NULL any more"),
            Self::Reordered => f.write_str("the columns are in another order"),
        }
    }
}

/// What changed from the columns `before` to the columns `now` of files in this format.
#[must_use]
pub fn changes(before: &[Column], now: &[Column], format: &Format) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in before {
        let Some(new) = now.iter().find(|new| new.name == old.name) else {
            changes.push(Change::Dropped(old.name.clone()));
            continue;
        };
        let name = || old.name.clone();
        let (from, to) = (old.sql_type, new.sql_type);
        if from != to {
            changes.push(if widens(from, to) {
                Change::Widened { name: name(), from, to }
            } else {
                Change::Retyped { name: name(), from, to }
            });
        }
        match (old.nullable, new.nullable) {
            (false, true) => changes.push(Change::MadeNullable(name())),
            (true, false) => changes.push(Change::MadeNotNull(name())),
            _ => {}
        }
    }
    let is_known = |column: &&Column| before.iter().any(|old| old.name == column.name);
    changes.extend(
        now.iter()
            .filter(|column| !is_known(column))
            .map(|column| Change::Added(column.name.clone())),
    );
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

/// Whether every value of the type `from` is one of the type `to` in the same form, so that files of both read alike.
fn widens(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    let integer = |sql_type| match sql_type {
        T::TinyInt => Some(1),
        T::SmallInt => Some(2),
        T::Int => Some(3),
        T::BigInt => Some(4),
        _ => None,
    };
    // Characters or bytes at most; none for any length.
    let narrow = |sql_type| match sql_type {
        T::VarChar(length) => Some(length),
        T::Text => Some(None),
        _ => None,
    };
    let wide = |sql_type| match sql_type {
        T::NVarChar(length) => Some(length),
        T::NText => Some(None),
        sql_type => narrow(sql_type),
    };
    let bytes = |sql_type| match sql_type {
        T::VarBinary(length) => Some(length),
        T::Image => Some(None),
        _ => None,
    };
    let holds = |from: Option<u16>, to: Option<u16>| to.is_none_or(|to| from.is_some_and(|from| from <= to));
    if let (Some(from), Some(to)) = (integer(from), integer(to)) {
        return from < to;
    }
    // A code page has more characters in n bytes than none, so varchar(n) fits into nvarchar(n), and not the reverse.
    for length in [&narrow as &dyn Fn(SqlType) -> Option<Option<u16>>, &bytes] {
        if let (Some(from), Some(to)) = (length(from), length(to)) {
            return holds(from, to);
        }
    }
    match (from, to) {
        (
            T::Decimal { precision, scale },
            T::Decimal {
                precision: to_precision,
                scale: to_scale,
            },
        ) => to_scale >= scale && to_precision - to_scale >= precision - scale,
        (T::SmallMoney, T::Money) | (T::Real, T::Float) => true,
        (T::Time(from), T::Time(to))
        | (T::DateTime2(from), T::DateTime2(to))
        | (T::DateTimeOffset(from), T::DateTimeOffset(to)) => from <= to,
        _ => match (wide(from), wide(to)) {
            (Some(from_length), Some(to_length)) => narrow(to).is_none() && holds(from_length, to_length),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{CsvOptions, JsonlOptions};

    fn columns(list: &str) -> Vec<Column> {
        let columns = list.split(", ").filter(|column| !column.is_empty());
        columns
            .map(|column| {
                let (name, sql_type) = column.split_once(' ').unwrap();
                let nullable = sql_type.strip_suffix(" null");
                Column {
                    name: name.to_owned(),
                    sql_type: nullable.unwrap_or(sql_type).parse().unwrap(),
                    nullable: nullable.is_some(),
                }
            })
            .collect()
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
            ("a int", "a bigint", "a is bigint and was int", true),
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

    #[test]
    fn a_type_is_widened_when_it_has_room_for_every_value() {
        for (from, to, expected) in [
            ("tinyint", "bigint", true),
            ("bigint", "int", false),
            ("decimal(9,2)", "decimal(10,2)", true),
            ("decimal(9,2)", "decimal(9,3)", false),
            ("decimal(9,2)", "decimal(10,3)", true),
            ("real", "float", true),
            ("float", "real", false),
            ("smallmoney", "money", true),
            ("varchar(9)", "varchar(10)", true),
            ("varchar(9)", "varchar(max)", true),
            ("varchar(max)", "varchar(8000)", false),
            ("varchar(9)", "nvarchar(9)", true),
            ("nvarchar(9)", "varchar(9)", false),
            ("nvarchar(9)", "nvarchar(8)", false),
            ("ntext", "nvarchar(max)", true),
            ("varbinary(9)", "varbinary(max)", true),
            ("image", "varbinary(max)", true),
            ("varbinary(9)", "varchar(9)", false),
            ("char(9)", "varchar(9)", false),
            ("datetime2(3)", "datetime2(7)", true),
            ("datetime2(7)", "datetime2(3)", false),
            ("datetime", "datetime2(7)", false),
            ("date", "datetime2(0)", false),
            ("int", "decimal(19,0)", false),
        ] {
            assert_eq!(
                widens(from.parse().unwrap(), to.parse().unwrap()),
                expected,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn a_fingerprint_names_the_columns_and_their_order() {
        let one = fingerprint(&columns("a int, b varchar(9) null"));
        assert_eq!(one, fingerprint(&columns("a int, b varchar(9) null")));
        for other in [
            "b varchar(9) null, a int",
            "a int, b varchar(9)",
            "a int, b varchar(8) null",
            "a int",
        ] {
            assert_ne!(one, fingerprint(&columns(other)), "{other}");
        }
    }
}

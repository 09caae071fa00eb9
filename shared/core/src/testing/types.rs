//! The one type of the tables in memory.

use std::cmp::Ordering;

use crate::error::{Answer, Error, ErrorCode, Result};
use crate::model::audit::AuditTypes;
use crate::model::names::{Identifier, ObjectName, is_alike};
use crate::model::types::{Column, Form, TypeName};
use crate::model::values::Values;
use crate::model::watermark::{Watermark, WatermarkKind};
use crate::ports::rows::Explained;
use crate::ports::source::DeclaredColumn;

/// Returns the type `bigint`.
///
/// # Panics
///
/// Never: it is the name of a type.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a constant that is checked by every test that uses it"
)]
pub fn bigint() -> TypeName {
    TypeName::new("bigint").expect("the name of a type")
}

/// Makes the watermark of this number.
///
/// # Panics
///
/// Never: every number is one.
#[must_use]
#[expect(clippy::expect_used, reason = "a number has no character that a watermark has not")]
pub fn version(number: i64) -> Watermark {
    Watermark::new(bigint(), number.to_string()).expect("a number")
}

/// Makes a column of numbers, as the tables in memory declare it.
#[must_use]
pub fn declared(name: &str, nullable: bool) -> DeclaredColumn {
    DeclaredColumn {
        name: name.to_owned(),
        sql_type: bigint(),
        nullable,
        form: Ok(Form::Int64),
        native: None,
        watermark: Some(WatermarkKind::Number),
        cuts: true,
    }
}

/// Makes a column as a plan has it.
pub(super) fn column(name: &str, form: Form) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: bigint(),
        form,
        nullable: false,
        values: Values::OfSource,
    }
}

/// Returns the types of an audit's columns: the only one that there is.
pub(super) fn audit_types() -> AuditTypes {
    AuditTypes {
        window: bigint(),
        copied_at: bigint(),
        operation: bigint(),
    }
}

/// Implements [`KnowTypes`](crate::ports::source::KnowTypes) for a source whose only type is `bigint`.
macro_rules! only_numbers {
    ($source:ty $(, $other:ident)?) => {
        impl$(<$other>)? crate::ports::source::KnowTypes for $source {
            fn watermark(
                &self,
                _sql_type: &crate::model::types::TypeName,
                text: &str,
            ) -> crate::error::Result<crate::model::watermark::Watermark> {
                $crate::testing::types::watermark(text)
            }

            fn watermark_types(&self) -> &'static str {
                "bigint"
            }

            fn holds(&self, store: &crate::model::types::TypeName, column: &crate::model::types::TypeName) -> bool {
                store == column
            }

            fn audit_types(&self) -> crate::model::audit::AuditTypes {
                $crate::testing::types::audit_types()
            }
        }
    };
}

pub(super) use only_numbers;

/// Returns those columns that are asked for.
pub(super) fn asked_for(all: Vec<DeclaredColumn>, only: Option<&[&Identifier]>) -> Vec<DeclaredColumn> {
    let is_asked_for = |name: &str| only.is_none_or(|only| only.iter().any(|one| is_alike(one.as_str(), name)));
    all.into_iter().filter(|column| is_asked_for(&column.name)).collect()
}

/// Returns the watermark that a text stands for.
pub(super) fn watermark(text: &str) -> Result<Watermark> {
    number(text).map(version)
}

/// Returns the number that a text stands for.
pub(super) fn number(text: &str) -> Result<i64> {
    text.parse()
        .map_err(|error| Error::with_source(ErrorCode::InvalidInput, format!("'{text}' is not a bigint"), error))
}

/// Returns the number that a bound of a window or a slice stands for, if its type is `bigint`.
pub(super) fn bound(watermark: &Watermark) -> Result<i64> {
    if *watermark.sql_type() == bigint() {
        return number(watermark.value());
    }
    let message = format!("a bound is a bigint here, and no {}", watermark.sql_type());
    Err(Error::new(ErrorCode::UnsupportedType, message))
}

/// Compares two bounds by the numbers that they stand for.
pub(super) fn compare(one: &Watermark, other: &Watermark) -> Answer<Ordering> {
    Ok(bound(one)?.cmp(&bound(other)?))
}

/// Returns what a table in memory shows instead of a statement.
pub(super) fn explained(table: &ObjectName, rows: impl std::fmt::Debug) -> Explained {
    Explained {
        sql: format!("{table} in memory: {rows:?}"),
        parameters: Vec::new(),
    }
}

//! Columns: the type a server declares, as a name that is only carried, and the form in which values are held and
//! written.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::model::format::Timestamps;
use crate::model::names::printable;
use crate::model::values::Values;

/// The most bytes of a type's name: two names of 128 characters of up to four bytes, a dot and a length.
const MAX_NAME_BYTES: usize = 1_100;

/// A column type as its server declares it, for example `datetime2(7)`.
///
/// It is compared and carried, and never taken apart: only the server's adapter knows what it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypeName(String);

impl TypeName {
    /// Takes `name` as it is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the name is empty, longer than any type's name, or holds a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            let message = format!("'{}' is not the name of a column type", printable(&name));
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        Ok(Self(name))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TypeName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl From<TypeName> for String {
    fn from(name: TypeName) -> Self {
        name.0
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the values of a column are held in memory, and so what an encoder has to write.
///
/// The adapter of the source decides it when the window is planned, and the plan freezes it. A tick is 100 ns. In the
/// forms in ticks, points in time count from 0001-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// True or false.
    Bool,
    /// A signed integer that fits 16 bits. It is held and written as one of 32 bits, for which readers need no
    /// annotation.
    Int16,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// A binary floating-point number of 32 bits.
    Float32,
    /// A binary floating-point number of 64 bits.
    Float64,
    /// An exact number.
    Decimal {
        /// The number of digits in all, 1 to 38.
        precision: u8,
        /// The number of digits after the point.
        scale: u8,
    },
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// Eight bytes that are a version of their row. Text formats write them as a hexadecimal number.
    RowVersion,
    /// Sixteen bytes in the order of the text form (RFC 9562).
    Uuid,
    /// A day, counted from 1970-01-01.
    Date,
    /// A time of day, counted in the unit.
    Time(Fraction),
    /// A point in time without a zone, counted in the unit since 1970-01-01.
    Timestamp(Fraction),
    /// A point in time in UTC, counted in the unit since 1970-01-01.
    Instant(Fraction),
    /// The ISO 8601 text of a time or a point in time, with so many digits after the second.
    Iso(Digits),
    /// A time of day in ticks, which has so many digits after the second.
    TimeTicks(Digits),
    /// A point in time without a zone in ticks, which has so many digits after the second.
    Ticks(Digits),
    /// Ten bytes: ticks in UTC, then the offset in minutes, both little-endian. The number is that of the digits after
    /// the second.
    TicksAndOffset(Digits),
}

/// A number of digits after the second, 0 to 7.
pub type Digits = u8;

/// The unit of a time in a typed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fraction {
    /// Microseconds.
    #[serde(rename = "us")]
    Micros,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanos,
}

/// What becomes of columns whose values each have a type of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariantColumns {
    /// Each value is copied as the text of its type. The type itself is not copied.
    #[default]
    Text,
    /// A table with such a column fails, and the error names the column.
    Refuse,
}

impl VariantColumns {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the adapter of the source is to hold the values of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedForms {
    /// The forms for files that have types of their own, like Parquet: points in time in their unit, or as text, and
    /// every type in the form that most readers open.
    Typed {
        /// How points in time and fractions of a second are held.
        timestamps: Timestamps,
        /// What becomes of columns that hold values of several types.
        variants: VariantColumns,
    },
    /// The forms for text, or for another database: every digit of a point in time, in ticks.
    Exact {
        /// What becomes of columns that hold values of several types.
        variants: VariantColumns,
    },
}

impl WantedForms {
    /// Returns the forms for typed files, where the settings say nothing else.
    #[must_use]
    pub const fn typed(timestamps: Timestamps) -> Self {
        let variants = VariantColumns::Text;
        Self::Typed { timestamps, variants }
    }

    /// Returns the exact forms, where the settings say nothing else. They are also for those who ask for columns and
    /// not for values.
    #[must_use]
    pub const fn exact() -> Self {
        let variants = VariantColumns::Text;
        Self::Exact { variants }
    }
}

/// A column of a plan: what it is called, what its server declares, and how it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name as the server spells it.
    pub name: String,
    /// The declared type.
    pub sql_type: TypeName,
    /// How its values are held.
    pub form: Form,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What its values are, when they are not those of the source.
    #[serde(default, skip_serializing_if = "Values::is_of_source")]
    pub values: Values,
}

/// The columns that are read from a tracked table: those that are copied, and the two after them that describe the
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackedColumns<'a> {
    /// The columns of the table.
    pub copied: &'a [Column],
    /// The version at which a row was last changed.
    pub version: &'a Column,
    /// How it was changed.
    pub operation: &'a Column,
}

impl<'a> TrackedColumns<'a> {
    /// Tells the columns of a plan apart, or returns `None` when the plan has too few for a tracked table.
    #[must_use]
    pub fn of(columns: &'a [Column]) -> Option<Self> {
        let [copied @ .., version, operation] = of_source(columns) else {
            return None;
        };
        Some(Self {
            copied,
            version,
            operation,
        })
    }
}

/// Returns the columns that are read from the source: all before those of an audit.
#[must_use]
pub fn of_source(columns: &[Column]) -> &[Column] {
    let is_audit = |column: &Column| matches!(column.values, Values::Audit(_));
    let own = columns.iter().position(is_audit).unwrap_or(columns.len());
    columns.get(..own).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_survives_its_json() {
        let forms = [
            (Form::Int16, r#""int16""#),
            (
                Form::Decimal {
                    precision: 19,
                    scale: 4,
                },
                r#"{"decimal":{"precision":19,"scale":4}}"#,
            ),
            (Form::Timestamp(Fraction::Micros), r#"{"timestamp":"us"}"#),
            (Form::TicksAndOffset(7), r#"{"ticks_and_offset":7}"#),
        ];
        for (form, json) in forms {
            assert_eq!(serde_json::to_string(&form).unwrap(), json);
            assert_eq!(serde_json::from_str::<Form>(json).unwrap(), form);
        }
    }

    #[test]
    fn what_is_no_type_name_is_refused() {
        for name in ["", "in\nt", "x\0", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert_eq!(TypeName::new(name).unwrap_err().code(), ErrorCode::InvalidInput);
        }
        assert_eq!(TypeName::new("decimal(9,2)").unwrap().as_str(), "decimal(9,2)");
    }
}

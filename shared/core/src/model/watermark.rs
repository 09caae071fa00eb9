//! Watermarks: how far a table has been copied, exact in the column's own type.
//!
//! A watermark is carried as text with a type tag, never as a JSON number. The adapter of the source writes and reads
//! its text, because it knows the type; only the server orders two values. This module carries them and can tell
//! whether two are equal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::model::names::{ObjectName, printable};
use crate::model::types::TypeName;

/// The most characters of a watermark's text: a decimal of 38 digits with its sign and point has 40.
const MAX_CHARACTERS: usize = 64;

/// A value of a watermark column, or of a key that cuts slices, in the canonical text of its type.
///
/// | the column holds | text |
/// |---|---|
/// | whole numbers | `-42` |
/// | exact numbers with s digits after the point | `-1.50`, always s digits |
/// | days | `2017-09-05` |
/// | points in time with n digits of a second | `2017-09-05T08:06:00.1234567`, always n digits |
/// | points in time with an offset | `2017-09-05T06:06:00.1234567Z`, always UTC |
/// | row versions | `0x00000000000007E4` |
/// | identifiers | `0E984725-C51C-4BF4-9960-E1C80E27ABA0` |
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawWatermark", into = "RawWatermark")]
pub struct Watermark {
    sql_type: TypeName,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatermark {
    r#type: TypeName,
    value: String,
}

impl Watermark {
    /// Takes the canonical text of a value of this type.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the text is empty, too long or has characters that no watermark has. Whether it is a value
    /// of the type is checked by the adapter of the source before the value is sent.
    pub fn new(sql_type: TypeName, value: impl Into<String>) -> Result<Self> {
        let value = value.into();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-');
        if value.is_empty() || value.len() > MAX_CHARACTERS || !value.chars().all(is_plain) {
            let message = format!("'{}' is not a watermark of type {sql_type}", printable(&value));
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        Ok(Self { sql_type, value })
    }

    /// Returns the type of the column.
    #[must_use]
    pub const fn sql_type(&self) -> &TypeName {
        &self.sql_type
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl TryFrom<RawWatermark> for Watermark {
    type Error = Error;

    fn try_from(raw: RawWatermark) -> Result<Self> {
        Self::new(raw.r#type, raw.value)
    }
}

impl From<Watermark> for RawWatermark {
    fn from(watermark: Watermark) -> Self {
        Self {
            r#type: watermark.sql_type,
            value: watermark.value,
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// The kind of values that a watermark column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatermarkKind {
    /// Points in time. The server's clock bounds them from above.
    Time,
    /// Numbers.
    Number,
    /// Versions of rows. The server knows the lowest version still in use, and no transaction can commit a value below
    /// it, so that is an exact bound. Windows include their lower bound and exclude their upper.
    Exact,
}

/// The type in which a watermark store keeps a value, and so how exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreType {
    /// A text column or a JSON document, which holds every watermark exactly.
    Text,
    /// A column of this type, as in the tutorials' control tables.
    Typed(TypeName),
}

impl fmt::Display for StoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Typed(sql_type) => sql_type.fmt(f),
        }
    }
}

impl Serialize for StoreType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Text => serializer.serialize_str("text"),
            // A control table may have a column of the legacy type `text`, which must not be read as `Text`.
            Self::Typed(sql_type) => serializer.collect_str(&format_args!("column {sql_type}")),
        }
    }
}

impl<'de> Deserialize<'de> for StoreType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("column ") {
            Some(name) => TypeName::new(name).map(Self::Typed).map_err(serde::de::Error::custom),
            None if text == "text" => Ok(Self::Text),
            None => Err(serde::de::Error::custom(format_args!(
                "store_type is '{}', not text or a column's type as in \"column datetime\"",
                printable(&text)
            ))),
        }
    }
}

/// The key of a table's row in the watermark store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkKey {
    /// The table.
    pub table: ObjectName,
    /// The table's name in the control table, when it is configured.
    pub name: Option<String>,
}

impl WatermarkKey {
    /// Makes the key of a table, which may be configured to have a name of its own in the control table.
    #[must_use]
    pub fn new(table: &ObjectName, name: Option<&str>) -> Self {
        Self {
            table: table.clone(),
            name: name.map(str::to_owned),
        }
    }

    /// Returns the names that the table may have in a control table: the configured one, or `schema.table` and, for
    /// `dbo`, `table`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        if let Some(name) = &self.name {
            return vec![name.clone()];
        }
        let mut names = vec![self.table.to_string()];
        if self.table.schema().as_str() == "dbo" {
            names.push(self.table.name().as_str().to_owned());
        }
        names
    }
}

/// What the watermark store holds for a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredWatermark {
    /// The type of the store's values.
    pub store_type: StoreType,
    /// The value's canonical text, or `None` when the table has none yet.
    pub value: Option<String>,
    /// The start over that took the value away, where the store says so. Events leave it out, because whoever moves a
    /// watermark reads the store again.
    #[serde(skip)]
    pub reset: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark(sql_type: &str, value: &str) -> Watermark {
        Watermark::new(TypeName::new(sql_type).unwrap(), value).unwrap()
    }

    #[test]
    fn json_carries_type_and_text() {
        let version = watermark("bigint", "9007199254740993");
        let json = serde_json::to_string(&version).unwrap();
        assert_eq!(json, r#"{"type":"bigint","value":"9007199254740993"}"#);
        assert_eq!(serde_json::from_str::<Watermark>(&json).unwrap(), version);
        for value in ["", "1; DROP TABLE t", "'1'", "a b", "é", "+1"] {
            let json = serde_json::json!({"type": "int", "value": value});
            assert!(serde_json::from_value::<Watermark>(json).is_err(), "{value}");
        }
    }

    #[test]
    fn a_store_type_survives_its_json() {
        for store_type in [StoreType::Text, StoreType::Typed(TypeName::new("text").unwrap())] {
            let json = serde_json::to_string(&store_type).unwrap();
            assert_eq!(serde_json::from_str::<StoreType>(&json).unwrap(), store_type);
        }
        assert!(serde_json::from_str::<StoreType>("\"datetime\"").is_err());
    }
}

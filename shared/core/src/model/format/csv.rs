//! The options of CSV parts.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::compression::Compression;

/// The most bytes of a NULL text: fewer than the text of a GUID has, so that no value without quotes can look like it.
const NULL_TEXT_BYTES: usize = 32;

/// When a CSV field is put in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quote {
    /// Where a reader needs them: the field holds the delimiter, a quote or a line break, begins or ends with a blank,
    /// is empty, or could be taken for NULL. Some readers take `\N` and `NULL` for NULL whatever the NULL text is, so
    /// these are quoted, too.
    #[default]
    Minimal,
    /// Never. A value that would need quotes fails the copy.
    None,
}

/// How a CSV line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LineEnd {
    /// `\n`.
    #[default]
    #[serde(rename = "\n")]
    Lf,
    /// `\r\n`.
    #[serde(rename = "\r\n")]
    CrLf,
}

impl LineEnd {
    /// Returns the bytes of the line end.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// What becomes of a line break in a text of a CSV field. Readers that split lines before they split fields, as Hive
/// and Athena do, make several rows of a row with a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineBreaks {
    /// The line break stays, in quotes.
    #[default]
    Keep,
    /// The line break is written as `\n` or `\r`, and a backslash as `\\`, so that the original text can be restored.
    Escape,
    /// The line break becomes one blank. The original text cannot be restored.
    Space,
    /// The copy fails and names the column.
    Fail,
}

/// The options of CSV parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct CsvOptions {
    /// Whether the first line holds the column names. Default true.
    pub header: bool,
    /// The one ASCII character between fields. Default `,`.
    #[serde(deserialize_with = "one_character")]
    pub delimiter: char,
    /// The text of NULL, never quoted. Default empty: NULL is an empty field, and an empty string is `""`.
    pub null: String,
    /// When a field is put in quotes. Default `minimal`.
    pub quote: Quote,
    /// The number of digits after the second of every `time`, `smalldatetime`, `datetime`, `datetime2` and
    /// `datetimeoffset`: padded with zeros, or cut off where the column has more. Default `None`: as many as the column
    /// has.
    pub fraction_digits: Option<u8>,
    /// The end of a line. Default `\n`.
    pub line_end: LineEnd,
    /// What becomes of line breaks in a text. Default `keep`.
    pub line_breaks: LineBreaks,
    /// The compression of the whole part. Default `none`.
    pub compression: Compression,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: ',',
            null: String::new(),
            quote: Quote::default(),
            fraction_digits: None,
            line_end: LineEnd::default(),
            line_breaks: LineBreaks::default(),
            compression: Compression::default(),
        }
    }
}

impl CsvOptions {
    /// Refuses options with which a reader could not tell the fields apart.
    fn check(&self) -> Result<(), String> {
        let Self { delimiter, null, .. } = self;
        // Letters, digits and the marks of numbers, dates and times occur in fields that are not quoted.
        if !delimiter.is_ascii()
            || delimiter.is_ascii_alphanumeric()
            || matches!(delimiter, '"' | '\r' | '\n' | '\0' | ' ' | '+' | '-' | '.' | ':')
        {
            return Err(format!(
                "delimiter {delimiter:?} cannot be told from the fields: use another ASCII character like ',', ';', '|' or '\\t'"
            ));
        }
        if let Some(digits) = self.fraction_digits.filter(|digits| *digits > 7) {
            return Err(format!("fraction_digits {digits} is more than SQL Server's 7"));
        }
        if null.contains([*delimiter, '"', '\r', '\n']) {
            return Err(format!("null {null:?} holds a delimiter, a quote or a line break"));
        }
        if null.len() > NULL_TEXT_BYTES {
            return Err(format!("null {null:?} is longer than {NULL_TEXT_BYTES} bytes"));
        }
        if null.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return Err(format!("null {null:?} could be taken for a number or a date"));
        }
        if null.is_empty() && self.quote == Quote::None {
            return Err(
                "null is empty and quote is none, which makes NULL and the empty string the same: set null, for example to \"\\\\N\""
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn one_character<'de, D: Deserializer<'de>>(deserializer: D) -> Result<char, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(D::Error::custom(format!("{text:?} is not one character"))),
    }
}

impl<'de> Deserialize<'de> for CsvOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let options = Self::deserialize(deserializer)?;
        options.check().map_err(D::Error::custom)?;
        Ok(options)
    }
}

impl Serialize for CsvOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

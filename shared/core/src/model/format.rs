//! The file format of a table's parts, as users write it and as a plan freezes it.
//!
//! A format is a name (`"parquet"`, `"csv"`, `"jsonl"`) or a name with options (`{"csv": {"header": false}}`). What is
//! left out is filled in while reading, and all of it is written back, so that a plan holds the whole decision.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The file format of a table's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    Parquet(ParquetOptions),
    /// Delimited text, as in RFC 4180 unless the options say otherwise.
    Csv(CsvOptions),
    /// JSON lines: one object per line.
    Jsonl(JsonlOptions),
}

impl Default for Format {
    fn default() -> Self {
        Self::Parquet(ParquetOptions::default())
    }
}

impl Format {
    /// Returns the end of a part's name, without the leading dot.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        match self {
            Self::Parquet(_) => "parquet",
            Self::Csv(options) => match options.compression {
                Compression::None => "csv",
                Compression::Gzip => "csv.gz",
                Compression::Zstd => "csv.zst",
            },
            Self::Jsonl(options) => match options.compression {
                Compression::None => "jsonl",
                Compression::Gzip => "jsonl.gz",
                Compression::Zstd => "jsonl.zst",
            },
        }
    }

    /// Returns the media type of a part. A compressed part has the media type of its compression rather than a content
    /// encoding, so that nothing between the bucket and the reader unpacks it.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match (self, self.text_compression()) {
            (Self::Parquet(_), _) => "application/vnd.apache.parquet",
            (_, Some(Compression::Gzip)) => "application/gzip",
            (_, Some(Compression::Zstd)) => "application/zstd",
            (Self::Csv(_), _) => "text/csv; charset=utf-8",
            (Self::Jsonl(_), _) => "application/x-ndjson",
        }
    }

    const fn text_compression(&self) -> Option<Compression> {
        match self {
            Self::Parquet(_) => None,
            Self::Csv(options) => Some(options.compression),
            Self::Jsonl(options) => Some(options.compression),
        }
    }
}

/// The same choice with its options always spelled out.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Spelled {
    Parquet(ParquetOptions),
    Csv(CsvOptions),
    Jsonl(JsonlOptions),
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrOptions;

        impl<'de> Visitor<'de> for NameOrOptions {
            type Value = Format;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    r#""parquet", "csv", "jsonl", or one of them with options, like {"csv": {"header": false}}"#,
                )
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Format, E> {
                match name {
                    "parquet" => Ok(Format::Parquet(ParquetOptions::default())),
                    "csv" => Ok(Format::Csv(CsvOptions::default())),
                    "jsonl" => Ok(Format::Jsonl(JsonlOptions::default())),
                    _ => Err(E::unknown_variant(name, &["parquet", "csv", "jsonl"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Format, A::Error> {
                Ok(match Spelled::deserialize(MapAccessDeserializer::new(map))? {
                    Spelled::Parquet(options) => Format::Parquet(options),
                    Spelled::Csv(options) => Format::Csv(options),
                    Spelled::Jsonl(options) => Format::Jsonl(options),
                })
            }
        }

        deserializer.deserialize_any(NameOrOptions)
    }
}

/// The form of a table's points in time in Parquet. Text formats are exact and do not need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    /// Microseconds. They hold every date of SQL Server. The seventh digit of `time(7)`, `datetime2(7)` and
    /// `datetimeoffset(7)` is cut off, and a `datetimeoffset` becomes the same instant in UTC.
    #[default]
    Us,
    /// Nanoseconds for the columns with seven digits, whose values must then lie in 1677-09-22 … 2262-04-11. The other
    /// columns stay in microseconds, which lose nothing.
    Ns,
    /// ISO 8601 text for `time`, `smalldatetime`, `datetime`, `datetime2` and `datetimeoffset`, with every digit and
    /// the offset.
    Text,
}

/// Which form a type has in Parquet when it has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileTypes {
    /// The form that every engine opens. A single column in the other form makes a whole file unreadable for some
    /// engines.
    #[default]
    Portable,
    /// The form that Parquet defines for the type.
    Native,
}

impl FileTypes {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The options of Parquet parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "RawParquetOptions", into = "RawParquetOptions")]
pub struct ParquetOptions {
    /// The compression of the pages.
    pub codec: Codec,
    /// The form of decimals of up to 18 digits.
    pub decimals: Decimals,
}

/// The form of decimals of up to 18 digits in a Parquet part. Decimals of more digits are bytes of a fixed length in
/// any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimals {
    /// Integers: the smallest and fastest form.
    #[default]
    Integer,
    /// Bytes of a fixed length, as Hive writes them. Hive's reader takes no other form.
    Fixed,
}

impl Decimals {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The compression of the pages of a Parquet part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Zstandard at a level from 1 to 22.
    Zstd(u8),
    /// Snappy, for readers that do not know Zstandard.
    Snappy,
    /// Gzip at a level from 1 to 9.
    Gzip(u8),
    /// No compression.
    None,
}

impl Default for Codec {
    /// Returns Zstandard at level 1: higher levels cost much more time for little less space.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

/// The options as users write them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParquetOptions {
    #[serde(default)]
    compression: CodecName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compression_level: Option<u8>,
    #[serde(default, skip_serializing_if = "Decimals::is_default")]
    decimals: Decimals,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CodecName {
    #[default]
    Zstd,
    Snappy,
    Gzip,
    None,
}

impl TryFrom<RawParquetOptions> for ParquetOptions {
    type Error = String;

    fn try_from(raw: RawParquetOptions) -> Result<Self, String> {
        let level = |default: u8, greatest: u8| {
            let level = raw.compression_level.unwrap_or(default);
            if (1..=greatest).contains(&level) {
                return Ok(level);
            }
            Err(format!("compression_level {level} is not between 1 and {greatest}"))
        };
        let codec = match raw.compression {
            CodecName::Zstd => Codec::Zstd(level(1, 22)?),
            CodecName::Gzip => Codec::Gzip(level(6, 9)?),
            CodecName::Snappy | CodecName::None if raw.compression_level.is_some() => {
                return Err("compression_level goes with the compression zstd or gzip only".to_owned());
            }
            CodecName::Snappy => Codec::Snappy,
            CodecName::None => Codec::None,
        };
        let decimals = raw.decimals;
        Ok(Self { codec, decimals })
    }
}

impl From<ParquetOptions> for RawParquetOptions {
    fn from(options: ParquetOptions) -> Self {
        let (compression, compression_level) = match options.codec {
            Codec::Zstd(level) => (CodecName::Zstd, Some(level)),
            Codec::Gzip(level) => (CodecName::Gzip, Some(level)),
            Codec::Snappy => (CodecName::Snappy, None),
            Codec::None => (CodecName::None, None),
        };
        Self {
            compression,
            compression_level,
            decimals: options.decimals,
        }
    }
}

/// The options of JSON lines parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonlOptions {
    /// The compression of the whole part. Default `none`.
    #[serde(default)]
    pub compression: Compression,
    /// The form of a `bigint`. Default `number`.
    #[serde(default)]
    pub bigint: Bigint,
}

/// The form of a `bigint` in a JSON line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bigint {
    /// A number. Query engines read it exactly. A reader that holds all JSON numbers as floats, as JavaScript does, is
    /// not exact beyond 2⁵³.
    #[default]
    Number,
    /// A string of its digits.
    String,
}

/// The compression of a part in a text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// No compression: plain text.
    #[default]
    None,
    /// One gzip stream; the part's name ends in `.gz`.
    Gzip,
    /// One Zstandard frame; the part's name ends in `.zst`.
    Zstd,
}

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
#[serde(try_from = "RawCsvOptions")]
pub struct CsvOptions {
    /// Whether the first line holds the column names. Default true.
    pub header: bool,
    /// The one ASCII character between fields. Default `,`.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawCsvOptions {
    header: bool,
    delimiter: String,
    null: String,
    quote: Quote,
    fraction_digits: Option<u8>,
    line_end: LineEnd,
    line_breaks: LineBreaks,
    compression: Compression,
}

impl Default for RawCsvOptions {
    fn default() -> Self {
        let CsvOptions {
            header,
            delimiter,
            null,
            quote,
            fraction_digits,
            line_end,
            line_breaks,
            compression,
        } = CsvOptions::default();
        Self {
            header,
            delimiter: delimiter.into(),
            null,
            quote,
            fraction_digits,
            line_end,
            line_breaks,
            compression,
        }
    }
}

/// The most bytes of a NULL text: fewer than the text of a GUID has, so that no value without quotes can look like it.
const NULL_TEXT_BYTES: usize = 32;

impl TryFrom<RawCsvOptions> for CsvOptions {
    type Error = String;

    fn try_from(raw: RawCsvOptions) -> Result<Self, String> {
        let mut characters = raw.delimiter.chars();
        let (Some(delimiter), None) = (characters.next(), characters.next()) else {
            return Err(format!("delimiter {:?} is not one character", raw.delimiter));
        };
        // Letters, digits and the marks of numbers, dates and times occur in fields that are not quoted.
        if !delimiter.is_ascii()
            || delimiter.is_ascii_alphanumeric()
            || matches!(delimiter, '"' | '\r' | '\n' | '\0' | ' ' | '+' | '-' | '.' | ':')
        {
            return Err(format!(
                "delimiter {delimiter:?} cannot be told from the fields: use another ASCII character like ',', ';', '|' or '\\t'"
            ));
        }
        if let Some(digits) = raw.fraction_digits.filter(|digits| *digits > 7) {
            return Err(format!("fraction_digits {digits} is more than SQL Server's 7"));
        }
        let null = raw.null;
        if null.contains([delimiter, '"', '\r', '\n']) {
            return Err(format!("null {null:?} holds a delimiter, a quote or a line break"));
        }
        if null.len() > NULL_TEXT_BYTES {
            return Err(format!("null {null:?} is longer than {NULL_TEXT_BYTES} bytes"));
        }
        if null.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return Err(format!("null {null:?} could be taken for a number or a date"));
        }
        if null.is_empty() && raw.quote == Quote::None {
            return Err(
                "null is empty and quote is none, which makes NULL and the empty string the same: set null, for example to \"\\\\N\""
                    .to_owned(),
            );
        }
        Ok(Self {
            header: raw.header,
            delimiter,
            null,
            quote: raw.quote,
            fraction_digits: raw.fraction_digits,
            line_end: raw.line_end,
            line_breaks: raw.line_breaks,
            compression: raw.compression,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Format, String> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_stands_for_its_defaults_and_all_of_them_are_written_back() {
        for (json, written) in [
            (
                r#""parquet""#,
                r#"{"parquet":{"compression":"zstd","compression_level":1}}"#,
            ),
            (
                r#"{"parquet":{"compression_level":9}}"#,
                r#"{"parquet":{"compression":"zstd","compression_level":9}}"#,
            ),
            (
                r#"{"parquet":{"compression":"gzip"}}"#,
                r#"{"parquet":{"compression":"gzip","compression_level":6}}"#,
            ),
            (
                r#"{"parquet":{"compression":"snappy"}}"#,
                r#"{"parquet":{"compression":"snappy"}}"#,
            ),
            (
                r#"{"parquet":{"compression":"none"}}"#,
                r#"{"parquet":{"compression":"none"}}"#,
            ),
            (r#""jsonl""#, r#"{"jsonl":{"compression":"none","bigint":"number"}}"#),
            (
                r#"{"jsonl":{"bigint":"string"}}"#,
                r#"{"jsonl":{"compression":"none","bigint":"string"}}"#,
            ),
            (
                r#""csv""#,
                r#"{"csv":{"header":true,"delimiter":",","null":"","quote":"minimal","fraction_digits":null,"line_end":"\n","line_breaks":"keep","compression":"none"}}"#,
            ),
            (
                r#"{"csv":{"header":false,"null":"\\N","quote":"none","fraction_digits":7,"line_end":"\r\n"}}"#,
                r#"{"csv":{"header":false,"delimiter":",","null":"\\N","quote":"none","fraction_digits":7,"line_end":"\r\n","line_breaks":"keep","compression":"none"}}"#,
            ),
        ] {
            let format = read(json).unwrap();
            assert_eq!(serde_json::to_string(&format).unwrap(), written);
            assert_eq!(read(written).unwrap(), format);
        }
    }

    #[test]
    fn what_cannot_be_read_back_is_refused_and_named() {
        for (json, said) in [
            (r#""orc""#, "unknown variant `orc`"),
            ("7", r#"expected "parquet""#),
            (r#"{"csv":{"headers":true}}"#, "unknown field `headers`"),
            (r#"{"jsonl":{"header":true}}"#, "unknown field `header`"),
            (r#"{"parquet":{"compression_level":0}}"#, "between 1 and 22"),
            (
                r#"{"parquet":{"compression":"gzip","compression_level":10}}"#,
                "between 1 and 9",
            ),
            (
                r#"{"parquet":{"compression":"snappy","compression_level":1}}"#,
                "zstd or gzip",
            ),
            (r#"{"parquet":{"compression":"lz4"}}"#, "unknown variant `lz4`"),
            (r#"{"jsonl":{"bigint":"text"}}"#, "unknown variant `text`"),
            (r#"{"csv":{"line_breaks":"drop"}}"#, "unknown variant `drop`"),
            (r#"{"csv":{"compression":"zip"}}"#, "unknown variant `zip`"),
            (r#"{"csv":{"delimiter":""}}"#, "not one character"),
            (r#"{"csv":{"delimiter":",,"}}"#, "not one character"),
            (r#"{"csv":{"delimiter":"\""}}"#, "cannot be told"),
            (r#"{"csv":{"delimiter":"\n"}}"#, "cannot be told"),
            (r#"{"csv":{"delimiter":"-"}}"#, "cannot be told"),
            (r#"{"csv":{"delimiter":"é"}}"#, "cannot be told"),
            (r#"{"csv":{"null":"a,b"}}"#, "holds a delimiter"),
            (r#"{"csv":{"null":"0"}}"#, "taken for a number"),
            (r#"{"csv":{"quote":"none"}}"#, "the same"),
            (r#"{"csv":{"fraction_digits":8}}"#, "SQL Server's 7"),
            (r#"{"csv":{"line_end":"\r"}}"#, "unknown variant"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn a_part_is_named_after_its_format() {
        for (json, extension, content_type) in [
            (r#""parquet""#, "parquet", "application/vnd.apache.parquet"),
            (r#""csv""#, "csv", "text/csv; charset=utf-8"),
            (r#"{"csv":{"compression":"gzip"}}"#, "csv.gz", "application/gzip"),
            (r#""jsonl""#, "jsonl", "application/x-ndjson"),
            (r#"{"jsonl":{"compression":"gzip"}}"#, "jsonl.gz", "application/gzip"),
            (r#"{"csv":{"compression":"zstd"}}"#, "csv.zst", "application/zstd"),
            (r#"{"jsonl":{"compression":"zstd"}}"#, "jsonl.zst", "application/zstd"),
        ] {
            let format = read(json).unwrap();
            assert_eq!((format.extension(), format.content_type()), (extension, content_type));
        }
    }
}

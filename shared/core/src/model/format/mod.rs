//! The file format of a table's parts, as users write it and as a plan freezes it.
//!
//! A format is a name (`"parquet"`, `"csv"`, `"jsonl"`) or a name with options (`{"csv": {"header": false}}`). What is
//! left out is filled in while reading, and all of it is written back, so that a plan holds the whole decision.

mod compression;
mod csv;
mod parquet;

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::compression::Compression;
pub use self::csv::{CsvOptions, LineBreaks, LineEnd, Quote};
pub use self::parquet::{Codec, Decimals, ParquetOptions};

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

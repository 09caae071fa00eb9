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
    /// Apache Parquet, compressed with zstd.
    Parquet(ParquetOptions),
    /// Delimited text, RFC 4180 unless told otherwise.
    Csv(CsvOptions),
    /// One JSON object per line.
    Jsonl(JsonlOptions),
}

impl Default for Format {
    fn default() -> Self {
        Self::Parquet(ParquetOptions::default())
    }
}

impl Format {
    /// The end of a part's name, without the leading dot.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        match self {
            Self::Parquet(_) => "parquet",
            Self::Csv(options) => match options.compression {
                Compression::None => "csv",
                Compression::Gzip => "csv.gz",
            },
            Self::Jsonl(options) => match options.compression {
                Compression::None => "jsonl",
                Compression::Gzip => "jsonl.gz",
            },
        }
    }

    /// The media type of a part. A compressed part is a gzip file, not text in a gzip transfer: nothing on the way may
    /// unpack it.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Parquet(_) => "application/vnd.apache.parquet",
            Self::Csv(CsvOptions {
                compression: Compression::Gzip,
                ..
            })
            | Self::Jsonl(JsonlOptions {
                compression: Compression::Gzip,
            }) => "application/gzip",
            Self::Csv(_) => "text/csv; charset=utf-8",
            Self::Jsonl(_) => "application/x-ndjson",
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

/// How the points in time of a table are held in Parquet. Text formats are exact and do not need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timestamps {
    /// Microseconds: every date SQL Server has; the seventh digit of `time(7)`, `datetime2(7)` and `datetimeoffset(7)`
    /// is cut off, and `datetimeoffset` becomes the same instant in UTC.
    #[default]
    Us,
    /// Nanoseconds for the columns with seven digits, which then must lie in 1677-09-22 … 2262-04-11; the others stay
    /// in microseconds, which lose nothing.
    Ns,
    /// ISO 8601 text for `time`, `smalldatetime`, `datetime`, `datetime2` and `datetimeoffset`, with every digit and
    /// the offset.
    Text,
}

/// Options of Parquet parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawParquetOptions")]
pub struct ParquetOptions {
    /// The zstd level, 1 to 22. Default 1: higher levels cost much more time than they save space.
    pub compression_level: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParquetOptions {
    #[serde(default = "default_level")]
    compression_level: u8,
}

const fn default_level() -> u8 {
    1
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression_level: default_level(),
        }
    }
}

impl TryFrom<RawParquetOptions> for ParquetOptions {
    type Error = String;

    fn try_from(raw: RawParquetOptions) -> Result<Self, String> {
        let compression_level = raw.compression_level;
        if !(1..=22).contains(&compression_level) {
            return Err(format!("compression_level {compression_level} is not between 1 and 22"));
        }
        Ok(Self { compression_level })
    }
}

/// Options of JSON lines parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonlOptions {
    /// Default `none`.
    #[serde(default)]
    pub compression: Compression,
}

/// Whether a text part is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Plain text.
    #[default]
    None,
    /// One gzip stream; the part's name ends in `.gz`.
    Gzip,
}

/// When a CSV field is put in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quote {
    /// Where it is needed: the field holds the delimiter, a quote or a line break, is empty, or equals the NULL text.
    #[default]
    Minimal,
    /// Never. A value that would need quotes fails the copy.
    None,
}

/// How a CSV line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LineEnd {
    /// `\n`
    #[default]
    #[serde(rename = "\n")]
    Lf,
    /// `\r\n`
    #[serde(rename = "\r\n")]
    CrLf,
}

impl LineEnd {
    /// The bytes of the line end.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// Options of CSV parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCsvOptions")]
pub struct CsvOptions {
    /// Whether the first line holds the column names. Default true.
    pub header: bool,
    /// One ASCII character between fields. Default `,`.
    pub delimiter: char,
    /// The text of NULL, never quoted. Default empty: NULL is an empty field and an empty string is `""`.
    pub null: String,
    /// Default `minimal`.
    pub quote: Quote,
    /// Digits after the second of every `time`, `smalldatetime`, `datetime`, `datetime2` and `datetimeoffset`: padded
    /// with zeros, or cut off where the column has more. Default null: as many as the column has.
    pub fraction_digits: Option<u8>,
    /// Default `\n`.
    pub line_end: LineEnd,
    /// Default `none`.
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
            compression,
        } = CsvOptions::default();
        Self {
            header,
            delimiter: delimiter.into(),
            null,
            quote,
            fraction_digits,
            line_end,
            compression,
        }
    }
}

/// The longest NULL text: shorter than any GUID, so that no value without quotes can look like it.
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
            (r#""parquet""#, r#"{"parquet":{"compression_level":1}}"#),
            (
                r#"{"parquet":{"compression_level":9}}"#,
                r#"{"parquet":{"compression_level":9}}"#,
            ),
            (r#""jsonl""#, r#"{"jsonl":{"compression":"none"}}"#),
            (r#"{"jsonl":{}}"#, r#"{"jsonl":{"compression":"none"}}"#),
            (
                r#""csv""#,
                r#"{"csv":{"header":true,"delimiter":",","null":"","quote":"minimal","fraction_digits":null,"line_end":"\n","compression":"none"}}"#,
            ),
            (
                r#"{"csv":{"header":false,"null":"\\N","quote":"none","fraction_digits":7,"line_end":"\r\n"}}"#,
                r#"{"csv":{"header":false,"delimiter":",","null":"\\N","quote":"none","fraction_digits":7,"line_end":"\r\n","compression":"none"}}"#,
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
        ] {
            let format = read(json).unwrap();
            assert_eq!((format.extension(), format.content_type()), (extension, content_type));
        }
    }
}

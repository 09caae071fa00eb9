//! The options of Parquet parts.

use serde::{Deserialize, Serialize};

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

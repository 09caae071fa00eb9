//! The compression of text formats.

use serde::{Deserialize, Serialize};

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

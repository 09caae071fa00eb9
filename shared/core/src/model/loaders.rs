//! The files that loaders of other systems read to find the parts of a window. They are written beside the window's own
//! manifest.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The form of a loader's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoaderManifest {
    /// The form that Redshift's `COPY … MANIFEST` takes: the addresses and sizes of the parts, all of which must be
    /// there (<https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html>).
    Redshift,
    /// The form that Hive's `SymlinkTextInputFormat` takes, and so Athena, Presto and Redshift Spectrum: one address a
    /// line.
    Symlink,
}

/// A part as programs outside Tidemark find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedPart {
    /// Its address, for example `s3://bucket/key`.
    pub address: String,
    /// Its size.
    pub bytes: u64,
}

impl LoaderManifest {
    /// Returns the text of the manifest for these parts.
    #[must_use]
    pub fn text(self, parts: &[AddressedPart]) -> String {
        match self {
            Self::Redshift => {
                let entries = parts.iter().map(|AddressedPart { address, bytes }| {
                    json!({ "url": address, "mandatory": true, "meta": { "content_length": bytes } })
                });
                json!({ "entries": entries.collect::<Vec<_>>() }).to_string()
            }
            Self::Symlink => parts.iter().map(|part| format!("{}\n", part.address)).collect(),
        }
    }
}

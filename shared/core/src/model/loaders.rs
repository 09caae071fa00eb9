//! What loaders of other systems read to find the parts of a window, written beside the window's own manifest.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// This is a manifest in the form of a loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoaderManifest {
    /// This says what Redshift's `COPY … MANIFEST` takes: the addresses and sizes of the parts, all of which must be there
    /// (<https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html>).
    Redshift,
    /// This says what Hive's `SymlinkTextInputFormat` takes, and so Athena, Presto and Redshift Spectrum: an address a line.
    Symlink,
}

impl LoaderManifest {
    /// Returns its text for parts at these addresses, with so many bytes.
    #[must_use]
    pub fn text(self, parts: &[(String, u64)]) -> String {
        match self {
            Self::Redshift => {
                let entries = parts.iter().map(|(address, bytes)| {
                    json!({ "url": address, "mandatory": true, "meta": { "content_length": bytes } })
                });
                json!({ "entries": entries.collect::<Vec<_>>() }).to_string()
            }
            Self::Symlink => parts.iter().map(|(address, _)| format!("{address}\n")).collect(),
        }
    }
}

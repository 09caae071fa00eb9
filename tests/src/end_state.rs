//! The end state of a table's copy, as readers and the next run find it, to compare a disturbed run with an undisturbed
//! one.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark::ledger::keys::table_segment;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::watermark::WatermarkKey;
use tidemark::model::window::WindowName;
use tidemark::ports::watermarks::ReadWatermarks;

use crate::s3_server::S3Server;

/// A committed window, without what may differ between runs: run ids, times, and the names of uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its name.
    pub window: WindowName,
    /// Where it starts.
    pub old_watermark: Option<String>,
    /// Where it ends.
    pub new_watermark: String,
    /// The parts: the name within the window, rows, bytes and checksum of each.
    pub parts: Vec<(String, u64, u64, String)>,
}

/// The end state of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndState {
    /// The content of every visible part, by its key below that of the table.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// The chain of manifests.
    pub windows: Vec<Window>,
    /// The pointer.
    pub watermark: Option<String>,
}

impl EndState {
    /// Returns the end state of the table of `key` under `prefix`, whose chain of manifests begins with window `first`.
    pub async fn of<W: ReadWatermarks>(
        s3: &S3Server,
        prefix: &str,
        key: &WatermarkKey,
        pointer: &W,
        first: &WindowName,
    ) -> Result<Self> {
        let store = s3.store();
        let ledger = Ledger::new(Place::new(&store, prefix), &key.table);
        let mut windows = Vec::new();
        let mut at = first.clone();
        while let Some(manifest) = ledger.manifest(&at).await? {
            at = WindowName::after(&manifest.new_watermark);
            windows.push(Window::of(manifest));
        }
        let parts = visible_parts(s3, prefix, &key.table)
            .map_err(|error| Error::with_source(ErrorCode::Internal, "cannot read the bucket's folder", error))?;
        Ok(Self {
            parts,
            windows,
            watermark: pointer.stored(key).await.of(Role::WatermarkStore)?.value,
        })
    }
}

impl Window {
    fn of(manifest: Manifest) -> Self {
        let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
        let parts = manifest.parts.into_iter();
        Self {
            window: manifest.window,
            old_watermark: manifest.old_watermark.map(|watermark| watermark.to_string()),
            new_watermark: manifest.new_watermark.to_string(),
            parts: parts
                .map(|part| (name(&part.key), part.rows, part.bytes, part.crc64nvme))
                .collect(),
        }
    }
}

/// Returns the parts that a reader finds who lists the table's folder.
fn visible_parts(s3: &S3Server, prefix: &str, table: &ObjectName) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let root = s3.files().join(prefix).join(table_segment(table));
    let mut parts = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if name_of(&path).starts_with("part-") {
                let key = path.strip_prefix(&root).map_err(io::Error::other)?;
                parts.insert(key.to_string_lossy().into_owned(), std::fs::read(&path)?);
            }
        }
    }
    Ok(parts)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

//! The documents of the ledger. All are written once and read by every later attempt, so a field is never renamed and
//! never changes its meaning; `version` tells a reader that cannot know better.

use serde::{Deserialize, Serialize};

use super::{SliceBounds, SliceId, WindowName};
use crate::format::{Format, Timestamps};
use crate::identifier::ObjectName;
use crate::ports::objects::StagedObject;
use crate::predicate::Predicate;
use crate::query::Query;
use crate::sink::SinkSpec;
use crate::table::{Layout, Tracking};
use crate::types::Column;
use crate::watermark::Watermark;

/// The version of the documents' form that this code writes and reads.
pub const VERSION: u32 = 1;
/// The version of the record of a slice that was split: an earlier release, which would take it for that of a slice without
/// rows, refuses it.
const SPLIT_VERSION: u32 = 2;

/// A document that says which version of its form it has.
pub(super) trait Versioned {
    /// The latest version that this code knows.
    const LATEST: u32 = VERSION;

    fn version(&self) -> u32;
}

impl Versioned for Plan {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for PartRecord {
    const LATEST: u32 = SPLIT_VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for Previous {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Versioned for Manifest {
    fn version(&self) -> u32 {
        self.version
    }
}

/// `_plan.json`: a window frozen (W1), with everything a slice needs to be copied by anyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`]
    pub version: u32,
    /// The source.
    pub table: ObjectName,
    /// The name of the window.
    pub window: WindowName,
    /// How changes are found, as configured when the plan was frozen.
    pub tracking: Tracking,
    /// The lower bound, exclusive but for a rowversion; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive but for a rowversion.
    pub new_watermark: Watermark,
    /// The columns in their order in the files.
    pub columns: Vec<Column>,
    /// Their fingerprint ([`crate::schema::fingerprint`]). Empty when there are none, and in documents of earlier releases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// The form of the files.
    pub format: Format,
    /// How Parquet files hold fractions of a second.
    pub timestamps: Timestamps,
    /// Which rows are copied, when not all are.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Predicate>,
    /// Where the parts lie.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// The slices by number; none when nothing changed between the bounds.
    pub slices: Vec<Slice>,
    /// Counts the rows of the window on the source, for tracking that can be late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Query>,
    /// The stored watermark that a first load found: one that was in the store before this ledger began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Watermark>,
    /// The version at which the table's tracking began, as a full load found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracked_since: Option<Watermark>,
    /// The window this one was planned in place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<WindowName>,
    /// The window that is copied in place of this one, which has no slices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// The `TableName` of the table in the control table, when configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_name: Option<String>,
    /// The table the rows are merged into, when they do not become files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// The run that froze the plan.
    pub run_id: String,
    /// When, RFC 3339.
    pub created_at: String,
}

impl Plan {
    /// The day, in UTC, on which the plan was frozen.
    #[must_use]
    pub fn load_date(&self) -> &str {
        self.created_at.get(..10).unwrap_or("unknown")
    }
}

/// A sub-interval of a window, copied by one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Selects the rows of the slice.
    pub query: Query,
    /// Answers 1 as long as the source still has all of those rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Query>,
    /// What it is of its window. Absent in documents of earlier releases, whose slices cannot be split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<SliceBounds>,
}

/// `_parts/NNNNN.json`: the decision which upload is the slice's, or which slices are copied in its place (W2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// [`VERSION`]
    pub version: u32,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// 0, or one more for each earlier decision whose upload expired.
    pub attempt: u32,
    /// What was read, encoded and uploaded, or merged.
    pub rows: u64,
    /// The upload, not yet completed; absent when the slice has no rows, because no empty object is ever written, and when
    /// the rows are merged into a table.
    pub staged: Option<StagedObject>,
    /// The slice is never copied, because this window is copied in place of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// The slices that are copied in place of this one, in their order: together they are its rows. There are at least two,
    /// or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Slice>,
    /// The run that copied or split the slice.
    pub run_id: String,
}

impl PartRecord {
    /// The record of a slice without rows: what is decided of it is filled in.
    #[must_use]
    pub const fn new(window: WindowName, slice: SliceId, attempt: u32, run_id: String) -> Self {
        Self {
            version: VERSION,
            window,
            slice,
            attempt,
            rows: 0,
            staged: None,
            superseded_by: None,
            split: Vec::new(),
            run_id,
        }
    }

    /// Decides that `sub_slices` are copied in place of the slice.
    #[must_use]
    pub fn split_into(self, sub_slices: Vec<Slice>) -> Self {
        Self {
            version: SPLIT_VERSION,
            split: sub_slices,
            ..self
        }
    }

    /// The slices that are copied in place of this one; none when it was not split.
    pub fn sub_slices(&self) -> impl Iterator<Item = SliceId> {
        (0_u32..)
            .take(self.split.len())
            .filter_map(|number| self.slice.sub_slice(number))
    }
}

/// `_manifest.json`: the commit of a window (W4). It names every object of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`]
    pub version: u32,
    /// The source.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The lower bound, exclusive but for a rowversion; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive but for a rowversion, where the next window starts.
    pub new_watermark: Watermark,
    /// The columns in their order in the files.
    pub columns: Vec<Column>,
    /// Their fingerprint ([`crate::schema::fingerprint`]). Empty when there are none, and in documents of earlier releases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// The form of the files.
    pub format: Format,
    /// The table the rows are merged into, when they do not become files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// The objects, in slice order. Slices without rows have none, and those merged into a table.
    pub parts: Vec<ManifestPart>,
    /// The sum of the parts' rows, or of the rows merged.
    pub rows: u64,
    /// The sum of the parts' bytes.
    pub bytes: u64,
    /// Rows of the window that the source held at commit beyond those copied: they were committed after the copy, and
    /// are not in the parts. `None` when they could not be counted.
    pub late_rows: Option<u64>,
    /// The stored watermark that a first load found: one that was in the store before this ledger began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Watermark>,
    /// The window that was copied in place of this one, which ends where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// The run that committed the window.
    pub run_id: String,
    /// When, RFC 3339.
    pub committed_at: String,
}

impl Manifest {
    /// The window after this one.
    #[must_use]
    pub fn next_window(&self) -> WindowName {
        let next = self.superseded_by.clone();
        next.unwrap_or_else(|| WindowName::after(&self.new_watermark))
    }
}

/// `_previous.json`: what the window that ends where this one begins looked like. Written before that window's manifest,
/// from its plan alone, so everyone writes the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// [`VERSION`]
    pub version: u32,
    /// The window that ends here.
    pub window: WindowName,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Their fingerprint.
    pub schema: String,
}

/// One object of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// The slice.
    pub slice: SliceId,
    /// The key in the bucket.
    pub key: String,
    /// Rows in the object.
    pub rows: u64,
    /// Size of the object.
    pub bytes: u64,
    /// The object's `ETag`.
    pub etag: String,
    /// CRC-64/NVME of the whole object, base64, as S3 shows it.
    pub crc64nvme: String,
}

//! The manifest: the commit of a window (W4), and what it leaves for the window after it.

use serde::{Deserialize, Serialize};

use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::malformed::MalformedTexts;
use crate::model::names::ObjectName;
use crate::model::plan::{Author, Plan, PlanId, Replaces, VERSION, fingerprint, is_first};
use crate::model::sink::SinkSpec;
use crate::model::slice_id::SliceId;
use crate::model::table::Layout;
use crate::model::types::Column;
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;

/// This is `manifest.json`: a committed window. It names every object of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// This is [`VERSION`].
    pub version: u32,
    /// This is the source.
    pub table: ObjectName,
    /// This is the window.
    pub window: WindowName,
    /// This is the lower bound, exclusive but for row versions; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// This is the upper bound, inclusive but for row versions, where the next window starts.
    pub new_watermark: Watermark,
    /// These are the columns in their order in the files.
    pub columns: Vec<Column>,
    /// This is their [fingerprint]. Empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// These are the ids of these columns in the files, and of all that the windows before had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// This says which folder of the table the parts lie in: 0 is the one it began with; each reload for a change of
    /// the columns began the next.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// This is the form of the files.
    pub format: Format,
    /// The table the rows are merged into, when they do not become files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// These are the objects, in slice order. Slices without rows have none, and those merged into a table.
    pub parts: Vec<ManifestPart>,
    /// This is the sum of the parts' rows, or of the rows merged.
    pub rows: u64,
    /// This is the sum of the parts' bytes.
    pub bytes: u64,
    /// This counts the rows of the window that the source held at commit beyond those copied: they were committed after
    /// the copy, and are not in the parts. `None` when they could not be counted.
    pub late_rows: Option<u64>,
    /// These are the texts of these rows that could not be decoded, and hold U+FFFD in place of what is malformed.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
    /// This is the stored watermark that a first load found: one that was in the store before this ledger began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Watermark>,
    /// This is the window that was copied in place of this one, which ends where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// This says what the window replaces, when it is a backfill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// This is the plan that it commits. While another one is in the window's folder, the manifest does not count.
    pub plan: PlanId,
    /// The run that committed the window.
    pub run_id: String,
    /// This says when, in RFC 3339.
    pub committed_at: String,
}

/// This is one object of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// This is the slice.
    pub slice: SliceId,
    /// This is the key in the bucket.
    pub key: String,
    /// This counts the rows in the object.
    pub rows: u64,
    /// This is the size of the object.
    pub bytes: u64,
    /// This is the object's `ETag`.
    pub etag: String,
    /// This is the CRC-64/NVME of the whole object, base64, as S3 shows it.
    pub crc64nvme: String,
    /// These are the texts in it that could not be decoded.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
}

/// This says what was copied of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopiedRows {
    /// Its rows are in these objects.
    Parts(Vec<ManifestPart>),
    /// Its rows are in a table.
    Merged {
        /// This says how many they are.
        rows: u64,
        /// These are their texts that could not be decoded.
        malformed_texts: MalformedTexts,
    },
}

impl Manifest {
    /// Returns the commit of a window whose rows are copied.
    #[must_use]
    pub fn committed(plan: &Plan, copied: CopiedRows, late_rows: Option<u64>, author: Author<'_>) -> Self {
        let (rows, malformed_texts, parts) = match copied {
            CopiedRows::Parts(parts) => {
                let malformed_texts = MalformedTexts::sum(parts.iter().map(|part| &part.malformed_texts));
                (parts.iter().map(|part| part.rows).sum(), malformed_texts, parts)
            }
            CopiedRows::Merged { rows, malformed_texts } => (rows, malformed_texts, Vec::new()),
        };
        Self {
            version: VERSION,
            table: plan.table.clone(),
            window: plan.window.clone(),
            old_watermark: plan.old_watermark.clone(),
            new_watermark: plan.new_watermark.clone(),
            columns: plan.columns.clone(),
            schema: plan.schema.clone(),
            field_ids: plan.field_ids.clone(),
            generation: plan.generation,
            format: plan.format.clone(),
            sink: plan.sink.clone(),
            rows,
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts,
            late_rows,
            malformed_texts,
            seed: plan.seed().cloned(),
            superseded_by: None,
            replaces: plan.replaces.clone(),
            plan: plan.id(),
            run_id: author.run_id.to_owned(),
            committed_at: author.created_at.to_owned(),
        }
    }

    /// Returns the commit of a window in whose place `load` is copied: it has no rows and ends at `start`, where it starts.
    #[must_use]
    pub fn superseded(plan: &Plan, start: &Watermark, load: &WindowName, author: Author<'_>) -> Self {
        Self {
            new_watermark: start.clone(),
            columns: Vec::new(),
            schema: String::new(),
            seed: None,
            superseded_by: Some(load.clone()),
            ..Self::committed(plan, CopiedRows::Parts(Vec::new()), Some(0), author)
        }
    }

    /// Returns the window after this one.
    #[must_use]
    pub fn next_window(&self) -> WindowName {
        let next = self.superseded_by.clone();
        next.unwrap_or_else(|| WindowName::after(&self.new_watermark))
    }
}

/// This is `previous.json`: what the window that ends where this one begins looked like. Written before that window's
/// manifest, from its plan alone, so everyone writes the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// This is [`VERSION`].
    pub version: u32,
    /// This is the window that ends here.
    pub window: WindowName,
    /// This is the plan of that window.
    pub plan: PlanId,
    /// These are its columns.
    pub columns: Vec<Column>,
    /// This is their fingerprint.
    pub schema: String,
    /// These are the ids of these columns, and of all that the windows before had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// This is the form of its files.
    pub format: Format,
    /// This says where they lie in their folder.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// This says which folder that is.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// This is the [name](crate::model::record::Record::mask_key) of the key by which its columns are hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
}

impl Previous {
    /// Returns a window in which nothing changed: it leaves what it found.
    #[must_use]
    pub fn passed_on(self, plan: Plan) -> Plan {
        Plan {
            columns: self.columns,
            schema: self.schema,
            field_ids: self.field_ids,
            format: self.format,
            layout: self.layout,
            generation: self.generation,
            mask_key: self.mask_key,
            ..plan
        }
    }

    /// Returns what the window of `plan`, hashed by the key of this name, leaves for the one after it.
    #[must_use]
    pub fn of(plan: &Plan, mask_key: Option<&str>) -> Self {
        Self {
            version: VERSION,
            window: plan.window.clone(),
            plan: plan.id(),
            columns: plan.columns.clone(),
            schema: fingerprint(&plan.columns),
            field_ids: plan.field_ids.clone(),
            format: plan.format.clone(),
            layout: plan.layout,
            generation: plan.generation,
            mask_key: mask_key.map(str::to_owned),
        }
    }
}

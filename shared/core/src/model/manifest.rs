//! The manifest: the commit of a window (W4), and what it passes on to the window after it.

use serde::{Deserialize, Serialize};

use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::malformed::MalformedTexts;
use crate::model::moment::Moment;
use crate::model::names::{Identifier, ObjectName};
use crate::model::plan::{Author, Plan, PlanId, Replaces, VERSION, fingerprint, is_first};
use crate::model::sink::SinkSpec;
use crate::model::slice_id::SliceId;
use crate::model::table::Layout;
use crate::model::types::Column;
use crate::model::unseen::Unseen;
use crate::model::watermark::Watermark;
use crate::model::window::WindowName;

/// `manifest.json`: a committed window. It names every object of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`VERSION`].
    pub version: u32,
    /// The source.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The lower bound, exclusive except for row versions; absent for a first load.
    pub old_watermark: Option<Watermark>,
    /// The upper bound, inclusive except for row versions. The next window starts here.
    pub new_watermark: Watermark,
    /// The columns in their order in the files.
    pub columns: Vec<Column>,
    /// The [fingerprint] of the columns. Empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// The ids of these columns in the files, and of all columns that earlier windows had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// The folder of the table that the parts lie in. 0 is the first one; each reload for a change of the columns began
    /// the next.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// The file format of the parts.
    pub format: Format,
    /// The table that the rows are merged into, when they do not become files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkSpec>,
    /// The objects in slice order. Slices without rows have none, nor have slices that were merged into a table.
    pub parts: Vec<ManifestPart>,
    /// The sum of the parts' rows, or of the rows merged.
    pub rows: u64,
    /// The sum of the parts' bytes.
    pub bytes: u64,
    /// The number of rows of the window that the source held at commit beyond those copied: they were committed after
    /// the copy and are in no part. `None` when they could not be counted.
    pub late_rows: Option<u64>,
    /// The number of texts in these rows that could not be decoded, and hold U+FFFD in place of what is malformed.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
    /// What the login did not see of the table when the window was frozen.
    #[serde(default, skip_serializing_if = "Unseen::is_nothing")]
    pub unseen: Unseen,
    /// The watermark that a first load found in the store: it was stored before this ledger began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Watermark>,
    /// The window that was copied in place of this one, which ends where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<WindowName>,
    /// What the window replaces, when it is a backfill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// The plan that it commits. While another plan is in the window's folder, the manifest does not count.
    pub plan: PlanId,
    /// The run that committed the window.
    pub run_id: String,
    /// When it was committed, as RFC 3339.
    pub committed_at: Moment,
}

/// One object of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// The slice.
    pub slice: SliceId,
    /// The key of the object in the bucket.
    pub key: String,
    /// The number of rows in the object.
    pub rows: u64,
    /// The size of the object in bytes.
    pub bytes: u64,
    /// The object's `ETag`.
    pub etag: String,
    /// The CRC-64/NVME of the whole object in base64, as S3 shows it.
    pub crc64nvme: String,
    /// The number of texts in the object that could not be decoded.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
}

/// What was copied of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopiedRows {
    /// The rows are in these objects.
    Parts(Vec<ManifestPart>),
    /// The rows are merged into a table.
    Merged {
        /// The number of rows.
        rows: u64,
        /// The number of their texts that could not be decoded.
        malformed_texts: MalformedTexts,
    },
}

impl Manifest {
    /// Makes the manifest of a window whose rows are copied. The rows of parts are added up; `late_rows` is `None` when
    /// they could not be counted.
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
            unseen: plan.unseen,
            seed: plan.seed().cloned(),
            superseded_by: None,
            replaces: plan.replaces.clone(),
            plan: plan.id(),
            run_id: author.run_id.to_owned(),
            committed_at: author.created_at,
        }
    }

    /// Makes the manifest of a window in whose place `load` is copied: it has no rows and ends at `start`, which is
    /// where it starts.
    #[must_use]
    pub fn superseded(plan: &Plan, start: &Watermark, load: &WindowName, author: Author<'_>) -> Self {
        Self {
            new_watermark: start.clone(),
            columns: Vec::new(),
            schema: String::new(),
            unseen: Unseen::default(),
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

/// `previous.json`: what the window that ends where this one begins looked like. It is written before that window's
/// manifest, from that window's plan alone, so that everyone writes the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Always [`VERSION`].
    pub version: u32,
    /// The window that ends where this one begins.
    pub window: WindowName,
    /// The plan of that window.
    pub plan: PlanId,
    /// The columns of that window.
    pub columns: Vec<Column>,
    /// The fingerprint of the columns.
    pub schema: String,
    /// The ids of these columns, and of all columns that earlier windows had.
    #[serde(default, skip_serializing_if = "FieldIds::is_empty")]
    pub field_ids: FieldIds,
    /// The file format of its parts.
    pub format: Format,
    /// Where the files lie in their folder.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
    /// The number of that folder.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// The number by which the server knew the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<i32>,
    /// The column of which the window's bounds are values, in a table that is tracked by a watermark column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_column: Option<Identifier>,
    /// The [name](crate::model::record::Record::mask_key) of the key with which its columns are hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
}

impl Previous {
    /// Returns `plan`, the plan of a window in which nothing changed, with everything that this document passes on.
    #[must_use]
    pub fn passed_on(self, plan: Plan) -> Plan {
        Plan {
            columns: self.columns,
            schema: self.schema,
            field_ids: self.field_ids,
            format: self.format,
            layout: self.layout,
            generation: self.generation,
            object: self.object,
            mask_key: self.mask_key,
            ..plan
        }
    }

    /// Makes the document that the window of `plan` leaves for the window after it. `mask_key` is the name of the key
    /// with which its columns are hashed.
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
            object: plan.object,
            watermark_column: plan.watermark_column().cloned(),
            mask_key: mask_key.map(str::to_owned),
        }
    }
}

//! The decision record of a slice: what became of it, once and for all (W2).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::budget::Spent;
use crate::model::lease::Moment;
use crate::model::malformed::MalformedTexts;
use crate::model::plan::{PlanId, VERSION};
use crate::model::slice::SliceBounds;
use crate::model::slice_id::SliceId;
use crate::model::window::WindowName;

/// This says how long an upload may wait for the commit of its window. A bucket's lifecycle rule removes it after seven
/// days at the earliest. One day is left for the commit itself and for clocks that differ.
const UPLOAD_WAITS: Duration = Duration::from_secs(6 * 24 * 3600);

/// This is `record-00000.json`: what is decided of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// This is [`VERSION`].
    pub version: u32,
    /// This is the window.
    pub window: WindowName,
    /// This is the slice.
    pub slice: SliceId,
    /// This is 0, or one more for each earlier decision that does not count any more.
    pub attempt: u32,
    /// The plan it was made for: under another one it does not count.
    pub plan: PlanId,
    /// This is the decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// These are the texts of its rows that could not be decoded.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
    /// This is a name of the key by which its columns were hashed, which tells nothing of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
    /// The run that decided.
    pub run_id: String,
}

/// This says what is decided of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Its rows are in an upload that is not yet completed.
    Uploaded {
        /// These are the rows that were read, encoded and uploaded. At least one.
        rows: u64,
        /// This says when the invocation that copied them began. Its upload was begun after that.
        begun_at: Moment,
        /// This is the upload.
        upload: UploadedObject,
    },
    /// Its rows are merged into a table.
    Merged {
        /// These are the rows that were read. At least one.
        rows: u64,
    },
    /// It has no rows: no empty object is ever written.
    Empty,
    /// Other slices are copied in its place, and together they are its rows.
    Split {
        /// They are those slices in order; at least two.
        slices: Vec<SliceBounds>,
    },
    /// It is never copied, because another window is copied in place of its own.
    Superseded {
        /// This is that window.
        by: WindowName,
    },
}

/// This is the place of a decision: which attempt at which slice of which window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// This is the window.
    pub window: WindowName,
    /// This is the slice.
    pub slice: SliceId,
    /// This is 0, or one more for each earlier decision that does not count any more.
    pub number: u32,
    /// The plan it is an attempt at.
    pub plan: PlanId,
}

impl Record {
    /// Makes the record of a decision.
    #[must_use]
    pub fn new(attempt: Attempt, decision: Decision, run_id: String) -> Self {
        let Attempt {
            window,
            slice,
            number,
            plan,
        } = attempt;
        Self {
            version: VERSION,
            window,
            slice,
            attempt: number,
            plan,
            decision,
            malformed_texts: MalformedTexts::default(),
            mask_key: None,
            run_id,
        }
    }

    /// Returns the same with what was found in its rows: texts that could not be decoded, and the key by which columns were hashed.
    #[must_use]
    pub fn with_found(self, malformed_texts: MalformedTexts, mask_key: Option<String>) -> Self {
        Self {
            malformed_texts,
            mask_key,
            ..self
        }
    }

    /// Returns the rows that were copied.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        match self.decision {
            Decision::Uploaded { rows, .. } | Decision::Merged { rows } => rows,
            Decision::Empty | Decision::Split { .. } | Decision::Superseded { .. } => 0,
        }
    }

    /// Returns what was copied for it, as a budget counts it.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            rows: self.rows(),
            bytes: self.upload().map_or(0, |upload| upload.bytes),
            slices: 1,
        }
    }

    /// Returns the upload, if there is one.
    #[must_use]
    pub const fn upload(&self) -> Option<&UploadedObject> {
        match &self.decision {
            Decision::Uploaded { upload, .. } => Some(upload),
            Decision::Merged { .. } | Decision::Empty | Decision::Split { .. } | Decision::Superseded { .. } => None,
        }
    }

    /// Returns whether the bucket may have removed the upload of this record by `now`, because its window took so long.
    #[must_use]
    pub fn may_be_gone(&self, now: OffsetDateTime) -> bool {
        matches!(&self.decision, Decision::Uploaded { begun_at, .. } if now - begun_at.0 > UPLOAD_WAITS)
    }

    /// Returns the slices that are copied in place of this one; none when it was not split.
    pub fn sub_slices(&self) -> impl Iterator<Item = SubSlice> {
        let split = match &self.decision {
            Decision::Split { slices } => slices.as_slice(),
            _ => &[],
        };
        (0_u32..).zip(split).filter_map(|(number, bounds)| {
            Some(SubSlice {
                id: self.slice.sub_slice(number)?,
                bounds: bounds.clone(),
            })
        })
    }
}

/// This is a slice that is copied in place of another, as one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubSlice {
    /// This says which it is.
    pub id: SliceId,
    /// This says what it selects.
    pub bounds: SliceBounds,
}

/// This is one uploaded piece of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedPiece {
    /// This is 1, 2, ….
    pub number: u32,
    /// This is the piece's `ETag`.
    pub etag: String,
    /// This is the CRC-64/NVME of the piece, base64.
    pub crc64nvme: String,
}

/// This is a finished upload that only has to be completed to become an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedObject {
    /// This is the key of the object to be.
    pub key: String,
    /// This is the store's id of the upload.
    pub upload_id: String,
    /// See [`Upload::token`](crate::ports::objects::Upload::token).
    pub token: String,
    /// These are the pieces in order.
    pub pieces: Vec<UploadedPiece>,
    /// This is the size of the object.
    pub bytes: u64,
    /// This is the CRC-64/NVME of the whole object, base64.
    pub crc64nvme: String,
}

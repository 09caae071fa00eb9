//! The decision record of a slice: what became of it, decided once (W2).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, ErrorCode, Result};
use crate::model::budget::Spent;
use crate::model::malformed::MalformedTexts;
use crate::model::moment::Moment;
use crate::model::plan::{PlanId, VERSION};
use crate::model::slice::SliceBounds;
use crate::model::slice_id::SliceId;
use crate::model::window::WindowName;

/// How long an upload may wait for the commit of its window. A bucket's lifecycle rule removes it after seven days at
/// the earliest; one day of these is left for the commit itself and for clocks that differ.
const UPLOAD_WAITS: Duration = Duration::from_secs(6 * 24 * 3600);

/// `record-00000.json`: what is decided of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`VERSION`].
    pub version: u32,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// 0, or one more for each earlier decision that does not count any more.
    pub attempt: u32,
    /// The plan that the decision was made for. Under another plan it does not count.
    pub plan: PlanId,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// The number of texts in its rows that could not be decoded.
    #[serde(default, skip_serializing_if = "MalformedTexts::is_empty")]
    pub malformed_texts: MalformedTexts,
    /// A name of the key with which its columns were hashed. The name reveals nothing of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
    /// The run that decided.
    pub run_id: String,
}

/// What is decided of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// The rows are in an upload that is not completed yet.
    Uploaded {
        /// The number of rows that were read, encoded and uploaded. At least one.
        rows: u64,
        /// When the invocation that copied the rows began. Its upload was begun after that.
        begun_at: Moment,
        /// The upload.
        upload: UploadedObject,
    },
    /// The rows are merged into a table.
    Merged {
        /// The number of rows that were read. At least one.
        rows: u64,
    },
    /// The slice has no rows. No object is written for it.
    Empty,
    /// Other slices are copied in its place. Together they hold its rows.
    Split {
        /// Those slices in order; at least two.
        slices: Vec<SliceBounds>,
    },
    /// The slice is never copied, because another window is copied in place of its own.
    Superseded {
        /// The window that is copied.
        by: WindowName,
    },
}

/// The identity of a decision: which attempt at which slice of which window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
    /// 0, or one more for each earlier decision that does not count any more.
    pub number: u32,
    /// The plan that it is an attempt at.
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

    /// Returns the same record with what was found in its rows: the texts that could not be decoded, and the name of
    /// the key with which columns were hashed.
    #[must_use]
    pub fn with_found(self, malformed_texts: MalformedTexts, mask_key: Option<String>) -> Self {
        Self {
            malformed_texts,
            mask_key,
            ..self
        }
    }

    /// Returns the number of rows that were copied.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        match self.decision {
            Decision::Uploaded { rows, .. } | Decision::Merged { rows } => rows,
            Decision::Empty | Decision::Split { .. } | Decision::Superseded { .. } => 0,
        }
    }

    /// Returns what was copied for the slice, as a budget counts it.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            rows: self.rows(),
            bytes: self.upload().map_or(0, |upload| upload.bytes),
            slices: 1,
        }
    }

    /// Returns the upload, when the rows are in one.
    #[must_use]
    pub const fn upload(&self) -> Option<&UploadedObject> {
        match &self.decision {
            Decision::Uploaded { upload, .. } => Some(upload),
            Decision::Merged { .. } | Decision::Empty | Decision::Split { .. } | Decision::Superseded { .. } => None,
        }
    }

    /// Returns whether the bucket may have removed the upload of this record by `now`, because its window took too
    /// long.
    #[must_use]
    pub fn may_be_gone(&self, now: OffsetDateTime) -> bool {
        matches!(&self.decision, Decision::Uploaded { begun_at, .. } if now - begun_at.time() > UPLOAD_WAITS)
    }

    /// Returns the slices that are copied in place of this one. There are none when it was not split.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when they cannot hold the rows of this slice: they are fewer than two, or this slice may not be
    /// split any further.
    pub fn sub_slices(&self) -> Result<Vec<SubSlice>> {
        let Decision::Split { slices } = &self.decision else {
            return Ok(Vec::new());
        };
        let sub_slice = |(number, bounds): (u32, &SliceBounds)| {
            let bounds = bounds.clone();
            self.slice.sub_slice(number).map(|id| SubSlice { id, bounds })
        };
        let sub_slices: Option<Vec<_>> = (0_u32..).zip(slices).map(sub_slice).collect();
        sub_slices.filter(|sub_slices| sub_slices.len() > 1).ok_or_else(|| {
            let message = format!(
                "the record of slice {} of window {} splits it into {} that cannot hold its rows: restore what Tidemark \
                 wrote there",
                self.slice,
                self.window,
                slices.len()
            );
            Error::new(ErrorCode::LedgerInvalid, message)
        })
    }
}

/// A slice that is copied, together with others, in place of another slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubSlice {
    /// Its id.
    pub id: SliceId,
    /// Its bounds within the window.
    pub bounds: SliceBounds,
}

/// One uploaded piece of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedPiece {
    /// The number of the piece, counted from 1.
    pub number: u32,
    /// The piece's `ETag`.
    pub etag: String,
    /// The CRC-64/NVME of the piece in base64.
    pub crc64nvme: String,
}

/// A finished upload, which only has to be completed to become an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedObject {
    /// The key that the object will have.
    pub key: String,
    /// The store's id of the upload.
    pub upload_id: String,
    /// The token of the upload: see [`Upload::token`](crate::ports::objects::Upload::token).
    pub token: String,
    /// The pieces in order.
    pub pieces: Vec<UploadedPiece>,
    /// The size of the object in bytes.
    pub bytes: u64,
    /// The CRC-64/NVME of the whole object in base64.
    pub crc64nvme: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(slice: SliceId, into: usize) -> Record {
        let attempt = Attempt {
            window: WindowName::initial(),
            slice,
            number: 0,
            plan: PlanId {
                run_id: "r".into(),
                created_at: Moment::of(OffsetDateTime::UNIX_EPOCH),
            },
        };
        let slices = vec![SliceBounds::default(); into];
        Record::new(attempt, Decision::Split { slices }, "r".into())
    }

    #[test]
    fn no_sub_slice_is_left_out_in_silence() {
        let mut slice = SliceId::planned(0);
        while let Some(deeper) = slice.sub_slice(1) {
            let ids: Vec<_> = split(slice.clone(), 2).sub_slices().unwrap();
            let ids: Vec<_> = ids.into_iter().map(|sub_slice| sub_slice.id).collect();
            assert_eq!(ids, [slice.sub_slice(0).unwrap(), deeper.clone()]);
            slice = deeper;
        }
        for (slice, into) in [(slice, 2), (SliceId::planned(0), 0), (SliceId::planned(0), 1)] {
            let error = split(slice.clone(), into).sub_slices().unwrap_err();
            assert_eq!(error.code(), ErrorCode::LedgerInvalid, "{slice} into {into}");
        }
    }
}

//! The object store behind the ledger and the parts, one trait per permission.

use crate::error::Result;
use crate::model::bucket::BucketSettings;
use crate::model::record::{UploadedObject, UploadedPiece};
use bytes::Bytes;

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub body: Bytes,
    /// Its `ETag`, for a conditional replacement.
    pub etag: String,
}

/// Reads objects of the ledger.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadObjects {
    /// Returns the address of the object at `key` for programs outside Tidemark, for example `s3://bucket/key`.
    fn address(&self, key: &str) -> String;
    /// Returns the object at `key`, or `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Object>>;
    /// Returns the size in bytes of the object at `key`, or `None` when there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;
    /// Returns what follows `prefix` in the keys under it, up to the next `/`. Each is returned once.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>>;
}

/// Asks how a bucket is set up.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait AskBucket {
    /// Returns how the bucket is set up for what lies below `prefix`, or `None` where there is no bucket to ask. A
    /// missing right to ask is part of the answer, not an error.
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>>;
}

/// What became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is the one that was written.
    Created,
    /// An object was there before. It may be that an earlier try of this very call created it, and its answer was lost.
    AlreadyExists,
}

/// Writes documents of the ledger, with `If-None-Match: *`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CreateObjects {
    /// Writes `body` at `key` if nothing is there.
    async fn create(&self, key: &str, body: Bytes) -> Result<Created>;
}

/// What became of a conditional replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The object is the one that was written.
    Replaced,
    /// The object is not, or no longer, the one that was expected.
    Changed,
}

/// Replaces the documents that are replaced, the pointer of the `s3` watermark store and the lease, with `If-Match`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReplaceObjects {
    /// Writes `body` at `key` if the object there has the `ETag` `expected`.
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced>;
}

/// An upload that is begun and not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key that the object will have.
    pub key: String,
    /// The store's id of the upload.
    pub id: String,
    /// A text that is unique to this upload. The completed object carries it, so that anyone can tell which upload the
    /// object came from.
    pub token: String,
}

impl From<&UploadedObject> for Upload {
    fn from(uploaded: &UploadedObject) -> Self {
        Self {
            key: uploaded.key.clone(),
            id: uploaded.upload_id.clone(),
            token: uploaded.token.clone(),
        }
    }
}

/// Uploads a part. Nothing is visible until the upload is completed (W3).
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait UploadObjects {
    /// Begins an upload to `key`.
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload>;
    /// Uploads piece `number`, counted from 1. All pieces but the last have at least 5 MiB.
    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece>;
    /// Gives an upload up and frees what it holds. It succeeds when the upload is already gone.
    async fn abort(&self, upload: &Upload) -> Result<()>;
}

/// What became of a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed {
    /// The object is visible, by this call or an earlier one, and has this `ETag`.
    Visible(String),
    /// The upload does not exist any more, and no object is at its key: it expired or was aborted.
    Expired,
    /// The object at its key came from another upload. It is not overwritten.
    Other {
        /// The [token](Upload::token) of that upload, or `None` when Tidemark did not write the object.
        token: Option<String>,
        /// The `ETag` of the object.
        etag: String,
    },
}

/// Completes uploads at commit.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CompleteObjects {
    /// Makes an uploaded object visible. Anyone may repeat it (W6).
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed>;
}

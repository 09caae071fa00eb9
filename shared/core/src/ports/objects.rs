//! The object store behind the ledger and the parts, one trait per permission.

use crate::error::Result;
use crate::model::bucket::BucketSettings;
use crate::model::record::{UploadedObject, UploadedPiece};
use bytes::Bytes;

/// This is an object as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// This is its content.
    pub body: Bytes,
    /// This is its `ETag`, for a conditional replacement.
    pub etag: String,
}

/// This is for reading the ledger.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadObjects {
    /// Returns how programs outside Tidemark call the object at `key`, for example `s3://bucket/key`.
    fn address(&self, key: &str) -> String;
    /// Returns the object at `key`, or `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Object>>;
    /// Returns the bytes of the object at `key`, or `None` when there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;
    /// Returns what follows `prefix` in the keys under it, up to the next `/`, each once.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>>;
}

/// This asks how a bucket is set up.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait AskBucket {
    /// Returns how the bucket is set up for what lies below `prefix`; `None` where there is no bucket to ask. That the user may not ask is
    /// an answer.
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>>;
}

/// This says what became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is this one.
    Created,
    /// There was one before, or a lost answer of this very call created it.
    AlreadyExists,
}

/// This is for writing the ledger: `If-None-Match: *`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CreateObjects {
    /// Writes `body` at `key` if nothing is there.
    async fn create(&self, key: &str, body: Bytes) -> Result<Created>;
}

/// This says what became of a conditional replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The object is this one.
    Replaced,
    /// The object is not, or no longer, the one expected.
    Changed,
}

/// This is for moving the pointer of the `s3` watermark store: `If-Match`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReplaceObjects {
    /// Writes `body` at `key` if the object there has the `ETag` `expected`.
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced>;
}

/// This is an upload that is begun and not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// This is the key of the object to be.
    pub key: String,
    /// This is the store's id of the upload.
    pub id: String,
    /// Unique to this upload; the completed object carries it, so that anyone can tell whose object it is.
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

/// This is for uploading a part: nothing is visible until the upload is completed (W3).
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait UploadObjects {
    /// Begins an upload to `key`.
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload>;
    /// Uploads piece `number` (1, 2, …; all but the last at least 5 MiB).
    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece>;
    /// Gives an upload up and frees what it holds. Success when it is already gone.
    async fn abort(&self, upload: &Upload) -> Result<()>;
}

/// This says what became of a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed {
    /// The object is visible, by this call or an earlier one; its `ETag`.
    Visible(String),
    /// There is no such upload any more, and no object at its key: it expired or was aborted.
    Expired,
    /// The object at its key came from another upload. It is not overwritten.
    Other {
        /// See [`Upload::token`]; none when Tidemark did not write the object.
        token: Option<String>,
        /// This is its `ETag`.
        etag: String,
    },
}

/// This is for completing uploads at commit.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CompleteObjects {
    /// Makes an uploaded object visible. May be repeated by anyone (W6).
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed>;
}

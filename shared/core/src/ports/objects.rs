//! The object store behind the ledger and the parts, one trait per permission.

use crate::error::Result;
use crate::model::record::{UploadedObject, UploadedPiece};
use bytes::Bytes;

/// An object as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub body: Bytes,
    /// Its `ETag`, for a conditional replacement.
    pub etag: String,
}

/// Reading the ledger.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadObjects {
    /// How programs outside Tidemark call the object at `key`, for example `s3://bucket/key`.
    fn address(&self, key: &str) -> String;
    /// The object at `key`, or `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Object>>;
    /// The bytes of the object at `key`, or `None` when there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;
    /// What follows `prefix` in the keys under it, up to the next `/`, each once.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>>;
}

/// What became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is this one.
    Created,
    /// There was one before, or a lost answer of this very call created it.
    AlreadyExists,
}

/// Writing the ledger: `If-None-Match: *`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CreateObjects {
    /// Writes `body` at `key` if nothing is there.
    async fn create(&self, key: &str, body: Bytes) -> Result<Created>;
}

/// What became of a conditional replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The object is this one.
    Replaced,
    /// The object is not, or no longer, the one expected.
    Changed,
}

/// Moving the pointer of the `s3` watermark store: `If-Match`.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReplaceObjects {
    /// Writes `body` at `key` if the object there has the `ETag` `expected`.
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced>;
}

/// An upload that is begun and not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key of the object to be.
    pub key: String,
    /// The store's id of the upload.
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

/// Uploading a part: nothing is visible until the upload is completed (W3).
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait UploadObjects {
    /// Begins an upload to `key`.
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload>;
    /// Uploads piece `number` (1, 2, …; all but the last at least 5 MiB).
    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece>;
    /// Gives an upload up and frees what it holds. Success when it is already gone.
    async fn abort(&self, upload: &Upload) -> Result<()>;
}

/// What became of a completion.
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
        /// Its `ETag`.
        etag: String,
    },
}

/// Completing uploads at commit.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CompleteObjects {
    /// Makes an uploaded object visible. May be repeated by anyone (W6).
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed>;
}

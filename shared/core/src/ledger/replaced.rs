//! Documents of the ledger that are replaced: the leases and the pointer. Each is written only while it is as its writer
//! found it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorCode, Result};
use crate::ports::objects::{CreateObjects, Created, ReadObjects, ReplaceObjects, Replaced};

/// A document as it was found in the bucket, and its `ETag`.
pub(super) struct Found<T> {
    pub(super) document: T,
    pub(super) etag: String,
}

/// Returns the document at `key`, or `None` when there is none.
///
/// Errors: `LedgerInvalid` when it cannot be parsed, with the advice to delete it: whoever needs it makes it again.
pub(super) async fn find<S: ReadObjects, T: DeserializeOwned>(store: &S, key: &str) -> Result<Option<Found<T>>> {
    let Some(object) = store.get(key).await? else {
        return Ok(None);
    };
    let document = serde_json::from_slice(&object.body).map_err(|error| {
        let message = format!("{key} is not what Tidemark wrote there: delete it");
        Error::with_source(ErrorCode::LedgerInvalid, message, error)
    })?;
    let etag = object.etag;
    Ok(Some(Found { document, etag }))
}

/// Writes `body` at `key` in the place of the document that was found with `etag`, or where none was found. Returns
/// whether that was still so.
pub(super) async fn put<S: CreateObjects + ReplaceObjects>(
    store: &S,
    key: &str,
    etag: Option<&str>,
    body: Bytes,
) -> Result<bool> {
    Ok(match etag {
        Some(etag) => store.replace(key, body, etag).await? == Replaced::Replaced,
        None => store.create(key, body).await? == Created::Created,
    })
}

/// Returns `document` as it is written at `key`: in lines, because people read it.
pub(super) fn to_json<T: Serialize>(key: &str, document: &T) -> Result<Bytes> {
    serde_json::to_vec_pretty(document).map(Bytes::from).map_err(|error| {
        Error::with_source(
            ErrorCode::Internal,
            format!("Tidemark cannot write {key} as JSON"),
            error,
        )
    })
}

//! The `s3` watermark store: `watermark.json` in the ledger, for sources that only grant SELECT.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::error::{Answer, Error, ErrorCode};
use crate::model::watermark::{StoreType, StoredWatermark, Watermark, WatermarkKey};
use crate::ports::objects::{CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced};
use crate::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};

/// `watermark.json`
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    watermark: Watermark,
}

/// What is at the key of a pointer.
struct Pointer {
    stored: StoredWatermark,
    object: Option<Object>,
}

/// Pointers kept as objects under `prefix`, moved by `If-Match`.
#[derive(Debug)]
pub struct Pointers<'a, S> {
    store: &'a S,
    prefix: &'a str,
}

impl<'a, S> Pointers<'a, S> {
    /// The pointers under `prefix` in the bucket behind `store`.
    pub const fn new(store: &'a S, prefix: &'a str) -> Self {
        Self { store, prefix }
    }
}

impl<S: ReadObjects> Pointers<'_, S> {
    async fn read(&self, key: &str) -> Answer<Pointer> {
        let object = self.store.get(key).await?;
        let mut value = None;
        if let Some(object) = &object {
            let document: Document = serde_json::from_slice(&object.body).map_err(|error| {
                let message = format!(
                    "{key} is not what Tidemark wrote there (delete it: the next run makes it again from the manifests)"
                );
                Error::with_source(ErrorCode::LedgerInvalid, message, error)
            })?;
            value = Some(document.watermark.value().to_owned());
        }
        let stored = StoredWatermark {
            store_type: StoreType::Text,
            value,
        };
        Ok(Pointer { stored, object })
    }

    fn key(&self, key: &WatermarkKey) -> String {
        Keys::new(self.prefix, &key.table).watermark()
    }
}

impl<S: ReadObjects> ReadWatermarks for Pointers<'_, S> {
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark> {
        Ok(self.read(&self.key(key)).await?.stored)
    }

    fn takes_turns(&self) -> bool {
        false
    }
}

impl<S: ReadObjects + CreateObjects + ReplaceObjects> MoveWatermarks for Pointers<'_, S> {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved> {
        let key = self.key(key);
        let document = serde_json::to_vec_pretty(&Document {
            version: 1,
            watermark: new.clone(),
        })
        .map_err(|error| Error::with_source(ErrorCode::Internal, format!("cannot write {key}"), error))?;
        let Pointer { stored, object } = self.read(&key).await?;
        if stored != *expected {
            return Ok(Moved::Changed);
        }
        let moved = match object {
            None => self.store.create(&key, Bytes::from(document)).await? == Created::Created,
            Some(object) => self.store.replace(&key, Bytes::from(document), &object.etag).await? == Replaced::Replaced,
        };
        Ok(if moved { Moved::Moved } else { Moved::Changed })
    }
}

/// The pointer is a document of the ledger, and goes where those go.
impl<S: ReadObjects> ClearWatermarks for Pointers<'_, S> {
    async fn clear(&self, _key: &WatermarkKey) -> Answer<()> {
        Ok(())
    }
}

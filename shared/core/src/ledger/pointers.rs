//! The `s3` watermark store: `watermark.json` in the ledger, for sources that grant only SELECT.

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::limits::TRIES;
use super::place::Place;
use super::replaced;
use super::version::check_version;
use crate::error::{Answer, Error, ErrorCode};
use crate::model::plan::VERSION;
use crate::model::watermark::{StoreType, StoredWatermark, Watermark, WatermarkKey};
use crate::ports::objects::{CreateObjects, Object, ReadObjects, ReplaceObjects};
use crate::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};

/// `watermark.json`.
#[derive(Debug, Serialize, Deserialize)]
struct PointerDocument {
    version: u32,
    /// The stored watermark, or `None` after the table was started over.
    watermark: Option<Watermark>,
    /// The start over that took the watermark away, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reset: Option<Reset>,
}

/// What a start over leaves in the place of a pointer. No other document equals it, so nobody who read another one can
/// replace it.
#[derive(Debug, Serialize, Deserialize)]
struct Reset {
    /// The folder of the archive, which is different for each start over.
    archive: String,
    /// The watermark that was stored, if there was one.
    was: Option<Watermark>,
}

/// What is at the key of a pointer.
struct Pointer {
    stored: StoredWatermark,
    object: Option<Object>,
}

/// Pointers that are kept as objects and moved by `If-Match`.
#[derive(Debug)]
pub struct Pointers<'a, S> {
    place: Place<'a, S>,
}

impl<'a, S> Pointers<'a, S> {
    /// Makes the pointers of the tables of this place.
    #[must_use]
    pub const fn new(place: Place<'a, S>) -> Self {
        Self { place }
    }
}

impl<S: ReadObjects> Pointers<'_, S> {
    async fn read(&self, key: &str) -> Answer<Pointer> {
        let object = self.place.store.get(key).await?;
        let document = object.as_ref().map(|object| document(key, object)).transpose()?;
        let (watermark, reset) = document.map_or((None, None), |document| (document.watermark, document.reset));
        let stored = StoredWatermark {
            store_type: StoreType::Text,
            value: watermark.map(|watermark| watermark.value().to_owned()),
            reset: reset.map(|reset| reset.archive),
        };
        Ok(Pointer { stored, object })
    }

    fn key(&self, key: &WatermarkKey) -> String {
        Keys::new(self.place.prefix, &key.table).watermark()
    }
}

impl<S: CreateObjects + ReplaceObjects> Pointers<'_, S> {
    /// Puts the document in the place of the object that was found there.
    async fn put(&self, key: &str, found: Option<Object>, document: &PointerDocument) -> Answer<Moved> {
        let body = replaced::to_json(key, document)?;
        let etag = found.as_ref().map(|found| found.etag.as_str());
        let is_put = replaced::put(self.place.store, key, etag, body).await?;
        Ok(if is_put { Moved::Moved } else { Moved::Changed })
    }
}

/// Parses an object as the document of a pointer.
fn document(key: &str, object: &Object) -> Answer<PointerDocument> {
    let document: PointerDocument = serde_json::from_slice(&object.body).map_err(|error| {
        let message = format!(
            "{key} is not what Tidemark wrote there (delete it: the next run makes it again from the manifests)"
        );
        Error::with_source(ErrorCode::LedgerInvalid, message, error)
    })?;
    check_version(key, document.version)?;
    Ok(document)
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
        let Pointer { stored, object } = self.read(&key).await?;
        if stored != *expected {
            return Ok(Moved::Changed);
        }
        let document = PointerDocument {
            version: VERSION,
            watermark: Some(new.clone()),
            reset: None,
        };
        self.put(&key, object, &document).await
    }
}

impl<S: ReadObjects + CreateObjects + ReplaceObjects> ClearWatermarks for Pointers<'_, S> {
    /// Replaces the pointer by one that holds nothing, so that a run that was held up after it had found no pointer
    /// cannot create its own any more. A pointer that cannot be read is replaced as well, like the ledger that it
    /// belongs to.
    async fn clear(&self, key: &WatermarkKey, reset: &str) -> Answer<()> {
        let key = self.key(key);
        for _ in 0..TRIES {
            let object = self.place.store.get(&key).await?;
            let document = object.as_ref().and_then(|object| document(&key, object).ok());
            let is_clear = document.as_ref().and_then(|document| document.reset.as_ref());
            if is_clear.is_some_and(|there| there.archive == reset) {
                return Ok(());
            }
            let cleared = PointerDocument {
                version: VERSION,
                watermark: None,
                reset: Some(Reset {
                    archive: reset.to_owned(),
                    was: document.and_then(|document| document.watermark),
                }),
            };
            if self.put(&key, object, &cleared).await? == Moved::Moved {
                return Ok(());
            }
        }
        let message = format!("{key} keeps changing while it is taken away: run again");
        Err(Error::new(ErrorCode::SinkUnavailable, message).into())
    }
}

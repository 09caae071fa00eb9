//! An object store in memory with S3's conditional writes and multipart uploads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::checksum::crc64nvme_base64;
use crate::error::{Error, ErrorCode, Result};
use crate::model::bucket::BucketSettings;
use crate::model::record::{UploadedObject, UploadedPiece};
use crate::ports::archive::ArchiveObjects;
use crate::ports::objects::{
    AskBucket, CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced,
    Upload, UploadObjects,
};

/// A bucket that tests look into and copy, so that the same tests run over several implementations.
pub trait TestStore:
    ReadObjects + AskBucket + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects + ArchiveObjects + Sized
{
    /// Returns a bucket of its own with the present content of this one.
    #[must_use]
    fn copied(&self) -> Self;
    /// Returns every visible key.
    fn keys(&self) -> Vec<String>;
    /// Returns the content of an object.
    fn body(&self, key: &str) -> Option<Bytes>;
    /// Returns how many uploads are begun and neither completed nor aborted.
    fn pending_uploads(&self) -> usize;
}

impl TestStore for MemoryStore {
    fn copied(&self) -> Self {
        self.copied()
    }

    fn keys(&self) -> Vec<String> {
        self.keys()
    }

    fn body(&self, key: &str) -> Option<Bytes> {
        self.body(key)
    }

    fn pending_uploads(&self) -> usize {
        self.pending_uploads()
    }
}

/// A bucket in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, PendingUpload>,
    counter: u64,
    settings: Option<BucketSettings>,
}

#[derive(Debug, Clone)]
struct Stored {
    object: Object,
    token: Option<String>,
}

#[derive(Debug, Clone)]
struct PendingUpload {
    upload: Upload,
    pieces: BTreeMap<u32, Bytes>,
}

impl State {
    fn unique(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn put(&mut self, key: &str, body: Bytes, token: Option<String>) -> String {
        let etag = format!("\"{}\"", self.unique());
        let object = Object {
            body,
            etag: etag.clone(),
        };
        self.objects.insert(key.to_owned(), Stored { object, token });
        etag
    }
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a bucket of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            state: Mutex::new(self.state().clone()),
        }
    }

    /// Returns every visible key.
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Returns the content of an object.
    pub fn body(&self, key: &str) -> Option<Bytes> {
        self.state().objects.get(key).map(|stored| stored.object.body.clone())
    }

    /// Returns how many uploads are begun and neither completed nor aborted.
    pub fn pending_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Removes all unfinished uploads, as the bucket's lifecycle rule does after its days.
    pub fn expire_uploads(&self) {
        self.state().uploads.clear();
    }

    /// Removes the unfinished uploads to one key, as if they were older than the others.
    pub fn expire_uploads_to(&self, key: &str) {
        self.state().uploads.retain(|_, pending| pending.upload.key != key);
    }

    /// Replaces a document, as anybody with the right to write to the bucket can.
    pub fn overwrite(&self, key: &str, body: Bytes) {
        self.state().put(key, body, None);
    }

    /// Sets what the bucket tells of its settings.
    pub fn set_up(&self, settings: BucketSettings) {
        self.state().settings = Some(settings);
    }

    /// Deletes an object, as a careless person does.
    pub fn delete(&self, key: &str) {
        self.state().objects.remove(key);
    }
}

impl AskBucket for MemoryStore {
    async fn settings(&self, _prefix: &str) -> Result<Option<BucketSettings>> {
        Ok(self.state().settings.clone())
    }
}

impl ReadObjects for MemoryStore {
    fn address(&self, key: &str) -> String {
        format!("memory://{key}")
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        Ok(self.state().objects.get(key).map(|stored| stored.object.clone()))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.body(key).map(|body| body.len() as u64))
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut folders: Vec<String> = self
            .keys()
            .iter()
            .filter_map(|key| key.strip_prefix(prefix)?.split_once('/'))
            .map(|(folder, _)| folder.to_owned())
            .collect();
        folders.dedup();
        Ok(folders)
    }
}

impl CreateObjects for MemoryStore {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        let mut state = self.state();
        if state.objects.contains_key(key) {
            return Ok(Created::AlreadyExists);
        }
        state.put(key, body, None);
        Ok(Created::Created)
    }
}

impl ReplaceObjects for MemoryStore {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        let mut state = self.state();
        if state
            .objects
            .get(key)
            .is_none_or(|stored| stored.object.etag != expected)
        {
            return Ok(Replaced::Changed);
        }
        state.put(key, body, None);
        Ok(Replaced::Replaced)
    }
}

impl ArchiveObjects for MemoryStore {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let keys = MemoryStore::keys(self).into_iter();
        Ok(keys.filter(|key| key.starts_with(prefix)).collect())
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.state();
        if let Some(stored) = state.objects.remove(from) {
            state.objects.insert(to.to_owned(), stored);
        }
        Ok(())
    }
}

impl UploadObjects for MemoryStore {
    async fn begin(&self, key: &str, _content_type: &str) -> Result<Upload> {
        let mut state = self.state();
        let id = state.unique().to_string();
        let upload = Upload {
            key: key.to_owned(),
            token: format!("token-{id}"),
            id: id.clone(),
        };
        state.uploads.insert(
            id,
            PendingUpload {
                upload: upload.clone(),
                pieces: BTreeMap::new(),
            },
        );
        Ok(upload)
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        let mut state = self.state();
        let Some(pending) = state.uploads.get_mut(&upload.id) else {
            return Err(Error::new(ErrorCode::SinkRejected, "no such upload"));
        };
        let crc64nvme = crc64nvme_base64(&body);
        pending.pieces.insert(number, body);
        Ok(UploadedPiece {
            number,
            etag: format!("\"{}-{number}\"", upload.id),
            crc64nvme,
        })
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.state().uploads.remove(&upload.id);
        Ok(())
    }
}

impl CompleteObjects for MemoryStore {
    async fn complete(&self, staged: &UploadedObject) -> Result<Completed> {
        let mut state = self.state();
        if let Some(there) = state.objects.get(&staged.key) {
            let (token, etag) = (there.token.clone(), there.object.etag.clone());
            let own = token.as_ref() == Some(&staged.token);
            return Ok(if own {
                Completed::Visible(etag)
            } else {
                Completed::Other { token, etag }
            });
        }
        let Some(pending) = state.uploads.remove(&staged.upload_id) else {
            return Ok(Completed::Expired);
        };
        let body: Vec<u8> = pending
            .pieces
            .values()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        if crc64nvme_base64(&body) != staged.crc64nvme {
            return Err(Error::new(
                ErrorCode::SinkRejected,
                "the checksum of the object is not the one declared",
            ));
        }
        Ok(Completed::Visible(state.put(
            &staged.key,
            body.into(),
            Some(pending.upload.token),
        )))
    }
}

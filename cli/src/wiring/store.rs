//! The bucket of the command: a folder, or a bucket of S3.

use bytes::Bytes;
use tidemark::error::Result;
use tidemark::model::bucket::BucketSettings;
use tidemark::model::record::{UploadedObject, UploadedPiece};
use tidemark::ports::archive::ArchiveObjects;
use tidemark::ports::objects::{
    AskBucket, CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced,
    Upload, UploadObjects,
};
use tidemark_aws::bucket::S3Store;
use tidemark_folder::FolderStore;

/// Either kind of bucket behind the ports, so that the steps are compiled once for both.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// A folder of this machine.
    Folder(FolderStore),
    /// A bucket of S3, or of a service with the same protocol.
    S3(S3Store),
}

macro_rules! either {
    ($store:expr, $inner:ident => $work:expr) => {
        match $store {
            Store::Folder($inner) => $work.await,
            // Boxed, because the SDK's futures are large.
            Store::S3($inner) => Box::pin($work).await,
        }
    };
}

impl AskBucket for Store {
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>> {
        either!(self, store => store.settings(prefix))
    }
}

impl ReadObjects for Store {
    fn address(&self, key: &str) -> String {
        match self {
            Self::Folder(folder) => folder.address(key),
            Self::S3(bucket) => bucket.address(key),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        either!(self, store => store.get(key))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        either!(self, store => store.size(key))
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        either!(self, store => store.folders(prefix))
    }
}

impl CreateObjects for Store {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        either!(self, store => store.create(key, body))
    }
}

impl ReplaceObjects for Store {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        either!(self, store => store.replace(key, body, expected))
    }
}

impl UploadObjects for Store {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        either!(self, store => store.begin(key, content_type))
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        either!(self, store => store.upload(upload, number, body))
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        either!(self, store => store.abort(upload))
    }
}

impl CompleteObjects for Store {
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed> {
        either!(self, store => store.complete(upload))
    }
}

impl ArchiveObjects for Store {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        either!(self, store => store.list(prefix))
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        either!(self, store => store.archive(from, to))
    }
}

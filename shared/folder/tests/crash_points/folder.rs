//! A folder whose content tests can read and copy.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use tidemark::error::Result;
use tidemark::model::bucket::BucketSettings;
use tidemark::model::record::{UploadedObject, UploadedPiece};
use tidemark::ports::archive::ArchiveObjects;
use tidemark::ports::objects::{
    AskBucket, CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced,
    Upload, UploadObjects,
};
use tidemark::testing::TestStore;
use tidemark_folder::FolderStore;

/// A folder that is removed when it is dropped. It is in memory if the machine has a place for that, because the suite
/// writes tens of thousands of files.
#[derive(Debug)]
pub struct TestFolder {
    folder: TempDir,
    store: FolderStore,
}

impl TestFolder {
    /// Makes an empty folder.
    pub fn new() -> Self {
        let in_memory = Path::new("/dev/shm");
        let folder = if in_memory.is_dir() {
            TempDir::new_in(in_memory).unwrap()
        } else {
            TempDir::new().unwrap()
        };
        let store = FolderStore::new(folder.path());
        Self { folder, store }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn collect(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_file() {
            keys.push(key);
        } else if key != ".tidemark" {
            collect(&entry.path(), &format!("{key}/"), keys);
        }
    }
}

impl TestStore for TestFolder {
    fn copied(&self) -> Self {
        let copied = Self::new();
        copy(self.folder.path(), copied.folder.path());
        copied
    }

    fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect(self.folder.path(), "", &mut keys);
        keys.sort();
        keys
    }

    fn body(&self, key: &str) -> Option<Bytes> {
        fs::read(self.folder.path().join(key)).ok().map(Bytes::from)
    }

    fn pending_uploads(&self) -> usize {
        let uploads = fs::read_dir(self.folder.path().join(".tidemark/uploads"));
        uploads.map_or(0, Iterator::count)
    }
}

impl AskBucket for TestFolder {
    async fn settings(&self, prefix: &str) -> Result<Option<BucketSettings>> {
        self.store.settings(prefix).await
    }
}

impl ReadObjects for TestFolder {
    /// Returns the key without the path of the folder, which differs from copy to copy.
    fn address(&self, key: &str) -> String {
        key.to_owned()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        self.store.get(key).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        self.store.size(key).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        self.store.folders(prefix).await
    }
}

impl CreateObjects for TestFolder {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        self.store.create(key, body).await
    }
}

impl ReplaceObjects for TestFolder {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        self.store.replace(key, body, expected).await
    }
}

impl UploadObjects for TestFolder {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        self.store.begin(key, content_type).await
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        self.store.upload(upload, number, body).await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.store.abort(upload).await
    }
}

impl CompleteObjects for TestFolder {
    async fn complete(&self, upload: &UploadedObject) -> Result<Completed> {
        self.store.complete(upload).await
    }
}

impl ArchiveObjects for TestFolder {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.store.keys(prefix).await
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        self.store.archive(from, to).await
    }
}

//! Implements the ports of the bucket with the folder.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidemark::checksum::{Crc64Nvme, crc64nvme_base64};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::bucket::BucketSettings;
use tidemark::model::record::{UploadedObject, UploadedPiece};
use tidemark::ports::objects::{
    AskBucket, CompleteObjects, Completed, CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced,
    Upload, UploadObjects,
};

use crate::files::{self, Folder, OWN, is_missing};
use crate::uploads::{BUFFER, Completion, etag};

/// A folder that serves as a bucket. Clones use the same folder.
#[derive(Debug, Clone)]
pub struct FolderStore {
    pub(crate) folder: Arc<Folder>,
}

impl FolderStore {
    /// The time after which an upload that nobody completed is removed, as by the lifecycle rule of a bucket.
    pub const UPLOADS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Makes the store for the folder at this path. The folder is created when something is first written.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let folder = Arc::new(Folder::new(path.into()));
        Self { folder }
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.root()
    }

    /// Removes uploads and unfinished files to which nothing was written for `age`. A slice whose upload is removed in
    /// this way is copied again.
    ///
    /// # Errors
    ///
    /// `SinkRejected` or `SinkUnavailable`, depending on the error of the file system.
    pub async fn expire_uploads(&self, age: Duration) -> Result<()> {
        let path = self.folder.own("uploads");
        self.run("remove old uploads of", path, move |folder, _| folder.expire(age))
            .await
    }

    /// Returns the keys of all objects that begin with `prefix`, in order.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let (path, begin) = self.place_of(prefix)?;
        let (parent, begin) = (prefix[..prefix.len() - begin.len()].to_owned(), begin.to_owned());
        let list = move |_: &Folder, path: &Path| {
            let mut keys = Vec::new();
            collect_keys(path, &parent, &begin, &mut keys)?;
            keys.sort();
            Ok(keys)
        };
        self.run("list", path, list).await
    }

    /// Opens an object to read it piece by piece. Returns `None` when there is no such object.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub async fn open(&self, key: &str) -> Result<Option<fs::File>> {
        let path = self.folder.object(key)?;
        let open = |_: &Folder, path: &Path| match fs::File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        };
        self.run("read", path, open).await
    }

    /// Returns the folder that everything below a prefix is in, and what the names there begin with. No other folder has
    /// to be looked into for a list.
    fn place_of<'a>(&self, prefix: &'a str) -> Result<(PathBuf, &'a str)> {
        match prefix.rsplit_once('/') {
            Some((parent, begin)) => Ok((self.folder.object(parent)?, begin)),
            None => Ok((self.path().to_owned(), prefix)),
        }
    }

    /// Returns the checksum of an object in base64, as manifests have it, or `None` when there is no such object. The
    /// object is read piece by piece.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub async fn crc64nvme(&self, key: &str) -> Result<Option<String>> {
        let path = self.folder.object(key)?;
        self.run("read", path, |_, path| checksum_of(path)).await
    }

    /// Runs `work` on a thread that may wait for the disk.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        verb: &'static str,
        path: PathBuf,
        work: impl FnOnce(&Folder, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.folder);
        let work = move || {
            work(&folder, &path).map_err(|error| {
                let shared = format!("Tidemark cannot {verb} files in {}", folder.root().display());
                files::error(verb, &path, error).shared_as(shared)
            })
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::with_source(ErrorCode::Internal, "the work on a file panicked", error))?
    }
}

pub(crate) fn checksum_of(path: &Path) -> io::Result<Option<String>> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut checksum = Crc64Nvme::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => checksum.update(bytes),
            _ => return Ok(Some(checksum.base64())),
        }
    }
}

/// Adds the keys of the objects in a folder whose names begin with `begin`, and of all in the folders that are called so.
/// `prefix` is the key of the folder itself.
fn collect_keys(folder: &Path, prefix: &str, begin: &str, keys: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(begin) {
            continue;
        }
        let key = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if name != OWN {
                collect_keys(&entry.path(), &format!("{key}/"), "", keys)?;
            }
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

fn object(body: Vec<u8>) -> Object {
    let etag = etag(&crc64nvme_base64(&body));
    Object {
        body: Bytes::from(body),
        etag,
    }
}

impl AskBucket for FolderStore {
    async fn settings(&self, _prefix: &str) -> Result<Option<BucketSettings>> {
        Ok(None)
    }
}

impl ReadObjects for FolderStore {
    /// Returns the absolute path of the object's file.
    fn address(&self, key: &str) -> String {
        let path = self.path().join(key);
        std::path::absolute(&path).unwrap_or(path).display().to_string()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>> {
        let path = self.folder.object(key)?;
        let read = self.run("read", path, |_, path| files::read(path)).await?;
        Ok(read.map(object))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.folder.object(key)?;
        let size = |_: &Folder, path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        };
        self.run("read", path, size).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let (path, begin) = self.place_of(prefix)?;
        let begin = begin.to_owned();
        let list = move |_: &Folder, path: &Path| {
            let entries = match fs::read_dir(path) {
                Ok(entries) => entries,
                Err(error) if is_missing(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut folders = Vec::new();
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let rest = name.strip_prefix(&begin).filter(|_| name != OWN);
                if let Some(rest) = rest.filter(|_| entry.path().is_dir()) {
                    folders.push(rest.to_owned());
                }
            }
            folders.sort();
            Ok(folders)
        };
        self.run("list", path, list).await
    }
}

impl CreateObjects for FolderStore {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        let path = self.folder.object(key)?;
        let create = move |folder: &Folder, path: &Path| folder.create(path, &body);
        let is_new = self.run("create", path, create).await?;
        Ok(if is_new {
            Created::Created
        } else {
            Created::AlreadyExists
        })
    }
}

impl ReplaceObjects for FolderStore {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        let path = self.folder.object(key)?;
        let expected = expected.to_owned();
        let replace = move |folder: &Folder, path: &Path| {
            folder.locked(|| {
                let there = files::read(path)?.map(object);
                if there.is_none_or(|object| object.etag != expected) {
                    return Ok(Replaced::Changed);
                }
                folder.put(path, &body)?;
                Ok(Replaced::Replaced)
            })
        };
        self.run("replace", path, replace).await
    }
}

/// Returns whether a text has the form of an upload's id. An id may come from a document that anybody may have written,
/// so any other text is not used as a path.
fn is_id(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

impl UploadObjects for FolderStore {
    async fn begin(&self, key: &str, _content_type: &str) -> Result<Upload> {
        let path = self.folder.object(key)?;
        let id = uuid::Uuid::new_v4().to_string();
        let upload = Upload {
            key: key.to_owned(),
            id: id.clone(),
            token: uuid::Uuid::new_v4().to_string(),
        };
        self.run("begin to write", path, move |folder, _| folder.begin(&id))
            .await?;
        Ok(upload)
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        let path = self.folder.object(&upload.key)?;
        let id = upload.id.clone();
        let write = move |folder: &Folder, _: &Path| {
            let crc64nvme = crc64nvme_base64(&body);
            let is_there = is_id(&id) && folder.write_piece(&id, number, &body)?;
            Ok(is_there.then_some(crc64nvme))
        };
        let Some(crc64nvme) = self.run("write", path, write).await? else {
            let message = format!("the upload of {} is gone: somebody removed it", upload.key);
            return Err(Error::new(ErrorCode::SinkRejected, message));
        };
        Ok(UploadedPiece {
            number,
            etag: etag(&crc64nvme),
            crc64nvme,
        })
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let path = self.folder.object(&upload.key)?;
        let id = upload.id.clone();
        let abort = move |folder: &Folder, _: &Path| if is_id(&id) { folder.abort(&id) } else { Ok(()) };
        self.run("give up the upload of", path, abort).await
    }
}

impl CompleteObjects for FolderStore {
    async fn complete(&self, uploaded: &UploadedObject) -> Result<Completed> {
        let path = self.folder.object(&uploaded.key)?;
        if !is_id(&uploaded.upload_id) {
            return Ok(Completed::Expired);
        }
        let uploaded = uploaded.clone();
        let complete = move |folder: &Folder, path: &Path| folder.complete(&uploaded, path);
        match self.run("complete", path.clone(), complete).await? {
            Completion::Done(completed) => Ok(completed),
            Completion::Changed => {
                let message = format!(
                    "the pieces of {} are not what was uploaded: somebody changed them",
                    path.display()
                );
                Err(Error::new(ErrorCode::SinkRejected, message))
            }
        }
    }
}

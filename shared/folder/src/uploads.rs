//! Implements uploads: pieces that are kept apart from the objects, and that become an object in one step.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tidemark::checksum::Crc64Nvme;
use tidemark::model::record::UploadedObject;
use tidemark::ports::objects::Completed;

use crate::files::{self, Folder, create_folders, create_folders_of, is_missing, sync_folder_of};

/// The number of bytes that are read at once.
pub(crate) const BUFFER: usize = 256 * 1024;

/// The record of the upload that an object came from.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    /// The token of the upload.
    token: String,
    /// The `ETag` of the object.
    etag: String,
}

/// The result of putting the pieces together.
enum Whole {
    /// The checksum is the declared one.
    AsDeclared,
    /// The checksum differs from the declared one.
    Other,
    /// A piece is missing.
    Gone,
}

/// The result of a completion in which the file system did not fail.
pub(crate) enum Completion {
    /// The completion ended in this way.
    Done(Completed),
    /// The pieces are not those that were uploaded.
    Changed,
}

/// Returns the `ETag` of a content with this checksum.
pub(crate) fn etag(crc64nvme: &str) -> String {
    format!("\"{crc64nvme}\"")
}

impl Folder {
    /// Returns the path of the folder for the pieces of an upload.
    fn upload(&self, id: &str) -> PathBuf {
        self.own("uploads").join(id)
    }

    /// Returns the path of the record of an object's upload. It does not end as the object does, so that readers who take
    /// every file with that ending, in hidden folders too, do not take it for data.
    fn origin(&self, key: &str) -> PathBuf {
        self.own("tokens").join(format!("{key}.json"))
    }

    /// Creates the folder of an upload.
    pub(crate) fn begin(&self, id: &str) -> io::Result<()> {
        create_folders(&self.upload(id))
    }

    /// Writes a piece. Returns `false` when the upload no longer exists.
    pub(crate) fn write_piece(&self, id: &str, number: u32, body: &[u8]) -> io::Result<bool> {
        let piece = self.upload(id).join(number.to_string());
        let mut file = match File::create(&piece) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        file.write_all(body)?;
        file.sync_all()?;
        sync_folder_of(&piece)?;
        Ok(true)
    }

    /// Removes an upload, if it still exists.
    pub(crate) fn abort(&self, id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.upload(id)) {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes an uploaded object visible, or returns what is at its place.
    pub(crate) fn complete(&self, uploaded: &UploadedObject, object: &Path) -> io::Result<Completion> {
        if let Some(there) = self.there(uploaded, object)? {
            sync_folder_of(object)?;
            return Ok(Completion::Done(there));
        }
        let mut whole = Whole::Gone;
        let pieces = self.pieces(uploaded);
        let file = self.written(|file| {
            whole = put_together(&pieces, file, &uploaded.crc64nvme)?;
            Ok(())
        })?;
        match whole {
            Whole::AsDeclared => {}
            Whole::Other => return Ok(Completion::Changed),
            // Another process has completed the upload meanwhile, or it has expired.
            Whole::Gone => {
                let there = self.there(uploaded, object)?.unwrap_or(Completed::Expired);
                return Ok(Completion::Done(there));
            }
        }
        let etag = etag(&uploaded.crc64nvme);
        let origin = Origin {
            token: uploaded.token.clone(),
            etag: etag.clone(),
        };
        let origin = serde_json::to_vec(&origin).map_err(io::Error::other)?;
        let completed = self.locked(|| {
            if let Some(there) = self.there(uploaded, object)? {
                return Ok(there);
            }
            // The record is written before the object, so that an object never lacks it.
            self.put(&self.origin(&uploaded.key), &origin)?;
            create_folders_of(object)?;
            files::name(file, object)?;
            Ok(Completed::Visible(etag))
        })?;
        if matches!(completed, Completed::Visible(_)) {
            self.abort(&uploaded.upload_id)?;
        }
        Ok(Completion::Done(completed))
    }

    fn pieces(&self, uploaded: &UploadedObject) -> Vec<PathBuf> {
        let folder = self.upload(&uploaded.upload_id);
        let pieces = uploaded.pieces.iter();
        pieces.map(|piece| folder.join(piece.number.to_string())).collect()
    }

    /// Returns the result for an object that already exists, if there is one.
    fn there(&self, uploaded: &UploadedObject, object: &Path) -> io::Result<Option<Completed>> {
        if !object.exists() {
            return Ok(None);
        }
        let origin = files::read(&self.origin(&uploaded.key))?;
        let origin: Option<Origin> = origin.and_then(|origin| serde_json::from_slice(&origin).ok());
        Ok(Some(match origin {
            Some(Origin { token, etag }) if token == uploaded.token => Completed::Visible(etag),
            Some(Origin { token, etag }) => Completed::Other {
                token: Some(token),
                etag,
            },
            None => Completed::Other {
                token: None,
                etag: String::new(),
            },
        }))
    }

    /// Removes uploads, and files without a final name, to which nothing was written for `age`.
    pub(crate) fn expire(&self, age: Duration) -> io::Result<()> {
        let before = SystemTime::now().checked_sub(age);
        for place in ["uploads", "new"] {
            let entries = match fs::read_dir(self.own(place)) {
                Ok(entries) => entries,
                Err(error) if is_missing(&error) => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let is_old = |modified: SystemTime| before.is_some_and(|before| modified < before);
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                if !modified.is_ok_and(is_old) {
                    continue;
                }
                let removed = match entry.file_type()?.is_dir() {
                    true => fs::remove_dir_all(entry.path()),
                    false => fs::remove_file(entry.path()),
                };
                match removed {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Writes the pieces one after another into `file`, and compares the checksum.
fn put_together(pieces: &[PathBuf], file: &mut File, declared: &str) -> io::Result<Whole> {
    let mut checksum = Crc64Nvme::default();
    let mut buffer = vec![0; BUFFER];
    for piece in pieces {
        let mut piece = match File::open(piece) {
            Ok(piece) => piece,
            Err(error) if is_missing(&error) => return Ok(Whole::Gone),
            Err(error) => return Err(error),
        };
        loop {
            let read = piece.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            checksum.update(bytes);
            file.write_all(bytes)?;
        }
    }
    let is_declared = checksum.base64() == declared;
    Ok(if is_declared { Whole::AsDeclared } else { Whole::Other })
}

//! An upload is a set of pieces beside the objects, which becomes an object by one link.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tidemark::checksum::Crc64Nvme;
use tidemark::model::record::UploadedObject;
use tidemark::ports::objects::Completed;

use crate::files::{self, Folder, create_folders, create_folders_of, is_missing, sync_folder_of};

/// Bytes that are read at once.
pub(crate) const BUFFER: usize = 256 * 1024;

/// This says which upload an object came from.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    /// This is the token of the upload.
    token: String,
    /// This is the object's `ETag`.
    etag: String,
}

/// This says what the pieces came to when they were put together.
enum Whole {
    /// The checksum is the one that was declared.
    AsDeclared,
    /// The checksum is another one.
    Other,
    /// A piece is gone.
    Gone,
}

/// This says what became of a completion, if the file system did not fail.
pub(crate) enum Completion {
    /// The completion ended like this.
    Done(Completed),
    /// The pieces are not what was uploaded.
    Changed,
}

/// Returns the `ETag` of this content, by its checksum.
pub(crate) fn etag(crc64nvme: &str) -> String {
    format!("\"{crc64nvme}\"")
}

impl Folder {
    /// Returns where the pieces of an upload are.
    fn upload(&self, id: &str) -> PathBuf {
        self.own("uploads").join(id)
    }

    fn origin(&self, key: &str) -> PathBuf {
        self.own("tokens").join(key)
    }

    /// Makes the place of an upload.
    pub(crate) fn begin(&self, id: &str) -> io::Result<()> {
        create_folders(&self.upload(id))
    }

    /// Writes a piece. It returns `false` when there is no such upload any more.
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

    /// Gives an upload up, if it is still there.
    pub(crate) fn abort(&self, id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.upload(id)) {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes an uploaded object visible, or finds what is there.
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
            // Somebody completed it meanwhile, or it has expired.
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
            // Before the object, which is never there without it.
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

    /// What is at the place of the object to be, if something is.
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

    /// Removes uploads, and files without a name, that nothing was written to for so long.
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

/// Writes the pieces one after another.
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

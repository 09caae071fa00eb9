//! Moves objects within the folder.

use std::fs;
use std::io;
use std::path::Path;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ports::archive::ArchiveObjects;

use crate::files::{Folder, OWN, create_folders_of, is_missing, sync_folder_of};
use crate::store::{FolderStore, checksum_of};

impl ArchiveObjects for FolderStore {
    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.keys(prefix).await
    }

    async fn archive(&self, from: &str, to: &str) -> Result<()> {
        let (path, archived) = (self.folder.object(from)?, self.folder.object(to)?);
        let there = archived.clone();
        let work = move |folder: &Folder, path: &Path| folder.locked(|| moved(folder, path, &archived));
        if self.run("move", path.clone(), work).await? {
            return Ok(());
        }
        let (path, there) = (path.display(), there.display());
        let message =
            format!("Tidemark cannot move {path}: {there} is there already, and is another object: move that away");
        Err(Error::new(ErrorCode::SinkRejected, message))
    }
}

impl FolderStore {
    /// Removes an object that the doctor made, and the folders that become empty. It is no error if there is no such
    /// object.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub async fn remove_probe(&self, key: &str) -> Result<()> {
        let path = self.folder.object(key)?;
        let work = move |folder: &Folder, path: &Path| {
            folder.locked(|| match fs::remove_file(path) {
                Err(error) if !is_missing(&error) => Err(error),
                _ => remove_emptied(folder, path),
            })
        };
        self.run("remove", path, work).await
    }

    /// Removes what only looking at a folder has made: the folder itself, if it is empty but for that. An object is never
    /// removed.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub async fn remove_unused(&self) -> Result<()> {
        let work = |folder: &Folder, root: &Path| {
            let is_alone = |path: &Path, name: &str| {
                let mut entries = fs::read_dir(path)?;
                entries.try_fold(true, |alone, entry| {
                    Ok::<_, io::Error>(alone && entry?.file_name() == name)
                })
            };
            let own = folder.own("");
            folder.locked(|| {
                // A folder that has something in it stays.
                for place in ["uploads", "new"] {
                    drop(fs::remove_dir(folder.own(place)));
                }
                if is_alone(root, OWN)? && is_alone(&own, "lock")? {
                    fs::remove_dir_all(&own)?;
                    fs::remove_dir(root)?;
                }
                Ok(())
            })
        };
        self.run("remove", self.path().to_owned(), work).await
    }
}

/// Moves an object with one step of the file system, so that it is always in exactly one of the two places. Nobody else
/// moves or completes objects meanwhile. An object that is in the archive already with the same content is only removed.
/// Returns false when the one in the archive is another object.
fn moved(folder: &Folder, from: &Path, to: &Path) -> io::Result<bool> {
    match checksum_of(to)? {
        // It was moved before, or there never was one.
        _ if !from.exists() => {}
        None => {
            create_folders_of(to)?;
            fs::rename(from, to)?;
            sync_folder_of(to)?;
        }
        there if checksum_of(from)? == there => {
            fs::remove_file(from)?;
            sync_folder_of(from)?;
        }
        Some(_) => return Ok(false),
    }
    remove_emptied(folder, from)?;
    Ok(true)
}

/// Removes the folders of `from` that are empty now, because the folder of a window must not remain without objects.
fn remove_emptied(folder: &Folder, from: &Path) -> io::Result<()> {
    for emptied in from.ancestors().skip(1).take_while(|place| *place != folder.root()) {
        if fs::remove_dir(emptied).is_err() {
            break;
        }
        sync_folder_of(emptied)?;
    }
    Ok(())
}

//! Files that appear only when they are complete, and that then survive a loss of power.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tidemark::error::{Error, ErrorCode, Result};

/// The name of the folder for everything that is not an object.
pub(crate) const OWN: &str = ".tidemark";

/// The folder with all objects.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder at this path, which need not exist yet.
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the path of the folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the object with this key. A key may come from a document that anybody may have written. So a
    /// key that leads out of the folder, or to something that is not an object, is refused.
    pub(crate) fn object(&self, key: &str) -> Result<PathBuf> {
        let is_name = |part: &str| !matches!(part, "" | "." | ".." | OWN) && !part.contains(['\\', '\0']);
        if key.split('/').all(is_name) {
            return Ok(self.root.join(key));
        }
        let message = format!("'{}' is not the key of an object", key.escape_default());
        Err(Error::new(ErrorCode::SinkRejected, message))
    }

    /// Returns a path for something that is not an object.
    pub(crate) fn own(&self, path: &str) -> PathBuf {
        self.root.join(OWN).join(path)
    }

    /// Runs `work` while nobody else replaces or moves an object or completes an upload. The lock ends with the process
    /// that holds it.
    pub(crate) fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let path = self.own("lock");
        create_folders(&self.own(""))?;
        let lock = File::options().create(true).append(true).open(path)?;
        lock.lock()?;
        work()
    }

    /// Writes the content of a new file to the disk. The file has no final name yet.
    pub(crate) fn written(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<NamedTempFile> {
        let new = self.own("new");
        create_folders(&new)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The permissions are those of any file under the user's mask, so that others may read the objects.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(new)?;
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Creates a file with this content at `path` if there is none. Returns whether it did.
    pub(crate) fn create(&self, path: &Path, body: &[u8]) -> io::Result<bool> {
        if path.exists() {
            sync_folder_of(path)?;
            return Ok(false);
        }
        let file = self.written(|file| file.write_all(body))?;
        name(file, path)
    }

    /// Puts a file with this content at `path`, and replaces one that is there.
    pub(crate) fn put(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let file = self.written(|file| file.write_all(body))?;
        create_folders_of(path)?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder_of(path)
    }
}

/// Gives a file its final name if no other file has it. Returns whether it did.
///
/// If another process was first, the name of its file is written to the disk too, because whoever continues from that
/// file must find it again.
pub(crate) fn name(file: NamedTempFile, path: &Path) -> io::Result<bool> {
    create_folders_of(path)?;
    let is_new = match file.persist_noclobber(path) {
        Ok(_) => true,
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error.error),
    };
    sync_folder_of(path)?;
    Ok(is_new)
}

/// Returns the content of a file, or `None` when there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether the error means that there is no such file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

/// Creates the folder of a file.
pub(crate) fn create_folders_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), create_folders)
}

/// Creates a folder and those above it, and writes each to the disk.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    // Above a relative path there is nothing to create.
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    create_folders_of(path)?;
    match fs::create_dir(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the names in the folder of a file to the disk.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Maps an error of the file system. `verb` and `path` say in the message what failed. No other function maps such
/// errors.
pub(crate) fn error(verb: &str, path: &Path, error: io::Error) -> Error {
    let (code, advice) = match error.kind() {
        ErrorKind::PermissionDenied => (
            ErrorCode::SinkRejected,
            "Give the user of this process the right to read and write there, or use another folder.",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            ErrorCode::SinkUnavailable,
            "There is no space left on the disk: free some, and run the same command again.",
        ),
        ErrorKind::ReadOnlyFilesystem => (
            ErrorCode::SinkRejected,
            "The file system is read-only: use a folder on another one.",
        ),
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename => (
            ErrorCode::SinkRejected,
            "The path does not lead to a folder: use another one.",
        ),
        ErrorKind::Unsupported => (
            ErrorCode::SinkRejected,
            "The file system has no locks or links: use a folder on another one.",
        ),
        _ => (
            ErrorCode::SinkUnavailable,
            "The file system failed: run the same command again.",
        ),
    };
    let message = format!("Tidemark cannot {verb} {}", path.display());
    Error::with_source(code, message, error).advised(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_when_there_is_space() {
        let full = error("write", Path::new("x"), ErrorKind::StorageFull.into());
        assert_eq!(full.code(), ErrorCode::SinkUnavailable);
        assert!(full.report().contains("free some"), "{full:?}");
    }

    #[test]
    fn a_relative_path_has_nothing_above_it() {
        assert!(create_folders(Path::new("")).is_ok());
        // The tests of a crate run in the folder of the crate.
        assert!(create_folders(Path::new("src")).is_ok());
        assert!(sync_folder_of(Path::new("src")).is_ok());
    }
}

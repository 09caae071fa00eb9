//! These files are there whole or not at all. Once they are there, they survive the loss of power.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tidemark::error::{Error, ErrorCode, Result};

/// The folder of everything that is no object.
pub(crate) const OWN: &str = ".tidemark";

/// This is a folder with the places in it.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Names the folder at this path, which need not be there yet.
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the path of the folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the object of this key is. Keys come from documents that anybody may have written. So a key is
    /// refused that leads out of the folder, or to something that is no object.
    pub(crate) fn object(&self, key: &str) -> Result<PathBuf> {
        let is_name = |part: &str| !matches!(part, "" | "." | ".." | OWN) && !part.contains(['\\', '\0']);
        if key.split('/').all(is_name) {
            return Ok(self.root.join(key));
        }
        let message = format!("'{}' is not the key of an object", key.escape_default());
        Err(Error::new(ErrorCode::SinkRejected, message))
    }

    /// Returns a place of our own.
    pub(crate) fn own(&self, path: &str) -> PathBuf {
        self.root.join(OWN).join(path)
    }

    /// Runs `work` while nobody else replaces or completes. The lock ends with the process that holds it.
    pub(crate) fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let path = self.own("lock");
        create_folders(&self.own(""))?;
        let lock = File::options().create(true).append(true).open(path)?;
        lock.lock()?;
        work()
    }

    /// Writes a new file with this content to the disk. It has no name yet.
    pub(crate) fn written(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<NamedTempFile> {
        let new = self.own("new");
        create_folders(&new)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As the user's mask has it for any file: others may read the objects.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(new)?;
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Puts `body` at `path` if nothing is there. Returns whether it did.
    pub(crate) fn create(&self, path: &Path, body: &[u8]) -> io::Result<bool> {
        if path.exists() {
            sync_folder_of(path)?;
            return Ok(false);
        }
        let file = self.written(|file| file.write_all(body))?;
        name(file, path)
    }

    /// Puts `body` at `path` whatever is there.
    pub(crate) fn put(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let file = self.written(|file| file.write_all(body))?;
        create_folders_of(path)?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder_of(path)
    }
}

/// Gives a file its name if nothing has it. Returns whether it did.
///
/// Where somebody else was first, their file is brought to the disk as well: whoever goes on from it must find it again.
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

/// Says whether there is no such file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

/// Makes the folder of a file.
pub(crate) fn create_folders_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), create_folders)
}

/// Makes a folder and those above it, each on the disk.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    // Above a relative path there is nothing to make.
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

/// Brings the names in the folder of a file to the disk.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The one place where a failure of the file system becomes an error of ours.
pub(crate) fn error(verb: &str, path: &Path, error: io::Error) -> Error {
    let (code, advice) = match error.kind() {
        ErrorKind::PermissionDenied => (
            ErrorCode::SinkRejected,
            "you may not: give yourself the right to read and write there",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            ErrorCode::SinkRejected,
            "there is no space left: free some, and run again",
        ),
        ErrorKind::ReadOnlyFilesystem => (
            ErrorCode::SinkRejected,
            "the file system is read-only: use another folder",
        ),
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename => (
            ErrorCode::SinkRejected,
            "the path does not lead to a folder: name another one",
        ),
        ErrorKind::Unsupported => (
            ErrorCode::SinkRejected,
            "the file system has no locks or links: use a folder on another one",
        ),
        _ => (ErrorCode::SinkUnavailable, "the file system failed: try again"),
    };
    Error::with_source(code, format!("cannot {verb} {}: {advice}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_has_nothing_above_it() {
        assert!(create_folders(Path::new("")).is_ok());
        // Where a test of a crate runs.
        assert!(create_folders(Path::new("src")).is_ok());
        assert!(sync_folder_of(Path::new("src")).is_ok());
    }
}

//! The file that the keys that differ are written to. It holds the last comparison of every table that was ever compared
//! with it, and is replaced only when the comparison is done.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;

use crate::keys::Difference;

/// The fields of a line, and the one that some lines have besides.
const FIELDS: [&str; 3] = ["table", "key", "only_in"];
const WATERMARK: &str = "watermark";

/// The keys that differ, and the file that they are written to.
pub(super) struct Differences<'a> {
    /// The file of an earlier comparison, which the new one takes the place of.
    path: &'a Path,
    /// The file beside it, which is written until the comparison is done.
    partial: PathBuf,
    file: Option<BufWriter<File>>,
    /// The bytes of the tables that were compared to the end.
    bytes: u64,
    /// The tables that were compared to the end.
    compared: BTreeSet<String>,
    /// Whether a key differs in one of them.
    differ: bool,
}

impl<'a> Differences<'a> {
    /// Makes the differences of a comparison that begins now. Nothing is written before the first of them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the path names something else than the file of an earlier comparison.
    pub(super) fn new(path: &'a Path) -> Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let of_nobody = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
        if let Some(folder) = path.parent().filter(of_nobody) {
            let message = format!(
                "--differences names {}, and there is no folder {}",
                path.display(),
                folder.display()
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let differences = Self {
            path,
            partial: partial.into(),
            file: None,
            bytes: 0,
            compared: BTreeSet::new(),
            differ: false,
        };
        old_lines(path, |_, _| Ok(()))?;
        Ok(differences)
    }

    /// Notes a key that differs.
    pub(super) fn write(&mut self, table: &ObjectName, difference: &Difference) -> Result<()> {
        let mut line = serde_json::json!(difference);
        line["table"] = table.to_string().into();
        self.append(&line.to_string())
    }

    /// Notes that a table was compared to the end, so that what differs in it now is all that differs.
    pub(super) fn compared(&mut self, table: &ObjectName) -> Result<()> {
        let failed = cannot("write", &self.partial);
        let before = self.bytes;
        if let Some(file) = &mut self.file {
            self.bytes = file.stream_position().map_err(failed)?;
        }
        self.differ |= self.bytes > before;
        self.compared.insert(table.to_string());
        Ok(())
    }

    /// Forgets what was noted of a table that could not be compared to the end.
    pub(super) fn not_compared(&mut self) -> Result<()> {
        let failed = cannot("write", &self.partial);
        if let Some(file) = &mut self.file {
            let forget = |file: &mut BufWriter<File>| {
                file.flush()?;
                file.get_ref().set_len(self.bytes)?;
                file.seek(SeekFrom::Start(self.bytes)).map(drop)
            };
            forget(file).map_err(failed)?;
        }
        Ok(())
    }

    /// Puts what was noted in the place of the file of an earlier comparison. What that one has of tables that were not
    /// compared now stays. A file without any line is removed. Returns whether a key differs now.
    pub(super) fn finish(mut self) -> Result<bool> {
        if self.compared.is_empty() {
            remove(&self.partial)?;
            return Ok(false);
        }
        old_lines(self.path, |table, line| {
            if self.compared.contains(table) {
                return Ok(());
            }
            self.append(line)
        })?;
        let Some(file) = self.file.take() else {
            remove(self.path)?;
            return Ok(false);
        };
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        let file = file.and_then(|file| Ok(file.metadata()?.len()));
        if file.map_err(cannot("write", &self.partial))? == 0 {
            remove(&self.partial)?;
            remove(self.path)?;
        } else {
            fs::rename(&self.partial, self.path).map_err(cannot("write", self.path))?;
        }
        Ok(self.differ)
    }

    fn append(&mut self, line: &str) -> Result<()> {
        let failed = cannot("write", &self.partial);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.partial).map_err(&failed)?)),
        };
        writeln!(file, "{line}").map_err(failed)
    }
}

/// Calls `take` with every line of the file of an earlier comparison, and with the table that it is about.
///
/// Errors: `InvalidInput` when the file is not of an earlier comparison, and those of `take`.
fn old_lines(path: &Path, mut take: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.map_err(cannot("read", path))?,
    };
    if !found.is_file() {
        return Err(of_somebody_else(path));
    }
    let file = File::open(path).map_err(cannot("read", path))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|_| of_somebody_else(path))?;
        let table = table_of(&line).ok_or_else(|| of_somebody_else(path))?;
        take(&table, &line)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Returns the table of a line, or `None` when it is no line of a comparison.
fn table_of(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.as_object()?;
    let is_known = |field: &String| FIELDS.contains(&field.as_str()) || field == WATERMARK;
    let is_whole = FIELDS.iter().all(|field| fields.contains_key(*field)) && fields.keys().all(is_known);
    let table = fields.get("table").filter(|_| is_whole)?;
    table.as_str().map(str::to_owned)
}

fn of_somebody_else(path: &Path) -> Error {
    let message = format!(
        "--differences names {}, which is not of an earlier comparison: name another file",
        path.display()
    );
    Error::new(ErrorCode::InvalidInput, message)
}

fn cannot(verb: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let message = format!(
        "Tidemark cannot {verb} {}: name another file with --differences",
        path.display()
    );
    move |error| Error::with_source(ErrorCode::InvalidInput, message.clone(), error)
}

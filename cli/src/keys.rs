//! Comparing the keys of a table's files with those of its source, in slices by hash, so that the keys of neither side
//! are ever in memory as a whole. For each slice both sides are read once. A file in a folder is read batch by batch. One
//! in a bucket is in memory while it is read, and no other at the same time.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use serde_json::{Map, Value};
use tidemark::error::{Answer, Error, ErrorCode, Failure, OfRole, Result, Role};
use tidemark::model::format::Format;
use tidemark::model::manifest::Manifest;
use tidemark::model::names::{Identifier, is_alike};
use tidemark::model::rows::{Closed, Interval, Load, Rows};
use tidemark::model::table::{NullWatermark, TableSpec, Tracking};
use tidemark::model::types::Column;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::rows::{ReadRows, TakeBatches};
use tidemark_files::keys::{self, RecordBatch};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::source::{OPERATION_COLUMN, VERSION_COLUMN};

use crate::lake;
use crate::terminal::Done;
use crate::wiring::sink::Sink;
use crate::wiring::source::Source;
use crate::wiring::store::Store;

/// The approximate number of keys of one slice that are in memory at once. They take some hundred megabytes.
pub(crate) const KEYS_AT_ONCE: u64 = 2_000_000;
/// The columns of a tracked table's files that describe the change: its version, and its operation.
const OF_CHANGES: [&str; 2] = [VERSION_COLUMN, OPERATION_COLUMN];

/// The only side that has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// The key is missing in the files.
    Source,
    /// The key is in the files, and not in the source.
    Files,
}

/// A key that only one side has.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    /// The key's columns and their values.
    pub(crate) key: Map<String, Value>,
    /// The watermark of the row, for a table that is tracked by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) watermark: Option<Value>,
    /// The side that has it.
    pub(crate) only_in: Side,
}

/// The columns that are compared.
struct Columns {
    /// The key, then the watermark or the two that describe a change.
    all: Vec<Column>,
    /// How many of them are the key.
    of_key: usize,
}

impl Columns {
    /// Returns a key that only one side has, as it is reported.
    fn difference(&self, key: &str, only_in: Side) -> Difference {
        let forms: Vec<_> = self.all.iter().map(|column| column.form).collect();
        let mut values = keys::values(key, &forms).into_iter();
        let names = self.all.iter().map(|column| column.name.clone());
        Difference {
            key: names.take(self.of_key).zip(values.by_ref()).collect(),
            watermark: values.next(),
            only_in,
        }
    }
}

/// The result of a comparison.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Compared {
    /// The number of rows that the source has up to the last window.
    pub(crate) rows: u64,
    /// The number of these rows whose version is not in the files.
    pub(crate) missing: u64,
    /// The number of keys in the files of a tracked table that the source does not have.
    pub(crate) surplus: u64,
    /// The number of slices, and so of the times that both sides were read.
    pub(crate) slices: u64,
}

/// Why no keys were compared.
pub(crate) enum NotCompared {
    /// The table's keys cannot be compared, for this reason.
    Because(String),
    /// The comparison failed.
    Failed(Error),
}

impl From<Error> for NotCompared {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl NotCompared {
    fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

/// A comparison of one table.
#[derive(Clone, Copy)]
pub(crate) struct Comparison<'a> {
    /// How many keys are read so far, on both sides.
    pub(crate) read: &'a Done,
    /// The source, to read its rows.
    pub(crate) source: &'a Source,
    /// The server, to ask for the key.
    pub(crate) server: &'a Server,
    /// The sink with the files.
    pub(crate) sink: &'a Sink,
    /// The table.
    pub(crate) spec: &'a TableSpec,
    /// The committed windows in their order, then the backfills.
    pub(crate) manifests: &'a [Manifest],
    /// The columns of the key, or none when the table's primary key is to be asked for.
    pub(crate) key: &'a [String],
    /// The approximate number of keys that are in memory at once.
    pub(crate) keys_at_once: u64,
}

/// A part of all keys, by their hashes.
#[derive(Clone, Copy)]
struct Slice {
    number: u64,
    of: u64,
}

impl Slice {
    fn has(self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish() % self.of == self.number
    }
}

/// The keys of a slice that the files have.
enum InFiles {
    /// Every version of every row, by key and watermark.
    Versions(HashSet<String>),
    /// The last change of every key of a tracked table: its version, and whether the row is there.
    Last(HashMap<String, (i64, bool)>),
}

/// The batches of a part, one after the other.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

impl Comparison<'_> {
    /// Compares both sides, and passes on every key that differs.
    pub(crate) async fn compare(
        self,
        mut differs: impl FnMut(&Difference) -> Result<()>,
    ) -> std::result::Result<Compared, NotCompared> {
        let last = self.manifests.iter().rev().find(|manifest| manifest.replaces.is_none());
        let last = last.ok_or_else(|| NotCompared::because("it has no committed window"))?;
        if last.sink.is_some() || !matches!(last.format, Format::Parquet(_)) {
            return Err(NotCompared::because("only the keys of Parquet files are read"));
        }
        let columns = self.columns(last).await?;
        let rows: u64 = self.manifests.iter().map(|manifest| manifest.rows).sum();
        let of = rows.div_ceil(self.keys_at_once.max(1)).max(1);
        let mut compared = Compared {
            slices: of,
            ..Compared::default()
        };
        for number in 0..of {
            let slice = Slice { number, of };
            let in_files = self.in_files(&columns.all, slice).await?;
            self.against(in_files, last, &columns, slice, &mut compared, &mut differs)
                .await?;
        }
        Ok(compared)
    }

    /// Returns the columns that are compared: the key, then the watermark or the two that describe a change.
    async fn columns(&self, last: &Manifest) -> std::result::Result<Columns, NotCompared> {
        let key = if self.key.is_empty() {
            match self.server.primary_key(&self.spec.table).await {
                Ok(key) => key,
                Err(failure) if failure.is_transient() => return Err(failure.of(Role::Source).into()),
                Err(_) => return Err(NotCompared::because("it has no primary key: give --key")),
            }
        } else {
            self.key.to_vec()
        };
        let described = lake::described(self.manifests);
        let described =
            described.ok_or_else(|| NotCompared::because(format!("window {} has no columns", last.window)))?;
        let mut columns = Vec::new();
        let watermark = match &self.spec.tracking {
            Tracking::Watermark(tracking) => Some(tracking.column.as_str().to_owned()),
            Tracking::ChangeTracking(_) => None,
        };
        let of_changes = OF_CHANGES.map(str::to_owned);
        let others = match &watermark {
            Some(watermark) => std::slice::from_ref(watermark),
            None => of_changes.as_slice(),
        };
        for name in key.iter().chain(others) {
            let same = |column: &&Column| is_alike(&column.name, name);
            match described.columns.iter().find(same) {
                Some(column) => columns.push(column.clone()),
                None if self.key.contains(name) => {
                    let error = Error::about(ErrorCode::InvalidInput, &self.spec.table, |table| {
                        format!("--key names {name}, which is no column of the files of {table}")
                    });
                    return Err(error.into());
                }
                None => return Err(NotCompared::because(format!("its files have no column {name}"))),
            }
        }
        Ok(Columns {
            all: columns,
            of_key: key.len(),
        })
    }

    async fn in_files(&self, columns: &[Column], slice: Slice) -> Result<InFiles> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let is_tracked = matches!(self.spec.tracking, Tracking::ChangeTracking(_));
        let (mut versions, mut last) = (HashSet::new(), HashMap::new());
        let generation = self.manifests.iter().map(|manifest| manifest.generation).max();
        // The last folder has every row, because it begins with a full load.
        let of_folder = || {
            let manifests = self.manifests.iter();
            manifests.filter(|manifest| Some(manifest.generation) == generation)
        };
        // A row that is not in a full load was deleted before it. Backfills from before the load hold older changes.
        let is_load = |manifest: &&Manifest| manifest.window.is_reinit();
        let loaded = of_folder().rfind(is_load);
        let since = loaded.and_then(|load| load.new_watermark.value().parse().ok());
        for manifest in of_folder() {
            for part in &manifest.parts {
                for batch in self.batches(&part.key, &names).await? {
                    let batch = batch.map_err(|error| error.context(&part.key))?;
                    self.read.add(batch.num_rows() as u64);
                    if is_tracked {
                        take_changes(&batch, slice, since.unwrap_or(i64::MIN), &mut last)
                            .map_err(|error| error.context(&part.key))?;
                    } else {
                        versions.extend(keys::keys(&batch)?.into_iter().filter(|key| slice.has(key)));
                    }
                }
            }
        }
        Ok(if is_tracked {
            InFiles::Last(last)
        } else {
            InFiles::Versions(versions)
        })
    }

    /// Reads the columns of a part, batch by batch.
    async fn batches(&self, key: &str, names: &[String]) -> Result<Batches> {
        let read: Result<Batches> = match &self.sink.store {
            Store::Folder(folder) => {
                let file = folder.open(key).await?.ok_or_else(|| gone(key))?;
                keys::of_parquet(file, names).map(|batches| Box::new(batches) as Batches)
            }
            Store::S3(bucket) => {
                let object = bucket.get(key).await?.ok_or_else(|| gone(key))?;
                keys::of_parquet(object.body, names).map(|batches| Box::new(batches) as Batches)
            }
        };
        read.map_err(|error| error.context(key))
    }

    /// Reads the source and compares it with what the files have.
    async fn against(
        &self,
        mut in_files: InFiles,
        last: &Manifest,
        columns: &Columns,
        slice: Slice,
        compared: &mut Compared,
        differs: &mut impl FnMut(&Difference) -> Result<()>,
    ) -> Result<()> {
        let table = &self.spec.table;
        let name;
        let rows = match &self.spec.tracking {
            Tracking::Watermark(tracking) => {
                let spelled = columns
                    .all
                    .last()
                    .map_or(tracking.column.as_str(), |column| column.name.as_str());
                name = Identifier::new(spelled)?;
                Rows::Interval(Interval {
                    table,
                    column: &name,
                    old: None,
                    new: &last.new_watermark,
                    closed: Closed::default(),
                    with_nulls: tracking.null_watermark == NullWatermark::FirstLoad,
                    key: None,
                    filter: self.spec.filter.as_ref(),
                })
            }
            Tracking::ChangeTracking(_) => Rows::Load(Load {
                table,
                version: &last.new_watermark,
                key: None,
            }),
        };
        let mut taking = Taking {
            in_files: &mut in_files,
            read: self.read,
            columns,
            slice,
            compared,
            differs,
        };
        let mut reader = RowReader::new(self.source.credential.clone());
        Box::pin(reader.read(&rows, &columns.all, &mut taking))
            .await
            .of(Role::Source)?;
        if let InFiles::Last(left) = in_files {
            for (key, (_, is_there)) in left {
                if is_there {
                    compared.surplus += 1;
                    differs(&columns.difference(&key, Side::Files))?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the last change of every key of a batch, except changes that are older than `since`.
fn take_changes(batch: &RecordBatch, slice: Slice, since: i64, last: &mut HashMap<String, (i64, bool)>) -> Result<()> {
    for change in changes(batch)? {
        let Change { key, version, is_there } = change?;
        if version >= since && slice.has(&key) {
            let kept = last.entry(key).or_insert((version, is_there));
            if version >= kept.0 {
                *kept = (version, is_there);
            }
        }
    }
    Ok(())
}

/// A row of a tracked table's files, or of the table.
struct Change {
    key: String,
    version: i64,
    /// Whether the row was there after the change.
    is_there: bool,
}

/// Returns the rows of a batch of a tracked table.
///
/// Errors: `LedgerInvalid` for a row whose version is no number, which no run writes.
fn changes(batch: &RecordBatch) -> Result<impl Iterator<Item = Result<Change>>> {
    let own = batch.num_columns().saturating_sub(OF_CHANGES.len());
    let places: Vec<usize> = (0..batch.num_columns()).collect();
    let (key, change) = places.split_at(own);
    let projected = |places: &[usize]| {
        let projected = batch.project(places);
        projected.map_err(|error| Error::with_source(ErrorCode::Internal, "a batch lacks a column", error))
    };
    let keys = keys::keys(&projected(key)?)?.into_iter();
    Ok(keys.zip(keys::keys(&projected(change)?)?).map(|(key, change)| {
        let change = keys::shown(&change);
        let (version, operation) = change.split_once(' ').unwrap_or((&change, ""));
        Ok(Change {
            key,
            version: version.parse().map_err(|error| {
                let message = "a row has no version of a change: `tidemark verify` lists all files that differ";
                Error::with_source(ErrorCode::LedgerInvalid, message, error)
            })?,
            is_there: operation != "D",
        })
    }))
}

/// Takes the rows of the source and compares them.
struct Taking<'a, F> {
    in_files: &'a mut InFiles,
    read: &'a Done,
    columns: &'a Columns,
    slice: Slice,
    compared: &'a mut Compared,
    differs: &'a mut F,
}

impl<F: FnMut(&Difference) -> Result<()>> TakeBatches<RecordBatch> for Taking<'_, F> {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        self.read.add(batch.num_rows() as u64);
        let keys = match &self.in_files {
            InFiles::Versions(_) => keys::keys(&batch),
            InFiles::Last(_) => changes(&batch).and_then(|changes| changes.map(|change| Ok(change?.key)).collect()),
        };
        for key in keys.map_err(Failure::from)? {
            if !self.slice.has(&key) {
                continue;
            }
            self.compared.rows += 1;
            let is_there = match &mut self.in_files {
                InFiles::Versions(versions) => versions.contains(&key),
                InFiles::Last(last) => last.remove(&key).is_some_and(|(_, is_there)| is_there),
            };
            if !is_there {
                self.compared.missing += 1;
                let difference = self.columns.difference(&key, Side::Source);
                (self.differs)(&difference).map_err(Failure::from)?;
            }
        }
        Ok(())
    }
}

fn gone(key: &str) -> Error {
    let message = format!("{key} is missing: `tidemark verify` lists all files that differ");
    Error::new(ErrorCode::LedgerInvalid, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidemark_files::keys::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_change_without_a_version_is_an_error_and_not_the_oldest_change() {
        let batch = |versions: Vec<Option<i64>>| {
            let columns: [(&str, ArrayRef); 3] = [
                ("id", Arc::new(Int64Array::from(vec![7]))),
                (VERSION_COLUMN, Arc::new(Int64Array::from(versions))),
                (OPERATION_COLUMN, Arc::new(StringArray::from(vec!["D"]))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let taken = |batch: RecordBatch| changes(&batch).unwrap().collect::<Result<Vec<_>>>();
        let change = taken(batch(vec![Some(3)])).unwrap().remove(0);
        assert_eq!((change.key.as_str(), change.version, change.is_there), ("7", 3, false));
        let error = taken(batch(vec![None])).err().unwrap();
        assert_eq!(error.code(), ErrorCode::LedgerInvalid);
    }
}

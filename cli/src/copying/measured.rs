//! Ports that count what passes through them, and remember the uploads that are under way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tidemark::error::{Answer, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::record::UploadedPiece;
use tidemark::model::rows::Rows;
use tidemark::model::types::Column;
use tidemark::ports::objects::{
    CreateObjects, Created, Object, ReadObjects, ReplaceObjects, Replaced, Upload, UploadObjects,
};
use tidemark::ports::rows::{ExplainRows, Explained, ReadRows, RowsRead, TakeBatches};
use tidemark_sqlserver::rows::RowReader;

use super::board::Board;
use crate::wiring::store::Store;

/// A batch of rows.
type Batch = <RowReader as ReadRows>::Batch;

/// What an attempt at a slice has read and written. An attempt that is dropped before it is done takes its counts back.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    board: &'a Board,
    table: &'a ObjectName,
    rows: AtomicI64,
    bytes: AtomicI64,
}

impl<'a> Meter<'a> {
    /// Makes a meter that has counted nothing so far.
    pub(super) const fn new(board: &'a Board, table: &'a ObjectName) -> Self {
        Self {
            board,
            table,
            rows: AtomicI64::new(0),
            bytes: AtomicI64::new(0),
        }
    }

    fn count(&self, rows: usize, bytes: usize) {
        let (rows, bytes) = (i64::try_from(rows).unwrap_or(0), i64::try_from(bytes).unwrap_or(0));
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.board.count(self.table, rows, bytes);
    }

    /// Keeps what was counted when the meter is dropped.
    pub(super) fn keep(&self) {
        self.rows.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        self.board.count(self.table, -rows, -bytes);
    }
}

/// A reader that counts the rows of another one.
#[derive(Debug)]
pub(super) struct MeasuredRows<'a> {
    /// The reader that is measured.
    pub(super) reader: &'a mut RowReader,
    /// Where the rows are counted.
    pub(super) meter: &'a Meter<'a>,
}

struct Counting<'a, T> {
    batches: &'a mut T,
    meter: &'a Meter<'a>,
}

impl<T: TakeBatches<Batch>> TakeBatches<Batch> for Counting<'_, T> {
    async fn take(&mut self, batch: Batch) -> Answer<()> {
        self.meter.count(batch.num_rows(), 0);
        self.batches.take(batch).await
    }

    async fn catch_up(&mut self) -> Answer<()> {
        self.batches.catch_up().await
    }
}

impl ReadRows for MeasuredRows<'_> {
    type Batch = Batch;

    async fn read<T: TakeBatches<Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead> {
        let mut counting = Counting {
            batches,
            meter: self.meter,
        };
        self.reader.read(rows, columns, &mut counting).await
    }
}

impl ExplainRows for MeasuredRows<'_> {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        self.reader.explain(rows, columns)
    }
}

/// The uploads that are begun and that no record decides yet.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Upload>>);

impl Uploads {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the uploads to a key, because the slice is decided.
    pub(super) fn decided(&self, key: &str) {
        self.open().retain(|_, upload| upload.key != key);
    }

    /// Gives all of them up, as far as the store allows.
    pub(super) async fn give_up(&self, store: &Store) {
        let uploads: Vec<Upload> = self.open().drain().map(|(_, upload)| upload).collect();
        for upload in uploads {
            // What is left is removed by the bucket's lifecycle rule, or by the next run into a folder, after some
            // days.
            drop(store.abort(&upload).await);
        }
    }
}

/// Uploads parts and counts their bytes.
#[derive(Debug)]
pub(super) struct MeasuredStore<'a> {
    /// The bucket.
    pub(super) store: &'a Store,
    /// Where the bytes are counted.
    pub(super) meter: &'a Meter<'a>,
    /// The uploads that are under way.
    pub(super) uploads: &'a Uploads,
}

impl ReadObjects for MeasuredStore<'_> {
    fn address(&self, key: &str) -> String {
        self.store.address(key)
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

impl CreateObjects for MeasuredStore<'_> {
    async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        self.store.create(key, body).await
    }
}

impl ReplaceObjects for MeasuredStore<'_> {
    async fn replace(&self, key: &str, body: Bytes, expected: &str) -> Result<Replaced> {
        self.store.replace(key, body, expected).await
    }
}

impl UploadObjects for MeasuredStore<'_> {
    async fn begin(&self, key: &str, content_type: &str) -> Result<Upload> {
        let upload = self.store.begin(key, content_type).await?;
        self.uploads.open().insert(upload.id.clone(), upload.clone());
        Ok(upload)
    }

    async fn upload(&self, upload: &Upload, number: u32, body: Bytes) -> Result<UploadedPiece> {
        let bytes = body.len();
        let piece = self.store.upload(upload, number, body).await?;
        self.meter.count(0, bytes);
        Ok(piece)
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.uploads.open().remove(&upload.id);
        self.store.abort(upload).await
    }
}

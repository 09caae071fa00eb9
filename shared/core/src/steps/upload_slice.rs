//! Copying rows into an upload: they are read, encoded and uploaded at once, in bounded memory.
//!
//! ```text
//! read (this task) ──batches──▶ encode (a thread) ──pieces──▶ upload (this task)
//! ```

use std::sync::OnceLock;

use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::checksum::crc64nvme_of_pieces;
use crate::error::{Answer, Error, ErrorCode, OfRole, Result, Role};
use crate::model::format::Format;
use crate::model::malformed::MalformedTexts;
use crate::model::pieces::{MOST_PIECES, piece_bytes};
use crate::model::record::{UploadedObject, UploadedPiece};
use crate::model::rows::{Interval, Rows};
use crate::model::types::Column;
use crate::ports::files::{EncodePart, TakeBytes};
use crate::ports::objects::{Upload, UploadObjects};
use crate::ports::rows::{ReadRows, RowsRead, TakeBatches};
use crate::steps::context::Progress;

/// How many batches wait between the reader and the encoder: one is filled while another one is encoded.
const BATCHES_AHEAD: usize = 1;
/// How many pieces wait between the encoder and the upload.
const PIECES_AHEAD: usize = 1;
/// How many pieces are uploaded at once.
const UPLOADS_AT_ONCE: usize = 2;
/// The room of a piece's buffer beyond the piece, so that it need not grow for what is written at its end.
const ROOM_AT_THE_END: usize = 128 * 1024;

/// The key and the format of a part that is not written yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartToBe<'a> {
    /// The key that the object will have.
    pub(super) key: &'a str,
    /// The file format.
    pub(super) format: &'a Format,
    /// The size of the upload's first pieces in bytes. Later ones are [larger](piece_bytes).
    pub(super) part_bytes: usize,
}

/// The rows of a slice, and how they are held.
#[derive(Debug, Clone, Copy)]
pub(super) struct SliceRows<'a> {
    /// The rows.
    pub(super) rows: Rows<'a>,
    /// Their columns.
    pub(super) columns: &'a [Column],
    /// The name of the key with which the columns must be hashed, when those of the window before were.
    pub(super) mask_key: Option<&'a str>,
}

/// The limits of a copy, and who is told how far it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// When the copy is given up.
    pub(super) deadline: Option<Instant>,
    /// A function that is told how far the copy is.
    pub(super) progress: fn(Progress),
}

/// A slice whose rows are uploaded.
pub(super) struct UploadedSlice {
    /// The number of rows.
    pub(super) rows: u64,
    /// The number of their texts that could not be decoded.
    pub(super) malformed_texts: MalformedTexts,
    /// The name of the key with which they were hashed.
    pub(super) mask_key: Option<String>,
    /// The upload, which is not completed, or `None` without rows.
    pub(super) upload: Option<UploadedObject>,
}

/// Copies the rows of a slice into an upload that is not completed. After an error, or at the deadline
/// (`DeadlineExceeded`), the upload is given up. `encoder` makes the encoder, whose bytes go into pieces.
pub(super) async fn upload_slice<R, E, S>(
    reader: &mut R,
    slice: SliceRows<'_>,
    encoder: impl FnOnce(Cutter) -> Result<E>,
    store: &S,
    part: PartToBe<'_>,
    watch: Watch,
) -> Result<UploadedSlice>
where
    R: ReadRows,
    E: EncodePart<R::Batch, Cutter>,
    S: UploadObjects,
{
    let (batches, batches_read) = mpsc::channel(BATCHES_AHEAD);
    let (pieces, pieces_encoded) = mpsc::channel(PIECES_AHEAD);
    let (buffers, buffers_free) = std::sync::mpsc::channel();
    let encoder = encoder(Cutter::new(pieces, buffers_free, part.part_bytes))?;
    let encoding = tokio::task::spawn_blocking(move || encode(encoder, batches_read));
    let uploader = Uploader {
        store,
        part,
        progress: watch.progress,
        buffers,
        upload: OnceLock::new(),
    };
    let work = async {
        let reading = read(reader, slice, batches);
        let encoding = async {
            let panicked = |panic| Error::with_source(ErrorCode::Internal, "the encoder panicked", panic);
            encoding.await.map_err(panicked)?
        };
        // The first of the three to fail ends the others: one that feeds it, or is fed by it, only waits.
        let (pieces, rows, read) = tokio::try_join!(uploader.run(pieces_encoded), encoding, reading)?;
        check_rows(read.rows, rows, "the file")?;
        Ok((uploader.uploaded(pieces)?, read))
    };
    // Boxed, because the types of the nested futures are deeper than the compiler follows.
    match within(watch.deadline, Box::pin(work)).await {
        Ok((upload, read)) => Ok(UploadedSlice {
            rows: read.rows,
            malformed_texts: read.malformed_texts,
            mask_key: read.mask_key,
            upload,
        }),
        Err(error) => {
            if let Some(upload) = uploader.upload.get() {
                give_up(store, upload).await;
            }
            Err(error)
        }
    }
}

/// Reads the rows of a slice and hands them on. The channel is dropped at the end, which tells the other side that no
/// more batches can come.
pub(super) async fn read<R: ReadRows>(
    reader: &mut R,
    slice: SliceRows<'_>,
    batches: mpsc::Sender<R::Batch>,
) -> Result<RowsRead> {
    let mut pipe = Pipe { batches };
    let read = reader.read(&slice.rows, slice.columns, &mut pipe).await;
    let read = read.of(Role::Source).map_err(|error| match &slice.rows {
        Rows::Interval(Interval {
            table, filter: Some(_), ..
        }) if error.code() == ErrorCode::SourceRejected => error.context_about(table, |table| {
            format!("the statement with the `where` of {table} is refused")
        }),
        _ => error,
    })?;
    match (slice.mask_key, &read.mask_key) {
        (Some(before), Some(now)) if before != now => Err(other_key()),
        _ => Ok(read),
    }
}

/// Makes the error that equal values would not have equal hashes.
pub(super) fn other_key() -> Error {
    let message = "the key of hashes (MASK_SECRET_ARN) is not the one of the window before, so equal values would have other hashes: put that \
                   key back; or, to go on with the new one, give the window up with `tidemark give-up` and set on_schema_change to continue \
                   for one run, or start the table over with `tidemark reset`";
    Error::new(ErrorCode::SchemaMismatch, message)
}

/// Returns the result of `work`, if it comes before the deadline, and else `DeadlineExceeded`.
pub(super) async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(deadline) = deadline else { return work.await };
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let message = "the slice does not fit into one invocation: raise the function's memory, and with it its speed, \
                       or copy fewer columns";
        Err(Error::new(ErrorCode::DeadlineExceeded, message))
    })
}

/// Checks that every row that was read has arrived in `place`.
///
/// Errors: `Internal` when the numbers differ.
pub(super) fn check_rows(read: u64, arrived: u64, place: &str) -> Result<()> {
    if read == arrived {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Internal,
        format!("{read} rows were read, and {arrived} arrived in {place}"),
    ))
}

/// Frees what an upload holds, as far as the store allows. What is left is removed by the bucket's lifecycle rule.
pub(super) async fn give_up<S: UploadObjects>(store: &S, upload: &Upload) {
    if let Err(error) = store.abort(upload).await {
        tracing::warn!(key = %upload.key, "The upload could not be aborted: {}.", error.report());
    }
}

/// The reader's end of a pipeline.
struct Pipe<B> {
    batches: mpsc::Sender<B>,
}

impl<B> TakeBatches<B> for Pipe<B> {
    async fn take(&mut self, batch: B) -> Answer<()> {
        if self.batches.send(batch).await.is_err() {
            // The other side has failed, and its error ends this reading.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Answer<()> {
        // There is room when the batch that waited is being encoded.
        if self.batches.reserve().await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Encodes batches into pieces, of which there are none without rows. Returns the number of rows.
fn encode<B, E: EncodePart<B, Cutter>>(mut encoder: E, mut batches: mpsc::Receiver<B>) -> Result<u64> {
    while let Some(batch) = batches.blocking_recv() {
        encoder.write(&batch)?;
    }
    let end = encoder.finish()?;
    if end.rows > 0 {
        end.bytes.end()?;
    }
    Ok(end.rows)
}

/// Cuts the encoder's bytes into pieces of [their sizes](piece_bytes), except the last. Each piece has a buffer of its
/// own, and only what one write brings beyond a piece shares that of the piece. Buffers of uploaded pieces come back to
/// be filled again.
pub(super) struct Cutter {
    pieces: mpsc::Sender<Bytes>,
    buffers: std::sync::mpsc::Receiver<Vec<u8>>,
    /// The size of the first pieces.
    first_bytes: usize,
    /// The number of the piece that is filled, counted from 1, and its size.
    number: u32,
    part_bytes: usize,
    piece: Vec<u8>,
    /// The bytes of the pieces that were passed on.
    bytes: u64,
}

impl Cutter {
    fn new(pieces: mpsc::Sender<Bytes>, buffers: std::sync::mpsc::Receiver<Vec<u8>>, part_bytes: usize) -> Self {
        Self {
            pieces,
            buffers,
            first_bytes: part_bytes,
            number: 1,
            part_bytes,
            // A small part has no piece of full size, so no buffer is made for one.
            piece: Vec::new(),
            bytes: 0,
        }
    }

    /// Passes on the pieces that are full.
    fn cut(&mut self) -> Result<()> {
        let mut full = Bytes::from(std::mem::take(&mut self.piece));
        while full.len() >= self.part_bytes {
            let piece = full.split_to(self.part_bytes);
            self.send(piece)?;
            self.number += 1;
            self.part_bytes = piece_bytes(self.first_bytes, self.number);
        }
        // Buffers from before the pieces grew are too small, and those of a large row too large. They go.
        let needed = self.part_bytes + ROOM_AT_THE_END;
        let mut free = self.buffers.try_iter();
        self.piece = free
            .find(|buffer| (needed..2 * needed).contains(&buffer.capacity()))
            .unwrap_or_else(|| Vec::with_capacity(needed));
        self.piece.extend_from_slice(&full);
        Ok(())
    }

    /// Passes on the last piece, unless it is empty.
    fn end(mut self) -> Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        if piece.is_empty() { Ok(()) } else { self.send(piece) }
    }

    /// Passes a piece on.
    ///
    /// Errors: `DeadlineExceeded` when an upload takes no further piece, so that the slice is split.
    fn send(&mut self, piece: Bytes) -> Result<()> {
        if self.number > MOST_PIECES {
            return Err(too_many_pieces(self.bytes));
        }
        self.bytes += piece.len() as u64;
        self.pieces
            .blocking_send(piece)
            .map_err(|_| Error::new(ErrorCode::Internal, "the upload has stopped"))
    }
}

impl TakeBytes for Cutter {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.piece
    }

    #[inline]
    fn pass_on(&mut self) -> Result<()> {
        if self.piece.len() < self.part_bytes {
            return Ok(());
        }
        self.cut()
    }
}

/// Makes the error of a slice whose file is too large for one upload. It has the code of every slice that is too large,
/// so that the slice is split.
fn too_many_pieces(bytes: u64) -> Error {
    let message = format!(
        "the slice does not fit into one upload: it has more than {bytes} bytes, and S3 takes no more than {MOST_PIECES} pieces. Have the table \
         cut into slices, by an index that begins with the watermark column or by a primary key, or a view by slice_rows. Or copy fewer \
         columns, or write parquet"
    );
    Error::new(ErrorCode::DeadlineExceeded, message)
}

/// The upload, which is begun with the first piece.
struct Uploader<'a, S> {
    store: &'a S,
    part: PartToBe<'a>,
    progress: fn(Progress),
    /// Where buffers go that are free again.
    buffers: std::sync::mpsc::Sender<Vec<u8>>,
    upload: OnceLock<Upload>,
}

/// A piece that is uploaded, and its length in bytes.
type Sent = (UploadedPiece, u64);

impl<S: UploadObjects> Uploader<'_, S> {
    async fn run(&self, mut pieces: mpsc::Receiver<Bytes>) -> Result<Vec<Sent>> {
        let Some(first) = pieces.recv().await else {
            return Ok(Vec::new());
        };
        let begun = self.store.begin(self.part.key, self.part.format.content_type()).await?;
        let upload = self.upload.get_or_init(|| begun);
        let mut under_way = FuturesOrdered::from_iter([self.piece(upload, 1, first)]);
        let mut uploaded: Vec<Sent> = Vec::new();
        let (mut next, mut all, mut bytes) = (2, false, 0);
        loop {
            tokio::select! {
                piece = pieces.recv(), if !all && under_way.len() < UPLOADS_AT_ONCE => match piece {
                    Some(piece) => {
                        under_way.push_back(self.piece(upload, next, piece));
                        next += 1;
                    }
                    None => all = true,
                },
                Some(piece) = under_way.next() => {
                    let piece = piece?;
                    bytes += piece.1;
                    uploaded.push(piece);
                    (self.progress)(Progress::BytesUploaded(bytes));
                }
                else => return Ok(uploaded),
            }
        }
    }

    async fn piece(&self, upload: &Upload, number: u32, mut piece: Bytes) -> Result<Sent> {
        let length = piece.len() as u64;
        let uploaded = self.store.upload(upload, number, piece.clone()).await?;
        // The buffer is not returned while the network or another piece still holds it. At the end nobody receives it.
        if piece.is_unique() {
            piece.clear();
            drop(self.buffers.send(piece.into()));
        }
        Ok((uploaded, length))
    }

    /// Returns the upload of these pieces, or `None` without any.
    fn uploaded(&self, pieces: Vec<Sent>) -> Result<Option<UploadedObject>> {
        let Some(Upload {
            key,
            id: upload_id,
            token,
        }) = self.upload.get().cloned()
        else {
            return Ok(None);
        };
        let checksums = pieces.iter().map(|(piece, bytes)| (piece.crc64nvme.as_str(), *bytes));
        let no_checksum = || Error::new(ErrorCode::Internal, format!("a piece of {key} has no checksum"));
        let crc64nvme = crc64nvme_of_pieces(checksums).ok_or_else(no_checksum)?;
        Ok(Some(UploadedObject {
            bytes: pieces.iter().map(|(_, bytes)| bytes).sum(),
            pieces: pieces.into_iter().map(|(piece, _)| piece).collect(),
            key,
            upload_id,
            token,
            crc64nvme,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::testing::MemoryStore;

    /// The number of bytes that were last told to be uploaded.
    static TOLD: AtomicU64 = AtomicU64::new(0);

    #[tokio::test]
    async fn the_bytes_that_are_told_are_those_of_the_pieces() {
        let (sender, pieces) = mpsc::channel(3);
        for length in [5_usize, 5, 3] {
            sender.send(vec![7; length].into()).await.unwrap();
        }
        drop(sender);
        let uploader = Uploader {
            store: &MemoryStore::default(),
            part: PartToBe {
                key: "part",
                format: &Format::default(),
                part_bytes: 5,
            },
            progress: |progress| {
                if let Progress::BytesUploaded(bytes) = progress {
                    TOLD.store(bytes, Ordering::Relaxed);
                }
            },
            buffers: std::sync::mpsc::channel().0,
            upload: OnceLock::new(),
        };
        assert_eq!(uploader.run(pieces).await.unwrap().len(), 3);
        assert_eq!(TOLD.load(Ordering::Relaxed), 13);
    }

    /// The bytes that 10,000 pieces hold when the first ones have one.
    const ROOM: usize = 1_000 * (1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 512);

    fn cut(bytes: usize) -> (Result<()>, Vec<usize>) {
        let (pieces, mut cut) = mpsc::channel(MOST_PIECES as usize + 1);
        let (_buffers, free) = std::sync::mpsc::channel();
        let mut cutter = Cutter::new(pieces, free, 1);
        cutter.buffer().resize(bytes, 7);
        let result = cutter.pass_on().and_then(|()| cutter.end());
        let lengths = std::iter::from_fn(|| cut.blocking_recv()).map(|piece| piece.len());
        (result, lengths.collect())
    }

    #[test]
    fn pieces_grow_and_the_last_one_that_fits_is_the_ten_thousandth() {
        let (result, lengths) = cut(ROOM);
        result.unwrap();
        assert_eq!(lengths.len(), 10_000);
        assert_eq!((lengths[999], lengths[1_000], lengths[9_999]), (1, 2, 512));
        assert_eq!(lengths.iter().sum::<usize>(), ROOM);
    }

    #[test]
    fn a_slice_that_needs_another_piece_is_too_large_for_one_upload() {
        let error = cut(ROOM + 1).0.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert!(
            error.to_string().contains("does not fit into one upload") && error.to_string().contains("slice_rows"),
            "{error}"
        );
    }
}

//! Rows to a staged object: read, encode and upload at once, with bounded memory.
//!
//! ```text
//! read (this task) ──batches──▶ encode (a thread) ──pieces──▶ upload (this task)
//! ```

use std::sync::OnceLock;

use arrow_array::RecordBatch;
use bytes::{Bytes, BytesMut};
use futures::stream::{FuturesOrdered, StreamExt};
use tidemark::checksum::Crc64Nvme;
use tidemark::encode::Encoder;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::format::Format;
use tidemark::ledger::Slice;
use tidemark::ports::objects::{StageObjects, StagedObject, StagedPiece, Upload};
use tidemark::ports::rows::{BatchSink, RowSource};
use tidemark::runner::progress;
use tidemark::shape::Shape;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{check_rows, within};

/// Batches between the reader and the encoder: one to fill while one is encoded.
const BATCHES_AHEAD: usize = 1;
/// Pieces between the encoder and the upload.
const PIECES_AHEAD: usize = 1;
/// Pieces on their way at once.
const UPLOADS_AT_ONCE: usize = 2;

/// The part that is to be: its key and its form.
#[derive(Debug)]
pub(crate) struct PartToBe<'a> {
    /// The key of the object to be.
    pub(crate) key: &'a str,
    /// The form of the file.
    pub(crate) format: &'a Format,
    /// The size of the upload's pieces.
    pub(crate) part_bytes: usize,
}

/// Copies the rows of `slice` into an upload that is not completed. Returns how many there were and, if any, the
/// upload. After an error, or at `deadline` (`DeadlineExceeded`), the upload is given up.
pub(crate) async fn stage<R: RowSource, S: StageObjects>(
    rows: &mut R,
    slice: &Slice,
    shape: &Shape,
    store: &S,
    part: &PartToBe<'_>,
    deadline: Option<Instant>,
) -> Result<(u64, Option<StagedObject>)> {
    let encoder = Encoder::new(shape, part.format)?;
    let (batches, batches_read) = mpsc::channel(BATCHES_AHEAD);
    let (pieces, pieces_encoded) = mpsc::channel(PIECES_AHEAD);
    let (buffers, buffers_free) = std::sync::mpsc::channel();
    let cutter = Cutter::new(pieces, buffers_free, part.part_bytes);
    let encoding = tokio::task::spawn_blocking(move || encode(encoder, batches_read, cutter));

    let uploader = Uploader {
        store,
        part,
        buffers,
        upload: OnceLock::new(),
    };
    let work = async {
        let reading = async {
            // Dropped at the end of the reading, which tells the encoder that nothing more can come.
            let mut sink = Sink { batches };
            read(rows, slice, shape, &mut sink).await
        };
        let encoding = async {
            let panicked = |panic| Error::with_source(ErrorCode::Internal, "the encoder panicked", panic);
            encoding.await.map_err(panicked)?
        };
        // The first to fail ends the others; who only feeds or is fed by it waits for that.
        let (pieces, encoded, read) = tokio::try_join!(uploader.run(pieces_encoded), encoding, reading)?;
        check_rows(read, encoded.rows)?;
        Ok((pieces, encoded))
    };
    // Boxed: the types of the nested futures are deeper than the compiler follows by itself.
    match within(deadline, Box::pin(work)).await {
        Ok((pieces, encoded)) => Ok((encoded.rows, uploader.staged(pieces, &encoded))),
        Err(error) => {
            if let Some(upload) = uploader.upload.get() {
                give_up(store, upload).await;
            }
            Err(error)
        }
    }
}

/// Reads the rows of a slice, as long as the source still has all of them.
pub(crate) async fn read<R: RowSource>(rows: &mut R, slice: &Slice, shape: &Shape, sink: &mut Sink) -> Result<u64> {
    match &slice.guard {
        None => rows.read(&slice.query, shape, sink).await,
        Some(guard) => rows.read_guarded(guard, &slice.query, shape, sink).await,
    }
}

/// Frees what an upload holds, as far as the store lets us: what is left, the bucket's lifecycle rule removes.
pub(crate) async fn give_up<S: StageObjects>(store: &S, upload: &Upload) {
    if let Err(error) = store.abort(upload).await {
        tracing::warn!(key = %upload.key, "The upload could not be aborted: {}.", error.report());
    }
}

/// The reader's end of a pipeline.
pub(crate) struct Sink {
    pub(crate) batches: mpsc::Sender<RecordBatch>,
}

impl BatchSink for Sink {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if self.batches.send(batch).await.is_err() {
            // Who takes the batches has failed, and that error ends this reading.
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// What the encoder made.
struct Encoded {
    rows: u64,
    bytes: u64,
    crc64nvme: String,
}

/// Encodes batches into pieces. Without rows there are none.
fn encode(mut encoder: Encoder, mut batches: mpsc::Receiver<RecordBatch>, mut cutter: Cutter) -> Result<Encoded> {
    while let Some(batch) = batches.blocking_recv() {
        encoder.write(&batch)?;
        drop(batch);
        if cutter.piece.len() + encoder.pending() >= cutter.part_bytes {
            encoder.drain(|bytes| cutter.add(bytes))?;
        }
    }
    let end = encoder.finish()?;
    if end.rows > 0 {
        cutter.add(&end.bytes)?;
        cutter.send()?;
    }
    Ok(Encoded {
        rows: end.rows,
        bytes: cutter.bytes,
        crc64nvme: cutter.checksum.base64(),
    })
}

/// Cuts the encoder's bytes into pieces of exactly `part_bytes`, but for the last. Each has a buffer of its own, so that a
/// large row is not held until the last piece of it is uploaded; buffers of uploaded pieces come back to be filled again.
struct Cutter {
    pieces: mpsc::Sender<Bytes>,
    buffers: std::sync::mpsc::Receiver<BytesMut>,
    part_bytes: usize,
    piece: BytesMut,
    checksum: Crc64Nvme,
    bytes: u64,
}

impl Cutter {
    fn new(pieces: mpsc::Sender<Bytes>, buffers: std::sync::mpsc::Receiver<BytesMut>, part_bytes: usize) -> Self {
        Self {
            pieces,
            buffers,
            part_bytes,
            // Small deltas have no piece of full size.
            piece: BytesMut::new(),
            checksum: Crc64Nvme::default(),
            bytes: 0,
        }
    }

    fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (fits, rest) = bytes.split_at(bytes.len().min(self.part_bytes - self.piece.len()));
            self.piece.extend_from_slice(fits);
            bytes = rest;
            if self.piece.len() == self.part_bytes {
                self.send()?;
                self.piece = self
                    .buffers
                    .try_recv()
                    .unwrap_or_else(|_| BytesMut::with_capacity(self.part_bytes));
            }
        }
        Ok(())
    }

    /// Passes on the piece as it is, unless it is empty.
    fn send(&mut self) -> Result<()> {
        let piece = std::mem::take(&mut self.piece).freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.checksum.update(&piece);
        self.bytes += piece.len() as u64;
        self.pieces
            .blocking_send(piece)
            .map_err(|_| Error::new(ErrorCode::Internal, "the upload has stopped"))
    }
}

/// The upload, begun with the first piece.
struct Uploader<'a, S> {
    store: &'a S,
    part: &'a PartToBe<'a>,
    /// Where buffers go that are free again.
    buffers: std::sync::mpsc::Sender<BytesMut>,
    upload: OnceLock<Upload>,
}

impl<S: StageObjects> Uploader<'_, S> {
    async fn run(&self, mut pieces: mpsc::Receiver<Bytes>) -> Result<Vec<StagedPiece>> {
        let Some(first) = pieces.recv().await else {
            return Ok(Vec::new());
        };
        let begun = self.store.begin(self.part.key, self.part.format.content_type()).await?;
        let upload = self.upload.get_or_init(|| begun);
        let mut under_way = FuturesOrdered::from_iter([self.piece(upload, 1, first)]);
        let mut staged: Vec<StagedPiece> = Vec::new();
        let mut next = 2;
        loop {
            tokio::select! {
                piece = pieces.recv(), if under_way.len() < UPLOADS_AT_ONCE => match piece {
                    Some(piece) => {
                        under_way.push_back(self.piece(upload, next, piece));
                        next += 1;
                    }
                    None => break,
                },
                Some(piece) = under_way.next() => {
                    staged.push(piece?);
                    progress(&format!("{} MB uploaded", staged.len() * self.part.part_bytes / 1_000_000));
                }
            }
        }
        while let Some(piece) = under_way.next().await {
            staged.push(piece?);
        }
        Ok(staged)
    }

    async fn piece(&self, upload: &Upload, number: u32, piece: Bytes) -> Result<StagedPiece> {
        let staged = self.store.upload(upload, number, piece.clone()).await?;
        // Not if the network still has hold of it. At the end nobody wants it.
        if let Ok(mut buffer) = piece.try_into_mut() {
            buffer.clear();
            drop(self.buffers.send(buffer));
        }
        Ok(staged)
    }

    fn staged(&self, pieces: Vec<StagedPiece>, encoded: &Encoded) -> Option<StagedObject> {
        let Upload {
            key,
            id: upload_id,
            token,
        } = self.upload.get()?.clone();
        Some(StagedObject {
            key,
            upload_id,
            token,
            pieces,
            bytes: encoded.bytes,
            crc64nvme: encoded.crc64nvme.clone(),
        })
    }
}

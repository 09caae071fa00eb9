//! A column chunk in the plain encoding.
//!
//! The crate `parquet` writes such a chunk through vectors of indexes, gathered values, and pages that are copied five
//! times; a column with sixteen bytes a value even needs an object for each value. Here the values go from the batch
//! into the page, and from there, packed, to their place in the chunk.

use std::io::Write;
use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use parquet::basic::{BoundaryOrder, Compression, Encoding, LogicalType, PageType, Type as PhysicalType};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;

use super::bounds::Bounds;
use super::packer::{Method, Packer};
use super::page::{Page, varint};
use super::values::Values;

/// The writer of a column. It builds one chunk after another with the same buffers.
pub struct PlainColumn {
    column: ColumnDescPtr,
    is_text: bool,
    page: Page,
    /// The finished pages of the chunk.
    bytes: Vec<u8>,
    chunk: Chunk,
}

/// The facts about the pages of a chunk.
struct Chunk {
    /// How the pages are packed, once there is one.
    method: Option<Method>,
    bounds: Bounds,
    rows: usize,
    nulls: usize,
    unpacked_bytes: usize,
    variable_bytes: usize,
    pages: usize,
    index: ColumnIndexBuilder,
    offsets: OffsetIndexBuilder,
    last_bounds: Bounds,
    is_ascending: bool,
    is_descending: bool,
}

impl PlainColumn {
    pub fn new(column: ColumnDescPtr) -> Self {
        Self {
            is_text: matches!(column.logical_type_ref(), Some(LogicalType::String)),
            page: Page::new(column.physical_type()),
            bytes: Vec::new(),
            chunk: Chunk::new(column.physical_type()),
            column,
        }
    }

    /// Returns whether this writer supports the column.
    pub fn can_hold(array: &ArrayRef, column: &ColumnDescPtr) -> bool {
        column.max_def_level() == 1 && column.max_rep_level() == 0 && Values::of(array, column).is_some()
    }

    pub fn write(&mut self, array: &ArrayRef, mut rows: Range<usize>, packer: &mut Packer) -> Result<()> {
        let values = Values::of(array, &self.column)
            .ok_or_else(|| ParquetError::General(format!("{} is not of its type", self.column.name())))?;
        while !rows.is_empty() {
            rows.start += self.page.fill(&values, array.nulls(), rows.clone(), &mut packer.large);
            if self.page.is_full() {
                self.close_page(packer)?;
            }
        }
        Ok(())
    }

    /// Returns the bytes that it holds.
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.page.bytes()
    }

    fn close_page(&mut self, packer: &mut Packer) -> Result<()> {
        let chunk = &mut self.chunk;
        let rows = self.page.rows;
        let body = self.page.body();
        let unpacked = body.len();
        let method = match chunk.method {
            Some(method) => method,
            None => packer.method(body)?,
        };
        chunk.method = Some(method);
        let packed = packer.pack(body, method)?;
        // The head has both sizes as `i32`.
        i32::try_from(unpacked.max(packed.len())).map_err(|_| too_large())?;
        let start = self.bytes.len();
        head(rows, unpacked, packed.len(), &mut self.bytes);
        let head_bytes = self.bytes.len() - start;
        self.bytes.extend_from_slice(packed);
        let size = i32::try_from(self.bytes.len() - start).map_err(|_| too_large())?;
        chunk.unpacked_bytes += unpacked + head_bytes;
        chunk.offsets.append_offset_and_size(int(start), size);
        chunk.add(&mut self.page, &self.column, self.is_text);
        self.page.clear(&mut packer.large);
        Ok(())
    }

    /// Ends the chunk, appends it to the row group, and begins the next chunk. Buffers keep at most `kept_bytes`.
    pub fn append_to<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        packer: &mut Packer,
        kept_bytes: usize,
    ) -> Result<()> {
        if self.page.rows > 0 {
            self.close_page(packer)?;
        }
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new(self.column.physical_type()));
        let rows = chunk.rows as u64;
        let compression = packer.codec(chunk.method.unwrap_or(Method::Stored));
        let close = chunk.close(&self.column, self.is_text, compression, self.bytes.len())?;
        debug_assert_eq!(close.rows_written, rows, "no row is lost");
        group.append_column(&Bytes(&self.bytes), close)?;
        self.bytes.clear();
        self.bytes.shrink_to(kept_bytes);
        self.page.shrink_to(kept_bytes);
        Ok(())
    }
}

impl Chunk {
    fn new(physical_type: PhysicalType) -> Self {
        Self {
            method: None,
            bounds: Bounds::None,
            rows: 0,
            nulls: 0,
            unpacked_bytes: 0,
            variable_bytes: 0,
            pages: 0,
            index: ColumnIndexBuilder::new(physical_type),
            offsets: OffsetIndexBuilder::new(),
            last_bounds: Bounds::None,
            is_ascending: true,
            is_descending: true,
        }
    }

    fn add(&mut self, page: &mut Page, column: &ColumnDescPtr, is_text: bool) {
        self.rows += page.rows;
        self.nulls += page.nulls;
        self.pages += 1;
        self.offsets.append_row_count(int(page.rows));
        if column.physical_type() == PhysicalType::BYTE_ARRAY {
            self.variable_bytes += page.variable_bytes();
            self.offsets
                .append_unencoded_byte_array_data_bytes(Some(int(page.variable_bytes())));
        }
        self.bounds.widen(&page.bounds);
        match page.bounds.encoded(column, is_text) {
            Some(bounds) => {
                self.is_ascending &= self.last_bounds.is_before(&page.bounds);
                self.is_descending &= page.bounds.is_before(&self.last_bounds);
                self.last_bounds = std::mem::take(&mut page.bounds);
                self.index.append(false, bounds.least, bounds.greatest, int(page.nulls));
            }
            None if page.nulls == page.rows => self.index.append(true, Vec::new(), Vec::new(), int(page.nulls)),
            // The page has values without a place in the order, so its bounds would be wrong for them.
            None => self.index.to_invalid(),
        }
        self.index.append_histograms(&None, &histogram(page.rows, page.nulls));
    }

    fn close(
        mut self,
        column: &ColumnDescPtr,
        is_text: bool,
        compression: Compression,
        bytes: usize,
    ) -> Result<ColumnCloseResult> {
        self.index
            .set_boundary_order(match (self.is_ascending, self.is_descending) {
                (true, _) => BoundaryOrder::ASCENDING,
                (false, true) => BoundaryOrder::DESCENDING,
                (false, false) => BoundaryOrder::UNORDERED,
            });
        let variable = (column.physical_type() == PhysicalType::BYTE_ARRAY).then(|| int(self.variable_bytes));
        let pages = PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: Encoding::PLAIN,
            count: i32::try_from(self.pages).map_err(|_| too_large())?,
        };
        let metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(compression)
            .set_encodings(vec![Encoding::RLE, Encoding::PLAIN])
            .set_page_encoding_stats(vec![pages])
            .set_total_compressed_size(int(bytes))
            .set_total_uncompressed_size(int(self.unpacked_bytes))
            .set_num_values(int(self.rows))
            .set_data_page_offset(0)
            .set_statistics(self.bounds.statistics(column, is_text, self.nulls as u64))
            .set_unencoded_byte_array_data_bytes(variable)
            .set_definition_level_histogram(histogram(self.rows, self.nulls))
            .build()?;
        Ok(ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: self.rows as u64,
            bloom_filter: None,
            metadata,
            column_index: if self.index.valid() {
                Some(self.index.build()?)
            } else {
                None
            },
            offset_index: Some(self.offsets.build()),
        })
    }
}

/// Returns the number of rows without a value and of those with one.
fn histogram(rows: usize, nulls: usize) -> Option<LevelHistogram> {
    let mut histogram = LevelHistogram::try_new(1)?;
    histogram.increment_by(0, int(nulls));
    histogram.increment_by(1, int(rows - nulls));
    Some(histogram)
}

/// Writes the head of a page (`PageHeader` of the format, in Thrift's compact protocol).
fn head(rows: usize, unpacked: usize, packed: usize, out: &mut Vec<u8>) {
    /// The head of an `i32` field whose id is one above the previous one.
    const INT: u8 = 0x15;
    /// The head of a structure whose field id is two above the previous one.
    const STRUCTURE: u8 = 0x2C;
    const DATA_PAGE: usize = 0;
    const PLAIN: usize = 0;
    const RLE: usize = 3;
    let mut int = |number: usize| {
        out.push(INT);
        varint(number << 1, out);
    };
    int(DATA_PAGE);
    int(unpacked);
    int(packed);
    out.push(STRUCTURE);
    let mut int = |number: usize| {
        out.push(INT);
        varint(number << 1, out);
    };
    int(rows);
    int(PLAIN);
    int(RLE);
    int(RLE);
    out.extend_from_slice(&[0, 0]);
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn too_large() -> ParquetError {
    ParquetError::General("a column chunk is too large for the format".to_owned())
}

/// The bytes of a chunk, which the writer of a row group can read.
struct Bytes<'a>(&'a [u8]);

impl Length for Bytes<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<'a> ChunkReader for Bytes<'a> {
    type T = &'a [u8];

    fn get_read(&self, start: u64) -> Result<&'a [u8]> {
        usize::try_from(start)
            .ok()
            .and_then(|start| self.0.get(start..))
            .ok_or_else(too_large)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        let bytes = self.get_read(start)?.get(..length).ok_or_else(too_large)?;
        Ok(bytes::Bytes::copy_from_slice(bytes))
    }
}

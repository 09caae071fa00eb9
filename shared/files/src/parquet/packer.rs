//! Packs the pages of all columns, with one context and one buffer that are used again.

use std::io::Write;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};

/// The percentage of a page that packing must save. Otherwise its column is not packed.
const LEAST_SAVED: usize = 20;
/// The fewest bytes of a page that decide whether a column is packed.
const TELLING_BYTES: usize = 4 * 1024;
/// The most bytes of the buffer that are kept.
const BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// The packer of all pages of a part.
pub struct Packer {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    pub fn new(compression: Compression) -> Result<Self> {
        let zstd = match compression {
            Compression::ZSTD(level) => Some(zstd::bulk::Compressor::new(level.compression_level())?),
            _ => None,
        };
        Ok(Self {
            compression,
            zstd,
            packed: Vec::new(),
        })
    }

    /// Packs the first page of a column. Returns the bytes to write and the method for the column, which is none if
    /// packing would save too little.
    pub fn pack_first<'a>(&'a mut self, page: &'a [u8]) -> Result<(&'a [u8], Compression)> {
        let compression = self.compression;
        let packed = self.pack(page, compression)?;
        if page.len() >= TELLING_BYTES && packed.len() + page.len() / 100 * LEAST_SAVED > page.len() {
            return Ok((page, Compression::UNCOMPRESSED));
        }
        Ok((packed, compression))
    }

    /// Packs a further page of a column with the method of the column.
    pub fn pack<'a>(&'a mut self, page: &'a [u8], compression: Compression) -> Result<&'a [u8]> {
        self.packed.clear();
        match (compression, &mut self.zstd) {
            (Compression::ZSTD(_), Some(zstd)) => {
                self.packed.reserve(zstd::zstd_safe::compress_bound(page.len()));
                zstd.compress_to_buffer(page, &mut self.packed)?;
            }
            (Compression::GZIP(level), _) => {
                let mut gzip = GzEncoder::new(&mut self.packed, Level::new(level.compression_level()));
                gzip.write_all(page)?;
                gzip.finish()?;
            }
            (Compression::SNAPPY, _) => {
                self.packed.resize(snap::raw::max_compress_len(page.len()), 0);
                let packed = snap::raw::Encoder::new().compress(page, &mut self.packed);
                let packed = packed.map_err(|error| ParquetError::External(Box::new(error)))?;
                self.packed.truncate(packed);
            }
            _ => return Ok(page),
        }
        Ok(&self.packed)
    }

    /// Frees the memory for a large page.
    pub fn shrink(&mut self) {
        self.packed.clear();
        self.packed.shrink_to(BUFFER_BYTES);
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

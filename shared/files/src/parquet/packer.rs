//! Packs the pages of all columns, with one context and one buffer that are used again.

use std::io::Write;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter, ParamSwitch};

/// The percentage of a sample that packing must save. Otherwise its column chunk is not packed.
const LEAST_SAVED: usize = 20;
/// The percentage by which a sample may be larger with [`Method::Literals`] than with [`Method::Full`].
const LITERALS_LOSS: usize = 10;
/// The fewest bytes of a page that decide how a column chunk is packed.
const TELLING_BYTES: usize = 4 * 1024;
/// The bytes of a page that are packed on trial.
const SAMPLE_BYTES: usize = 32 * 1024;
/// The level at which zstd looks for hardly any repetition. It takes a third of level 1's time where there is none.
const LITERALS_LEVEL: i32 = -200;
/// The logarithm of the entries that level 1 has for finding repetition. At four bytes each they fill the first cache of
/// a processor's core (32 KiB). zstd takes twice as many, which costs a tenth more time for files of the same size.
const FAST_HASH_LOG: u32 = 13;

/// How the pages of a column chunk are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The pages stay as they are, as those of random numbers should.
    Stored,
    /// zstd gives frequent bytes short codes, and does not look for repetition. Random hexadecimal text and skewed
    /// numbers come out as small as with [`Full`](Self::Full).
    Literals,
    /// The codec does all that its level says.
    Full,
}

/// The packer of all pages of a part. It has what they share, and keeps its buffers until the end, because memory for
/// values of many megabytes costs as much time as packing them.
pub struct Packer {
    compression: Compression,
    zstd: Option<Zstd>,
    packed: Vec<u8>,
    /// The buffer of a page with a value that is larger than a page.
    pub large: Vec<u8>,
}

/// The contexts of zstd, which live as long as the part.
struct Zstd {
    full: Compressor<'static>,
    literals: Compressor<'static>,
}

impl Zstd {
    fn new(level: i32) -> Result<Self> {
        let mut literals = Compressor::new(LITERALS_LEVEL)?;
        literals.set_parameter(CParameter::LiteralCompressionMode(ParamSwitch::Enable))?;
        let mut full = Compressor::new(level)?;
        if level == 1 {
            full.set_parameter(CParameter::HashLog(FAST_HASH_LOG))?;
        }
        Ok(Self { full, literals })
    }
}

impl Packer {
    pub fn new(compression: Compression) -> Result<Self> {
        let zstd = match compression {
            Compression::ZSTD(level) => Some(Zstd::new(level.compression_level())?),
            _ => None,
        };
        Ok(Self {
            compression,
            zstd,
            packed: Vec::new(),
            large: Vec::new(),
        })
    }

    /// Returns how a column chunk whose first page this is should be packed, by a sample of the page.
    pub fn method(&mut self, page: &[u8]) -> Result<Method> {
        if page.len() < TELLING_BYTES {
            return Ok(Method::Full);
        }
        let sample = &page[..page.len().min(SAMPLE_BYTES)];
        let full = self.pack(sample, Method::Full)?.len();
        let (method, packed) = match self.zstd {
            Some(_) => {
                let literals = self.pack(sample, Method::Literals)?.len();
                if literals <= full + full * LITERALS_LOSS / 100 {
                    (Method::Literals, literals)
                } else {
                    (Method::Full, full)
                }
            }
            None => (Method::Full, full),
        };
        let pays = packed + sample.len() * LEAST_SAVED / 100 <= sample.len();
        Ok(if pays { method } else { Method::Stored })
    }

    /// Returns the codec that the footer names for a column chunk packed like this.
    pub fn codec(&self, method: Method) -> Compression {
        match method {
            Method::Stored => Compression::UNCOMPRESSED,
            Method::Literals | Method::Full => self.compression,
        }
    }

    /// Packs a page. Returns the bytes to write.
    pub fn pack<'a>(&'a mut self, page: &'a [u8], method: Method) -> Result<&'a [u8]> {
        self.packed.clear();
        match (method, self.compression, &mut self.zstd) {
            (Method::Stored, ..) => return Ok(page),
            (_, Compression::ZSTD(_), Some(zstd)) => {
                self.packed.reserve(zstd_safe::compress_bound(page.len()));
                let zstd = match method {
                    Method::Literals => &mut zstd.literals,
                    Method::Stored | Method::Full => &mut zstd.full,
                };
                zstd.compress_to_buffer(page, &mut self.packed)?;
            }
            (_, Compression::GZIP(level), _) => {
                let mut gzip = GzEncoder::new(&mut self.packed, Level::new(level.compression_level()));
                gzip.write_all(page)?;
                gzip.finish()?;
            }
            (_, Compression::SNAPPY, _) => {
                self.packed.resize(snap::raw::max_compress_len(page.len()), 0);
                let packed = snap::raw::Encoder::new().compress(page, &mut self.packed);
                let packed = packed.map_err(|error| ParquetError::External(Box::new(error)))?;
                self.packed.truncate(packed);
            }
            _ => return Ok(page),
        }
        Ok(&self.packed)
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

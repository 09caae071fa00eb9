//! Where lines go: as they are, or packed.

use std::fmt;
use std::io::{self, Write};

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::format::Compression;
use tidemark::ports::files::TakeBytes;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::writing::{Writing, unfinished};

/// The bytes of lines that are collected before they are packed.
const PACK_BYTES: usize = 128 * 1024;

/// The place where lines are written, on their way to an `S`.
pub enum Lines<S: TakeBytes> {
    AsTheyAre(S),
    Packed { lines: Vec<u8>, packer: Box<Packer<S>> },
}

/// A packer of lines.
pub enum Packer<S: TakeBytes> {
    Gzip(GzEncoder<Writing<S>>),
    Zstd(ZstdEncoder<'static, Writing<S>>),
}

impl<S: TakeBytes> fmt::Debug for Lines<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsTheyAre(_) => "AsTheyAre",
            Self::Packed { .. } => "Packed",
        })
    }
}

impl<S: TakeBytes> Lines<S> {
    pub fn new(compression: Compression, bytes: S) -> Result<Self> {
        let packer = match compression {
            Compression::None => return Ok(Self::AsTheyAre(bytes)),
            Compression::Gzip => Packer::Gzip(GzEncoder::new(Writing::new(bytes), Level::default())),
            Compression::Zstd => {
                let encoder = ZstdEncoder::new(Writing::new(bytes), zstd::DEFAULT_COMPRESSION_LEVEL);
                Packer::Zstd(encoder.map_err(failed)?)
            }
        };
        Ok(Self::Packed {
            lines: Vec::new(),
            packer: Box::new(packer),
        })
    }

    /// Ends the lines. Returns where their bytes are.
    pub fn finish(self) -> Result<S> {
        match self {
            Self::AsTheyAre(bytes) => Ok(bytes),
            Self::Packed { lines, mut packer } => {
                packer.pack(&lines)?;
                packer.finish()
            }
        }
    }
}

impl<S: TakeBytes> TakeBytes for Lines<S> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Self::AsTheyAre(bytes) => bytes.buffer(),
            Self::Packed { lines, .. } => lines,
        }
    }

    fn pass_on(&mut self) -> Result<()> {
        match self {
            Self::AsTheyAre(bytes) => bytes.pass_on(),
            Self::Packed { lines, packer } if lines.len() >= PACK_BYTES => {
                packer.pack(lines)?;
                lines.clear();
                lines.shrink_to(2 * PACK_BYTES);
                Ok(())
            }
            Self::Packed { .. } => Ok(()),
        }
    }
}

impl<S: TakeBytes> Packer<S> {
    fn pack(&mut self, lines: &[u8]) -> Result<()> {
        let packed = match self {
            Self::Gzip(encoder) => encoder.write_all(lines),
            Self::Zstd(encoder) => encoder.write_all(lines),
        };
        packed.map_err(|error| self.failed(error))
    }

    fn finish(mut self) -> Result<S> {
        let ended = match &mut self {
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        };
        ended.map_err(|error| self.failed(error))?;
        self.writing().take().ok_or_else(unfinished)
    }

    fn writing(&mut self) -> &mut Writing<S> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    /// Returns the error of packing: that of whoever takes the bytes, if they were not taken.
    fn failed(&mut self, error: io::Error) -> Error {
        self.writing().failure().unwrap_or_else(|| failed(error))
    }
}

fn failed(error: io::Error) -> Error {
    Error::with_source(ErrorCode::Internal, "the part cannot be compressed", error)
}

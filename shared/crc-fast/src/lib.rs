//! The three CRCs that Amazon S3 knows, under the names that the AWS SDK calls them by.
//!
//! `[patch.crates-io]` puts this crate in the place of `crc-fast`, which `aws-smithy-checksums` computes checksums with. That
//! one chooses among a hundred CRCs at run time, so that every function would link the tables of all of them: 0.6 MB of
//! its package, a fifth of what it may weigh. The computing is done by the crates that exist for these three. What
//! the SDK might need beyond this interface does not compile.

use crc64fast_nvme::Digest as Crc64Nvme;

/// Which CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// That of zip and Ethernet; S3 says `CRC32`.
    Crc32IsoHdlc,
    /// Castagnoli's; S3 says `CRC32C`.
    Crc32Iscsi,
    /// That of NVM Express; S3 says `CRC64NVME`.
    Crc64Nvme,
}

/// The checksum of bytes that come piece by piece.
#[derive(Clone)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    IsoHdlc(crc32fast::Hasher),
    Iscsi(u32),
    Nvme(Crc64Nvme),
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Digest").field(&self.clone().finalize()).finish()
    }
}

impl Digest {
    /// Of no bytes yet.
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::IsoHdlc(crc32fast::Hasher::new()),
            CrcAlgorithm::Crc32Iscsi => State::Iscsi(0),
            CrcAlgorithm::Crc64Nvme => State::Nvme(Crc64Nvme::new()),
        })
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::IsoHdlc(hasher) => hasher.update(bytes),
            State::Iscsi(sum) => *sum = crc32c::crc32c_append(*sum, bytes),
            State::Nvme(digest) => digest.write(bytes),
        }
    }

    /// The checksum of all bytes, in the low bits.
    #[must_use]
    pub fn finalize(self) -> u64 {
        match self.0 {
            State::IsoHdlc(hasher) => hasher.finalize().into(),
            State::Iscsi(sum) => sum.into(),
            State::Nvme(digest) => digest.sum64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of <https://reveng.sourceforge.io/crc-catalogue/all.htm>.
    #[test]
    fn each_has_its_check_value_however_the_bytes_come() {
        for (algorithm, check) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            for cut in 0..9 {
                let (first, second) = b"123456789".split_at(cut);
                let mut digest = Digest::new(algorithm);
                digest.update(first);
                digest.update(second);
                assert_eq!(digest.finalize(), check, "{algorithm:?}, cut at {cut}");
            }
        }
    }
}

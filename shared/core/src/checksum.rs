//! CRC-64/NVME, the checksum that S3 keeps for whole objects
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc64fast_nvme::Digest;

/// The checksum of bytes that come piece by piece.
pub struct Crc64Nvme(Digest);

impl fmt::Debug for Crc64Nvme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Crc64Nvme").field(&self.base64()).finish()
    }
}

impl Default for Crc64Nvme {
    fn default() -> Self {
        Self(Digest::new())
    }
}

impl Crc64Nvme {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Returns the checksum as S3 shows it: base64 of the big-endian value.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0.sum64().to_be_bytes())
    }
}

/// Returns the checksum of `bytes` as 16 hexadecimal digits.
#[must_use]
pub fn crc64nvme_hex(bytes: &[u8]) -> String {
    let mut checksum = Digest::new();
    checksum.write(bytes);
    format!("{:016x}", checksum.sum64())
}

/// Returns the checksum of `bytes` as S3 shows it: base64 of the big-endian value.
#[must_use]
pub fn crc64nvme_base64(bytes: &[u8]) -> String {
    let mut checksum = Crc64Nvme::default();
    checksum.update(bytes);
    checksum.base64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm() {
        // The catalogue of parametrised CRC algorithms gives AE8B14860A799888 for CRC-64/NVME of "123456789".
        assert_eq!(crc64nvme_base64(b"123456789"), "rosUhgp5mIg=");
        assert_eq!(crc64nvme_base64(b""), "AAAAAAAAAAA=");
        assert_eq!(crc64nvme_hex(b"123456789"), "ae8b14860a799888");
        let mut pieces = Crc64Nvme::default();
        pieces.update(b"1234");
        pieces.update(b"56789");
        assert_eq!(pieces.base64(), "rosUhgp5mIg=");
    }
}

//! CRC-64/NVME, the checksum that S3 keeps for whole objects
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc64fast_nvme::Digest;

/// The polynomial of CRC-64/NVME without its highest power. The highest bit is the coefficient of x^0, as in every number
/// here.
const POLYNOMIAL: u64 = 0x9A6C_9329_AC4B_C9B5;
/// The polynomial 1.
const ONE: u64 = 1 << 63;

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

/// Returns the checksum of an object from those of its pieces, in order, each with its number of bytes. All checksums are
/// as S3 shows them. It is `None` if a checksum is not one.
///
/// The crate that computes the checksums cannot join them.
#[must_use]
pub fn crc64nvme_of_pieces<'a>(pieces: impl IntoIterator<Item = (&'a str, u64)>) -> Option<String> {
    let mut whole = 0;
    for (checksum, bytes) in pieces {
        let decoded: [u8; 8] = STANDARD.decode(checksum).ok()?.try_into().ok()?;
        // What comes before a piece is multiplied by x^8 for each byte of the piece.
        whole = product(whole, eighth_power_of_x(bytes)) ^ u64::from_be_bytes(decoded);
    }
    Some(STANDARD.encode(whole.to_be_bytes()))
}

/// Multiplies polynomials over GF(2), modulo the one of the checksum.
fn product(one: u64, mut other: u64) -> u64 {
    let mut product = 0;
    for power in 0..64 {
        if one & (ONE >> power) != 0 {
            product ^= other;
        }
        other = (other >> 1) ^ if other & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    product
}

/// Returns x^(8·n), modulo the polynomial of the checksum.
fn eighth_power_of_x(mut n: u64) -> u64 {
    let (mut power, mut square) = (ONE, ONE >> 8);
    while n > 0 {
        if n & 1 == 1 {
            power = product(power, square);
        }
        square = product(square, square);
        n >>= 1;
    }
    power
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
    #[test]
    fn the_checksums_of_pieces_give_that_of_the_whole() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|byte| (byte % 251) as u8).collect();
        for sizes in [
            vec![20_000],
            vec![1, 19_999],
            vec![0, 4_096, 0, 12_000, 3_904, 0],
            vec![0],
        ] {
            let (mut start, mut pieces) = (0, Vec::new());
            for size in sizes {
                pieces.push((crc64nvme_base64(&bytes[start..start + size]), size as u64));
                start += size;
            }
            let pieces = pieces.iter().map(|(checksum, bytes)| (checksum.as_str(), *bytes));
            assert_eq!(crc64nvme_of_pieces(pieces).unwrap(), crc64nvme_base64(&bytes[..start]));
        }
        assert_eq!(crc64nvme_of_pieces([("AAAAAAAAAAA=", 1), ("not one", 1)]), None);
    }
}

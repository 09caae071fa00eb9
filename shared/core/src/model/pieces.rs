//! The sizes of the pieces of an upload.
//!
//! An upload has at most 10,000 pieces. So that a large slice fits into one, later pieces are larger than the first
//! ones: the size doubles every 1,000 pieces, up to [`MOST_PIECE_BYTES`]. From 8 MiB on that is room for 492 GiB, and
//! the first 7 GiB are uploaded as if nothing grew.

/// The size of the first pieces of an upload, where the deployment does not give another. Most deltas fit into one.
pub const PIECE_BYTES: usize = 8 * 1024 * 1024;
/// The largest size that a piece grows to. At most four pieces of an upload are in memory at once.
pub const MOST_PIECE_BYTES: usize = 64 * 1024 * 1024;
/// The most pieces that an upload can have. Amazon S3 takes no more.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MOST_PIECES: u32 = 10_000;

/// How many pieces have one size before it doubles.
const OF_ONE_SIZE: u32 = 1_000;

/// Returns the size of a piece, counted from 1, of an upload whose first pieces have `first` bytes.
#[must_use]
pub const fn piece_bytes(first: usize, number: u32) -> usize {
    let most = if first > MOST_PIECE_BYTES {
        first
    } else {
        MOST_PIECE_BYTES
    };
    let mut doublings = number.saturating_sub(1) / OF_ONE_SIZE;
    let mut size = first;
    while doublings > 0 && size < most {
        size = size.saturating_mul(2);
        doublings -= 1;
    }
    if size > most { most } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_up_to_a_limit_and_never_shrink() {
        let mib = 1024 * 1024;
        for (first, number, size) in [
            (8, 1, 8),
            (8, 1_000, 8),
            (8, 1_001, 16),
            (8, 2_001, 32),
            (8, 3_001, 64),
            (8, 10_000, 64),
            (5, 4_001, 64),
            (64, 10_000, 64),
            (70, 10_000, 70),
        ] {
            assert_eq!(piece_bytes(first * mib, number), size * mib, "{first} {number}");
        }
        let room: usize = (1..=MOST_PIECES).map(|number| piece_bytes(PIECE_BYTES, number)).sum();
        assert_eq!(room / (1024 * mib), 492);
    }
}

//! The unit tests of `src/value/compute.rs`.

use super::*;

#[test]
fn integers_overflow_at_their_type() {
    assert_eq!(integers(b'+', 2_147_483_647, 1, Ty::Int).unwrap_err().number, 8115);
    assert_eq!(integers(b'/', 7, 2, Ty::Int).unwrap(), 3);
    assert_eq!(integers(b'/', 7, 0, Ty::Int).unwrap_err().number, 8134);
}

#[test]
fn decimals_keep_their_digits() {
    assert_eq!(decimals(b'/', (1, 0), (3, 0), 18, 6).unwrap(), 333_333);
    assert_eq!(decimals(b'*', (125, 2), (20, 1), 10, 3).unwrap(), 2500);
    assert_eq!(decimals(b'+', (1, 1), (1, 2), 5, 2).unwrap(), 11);
}

//! The unit tests of `src/value/datum.rs`.

use super::*;

#[test]
fn stored_decimals_and_offsets_order_as_values() {
    let values = [i128::MIN / 2, -10_i128.pow(37), -1, 0, 1, 5, 10_i128.pow(37)];
    assert!(values.windows(2).all(|w| decimal_blob(w[0]) < decimal_blob(w[1])));
    assert!(offset_blob(5, 840) < offset_blob(6, -840));
    assert_eq!(blob_offset(&offset_blob(5, -330)).unwrap(), (5, -330));
}

#[test]
fn rescaling_rounds_half_away_from_zero() {
    assert_eq!(rescale(125, 2, 1), Some(13));
    assert_eq!(rescale(-125, 2, 1), Some(-13));
    assert_eq!(rescale(124, 2, 1), Some(12));
    assert_eq!(rescale(1, 0, 38), Some(10_i128.pow(38)));
}

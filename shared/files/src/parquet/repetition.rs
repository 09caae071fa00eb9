//! Whether the values of a column repeat so often that a dictionary pays, told by a sample.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// Values of a sample at most.
const SAMPLE: usize = 4_096;
/// Fewer values say nothing.
const TELLING_SAMPLE: usize = 512;
/// In percent of the sample: with more distinct values, the dictionary would be given up soon.
const MOST_DISTINCT: usize = 75;

/// Whether a dictionary is worth trying. It is given up by itself when it grows beyond `dictionary_bytes`.
pub fn may_pay(array: &ArrayRef, dictionary_bytes: usize) -> bool {
    if array.data_type() != &DataType::Utf8 {
        return true;
    }
    let texts = array.as_string::<i32>();
    let mut distinct = HashSet::new();
    let (mut sampled, mut distinct_bytes) = (0, 0);
    // From all over the batch: rows that lie together are alike.
    for index in (0..texts.len())
        .step_by(texts.len() / SAMPLE + 1)
        .filter(|index| texts.is_valid(*index))
    {
        let text = texts.value(index);
        sampled += 1;
        if distinct.insert(text) {
            distinct_bytes += text.len();
        }
    }
    distinct_bytes <= dictionary_bytes && (sampled < TELLING_SAMPLE || distinct.len() * 100 <= sampled * MOST_DISTINCT)
}

//! Estimates from a sample whether the values of a column repeat so often that a dictionary pays.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// The most values of a sample.
const SAMPLE: usize = 4_096;
/// The fewest values of a sample that allow an estimate.
const TELLING_SAMPLE: usize = 512;
/// The highest percentage of distinct values in the sample. With more, the dictionary would soon be given up.
const MOST_DISTINCT: usize = 75;

/// Returns whether a dictionary is worth trying. The writer gives it up when it grows beyond `dictionary_bytes`.
pub fn may_pay(array: &ArrayRef, dictionary_bytes: usize) -> bool {
    if array.data_type() != &DataType::Utf8 {
        return true;
    }
    let texts = array.as_string::<i32>();
    let mut distinct = HashSet::new();
    let (mut sampled, mut distinct_bytes) = (0, 0);
    // The sample comes from the whole batch, because neighbouring rows are alike.
    for index in (0..texts.len())
        .step_by(texts.len() / SAMPLE + 1)
        .filter(|index| texts.is_valid(*index))
    {
        let text = texts.value(index);
        sampled += 1;
        // A text of many megabytes is not even hashed.
        if text.len() > dictionary_bytes {
            return false;
        }
        if distinct.insert(text) {
            distinct_bytes += text.len();
        }
        if distinct_bytes > dictionary_bytes {
            return false;
        }
    }
    sampled < TELLING_SAMPLE || distinct.len() * 100 <= sampled * MOST_DISTINCT
}

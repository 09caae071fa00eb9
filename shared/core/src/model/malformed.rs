//! The number of texts that could not be decoded as they are, by column.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The number of values of each column in which something malformed was replaced by U+FFFD. A column without such a
/// value is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MalformedTexts(BTreeMap<String, u64>);

impl MalformedTexts {
    /// Returns whether no text was malformed. Serde takes it by reference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `values` to the count of `column`.
    pub fn count(&mut self, column: &str, values: u64) {
        if values > 0 {
            let counted = self.0.entry(column.to_owned()).or_default();
            *counted = counted.saturating_add(values);
        }
    }

    /// Returns the columns in the order of their names, each with the number of its values.
    pub fn columns(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(column, values)| (column.as_str(), *values))
    }

    /// Returns the number of values of all columns.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |total, values| total.saturating_add(*values))
    }

    /// Adds up several counts.
    #[must_use]
    pub fn sum<'a>(counts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for (column, values) in counts.into_iter().flat_map(Self::columns) {
            sum.count(column, values);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::MalformedTexts;

    #[test]
    fn counts_of_several_slices_add_up_by_column() {
        let mut one = MalformedTexts::default();
        one.count("name", 2);
        one.count("city", 0);
        let mut other = MalformedTexts::default();
        other.count("name", 1);
        other.count("note", u64::MAX);
        let sum = MalformedTexts::sum([&one, &other]);
        assert_eq!(sum.columns().collect::<Vec<_>>(), [("name", 3), ("note", u64::MAX)]);
        assert_eq!(sum.total(), u64::MAX);
        assert!(MalformedTexts::sum([]).is_empty());
    }
}

//! The name of a slice within its window.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorCode};
use crate::model::names::printable;

/// The name of a slice: its number in the plan or, when a slice of the plan was split, the numbers that lead to one of
/// the slices it was split into: `3`, `3.0`, `3.0.2`.
///
/// In JSON a slice of the plan is a number, and any other slice is a text. The order of the names is that of the rows'
/// ranges.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceId {
    number: u32,
    within: Vec<u32>,
}

impl SliceId {
    /// The most numbers in a name. A slice is split into about eight, so one with six numbers is about a 32,768th of
    /// what was planned.
    pub const MAX_DEPTH: usize = 6;

    /// Makes the name of the slice with this number in the plan.
    #[must_use]
    pub const fn planned(number: u32) -> Self {
        let within = Vec::new();
        Self { number, within }
    }

    /// Returns the number, in the plan, of the slice that this one is or is a part of.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns the numbers that lead from that slice to this one. There are none when it was not split.
    #[must_use]
    pub fn within(&self) -> &[u32] {
        &self.within
    }

    /// Returns the slice with this number among those that this one is split into, or `None` when it may not be split
    /// any further.
    #[must_use]
    pub fn sub_slice(&self, number: u32) -> Option<Self> {
        let mut id = self.clone();
        id.within.push(number);
        (id.within.len() < Self::MAX_DEPTH).then_some(id)
    }

    /// Returns the name as it stands in keys: `00003.00000`.
    pub(crate) fn key_segment(&self) -> String {
        let numbers: Vec<_> = self.numbers().map(|number| format!("{number:05}")).collect();
        numbers.join(".")
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.number).chain(self.within.iter().copied())
    }
}

impl From<u32> for SliceId {
    fn from(number: u32) -> Self {
        Self::planned(number)
    }
}

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.numbers().map(|number| number.to_string()).collect();
        f.write_str(&numbers.join("."))
    }
}

impl FromStr for SliceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let mut numbers = text.split('.').map(str::parse);
            let mut id = Self::planned(numbers.next()?.ok()?);
            for number in numbers {
                id = id.sub_slice(number.ok()?)?;
            }
            // A name with a sign or a leading zero is refused, so that a slice has one name.
            (id.to_string() == text).then_some(id)
        };
        read().ok_or_else(|| {
            let message = format!("'{}' is not the name of a slice", printable(text));
            Error::new(ErrorCode::InvalidInput, message)
        })
    }
}

impl Serialize for SliceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.within.is_empty() {
            serializer.serialize_u32(self.number)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for SliceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText)
    }
}

struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = SliceId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a slice, or numbers like \"3.0\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SliceId, E> {
        let number = u32::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))?;
        Ok(SliceId::planned(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SliceId, E> {
        let id = text.parse().ok().filter(|id: &SliceId| !id.within.is_empty());
        id.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(id: &SliceId) -> String {
        serde_json::to_string(id).unwrap()
    }

    #[test]
    fn a_slice_of_the_plan_is_a_number_and_a_sub_slice_a_text() {
        let three = SliceId::planned(3);
        let within = three.sub_slice(0).unwrap().sub_slice(12).unwrap();
        assert_eq!((json(&three), json(&within)), ("3".into(), "\"3.0.12\"".into()));
        for id in [&three, &within] {
            assert_eq!(serde_json::from_str::<SliceId>(&json(id)).unwrap(), *id);
            assert_eq!(id.to_string().parse::<SliceId>().unwrap(), *id);
        }
        assert_eq!(within.key_segment(), "00003.00000.00012");
        assert_eq!((within.number(), within.within()), (3, &[0, 12][..]));
    }

    #[test]
    fn a_slice_has_one_name_and_it_leads_nowhere_else() {
        for text in [
            "",
            ".",
            "3.",
            "03",
            "+3",
            "3.00",
            "-1",
            "3/0",
            "4294967296",
            "0.0.0.0.0.0.0",
        ] {
            assert!(text.parse::<SliceId>().is_err(), "{text}");
            assert!(serde_json::from_value::<SliceId>(text.into()).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<SliceId>("\"3\"").is_err());
        for number in ["-1", "1.5", "4294967296"] {
            assert!(serde_json::from_str::<SliceId>(number).is_err(), "{number}");
        }
    }

    #[test]
    fn slices_are_in_the_order_of_their_rows() {
        let id = |text: &str| text.parse::<SliceId>().unwrap();
        let in_order = ["2", "3.0", "3.1.0", "3.1.10", "3.2", "10"].map(id);
        assert!(in_order.is_sorted());
    }

    #[test]
    fn a_slice_is_not_split_without_end() {
        let mut id = SliceId::planned(0);
        let mut depth = 1;
        while let Some(sub_slice) = id.sub_slice(0) {
            (id, depth) = (sub_slice, depth + 1);
        }
        assert_eq!(depth, SliceId::MAX_DEPTH);
    }
}

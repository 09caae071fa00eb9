//! Finding fields that an object has more than once. A reader of JSON takes the last of them in silence.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Returns the path of every field that is in its object already. What is no JSON has none.
pub(crate) fn fields(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let scan = Scan {
        path: String::new(),
        found: &mut found,
    };
    // The text was read before, so this does not fail.
    drop(scan.deserialize(&mut reader));
    found
}

/// Looks at a value and at everything in it.
struct Scan<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl Scan<'_> {
    fn within(&mut self, path: String) -> Scan<'_> {
        Scan {
            path,
            found: self.found,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = if self.path.is_empty() {
                name.clone()
            } else {
                format!("{}.{name}", self.path)
            };
            if !seen.insert(name) {
                self.found.push(path.clone());
            }
            fields.next_value_seed(self.within(path))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let path = format!("{}[{index}]", self.path);
            if items.next_element_seed(self.within(path))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_is_found_at_every_depth() {
        let text = r#"{"a": [1, {"b": null, "c": {"d": 1.5, "d": true, "d": "x"}, "b": -1}], "a": []}"#;
        assert_eq!(fields(text), ["a[1].c.d", "a[1].c.d", "a[1].b", "a"]);
        assert_eq!(fields(r#"{"a": {"b": 1}, "c": {"b": 1}}"#), [""; 0]);
    }
}

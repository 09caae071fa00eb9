//! What somebody changes in a document: each of its texts, and each name in a map of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::scene::{Scene, Table};

/// The texts that somebody writes in place of others: names of things that exist and are not those of the event, and
/// characters that would end a name, a type, a literal or a key.
pub const HOSTILE: [&str; 8] = [
    "dbo.secrets",
    "from-99",
    "7",
    "'; DROP TABLE t; --",
    "x] FROM secrets --",
    "bigint); DROP TABLE t; --",
    "../x",
    "../../../../../x",
];

/// The fields of documents that are maps. Their keys are texts, too.
const MAPS: [&str; 2] = ["/field_ids", "/malformed_texts"];

/// A text of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// The value at this place.
    Value(String),
    /// A key of the map at this place.
    Key { map: String, key: String },
}

impl Text {
    /// Returns the place of the text. Keys of maps have one place together.
    fn place(&self) -> String {
        match self {
            Self::Value(place) => place.clone(),
            Self::Key { map, .. } => format!("{map}/*"),
        }
    }

    /// Replaces the text in the document.
    fn replace(&self, document: &mut Value, hostile: &str) {
        match self {
            Self::Value(place) => *document.pointer_mut(place).unwrap() = hostile.into(),
            Self::Key { map, key } => {
                let map = document.pointer_mut(map).unwrap().as_object_mut().unwrap();
                let value = map.remove(key).unwrap();
                map.insert(hostile.to_owned(), value);
            }
        }
    }
}

/// Returns the texts of a document.
fn texts(document: &Value) -> Vec<Text> {
    fn walk(value: &Value, at: &str, found: &mut Vec<Text>) {
        match value {
            Value::String(_) => found.push(Text::Value(at.to_owned())),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                if MAPS.contains(&at) {
                    found.extend(keys(fields, at));
                }
                for (key, item) in fields {
                    walk(item, &format!("{at}/{key}"), found);
                }
            }
            _ => {}
        }
    }
    fn keys(fields: &Map<String, Value>, at: &str) -> impl Iterator<Item = Text> {
        fields.keys().map(move |key| Text::Key {
            map: at.to_owned(),
            key: key.clone(),
        })
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

/// Returns the kinds of places at which a document has texts: a list has one kind of place, however long it is.
pub fn kinds(document: &Value) -> BTreeSet<String> {
    let kind = |text: &Text| {
        let place = text.place();
        let parts = place.split('/');
        let parts = parts.map(|part| if part.parse::<u32>().is_ok() { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    texts(document).iter().map(kind).collect()
}

/// Replaces every text of the document by every hostile one, each in a copy of the scene, and takes every step. Returns
/// what was tried and how much of it was refused.
pub async fn tamper<T: Table>(scene: impl Future<Output = Scene<T>>, document: &str) -> Cases {
    let template = scene.await;
    let key = template.key(document);
    let whole = template.document(&key);
    let mut cases = Cases::default();
    for text in texts(&whole) {
        for hostile in HOSTILE {
            let mut tampered = whole.clone();
            text.replace(&mut tampered, hostile);
            if tampered == whole {
                continue;
            }
            let scene = template.copied();
            scene.store.overwrite(&key, tampered.to_string().into());
            let errors = scene.every_step().await;
            scene.check(&errors, &format!("{document}{} is {hostile}", text.place()));
            cases.all += 1;
            cases.refused += usize::from(!errors.is_empty());
        }
    }
    cases.places = texts(&whole).iter().map(Text::place).collect();
    cases
}

/// What was tried.
#[derive(Debug, Default)]
pub struct Cases {
    /// The places that were changed.
    pub places: Vec<String>,
    /// The number of cases.
    pub all: usize,
    /// The number of cases that a step refused.
    pub refused: usize,
}

impl Cases {
    /// Checks that the tampering reached these places.
    pub fn holds(&self, places: &[&str]) {
        for place in places {
            assert!(
                self.places.iter().any(|reached| reached == place),
                "{place} in {:?}",
                self.places
            );
        }
        assert!(self.all >= places.len() * HOSTILE.len() - 1, "{self:?}");
    }

    /// Checks that the tampering reached these places, and that most of it was refused.
    pub fn reached(&self, places: &[&str]) {
        self.holds(places);
        assert!(self.refused * 2 > self.all, "{self:?}");
    }
}

//! What a column of a copy holds when it is not what the source's column holds: what a mask leaves of it, or a fact
//! about the copy itself.

use serde::{Deserialize, Serialize};

use crate::model::moment::Moment;

/// What the values of a column are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The values of the source's column.
    #[default]
    OfSource,
    /// What SQL Server's own mask shows of the values of the source's column to a login that may not unmask them. They are held
    /// as the values are.
    ServerMask,
    /// Text: what this mask leaves of the values of the source's column.
    Masked(Mask),
    /// A fact about the copy itself, for which the source has no column.
    Audit(Audit),
}

impl Values {
    /// Returns whether this is the default. Serde takes it by reference.
    #[must_use]
    pub fn is_of_source(&self) -> bool {
        *self == Self::OfSource
    }
}

/// What is left of the values of a column that nobody is to read. NULL stays NULL. Every mask begins with the text form
/// of a value, which is the same in every file format (docs/reference/types.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// The HMAC-SHA-256 of the text in UTF-8, with a key that the deployment names, as 64 hexadecimal digits in lower
    /// case. Equal texts have equal hashes in every table, run and format, as long as the key is the same.
    Hash,
    /// NULL, whatever the value is.
    Null,
    /// The last four characters of the text, without blanks at its end. A text of four characters or fewer would be
    /// there in full, and becomes the empty text instead.
    Last4,
}

impl Mask {
    /// Returns the name that users write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Null => "null",
            Self::Last4 => "last4",
        }
    }
}

/// A fact about the copy. It is the same for every attempt at a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audit {
    /// The name of the window.
    Window(String),
    /// When the window was frozen.
    CopiedAt(Moment),
    /// How the row came to be in the window.
    Operation(Operation),
}

/// How rows came to be in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// By a full load: `I`.
    Load,
    /// Because their watermark has grown: `U`. A watermark does not tell whether a row was inserted or updated.
    Growth,
    /// As change tracking says of each row: `I`, `U` or `D`.
    Tracked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_by_their_names() {
        let json = |values: &Values| serde_json::to_string(values).unwrap();
        assert_eq!(json(&Values::Masked(Mask::Last4)), r#"{"masked":"last4"}"#);
        assert_eq!(json(&Values::ServerMask), r#""server_mask""#);
        let window = Values::Audit(Audit::Window("initial".into()));
        assert_eq!(json(&window), r#"{"audit":{"window":"initial"}}"#);
        assert_eq!(serde_json::from_str::<Values>(&json(&window)).unwrap(), window);
        let copied_at = Values::Audit(Audit::CopiedAt(Moment::of(time::OffsetDateTime::UNIX_EPOCH)));
        assert_eq!(json(&copied_at), r#"{"audit":{"copied_at":"1970-01-01T00:00:00Z"}}"#);
        for mask in [Mask::Hash, Mask::Null, Mask::Last4] {
            assert_eq!(serde_json::to_string(&mask).unwrap(), format!("\"{}\"", mask.name()));
        }
    }
}

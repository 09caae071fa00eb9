//! A column of the sink's as its catalog describes it.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorCode, Result};
use crate::types::SqlType;

/// A column of a sink table, or of a table type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkColumn {
    /// The name as the server spells it.
    pub name: String,
    /// The type, or the server's name of one that Tidemark does not know.
    pub sql_type: std::result::Result<SqlType, String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether the server numbers the rows.
    pub identity: bool,
    /// Whether the server computes the value.
    pub computed: bool,
    /// Whether the column has a default.
    pub defaulted: bool,
    /// The collation of text.
    pub collation: Option<Collation>,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
}

/// The name of a collation, which a statement takes only without brackets: letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation(pub(super) String);

impl FromStr for Collation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(Self(name.to_owned()));
        }
        let message = format!("'{}' is not the name of a collation", name.escape_default());
        Err(Error::new(ErrorCode::SchemaMismatch, message))
    }
}

impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

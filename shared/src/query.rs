//! The text of every statement Tidemark sends. No query text is built anywhere else, whichever driver runs it.
//!
//! Values are always parameters; identifiers are always in brackets.

use serde::{Deserialize, Serialize};

/// A statement and its parameters.
///
/// Parameters are text, bound as `nvarchar` to `@P1`, `@P2`, … in order; the statement casts each to the type it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The statement.
    pub sql: String,
    /// The values of `@P1`, `@P2`, ….
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

//! Standard input, which can be one thing only.

use std::io::{Stdin, stdin};
use std::sync::OnceLock;

use tidemark::error::{Error, ErrorCode, Result};

/// What standard input is.
static TAKEN: OnceLock<&'static str> = OnceLock::new();

/// Returns standard input, which `what` is read from.
///
/// Errors: `InvalidInput` when something else is read from it already.
pub(crate) fn open(what: &'static str) -> Result<Stdin> {
    TAKEN.set(what).map(|()| stdin()).map_err(|_| {
        let first = TAKEN.get().copied().unwrap_or_default();
        let message = format!(
            "standard input is {first} already, and cannot be {what} as well: name a file, or set TIDEMARK_PASSWORD"
        );
        Error::new(ErrorCode::InvalidInput, message)
    })
}

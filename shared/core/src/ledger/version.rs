//! The version of the form of the ledger's documents.

use crate::error::{Error, ErrorCode, Result};
use crate::model::plan::VERSION;

/// Checks that the document at `key` has the form that this Tidemark knows.
pub(super) fn check_version(key: &str, version: u32) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let message = format!(
        "{key} has version {version}, and this Tidemark knows version {VERSION}: use the version that wrote it"
    );
    Err(Error::new(ErrorCode::LedgerInvalid, message))
}

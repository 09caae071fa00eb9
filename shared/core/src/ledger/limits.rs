//! How much the ledger does at once, and how often it tries.

/// How many documents are read, or uploads completed, at once. A window may have hundreds of them.
pub const AT_ONCE: usize = 16;
/// How often a document that others change meanwhile is read again.
pub(crate) const TRIES: u32 = 8;

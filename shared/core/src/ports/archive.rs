//! Moving objects out of the way. Only the command of an operator does that; the deployed functions may not.

use crate::error::Result;

/// This is for listing and moving objects of the bucket.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ArchiveObjects {
    /// Returns the keys of all objects that begin with `prefix`, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// Moves the object at `from` to `to`: a copy, then a removal. May be repeated: what is no longer at `from` is moved.
    async fn archive(&self, from: &str, to: &str) -> Result<()>;
}

//! Moving objects out of the way. Only an operator's command does that; the deployed functions may not.

use crate::error::Result;

/// Lists and moves objects of the bucket.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ArchiveObjects {
    /// Returns the keys of all objects that begin with `prefix`, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// Moves the object at `from` to `to`: a copy, then a removal. It may be repeated: when nothing is at `from` any
    /// more, the object has been moved.
    async fn archive(&self, from: &str, to: &str) -> Result<()>;
}

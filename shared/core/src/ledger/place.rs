//! Where the files and the ledgers of tables are.

/// A bucket, and the prefix in it below which everything of the tables is.
#[derive(Debug)]
pub struct Place<'a, S> {
    /// The bucket.
    pub store: &'a S,
    /// The prefix in the bucket.
    pub prefix: &'a str,
}

impl<'a, S> Place<'a, S> {
    /// Names this prefix in this bucket.
    pub const fn new(store: &'a S, prefix: &'a str) -> Self {
        Self { store, prefix }
    }
}

impl<S> Clone for Place<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Place<'_, S> {}

//! The attentions of one connection, by which its client takes a request back.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of attentions that came, and of those that were answered.
#[derive(Debug, Default)]
pub struct Attention {
    seen: AtomicU64,
    answered: AtomicU64,
}

impl Attention {
    /// Notes that one has come.
    pub fn note(&self) {
        self.seen.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that one is being answered.
    pub fn answer(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns whether one waits for its answer.
    pub fn waiting(&self) -> bool {
        self.seen.load(Ordering::SeqCst) > self.answered.load(Ordering::SeqCst)
    }
}

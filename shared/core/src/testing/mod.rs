//! Fakes of the ports, in memory: real modules with the behaviour of the real things, for handler and pipeline tests.

#[cfg(feature = "encode")]
mod merge;
mod objects;
mod source;
mod tracked;
mod watermarks;

#[cfg(feature = "encode")]
pub use merge::{MemorySink, MemoryStaged};
pub use objects::MemoryStore;
pub use source::MemoryTable;
pub use tracked::MemoryTracked;
pub use watermarks::MemoryWatermarks;

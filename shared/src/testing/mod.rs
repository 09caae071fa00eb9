//! Fakes of the ports, in memory: real modules with the behaviour of the real things, for handler and pipeline tests.

mod objects;
mod source;
mod tracked;
mod watermarks;

pub use objects::MemoryStore;
pub use source::MemoryTable;
pub use tracked::MemoryTracked;
pub use watermarks::MemoryWatermarks;

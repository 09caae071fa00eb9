//! The ports in memory: implementations that behave as the real ones do, for tests of the steps. And a whole run of the
//! steps, over any ports.
//!
//! The tables hold whole numbers, of a type that they call `bigint`. A file is a line of text for each row.

mod database;
pub mod documents;
pub mod faults;
mod files;
mod objects;
pub mod pipeline;
mod read;
mod reported;
mod sink;
pub mod slow_reader;
mod table;
mod tracked;
mod types;
mod watermarks;
pub mod world;

pub use self::database::MemoryDatabase;
pub use self::files::{MemoryBatch, MemoryFiles, MemoryValue};
pub use self::objects::{MemoryStore, TestStore};
pub use self::read::ReadShared;
pub use self::reported::Reported;
pub use self::sink::{MemorySink, MemoryStaged};
pub use self::table::MemoryTable;
pub use self::tracked::MemoryTracked;
pub use self::types::{bigint, declared, version};
pub use self::watermarks::MemoryWatermarks;

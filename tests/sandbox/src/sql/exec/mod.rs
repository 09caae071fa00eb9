//! Runs statements: one [`Session`] per connection.

mod alter;
mod applock;
mod bulk;
mod control;
mod database;
mod ddl;
mod dml;
mod errors;
mod index;
mod insert;
mod isolation;
mod merge;
mod modules;
mod objects;
mod options;
mod procedure;
mod query;
mod rights;
mod session;
mod sink;
mod statement;
mod statistics;
mod storage;
mod system;
mod table_types;
pub(crate) mod tracking;
mod tracking_settings;
mod transaction;
pub mod versions;

pub use options::Options;
pub use procedure::Argument;
pub use session::{Session, Variable};
pub use sink::{Collected, ResultSet, Sink, Transition};
pub use transaction::Manager;

/// Where a statement leaves the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// On to the next statement.
    Next,
    /// `RETURN` with a status.
    Return(i32),
    /// An error ended the batch; it has been reported.
    Abort,
}

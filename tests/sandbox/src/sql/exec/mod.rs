//! The execution of statements, in one [`Session`] for each connection.

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
mod results;
mod rights;
mod session;
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
pub use results::{Collected, ResultSet, TakeResults, Transition};
pub use session::{Session, Variable};
pub use transaction::Manager;

/// The way on after a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next statement runs.
    Next,
    /// A `RETURN` ended the procedure or batch, with a status.
    Return(i32),
    /// An error ended the batch. It has been reported.
    Abort,
}

//! What the steps need from the outside, as traits of a few methods, split by permission.
//!
//! The traits take windows, slices, changes and keys; no statement passes through them. A port that reaches a database
//! fails with a [`Failure`](crate::error::Failure), and the step adds what the database is used for. A port that
//! reaches the bucket fails with an error of the sink.

pub mod archive;
pub mod changes;
pub mod files;
pub mod objects;
pub mod rows;
pub mod secrets;
pub mod sink_table;
pub mod source;
pub mod tokens;
pub mod watermarks;

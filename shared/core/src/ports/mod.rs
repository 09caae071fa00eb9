//! What the steps need from the outside, as traits of a few methods, split by permission.
//!
//! They speak of windows, slices, changes and keys; no statement passes through them. What reaches a database fails with a
//! [`Failure`](crate::error::Failure); the step says what the database is used for. What reaches the bucket fails with an error
//! of the sink.

pub mod archive;
pub mod changes;
pub mod files;
pub mod merge;
pub mod objects;
pub mod rows;
pub mod secrets;
pub mod source;
pub mod tokens;
pub mod watermarks;

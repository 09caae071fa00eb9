//! What the steps need from the outside, as traits of one to three methods, split by permission.

pub mod changes;
#[cfg(feature = "encode")]
pub mod merge;
pub mod objects;
#[cfg(feature = "encode")]
pub mod rows;
pub mod source;
pub mod watermarks;

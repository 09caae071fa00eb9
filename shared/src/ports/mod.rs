//! What the steps need from the outside, as traits of one to three methods, split by permission.

pub mod changes;
pub mod objects;
#[cfg(feature = "encode")]
pub mod rows;
pub mod source;
pub mod watermarks;

//! What the steps need from the outside, as traits of one to three methods, split by permission.

#[cfg(feature = "encode")]
pub mod rows;

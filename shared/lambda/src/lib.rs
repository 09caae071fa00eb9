//! Being rebuilt.

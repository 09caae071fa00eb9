//! What the tests across crates share: the pipeline in the state machine's order, an S3 server on disk.

pub mod pipeline;
pub mod s3_server;

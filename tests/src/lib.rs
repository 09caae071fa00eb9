//! What the tests across crates share: the pipeline in the state machine's order, worlds for it in memory and of real
//! calls, an S3 server on disk, a real SQL Server by its address, a proxy and faults between them, the tutorial, a table
//! with every type.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]

pub mod end_state;
pub mod every_type;
pub mod faults;
pub mod memory;
pub mod pipeline;
pub mod proxy;
pub mod real_server;
pub mod s3_faults;
pub mod s3_server;
pub mod slow;
pub mod stand_in;
pub mod table_copy;
pub mod tutorial;

//! What the tests across crates share: worlds of real calls for a run of the steps, an S3 server on disk, a real SQL
//! Server by its address, a proxy and faults between them, the tutorials, and a table with every type.

pub mod end_state;
pub mod every_type;
pub mod mask_key;
pub mod proxy;
pub mod real_server;
pub mod s3_faults;
pub mod s3_server;
pub mod stand_in;
pub mod table_copy;
pub mod tutorial;

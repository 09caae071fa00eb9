//! The core of Tidemark: it copies what changed in the tables of a database since the last run to object storage.
//!
//! Nothing here knows a driver, an SDK, SQL, an environment variable or a runtime. `model` is data; `ledger` keeps the
//! documents that are written once (W1 to W6); `planner` decides what a window holds and how it is cut into slices;
//! `steps` are the four steps; `ports` are the traits by which the steps reach the outside;
//! `testing` implements those traits in memory, and runs all steps in one process.

pub mod checksum;
pub mod error;
pub mod ledger;
pub mod model;
pub mod planner;
pub mod ports;
mod shared_connection;
pub mod steps;
pub mod testing;
